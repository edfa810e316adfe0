"""What every component is given: the cluster, the hosts as found, the supply, the secrets, the version."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from quorate.core import Blob, PlanError
from quorate.resource.brick import Brick
from quorate.resource.file import Binary, Symlink
from quorate.resource.package import Packages
from quorate.spec.cluster import Cluster, Host
from quorate.spec.facts import Facts, HostFacts
from quorate.spec.layout import BIN, LINKS
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import Minor


@dataclass(frozen=True)
class Context:
    """All inputs of `compile`, frozen."""

    cluster: Cluster
    facts: Facts
    supply: Supply
    secrets: Secrets
    minor: Minor
    texts: Mapping[str, str] = field(default_factory=dict)
    """Files of the user's that go into the cluster as they are: `audit-policy`, `cni-manifest`."""

    def of(self, host: Host) -> HostFacts:
        """The facts of a host."""
        return self.facts.of(host.name)

    @property
    def spokesman(self) -> Host:
        """The control-plane host through which API objects are written: the first that answers."""
        masters = self.cluster.masters
        return next((master for master in masters if master.name in self.facts.hosts), masters[0])

    def blob(self, name: str) -> Blob:
        """A binary of the supply. Raises PlanError when the source does not deliver it."""
        try:
            return self.supply.binaries[name]
        except KeyError:
            raise PlanError(
                f"the artifact source delivers no {name}", hint="`quorate artifacts` lists what it delivers"
            ) from None

    def binaries(self, host: Host, *names: str, linked: Sequence[str] = (), folder: str = BIN) -> Iterator[Brick]:
        """Binaries in `folder`; those of `linked` also in the operator's PATH."""
        for name in names:
            yield Binary(host=host.name, path=f"{folder}/{name}", blob=self.blob(name))
        for name in linked:
            yield Symlink(host=host.name, path=f"{LINKS}/{name}", target=f"{folder}/{name}")

    def packages(self, host: Host, purpose: str, *names: str, leavings: tuple[str, ...] = ()) -> Iterator[Brick]:
        """Distribution packages, from files of the supply when it has them all."""
        if not names:
            return
        suffix = ".deb" if self.of(host).package_manager == "apt" else ".rpm"
        bundled = all(
            name in self.supply.packages and all(file.filename.endswith(suffix) for file in self.supply.packages[name])
            for name in names
        )
        files = {file.filename: file for name in names for file in self.supply.packages.get(name, ())}
        yield Packages(
            host=host.name,
            purpose=purpose,
            packages=names,
            manager=self.of(host).package_manager,
            files=tuple(files.values()) if bundled else (),
            leavings=leavings,
        )


class Component(Protocol):
    """A part of the cluster: a module with these names."""

    NAME: str
    AFTER: tuple[str, ...]
    SERIAL: bool

    def resources(self, context: Context, host: Host) -> Iterator[Brick]:
        """What the host needs for this part; nothing when it has no share in it."""
        ...
