"""A state folder with all that an apply puts there, and hosts that remember which copies of it they were given."""

import base64
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quorate.component.context import Context
from quorate.core import Blob, QuorateError, TransportError
from quorate.pki.issue import new_key, public_pem
from quorate.spec.cluster import Cluster, Host, Role, StateFolder
from quorate.spec.facts import Facts, HostFacts
from quorate.spec.restoring import Restoration
from quorate.spec.secrets import EncryptionKey, OldKeys, Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table
from quorate.state import age
from quorate.state.past import Past
from quorate.state.seal import Copies
from quorate.state.store import Store

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRET = "correct horse battery"
TEXT = "name: c\n"
EVERYBODY = ("m1", "m2", "m3", "n1")
OLD = OldKeys((EncryptionKey("key1", "B" * 43 + "="),), (public_pem(new_key("ecdsa-p256")),))
"""Keys of before."""


def cluster(**state: object) -> Cluster:
    masters = [Host(name=f"m{i}", address=f"10.0.0.{i}", roles=(Role.CONTROL_PLANE, Role.ETCD)) for i in (1, 2, 3)]
    node = Host(name="n1", address="10.0.0.9", roles=(Role.WORKER,))
    return Cluster(name="c", hosts=(*masters, node), state=StateFolder.model_validate(state))


@pytest.fixture
def cluster_file(tmp_path: Path) -> Path:
    path = tmp_path / "home/cluster.yaml"
    path.parent.mkdir()
    path.write_text(TEXT)
    return path


@pytest.fixture
def full(cluster_file: Path) -> Store:
    """A state folder with all that an apply puts there."""
    made = Store.beside(cluster_file, "c")
    made.secrets(cluster(), NOW, persist=True, old=OLD)
    made.allocations(cluster(), persist=True)
    past = Past(made, cluster_file, cluster())
    past.begin("name: c # first\n", {"m1": "1"})
    past.finish("name: c # first\n", {"m1": "1"}, Supply(versions={"etcd": "3.4.23"}), left=["n1"])
    past.begin("name: c # second\n", {})
    past.begin(TEXT, {})
    made.journal({"run": "1", "event": "begin"})
    made.write(made.path / "known_hosts", b"10.0.0.1 ssh-ed25519 AAAA\n")
    made.write(made.path / "endpoints", b"10.0.0.100\n")
    return made


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """scrypt at its real cost takes two seconds a time; one test pays them."""
    monkeypatch.setattr(age, "lock", lambda content, passphrase: passphrase.encode() + b"\0" + content)

    def unlock(locked: bytes, passphrase: str, what: str) -> bytes:
        key, _, content = locked.partition(b"\0")
        if key.decode() != passphrase:
            raise QuorateError(f"the passphrase does not open {what}")
        return content

    monkeypatch.setattr(age, "unlock", unlock)


class Hosts:
    """They remember what ran, and tell as a fact what they were given."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, str]] = []
        self.copies: dict[str, str] = {}
        self.dead: set[str] = set()

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        if host in self.dead:
            raise TransportError("no route", host=host)
        self.ran.append((host, script))
        if script.startswith("rm"):
            del self.copies[host]
        else:
            encoded = script.split("put last <<'EOF'\n")[1].partition("EOF")[0]
            self.copies[host] = base64.b64decode(encoded).decode()
        return ""

    async def close(self) -> None:
        pass

    def copies_of(
        self,
        store: Store,
        file: Path,
        of: Cluster,
        absent: frozenset[str] = frozenset(),
        restoring: Restoration | None = None,
    ) -> Copies:
        facts = Facts({name: HostFacts(copy=self.copies.get(name, "").strip()) for name in EVERYBODY})
        context = Context(of, facts, Supply(), Secrets({}, {}), table("1.36.0"), {}, absent=absent, restoring=restoring)
        return Copies(store, context, file, TEXT, self)

    async def applies(self, store: Store, file: Path, of: Cluster, *, changed: bool = False) -> list[str]:
        """An apply as far as copies go; the hosts to which something was sent."""
        self.ran.clear()
        copies = self.copies_of(store, file, of)
        await copies.begin()
        await copies.end(changed=changed)
        assert copies.warnings == []
        return [host for host, _ in self.ran]


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): (stat.S_IMODE(p.stat().st_mode), p.read_bytes()) for p in files}
