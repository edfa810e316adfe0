"""The archive of `quorate support`: texts without secrets under one folder, with a page that says what they are."""

import gzip
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from quorate import atomic
from quorate.core import LocalError, QuorateError
from quorate.plan.redact import Redactor
from quorate.plan.words import many
from quorate.spec.cluster import Cluster
from quorate.spec.regular import opened
from quorate.spec.ssh import ssh_of
from quorate.state.bundle import Entry, tar
from quorate.state.store import Store
from quorate.transport.password import stored

CONTENTS = "CONTENTS.txt"
"""The page, which sorts before all others."""
_TITLE = "quorate support archive"
_ABOUT = (
    ("versions.txt", "versions of quorate, of this machine and of what runs on the hosts"),
    ("status.txt", "what `quorate status` shows; status.json is the same for programs"),
    ("plan.txt", "what `quorate plan` shows"),
    ("failed.txt", "what could not be had, and why"),
    ("cluster.yaml", "the cluster file"),
    ("state/", "the history of runs, the journal of the state folder, the file that was applied last"),
    ("hosts/NAME/", "of each host: its system, its services, and why it did not answer"),
    ("hosts/NAME/journal/", "the end of the journals of quorate's services and of the kernel's warnings"),
    ("hosts/NAME/files/", "files that quorate wrote there, but none with keys, logins or certificates"),
)
LOOK = (
    "Look at it before you send it: it holds names and addresses of your hosts, and whatever programs wrote into their "
    "journals. Secrets that quorate knows, and what looks like one, stand there as (secret)."
)


@dataclass(frozen=True)
class Packed:
    """A whole archive."""

    data: bytes
    files: Mapping[str, int]
    """Bytes by name."""
    hidden: int
    """How many secrets were hidden."""


def secrets(cluster: Cluster, store: Store) -> Iterator[str]:
    """Everything that must not be in it, as far as it is known here: the state folder's, passwords, logins."""
    yield from store.confidential()
    ssh = [ssh_of(cluster, host) for host in cluster.hosts]
    files = [path for each in ssh for path in (each.password_file, each.sudo_password_file)]
    files += [each.jump.password_file for each in ssh if each.jump]
    files += [access.login_file for access in cluster.runtime.registry_access.values()]
    files += [cluster.os.proxy.login_file] if cluster.os.proxy else []
    files += [place.s3.login_file for place in cluster.backup.places if place.s3]
    for path in dict.fromkeys(path for path in files if path):
        with suppress(LocalError):  # what can't be had here was sent nowhere either
            text = stored(path)
            yield from (text, text.partition(":")[2])


def pack(name: str, texts: Mapping[str, str], redactor: Redactor) -> Packed:
    """The archive of these texts, by their names in it, below a folder of that name."""
    cleaned = {path: redactor.clean(_harmless(text)) for path, text in texts.items() if text.strip()}
    cleaned[CONTENTS] = _contents(cleaned, redactor.hidden)
    files = {path: text.encode("utf-8", "replace") for path, text in cleaned.items()}
    data = tar({f"{name}/{path}": Entry(content, 0o644) for path, content in files.items()})
    return Packed(gzip.compress(data, mtime=0), {path: len(files[path]) for path in sorted(files)}, redactor.hidden)


def _harmless(text: str) -> str:
    """Without what could steer the terminal of its reader; a private key is left to the redactor, line by line."""
    return "\n".join(line if line.isprintable() else _visible(line) for line in text.split("\n"))


def _visible(line: str) -> str:
    return "".join(each if each.isprintable() or each == "\t" else ascii(each)[1:-1] for each in line)


def _contents(texts: Mapping[str, str], hidden: int) -> str:
    there = {f"hosts/NAME/{path.split('/', 2)[2]}" if path.startswith("hosts/") else path for path in texts}
    rows = [f"{path:<22}{what}" for path, what in _ABOUT if any(each.startswith(path) for each in there)]
    sizes = [f"{len(text.encode()):>9}  {path}" for path, text in sorted(texts.items())]
    said = f"{many(hidden, 'secret')} hidden."
    return "\n".join([_TITLE, "", LOOK, said, "", *rows, "", "Bytes and name of each file:", "", *sizes, ""])


def demand_place(path: Path) -> None:
    """Refuse a place where something else is than an archive of ours. Raises QuorateError."""
    if path.exists() and not _ours(path):
        raise QuorateError(f"{path} is there already and is no archive of ours", "name another place with -o")
    if not path.absolute().parent.is_dir():
        raise QuorateError(f"{path.absolute().parent} is no folder", "make it, or name another place with -o")


def _ours(path: Path) -> bool:
    try:
        with opened(path) as file, tarfile.open(fileobj=file, mode="r:gz") as archive:
            first = archive.next()
            content = archive.extractfile(first) if first and first.isreg() else None
            return content is not None and content.read(len(_TITLE)) == _TITLE.encode()
    except (OSError, tarfile.TarError, EOFError, zlib.error):
        return False


def write(path: Path, packed: Packed) -> None:
    """Write it whole or not at all, for its owner alone. Raises QuorateError."""
    try:
        demand_place(path)
        atomic.sweep_beside(path)
        atomic.write(path, packed.data)
    except OSError as error:
        if error.errno in atomic.FULL:
            raise atomic.no_room(path, len(packed.data)) from None
        raise QuorateError(f"{path}: can't be written: {error.strerror}", "name another place with -o") from None
