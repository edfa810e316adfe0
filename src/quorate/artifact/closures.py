"""Package files of a folder, with all that each needs, as a supply has them."""

import re
from collections.abc import Mapping

from quorate.artifact.debs import identity
from quorate.artifact.sums import Content
from quorate.spec.supply import PackageFile


def packages(content: Content) -> Mapping[str, tuple[PackageFile, ...]]:
    """By package name, as `closures` among the facts says; without them each file stands for itself alone."""
    files = content.packages
    closures = content.facts.get("closures") or {_identity(file)[0]: [file] for file in files}
    return {
        name: tuple(PackageFile(*_identity(file), file, files[file]) for file in needed if file in files)
        for name, needed in closures.items()
    }


def _identity(file: str) -> tuple[str, str]:
    """Name and version of a package file: `name_version_arch.deb`, `name-version-release.arch.rpm`."""
    if file.endswith(".deb") and file.count("_") >= 2:
        return identity(file)
    parsed = re.fullmatch(r"(.+)-([^-]+-[^-]+)\.[^.]+\.rpm", file)
    return (parsed.group(1), parsed.group(2)) if parsed else (file, "")
