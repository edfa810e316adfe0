"""SSH as it is in real companies, on real hosts: sshd, sudo, PAM, ssh-agent, jump hosts, and what they refuse."""

import asyncio
import contextlib
import gzip
import hashlib
import json
import os
import random
import shlex
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from quorate.core import Blob, CommandFailed, TransportError
from quorate.lab import fault
from quorate.lab.record import LabError, LabInfo
from quorate.lab.up import down, up
from quorate.spec.cluster import Cluster, Host, Jump, Role
from quorate.spec.ssh import ResolvedSsh
from quorate.transport.ssh import SshTransport
from quorate.transport.trust import pin, scan

pytestmark = pytest.mark.lab
SUBNET = "192.168.79"
NAME = "logins-test"
PASSWORD = "r1ght $(id) 'ö\" \\ %s"
WRONG = "wr0ng-secret"
OTHER, INTERACTIVE, MOST = 2222, 2223, 2230
"""Ports of one sshd: as the first, and keyboard-interactive only; over MOST are those with few sessions."""
ONE, FEW = MOST + 1, MOST + 2

SUDOERS = """
asks ALL=(ALL:ALL) ALL
Defaults:asks !use_pty
pty ALL=(ALL:ALL) ALL
Defaults:pty use_pty
free ALL=(ALL:ALL) NOPASSWD: ALL
Defaults:free use_pty
terminal ALL=(ALL:ALL) NOPASSWD: ALL
Defaults:terminal requiretty
fails ALL=(ALL:ALL) ALL
once ALL=(ALL:ALL) ALL
Defaults:once passwd_tries=1
"""
USERS = ("asks", "pty", "free", "terminal", "fails", "once", "stranger")

SSHD = f"""Port 22
Port {OTHER}
Port {INTERACTIVE}
Port {ONE}
Port {FEW}
MaxStartups 100
Match LocalPort {INTERACTIVE}
  PasswordAuthentication no
  KbdInteractiveAuthentication yes
Match LocalPort {FEW}
  MaxSessions 2
Match LocalPort {ONE}
  MaxSessions 1
"""

SETUP = """set -e
for user in {users}; do
  useradd -m -s /bin/bash "$user"
  mkdir -m 700 "/home/$user/.ssh"
  cp /root/.ssh/authorized_keys "/home/$user/.ssh/"
  chown -R "$user:" "/home/$user/.ssh"
done
echo 'echo Welcome from .bashrc; echo of stderr >&2' | tee -a /home/asks/.bashrc >> /home/pty/.bashrc
chpasswd
printf %s {sudoers} > /etc/sudoers.d/test
chmod 440 /etc/sudoers.d/test
visudo -qc
printf %s {sshd} > /etc/ssh/sshd_config.d/test.conf
sshd -t
systemctl reload ssh
"""


@dataclass(frozen=True)
class Site:
    """The lab's hosts, and files for logging in to them."""

    lab: LabInfo
    password: Path
    wrong: Path
    blob: Blob
    known: Path
    """Pins of all hosts on all ports, as `quorate trust` writes them."""

    def ssh(self, host: str = "alpha", user: str = "root", port: int = 22) -> ResolvedSsh:
        return ResolvedSsh(
            address=self.lab.machine(host).address,
            user=user,
            port=port,
            key=self.lab.key,
            password_file=None,
            sudo_password_file=None,
            ask_password=False,
            ask_sudo_password=False,
            known_hosts=self.known,
            jump=None,
            connect_timeout=30,
        )


def secret_file(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text + "\n")
    return path


def make_blob(path: Path) -> Blob:
    content = random.Random(79).randbytes(3_000_000)
    path.write_bytes(gzip.compress(content, 1))
    return Blob(path, hashlib.sha256(content).hexdigest(), len(content))


@asynccontextmanager
async def opened(ssh: ResolvedSsh, *more: ResolvedSsh) -> AsyncIterator[SshTransport]:
    """A door to hosts a, b, ..."""
    door = SshTransport(dict(zip("abcdef", (ssh, *more), strict=False)))
    try:
        yield door
    finally:
        await door.close()


async def once(ssh: ResolvedSsh, script: str, blob: Blob | None = None) -> str:
    async with opened(ssh) as door:
        return await door.run("a", script, blob=blob, timeout=60)


async def enters(ssh: ResolvedSsh, blob: Blob) -> None:
    """Root is who runs the script, and it gets each byte."""
    found = await once(ssh, "id -u; umask; gzip -dc | sha256sum", blob)
    assert found.split() == ["0", "0077", blob.sha256, "-"]


async def refusal(ssh: ResolvedSsh, *secrets: str) -> TransportError:
    """The error of a login that fails, twice asked for; no secret is in it."""
    async with opened(ssh) as door:
        for _ in range(2):
            with pytest.raises(TransportError) as caught:
                await door.run("a", "echo in")
    error = caught.value
    assert error.host == "a"
    assert error.hint
    chain: BaseException | None = error
    while chain is not None:
        for secret in (PASSWORD, WRONG, *secrets):
            assert secret not in f"{chain!r} {chain} {getattr(chain, 'hint', '')} {vars(chain)}"
        chain = chain.__cause__ or chain.__context__
    return error


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("logins")
    hosts = tuple(
        Host(name=name, address=f"{SUBNET}.{number}", roles=(Role.WORKER,))  # type: ignore[arg-type]
        for number, name in enumerate(("alpha", "beta"), start=11)
    )
    with contextlib.suppress(LabError):
        down(NAME)  # what a killed run left
    lab = up(Cluster(name=NAME, hosts=hosts), folder / "cluster.yaml")
    try:
        made = Site(
            lab,
            secret_file(folder / "password", PASSWORD),
            secret_file(folder / "wrong", WRONG),
            make_blob(folder / "blob.gz"),
            folder / "known_hosts",
        )
        asyncio.run(prepare(made))
        yield made
    finally:
        down(NAME)


async def prepare(site: Site) -> None:
    users = "".join(f"{user}:{PASSWORD}\n" for user in ("root", *USERS))
    content = site.password.with_name("users.gz")
    content.write_bytes(gzip.compress(users.encode()))
    script = SETUP.format(users=" ".join(USERS), sudoers=shlex.quote(SUDOERS), sshd=shlex.quote(SSHD))
    script = script.replace("\nchpasswd\n", "\ngzip -dc | chpasswd\n")
    known = site.lab.known_hosts
    async with opened(*(replace(site.ssh(name), known_hosts=known) for name in ("alpha", "beta"))) as door:
        blob = Blob(content, "", len(users))
        await asyncio.gather(*(door.run(name, script, blob=blob) for name in "ab"))
    ports = (22, OTHER, INTERACTIVE, ONE, FEW)
    targets = {f"{host}-{port}": site.ssh(host, port=port) for host in ("alpha", "beta") for port in ports}
    for _ in range(50):
        keys, lost = await scan(targets)
        if not lost:  # sshd has read its settings
            break
        await asyncio.sleep(0.1)
    assert lost == []
    pin(site.known, keys)


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
    assert "mode 0644" in str(await refusal(replace(site.ssh(user="asks"), key=None, password_file=loose)))


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
    assert done.returncode == 6, done.stdout + done.stderr
    assert "no terminal to ask for" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
