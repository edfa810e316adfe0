"""SSH as it is in real companies, on real hosts: sshd, sudo, PAM, ssh-agent, jump hosts, and what they refuse."""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from logins import (
    INTERACTIVE,
    OTHER,
    PASSWORD,
    Site,
    enters,
    once,
    opened,
    refusal,
    secret_file,
)

from quorate.core import LocalError, TransportError
from quorate.spec.cluster import Jump
from quorate.spec.ssh import ResolvedSsh
from quorate.transport.trust import pin, scan

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("user", ["root", "debian", "free"])
async def test_key(site: Site, user: str) -> None:
    await enters(site.ssh(user=user), site.blob)


@pytest.mark.parametrize("user", ["asks", "pty", "once", "debian"])
async def test_sudo_password(site: Site, user: str) -> None:
    """Also where login scripts are noisy, and where sudo does not ask after all."""
    await enters(replace(site.ssh(user=user), sudo_password_file=site.password), site.blob)


@pytest.mark.parametrize("user", ["asks", "once"])
async def test_wrong_sudo_password(site: Site, user: str) -> None:
    error = await refusal(replace(site.ssh(user=user), sudo_password_file=site.wrong))
    assert str(error) == f"a: wrong sudo password for {user}"
    assert str(site.wrong) in error.hint


async def test_wrong_sudo_password_is_tried_once(site: Site) -> None:
    """However many scripts wait for it: a few tries lock accounts in some places."""
    async with opened(replace(site.ssh(user="fails"), sudo_password_file=site.wrong)) as door:
        found = await asyncio.gather(*(door.run("a", "echo in") for _ in range(5)), return_exceptions=True)
    assert [str(each) for each in found] == ["a: wrong sudo password for fails"] * 5
    journal = await once(site.ssh(), "journalctl -o cat --no-pager -t sudo")
    tries = [line for line in journal.splitlines() if "authentication failure" in line and "user=fails" in line]
    assert len(tries) == 1, journal


async def test_sudo_asks_and_there_is_no_password(site: Site) -> None:
    error = await refusal(site.ssh(user="asks"))
    assert "asks for a password" in str(error)
    assert "sudo_password_file" in error.hint


async def test_not_in_sudoers(site: Site) -> None:
    error = await refusal(replace(site.ssh(user="stranger"), sudo_password_file=site.password))
    assert "stranger may not use sudo" in str(error)


async def test_sudo_wants_a_terminal(site: Site) -> None:
    error = await refusal(site.ssh(user="terminal"))
    assert "requiretty" in str(error)
    assert "Defaults:terminal !requiretty" in error.hint


@pytest.mark.parametrize("port", [22, INTERACTIVE])
async def test_login_password(site: Site, port: int) -> None:
    """By password and by keyboard-interactive; then sudo asks for the same one."""
    ssh = replace(site.ssh(user="asks", port=port), key=None, password_file=site.password)
    await enters(replace(ssh, sudo_password_file=site.password), site.blob)
    error = await refusal(replace(ssh, password_file=site.wrong))
    assert "asks was refused" in str(error)
    assert "Tried the password, once" in error.hint


async def test_password_file_for_all_to_read(site: Site, tmp_path: Path) -> None:
    loose = secret_file(tmp_path / "loose", PASSWORD)
    loose.chmod(0o644)
    with pytest.raises(LocalError, match="mode 0644"):
        await once(replace(site.ssh(user="asks"), key=None, password_file=loose), "echo in")


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A real ssh-agent that holds nothing yet, and a home without keys; ended by its pid."""
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert process.poll() is None
            time.sleep(0.02)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        monkeypatch.setenv("HOME", str(tmp_path))
        yield socket
    finally:
        process.terminate()
        process.wait()


def keygen(*words: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *words], stdout=subprocess.DEVNULL, check=True)


def hold(key: Path) -> None:
    subprocess.run(["ssh-add", "-q", str(key)], check=True)


async def test_agent(site: Site, agent: Path) -> None:
    ssh = replace(site.ssh(user="debian"), key=None)
    error = await refusal(ssh)
    assert "the agent's and default keys" in error.hint
    hold(site.lab.key)
    await enters(ssh, site.blob)


async def test_agent_holds_the_key_of_a_locked_file(site: Site, agent: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.touch(0o600)
    locked.write_bytes(site.lab.key.read_bytes())
    locked.with_name("locked.pub").write_bytes(site.lab.key.with_name("key.pub").read_bytes())
    keygen("-p", "-N", PASSWORD, "-f", str(locked))
    hold(site.lab.key)
    await enters(replace(site.ssh(), key=locked), site.blob)


async def test_agent_with_too_many_keys(site: Site, agent: Path, tmp_path: Path) -> None:
    for number in range(7):
        path = tmp_path / f"other{number}"
        keygen("-t", "ed25519", "-N", "", "-f", str(path))
        hold(path)
    hold(site.lab.key)
    error = await refusal(replace(site.ssh(), key=None))
    assert "ssh.key" in error.hint
    await enters(site.ssh(), site.blob)


@pytest.mark.parametrize("user", ["root", "debian"])
async def test_jump_host(site: Site, user: str) -> None:
    alpha = site.lab.machine("alpha").address
    ssh = replace(site.ssh("beta", port=OTHER), jump=Jump(host=alpha, port=OTHER, user=user))
    await enters(ssh, site.blob)
    assert (await once(ssh, "echo $SSH_CONNECTION")).split()[0] == alpha


async def test_jump_host_that_does_not_reach_it(site: Site) -> None:
    ssh = replace(site.ssh("beta"), jump=Jump(host=site.lab.machine("alpha").address))
    error = await refusal(replace(ssh, port=2), PASSWORD)
    assert "jump host" in str(error) or "not known" in str(error)


async def test_another_port(site: Site) -> None:
    await enters(site.ssh(port=OTHER), site.blob)
    assert (await once(site.ssh(port=OTHER), "echo $SSH_CONNECTION")).split()[3] == str(OTHER)
    assert "refuses connections" in str(await refusal(site.ssh(port=2)))


async def test_trust(site: Site, tmp_path: Path) -> None:
    """First seen, pinned, then changed as by a new installation, and pinned anew."""
    ssh = replace(site.ssh("beta"), known_hosts=tmp_path / "known_hosts")
    error = await refusal(ssh)
    assert "is not known (SHA256:" in str(error)
    assert "quorate trust" in error.hint
    keys, lost = await scan({"a": ssh})
    assert ([key.state for key in keys], lost) == (["new"], [])
    pin(tmp_path / "known_hosts", keys)
    await enters(ssh, site.blob)
    printed = await once(ssh, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    assert keys[0].fingerprint in printed
    renew = "cd /etc/ssh && tar cf /root/keys.tar ssh_host_* && rm ssh_host_* && ssh-keygen -qA && systemctl reload ssh"
    await once(ssh, renew)
    try:
        error = await changed(ssh)
        assert keys[0].fingerprint in str(error)
        assert "quorate trust --replace" in error.hint
        keys, _ = await scan({"a": ssh})
        assert [key.state for key in keys] == ["changed"]
        with pytest.raises(TransportError, match="HOST KEY CHANGED"):
            pin(tmp_path / "known_hosts", keys)
        pin(tmp_path / "known_hosts", keys, replace_changed=True)
        await enters(ssh, site.blob)
    finally:
        trusting = tmp_path / "now"
        pin(trusting, (await scan({"a": replace(ssh, known_hosts=trusting)}))[0])
        back = "cd /etc/ssh && tar xf /root/keys.tar && systemctl reload ssh"
        await once(replace(ssh, known_hosts=trusting), back)
        await changed(replace(ssh, known_hosts=trusting))


async def changed(ssh: ResolvedSsh) -> TransportError:
    """The refusal of a changed host key, as soon as sshd has read its new ones."""
    for _ in range(50):
        found = (await asyncio.gather(once(ssh, "true"), return_exceptions=True))[0]
        if isinstance(found, TransportError) and "HOST KEY CHANGED" in str(found):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(found)
