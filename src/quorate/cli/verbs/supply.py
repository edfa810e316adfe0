"""Verbs about programs, packages and images: what will be installed."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from quorate.cli.verbs.options import DEFAULT_FILE, File, Json

Version = Annotated[str, Parameter(help="Kubernetes version, such as 1.37.2; what goes with it follows.")]
Arch = Annotated[Literal["amd64", "arm64"], Parameter(name="--arch", help="Architecture of the hosts.")]
Tests = Annotated[
    bool, Parameter(name="--tests", help="Also its own tests, for `quorate conformance`.", show_default=False)
]
Export = Annotated[
    Path | None, Parameter(name="--export", help="Write them all to a new folder, for sites without network.")
]


def build(
    version: Version, /, *, file: File = DEFAULT_FILE, arch: Arch = "amd64", tests: Tests = False, json: Json = False
) -> int:
    """Build a Kubernetes version and what goes with it from Go modules, for clusters to come."""
    from quorate.cli.build import build_version
    from quorate.cli.output import Output, run

    return run(build_version(Output(), version, file, arch, tests=tests, json=json))


def artifacts(*, file: File = DEFAULT_FILE, export: Export = None, json: Json = False) -> int:
    """List the binaries, packages and images that will be installed, verified; fetch those that are missing."""
    from quorate.cli.artifacts import list_artifacts
    from quorate.cli.output import Output, run

    return run(list_artifacts(Output(), file, export, json=json))
