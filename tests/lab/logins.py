"""Two hosts whose sshd, sudo and PAM are set up as in real companies, and ways to log in to them."""

import asyncio
import gzip
import hashlib
import random
import shlex
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from booting import booted

from quorate.core import Blob, TransportError
from quorate.lab.record import LabInfo
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.ssh import ResolvedSsh
from quorate.transport.ssh import SshTransport
from quorate.transport.trust import pin, scan

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
    with booted(Cluster(name=NAME, hosts=hosts), folder / "cluster.yaml") as lab:
        made = Site(
            lab,
            secret_file(folder / "password", PASSWORD),
            secret_file(folder / "wrong", WRONG),
            make_blob(folder / "blob.gz"),
            folder / "known_hosts",
        )
        asyncio.run(prepare(made))
        yield made


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
