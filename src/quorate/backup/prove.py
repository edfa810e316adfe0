"""Prove a backup: restore it here where nobody sees it, and compare with its manifest.

Level 1 is a throw-away etcd, counted and hashed. Level 2 is an API server on it with the saved keys: it lists
everything, so every Secret was decrypted.
"""

import asyncio
import gzip
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from quorate.backup.archive import OpenedSet
from quorate.backup.keys import SERVICE_ACCOUNTS, every, files_of
from quorate.backup.manifest import Manifest
from quorate.backup.proof import HERE, Proof, now
from quorate.component.settings import encryption
from quorate.core import ArtifactError, CommandFailed, VerifyFailed
from quorate.render import throwaway, yaml
from quorate.spec.cluster import Cluster
from quorate.spec.load import load_former
from quorate.spec.supply import Supply
from quorate.spec.versions import restorers
from quorate.state.bundle import FILE
from quorate.transport.local import LocalTransport

PROGRAMS = {1: ("etcd", "etcdctl"), 2: ("etcd", "etcdctl", "kube-apiserver", "kubectl")}
"""By level; and whatever restores, where the source has it."""
SECRETS = "/registry/secrets"
_MEANT = ("feature-gates", "runtime-config", "storage-media-type")
"""Flags of the file that decide which stored objects an API server knows."""
_FIX = "do not restore it; another one: `quorate backup list`"


def cluster_of(found: OpenedSet, scratch: Path, now: Cluster, folder: Path) -> Cluster:
    """The cluster of the file in a set, whose programs come from where they come from now. Raises SpecError."""
    path = scratch / FILE
    _write(path, found.bundle.entries[FILE].content)
    return load_former(path, folder).model_copy(update={"artifacts": now.artifacts})


@contextmanager
def private(folder: Path) -> Iterator[Path]:
    """A folder in `folder` that nobody else reads, and that is gone afterwards; those of dead runs go first."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.glob(".proving-*"):
        if not Path("/proc", left.name.split("-")[1]).exists():
            shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=f".proving-{os.getpid()}-", dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


async def prove(
    found: OpenedSet,
    cluster: Cluster,
    supply: Supply,
    scratch: Path,
    *,
    level: int = 2,
    say: Callable[[str], None] = lambda _text: None,
) -> Proof:
    """Prove it up to a level, in a private folder with room for three times its snapshot.

    Raises VerifyFailed when it is not what its manifest says or can't be read, ArtifactError when the source does not
    deliver the programs.
    """
    told = found.manifest
    say("unpacking")
    await lay_out(found, supply, scratch, level)
    say("restoring it into a throw-away etcd")
    lines: list[str] = []

    def hear(text: str) -> None:
        lines.append(text)
        if text.startswith("progress "):
            say(text.removeprefix("progress "))

    try:
        await LocalTransport().run(HERE, script(told, cluster, scratch, level), on_line=hear)
    except CommandFailed as error:
        said = error.stderr.strip().splitlines()
        raise VerifyFailed(f"{found.whole.name} can't be restored: {said[-1] if said else error}", _FIX) from None
    return Proof(found.whole.digest, level, now(), HERE, judged(found.whole.name, told, lines, level))


async def lay_out(found: OpenedSet, supply: Supply, scratch: Path, level: int) -> None:
    """Put programs, snapshot and keys into the folder. Raises ArtifactError where the source has not the programs."""
    await asyncio.to_thread(_unpack, supply, found.manifest, scratch / "bin", level)
    await asyncio.to_thread(found.snapshot_in, scratch)
    keep_keys(found, scratch)


def script(told: Manifest, cluster: Cluster, scratch: Path, level: int) -> str:
    """sh that restores ./snapshot.db in a folder, and prints what is there."""
    programs = str(scratch / "bin")
    rev = '"$rev"'
    wait = 60 + told.etcd.size // 10_000_000
    parts = [
        throwaway.functions(programs, restorers(told.etcd.version), cluster.etcd.quota_bytes),
        throwaway.api_server(programs, api_flags(cluster), str(cluster.network.service_cidr)) if level > 1 else "",
        throwaway.moved(str(scratch), api=level > 1),
        f"q_serve {wait}\n",
        "rev=$(q_own endpoint status -w json | q_pick revision); echo revision=$rev\n",
        'q_keys "$rev" q_own\n',
        'q_counts | sed "s/^/count /"\n',
        throwaway.counted(rev),
        f"if [ {told.etcd.compact_revision} -gt ${{compact:-0}} ]; then\n"
        f"q_own compaction {told.etcd.compact_revision} >/dev/null\n{throwaway.counted(rev)}fi\n",
        "echo total=$total; echo hash=$hash; echo compact=$compact\n",
    ]
    if level > 1:
        parts += ["echo progress reading it through an API server\n", f"q_api {wait + 120}\n", throwaway.listed()]
    return "".join(parts)


def judged(name: str, told: Manifest, lines: list[str], level: int) -> dict[str, int]:
    """The evidence. Raises VerifyFailed for what is not as the manifest says."""
    counts: dict[str, int] = {}
    seen: dict[str, int] = {}
    values: dict[str, int] = {}
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "count":
            number, _, prefix = rest.partition(" ")
            counts[prefix] = int(number)
        elif word == "seen":
            kind, _, number = rest.partition(" ")
            seen[kind] = seen.get(kind, 0) + int(number)
        elif "=" in word and (value := word.partition("=")[2]).isdecimal():
            values[word.partition("=")[0]] = int(value)
    etcd = told.etcd
    _demand(name, "revision", values.get("revision"), etcd.revision)
    _demand(name, "the number of keys", sum(counts.values()), values.get("total"))
    if etcd.keys:
        for prefix in sorted({*etcd.keys, *counts}):
            _demand(name, f"the number of keys below {prefix}", counts.get(prefix, 0), etcd.keys.get(prefix, 0))
    if etcd.hash and values.get("compact") == etcd.compact_revision:
        _demand(name, "etcd's hash of all keys", values.get("hash"), etcd.hash)
    evidence = {"revision": etcd.revision, "keys": sum(counts.values()), "hash": values.get("hash", 0)}
    if level > 1:
        _demand(name, "the number of readable Secrets", seen.get("secrets", 0), counts.get(SECRETS, 0))
        evidence["secrets"] = seen.get("secrets", 0)
        evidence["resources"] = len(seen) - ("-" in seen)
        evidence["objects"] = sum(number for kind, number in seen.items() if kind != "-")
        evidence["not_read"] = seen.get("-", 0)
    return evidence


def _demand(name: str, what: str, found: int | None, wanted: int | None) -> None:
    if found != wanted:
        raise VerifyFailed(f"{name}: {what} is {found}, and should be {wanted}", _FIX)


def _unpack(supply: Supply, told: Manifest, folder: Path, level: int) -> None:
    """Put the programs there. Raises ArtifactError for those that the source has not, or of another version."""
    got = supply.versions.get("etcd", "")
    if got.split(".")[:2] != told.etcd.version.split(".")[:2]:
        raise ArtifactError(f"the backup is of etcd {told.etcd.version}, the artifact source brings {got}", "")
    folder.mkdir(mode=0o700)
    able = [name for name in restorers(told.etcd.version) if name in supply.binaries][:1]
    for name in dict.fromkeys((*PROGRAMS[level], *able)):
        if name not in supply.binaries:
            raise ArtifactError(f"the artifact source does not bring {name}", "name another source in `artifacts`")
        with gzip.open(supply.binaries[name].path) as packed, (folder / name).open("wb") as plain:
            shutil.copyfileobj(packed, plain, 2**20)
        (folder / name).chmod(0o700)


def keep_keys(found: OpenedSet, scratch: Path) -> None:
    """Put the keys that read what is stored into a private folder. Raises QuorateError for one that is damaged."""
    files = files_of(found)
    keys = every(files, found.whole.name)
    _write(scratch / "sa.key", files.get(SERVICE_ACCOUNTS, b""))
    _write(scratch / "sa.pub", b"".join(keys.service_accounts))
    _write(scratch / "encryption.yaml", yaml.dump(encryption.config(*keys.encryption)).encode())


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def api_flags(cluster: Cluster) -> list[str]:
    """What reads the stored objects: keys, and what the file says of the API."""
    meant: Mapping[str, str] = cluster.apiserver.extra_flags
    keys = ["--service-account-key-file=sa.pub", "--service-account-signing-key-file=sa.key"]
    if cluster.apiserver.encrypt_secrets:
        keys.append("--encryption-provider-config=encryption.yaml")
    issuer = f"https://kubernetes.default.svc.{cluster.network.dns_domain}"
    return [*keys, f"--service-account-issuer={issuer}", *(f"--{n}={meant[n]}" for n in _MEANT if n in meant)]
