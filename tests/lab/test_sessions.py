"""Real SSH sessions once they are open: few of them, hung ones, lost hosts, secrets, and a plan over them."""

import asyncio
import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from logins import (
    FEW,
    MOST,
    NAME,
    ONE,
    PASSWORD,
    SUBNET,
    Site,
    opened,
    refusal,
)

from quorate.core import CommandFailed, TransportError
from quorate.lab import fault
from quorate.transport.ssh import SshTransport

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(("port", "user"), [(ONE, "root"), (FEW, "root"), (FEW, "asks")])
async def test_few_sessions_are_enough(site: Site, port: int, user: str) -> None:
    ssh = replace(site.ssh(user=user, port=port), sudo_password_file=site.password)
    async with opened(ssh) as door:
        runs = (door.run("a", f"sleep 0.2; echo {number}") for number in range(12))
        assert await asyncio.gather(*runs) == [f"{number}\n" for number in range(12)]


@pytest.mark.parametrize(("port", "user"), [(ONE, "root"), (FEW, "asks")])
async def test_what_hangs_is_ended_when_no_session_is_left(site: Site, port: int, user: str) -> None:
    ssh = replace(site.ssh(user=user, port=port), sudo_password_file=site.password)
    sessions = port - MOST
    door = SshTransport({"a": ssh}, sessions=sessions)
    runs = (door.run("a", f"sleep {port}", timeout=1) for _ in range(sessions))
    found = await asyncio.gather(*runs, return_exceptions=True)
    assert ["no end within 1 s" in str(each) for each in found] == [True] * sessions
    assert await gone(door, f"sleep {port}")
    await door.close()


@pytest.mark.parametrize("user", ["root", "asks", "pty", "free"])
async def test_timeout_ends_what_runs(site: Site, user: str) -> None:
    async with opened(replace(site.ssh(user=user), sudo_password_file=site.password)) as door:
        with pytest.raises(CommandFailed, match="no end within"):
            await door.run("a", "(sleep 7302; echo) | cat", timeout=0.5)
        assert await gone(door, "sleep 7302")


async def gone(door: SshTransport, command: str) -> bool:
    for _ in range(40):
        if not await door.run("a", f"pgrep -xf {shlex.quote(command)} || :"):
            return True
        await asyncio.sleep(0.1)
    return False


async def test_host_that_hangs(site: Site) -> None:
    began = asyncio.Event()
    ssh = replace(site.ssh("beta", "asks"), sudo_password_file=site.password)
    async with opened(ssh) as door:
        task = asyncio.create_task(door.run("a", "echo go; sleep 60", on_line=lambda _: began.set()))
        await began.wait()
        await asyncio.to_thread(fault.freeze, NAME, "beta")
        since = time.monotonic()
        try:
            error = await refusal(replace(ssh, connect_timeout=1))
            assert "no answer from" in str(error)
            with pytest.raises(TransportError, match="connection lost while a script ran"):
                await task
        finally:
            await asyncio.to_thread(fault.thaw, NAME, "beta")
        assert time.monotonic() - since < 25
        assert await door.run("a", "id -u") == "0\n"


SAMPLE = """
while [ ! -e /run/enough ]; do
  cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; sleep 0.01
done 2> /dev/null | tr '\\0' '\\n' | sort -u
rm /run/enough
journalctl -o cat --no-pager
"""


@pytest.mark.parametrize("user", ["asks", "pty"])
async def test_secrets_stay_secret(site: Site, user: str) -> None:
    """Neither the script's secret nor the password is in any argv, environment or journal on the host."""
    secret = "s3cret-of-the-script"
    script = f"cat > /root/secret << 'END'\n{secret}\nEND\nit='{secret}'; sleep 0.3; [ \"$it\" = '{secret}' ]"
    async with opened(site.ssh(), replace(site.ssh(user=user), sudo_password_file=site.password)) as door:
        sample = asyncio.create_task(door.run("a", SAMPLE, timeout=60))
        for _ in range(4):
            await door.run("b", script)
        assert await door.run("b", "cat /root/secret; touch /run/enough") == f"{secret}\n"
        seen = await sample
    for proof in ("SUDO_PROMPT=", "_q=$(dd bs=", "0.3", "sudo"):
        assert proof in seen
    for hidden in (secret, PASSWORD, PASSWORD.split()[0], "END"):
        assert hidden not in seen


def quorate(file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The tool, with no terminal to ask on."""
    return subprocess.run(
        [sys.executable, "-m", "quorate", *words, "-f", str(file)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        timeout=120,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )


def cluster_file(site: Site, folder: Path, **ssh: object) -> Path:
    settings = {"key": str(site.lab.key), "known_hosts": str(site.known), **ssh}
    host = {"name": "node01", "address": f"{SUBNET}.11", "roles": ["control-plane", "etcd", "worker"]}
    document = {"name": "logins", "versions": {"kubernetes": "1.20.2"}, "ssh": settings, "hosts": [host]}
    file = folder / "cluster.yaml"
    file.write_text(json.dumps(document))
    return file


@pytest.mark.parametrize("user", ["debian", "pty"])
def test_plan_of_a_sudo_user(site: Site, tmp_path: Path, user: str) -> None:
    more = {} if user == "debian" else {"sudo_password_file": str(site.password)}
    done = quorate(cluster_file(site, tmp_path, user=user, **more), "plan", "--json")
    assert done.returncode == 2, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["changes"]
    assert not document["unreachable"]


@pytest.mark.parametrize(("ask", "words"), [("ask_sudo_password", ["plan"]), ("ask_password", ["plan", "--json"])])
def test_plan_without_a_terminal_to_ask_on(site: Site, tmp_path: Path, ask: str, words: list[str]) -> None:
    done = quorate(cluster_file(site, tmp_path, user="asks", **{ask: True}), *words)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "no terminal to ask for" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
