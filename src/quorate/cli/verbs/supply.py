"""Verbs about programs, packages and images: what will be installed."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from quorate.cli.verbs.options import DEFAULT_FILE, File, Json
from quorate.core import UsageError

Version = Annotated[str, Parameter(help="Kubernetes version, such as 1.37.2; what goes with it follows.")]
Arch = Annotated[Literal["amd64", "arm64"], Parameter(name="--arch", help="Architecture of the hosts.")]
Tests = Annotated[
    bool, Parameter(name="--tests", help="Also its own tests, for `quorate conformance`.", show_default=False)
]
Export = Annotated[
    Path | None, Parameter(name="--export", help="Write them all to a new folder, for sites without network.")
]
PathFlag = Annotated[
    bool,
    Parameter(
        name="--path",
        help="With --export: also all that lies on the way of an upgrade there, each version in a folder of its own.",
        show_default=False,
    ),
]
From = Annotated[
    str | None,
    Parameter(
        name="--from", help="With --path: Kubernetes that runs, such as 1.34.4 (default: as the last apply noted)."
    ),
]


def build(
    version: Version, /, *, file: File = DEFAULT_FILE, arch: Arch = "amd64", tests: Tests = False, json: Json = False
) -> int:
    """Build a Kubernetes version and what goes with it from Go modules, for clusters to come."""
    from quorate.cli.build import build_version
    from quorate.cli.output import Output, run

    return run(build_version(Output(), version, file, arch, tests=tests, json=json))


def artifacts(
    *, file: File = DEFAULT_FILE, export: Export = None, path: PathFlag = False, start: From = None, json: Json = False
) -> int:
    """List the binaries, packages and images that will be installed, verified; fetch those that are missing."""
    from quorate.cli.artifacts import export_way, list_artifacts
    from quorate.cli.output import Output, run

    if path and export is None:
        raise UsageError("--path writes a folder, and none is named", "add --export FOLDER")
    if start is not None and not path:
        raise UsageError(f"--from {start} begins a way, and none is asked for", "add --path")
    if export is not None and path:
        return run(export_way(Output(), file, export, start, json=json))
    return run(list_artifacts(Output(), file, export, json=json))
