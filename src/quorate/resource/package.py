"""Packages of the distribution: from its own mirrors, or from files that quorate brings along."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from quorate.core import Action, Probe, State
from quorate.render import packages
from quorate.resource.resource import Resource
from quorate.spec.supply import PackageFile


@dataclass(frozen=True, kw_only=True)
class Packages(Resource):
    """Packages that must be installed; what comes with them is remembered and leaves with them."""

    kind: ClassVar[str] = "packages"

    purpose: str
    packages: tuple[str, ...]
    manager: str
    files: tuple[PackageFile, ...] = field(default=(), repr=False)
    """Package files with all they need; without them the host's own mirrors are asked."""
    proxy: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Variables with which the package manager goes through a proxy; they are nowhere but in its environment."""
    leavings: tuple[str, ...] = ()
    """Folders that the packages' own scripts make and their removal forgets."""
    alone: bool = False
    """Removal takes these packages and leaves all others that came with us: the host stays in the cluster."""

    @property
    def name(self) -> str:
        """What they are for."""
        return self.purpose

    @property
    def brought(self) -> tuple[str, ...]:
        """These, where others stay; the whole of them goes with the host's notes."""
        return self.packages if self.alone else ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The proxy's URL, if there is a login in it."""
        return tuple(text for _, text in self.proxy if "@" in text)

    @property
    def desired(self) -> State:
        """Each installed, and nothing of the installing left."""
        return dict.fromkeys(self.packages, "installed") | {"left of an install": "no"}

    def probe(self) -> Probe:
        """Ask the package database."""
        also = (file.name for file in self.files) if self.manager == "apt" else ()
        return Probe("script", packages.seen(self.manager, dict.fromkeys([*self.packages, *also])))

    def parse(self, answer: str) -> State | None:
        """`installed` by name, and the version of each under `<name> version`."""
        state: dict[str, str] = {}
        for line in answer.splitlines():
            name, _, rest = line.partition("=")
            status, _, version = rest.partition(" ")
            state |= {name: status, f"{name} version": version}
        return state

    def converge(self, actual: State) -> Sequence[Action]:
        """Install what is missing in one go, and remember every package that was not there before."""
        missing = [name for name in self.packages if actual.get(name) != "installed"]
        if not missing:
            return [Action(packages.CLEAN)]
        if not self.files:
            install = packages.from_mirrors(self.manager, missing, self.leavings, self.proxy)
            return [Action(install, secret=bool(self.secrets))]
        files = [file for file in self.files if actual.get(f"{file.name} version") != file.version]
        blob = replace(files[0].blob, rest=tuple(file.blob for file in files[1:]))
        install = packages.from_files(self.manager, files, self.leavings)
        return [Action(packages.receive(files), blob=blob), Action(install)]

    def remove(self) -> Sequence[Action]:
        """Purge what came with us, once, for all resources of this kind."""
        if self.alone:
            return [Action(packages.purge_some(self.manager, self.packages, self.leavings))]
        return [Action(packages.purge(self.manager, self.leavings))]
