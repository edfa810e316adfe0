"""Hosts that keep sealed copies: their /var/lib/quorate is a folder here, and the shell that runs scripts is real."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import asyncssh
import pytest
from fake_hosts import FACTS, Hosts

from quorate.cli import adopt
from quorate.core import Blob, QuorateError, TransportError
from quorate.spec.layout import COPY, STATE
from quorate.spec.ssh import ResolvedSsh
from quorate.state import age
from quorate.transport import known
from quorate.transport.trust import SeenKey

SECRET = "correct horse battery"
CLUSTER = """\
name: tiny # kept
versions: {kubernetes: "1.20.2"}
ssh: {key: id}
hosts:
  - {name: master01, address: 192.0.2.11, roles: [control-plane, etcd]}
  - {name: master02, address: 192.0.2.12, roles: [etcd]}
  - {name: master03, address: 192.0.2.13, roles: [etcd]}
  - {name: node01, address: 192.0.2.14, roles: [worker]}
"""
PLACES = {"192.0.2.11": "master01", "192.0.2.12": "master02", "192.0.2.13": "master03", "192.0.2.14": "node01"}


class Site:
    """Hosts whose /var/lib/quorate is a folder here, and their host keys."""

    def __init__(self, folder: Path, hosts: Hosts) -> None:
        self._folder, self._hosts = folder, hosts
        self.keys = {address: asyncssh.generate_private_key("ssh-ed25519") for address in PLACES}
        self.targets: Mapping[str, ResolvedSsh] = {}
        self.asked: list[str] = []
        self.lost: set[str] = set()
        hosts.acts = self.act

    def state(self, host: str) -> Path:
        return self._folder / host

    def copy(self, host: str) -> Path:
        return self.state(host) / COPY.removeprefix(f"{STATE}/")

    def act(self, host: str, script: str) -> str:
        if "os_id=" in script:
            last = self.copy(host) / "last"
            return FACTS + (f"copy={last.read_text()}" if last.exists() else "")
        if COPY not in script:
            return ""
        here = script.replace(STATE, str(self.state(host)))
        return subprocess.run(["/bin/sh", "-c", here], capture_output=True, text=True, check=True).stdout

    # -- what adopt has instead of the network --

    def opened(self, targets: Mapping[str, ResolvedSsh], *, asks: bool) -> "Site":
        self.targets = targets
        return self

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        ssh = self.targets[host]
        pins = known.pinned(known.read(ssh.known_hosts), ssh.address, ssh.port)
        assert [pin.public_data for pin in pins] == [self.keys[ssh.address].public_data]
        self.asked.append(PLACES[ssh.address])
        return self.act(PLACES[ssh.address], script)

    async def close(self) -> None:
        pass

    async def scan(
        self, targets: Mapping[str, ResolvedSsh], **_more: object
    ) -> tuple[list[SeenKey], list[TransportError]]:
        found = []
        for host, ssh in targets.items():
            if PLACES[ssh.address] in self.lost:
                continue
            key = self.keys[ssh.address]
            pins = known.pinned(known.read(ssh.known_hosts), ssh.address, ssh.port)
            same = any(pin.public_data == key.public_data for pin in pins)
            line = f"{ssh.address} {key.export_public_key().decode().strip()}"
            state = "same" if same else "changed" if pins else "new"
            found.append(SeenKey(host, ssh.address, ssh.port, "ssh-ed25519", key.get_fingerprint(), line, state))  # type: ignore[arg-type]
        return found, [TransportError("no route", host=h) for h, s in targets.items() if PLACES[s.address] in self.lost]


def write_key(path: Path) -> None:
    """A private key for SSH."""
    path.touch(mode=0o600)
    path.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())


@pytest.fixture
def site(tmp_path: Path, hosts: Hosts, file: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A cluster file, and hosts that answer to `apply` and to `adopt`."""
    file.write_text(CLUSTER)
    write_key(tmp_path / "id")
    (tmp_path / "passphrase").write_text(f"{SECRET}\n")
    (tmp_path / "passphrase").chmod(0o600)
    made = Site(tmp_path / "hosts", hosts)
    monkeypatch.setattr(adopt, "open_transport", made.opened)
    monkeypatch.setattr("quorate.cli.adopt.scan", made.scan)
    # scrypt at its real cost takes two seconds a time.
    monkeypatch.setattr(age, "lock", lambda content, passphrase: passphrase.encode() + b"\0" + content)

    def unlock(locked: bytes, passphrase: str, what: str) -> bytes:
        key, _, content = locked.partition(b"\0")
        if key.decode() != passphrase:
            raise QuorateError(f"the passphrase does not open {what}", "try again")
        return content

    monkeypatch.setattr(age, "unlock", unlock)
    return made
