"""What a lab is: its names, paths and hosts, and the file that remembers them."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from quorate import atomic
from quorate.artifact.root import default_cache
from quorate.core import QuorateError


@dataclass(eq=False)
class LabError(QuorateError):
    """A lab can't be made, found or changed."""

    exit_code = 9


@dataclass(frozen=True)
class Machine:
    """One simulated host: its place in the network and its folder."""

    name: str
    address: str
    prefix: int
    gateway: str
    mac: str
    cable: str
    """Name of the network interface on the bridge's side; in the host it is `eth0`."""
    folder: Path

    @property
    def console(self) -> Path:
        """What the host printed while it booted."""
        return self.folder / "console.log"

    @property
    def cut_mark(self) -> Path:
        """Exists while the host's cable is cut, so that it stays cut over a reboot."""
        return self.folder / "cut"


@dataclass(frozen=True)
class LabInfo:
    """A lab of simulated hosts, named after its cluster."""

    name: str
    cluster_file: Path
    folder: Path
    gateways: tuple[str, ...]
    """Addresses of this machine on the bridge, with prefix length; one for each subnet."""
    machines: tuple[Machine, ...]
    internet: bool = True
    root: Path = Path()
    """The bare root beneath every host's disk; a lab keeps the one that it began with."""
    inner: tuple[str, ...] = ()
    """The cluster's networks of pods and services: what is meant for them never leaves the lab."""

    @property
    def id(self) -> str:
        """Eight characters that name what the lab has on this machine."""
        return lab_id(self.folder)

    @property
    def bridge(self) -> str:
        """Name of the lab's bridge."""
        return f"ql{self.id}"

    @property
    def key(self) -> Path:
        """Private key that opens root and the sudo user of every host."""
        return self.folder / "key"

    @property
    def known_hosts(self) -> Path:
        """Host keys of every host."""
        return self.folder / "known_hosts"

    @property
    def ssh_file(self) -> Path:
        """SSH settings for the cluster's loader, beside the cluster file."""
        return self.cluster_file.parent / ".quorate" / self.name / "ssh.yaml"

    def machine(self, name: str) -> Machine:
        """The host of that name. Raises `LabError` when there is none."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        known = ", ".join(machine.name for machine in self.machines)
        raise LabError(f"lab {self.name} has no host {name}", f"hosts: {known}")


def lab_id(folder: Path) -> str:
    """Eight characters out of a lab's folder, the same each time."""
    return hashlib.sha256(str(folder).encode()).hexdigest()[:8]


def labs_folder(cache: Path | None = None) -> Path:
    """Where all labs of a cache live."""
    return (cache or default_cache()).resolve() / "labs"


def save(lab: LabInfo) -> None:
    """Remember a lab; this comes before anything is made of it."""
    lab.folder.mkdir(parents=True, exist_ok=True)
    lab.folder.chmod(0o700)
    text = json.dumps(asdict(lab), default=str, indent=1)
    atomic.write(lab.folder / "lab.json", text.encode())


def _read(folder: Path) -> LabInfo | None:
    try:
        raw = json.loads((folder / "lab.json").read_text())
    except FileNotFoundError:
        return None
    machines = tuple(Machine(**{**one, "folder": Path(one["folder"])}) for one in raw.pop("machines"))
    paths = {name: Path(raw.pop(name)) for name in ("cluster_file", "folder", "root") if name in raw}
    lists = {name: tuple(raw.pop(name, ())) for name in ("gateways", "inner")}
    return LabInfo(**{**raw, **paths, **lists, "machines": machines})


def find(name: str, cache: Path | None = None) -> LabInfo | None:
    """The lab of that name, if there is one."""
    return _read(labs_folder(cache) / name)


def every(cache: Path | None = None) -> Iterator[LabInfo]:
    """All labs, by name."""
    for folder in sorted(labs_folder(cache).glob("*")):
        lab = _read(folder)
        if lab is not None:
            yield lab


def need(name: str, cache: Path | None = None) -> LabInfo:
    """The lab of that name. Raises `LabError` when there is none."""
    lab = find(name, cache)
    if lab is None:
        known = ", ".join(other.name for other in every(cache))
        raise LabError(f"there is no lab {name}", f"labs: {known}" if known else "`quorate lab up` makes one")
    return lab
