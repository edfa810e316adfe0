"""`quorate build`: programs and images of a Kubernetes version, made ahead from Go modules."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from quorate.cli.words import DEFAULT, File, Json

if TYPE_CHECKING:
    from quorate.cli.output import Output

Version = Annotated[str, Parameter(help="Kubernetes version, such as 1.37.2; what goes with it follows.")]
Arch = Annotated[Literal["amd64", "arm64"], Parameter(name="--arch", help="Architecture of the hosts.")]

Tests = Annotated[
    bool, Parameter(name="--tests", help="Also its own tests, for `quorate conformance`.", show_default=False)
]


def build(
    version: Version, /, *, file: File = DEFAULT, arch: Arch = "amd64", tests: Tests = False, json: Json = False
) -> int:
    """Build a Kubernetes version and what goes with it from Go modules, for clusters to come."""
    from quorate.cli.output import Output, run

    return run(_build(Output(), version, file, arch, tests=tests, json=json))


async def _build(out: "Output", version: str, file: Path, arch: str, *, tests: bool, json: bool) -> int:
    from dataclasses import asdict
    from time import monotonic

    from quorate.artifact import claims, modules, suite
    from quorate.artifact.cache import Cache
    from quorate.artifact.export import listing
    from quorate.artifact.root import default_cache
    from quorate.cli.look import busy
    from quorate.cli.output import dump
    from quorate.plan.words import many, size
    from quorate.report.console import NAME
    from quorate.report.event import Said

    began = monotonic()
    cache = Cache(default_cache() / "artifacts")
    with busy(None if json else out, f"building Kubernetes {version}") as emit:

        def say(text: str) -> None:
            emit(Said(text))

        supply = await modules.make(modules.all_of(version), cache, say, arch, file.absolute().parent)
        await claims.prove(supply, {}, cache, arch)
        if tests:
            await suite.programs(version, cache, say, file.absolute().parent)
    rows = listing(supply)
    if json:
        dump({"versions": dict(supply.versions), "arch": arch, "artifacts": [asdict(row) for row in rows]})
        return 0
    for part, number in supply.versions.items():
        out.say((part, NAME), f"  {number}")
    total = size(sum(row.size for row in rows))
    took = f"{monotonic() - began:.0f} s"
    out.say((many(len(rows), "artifact"), NAME), f", {total} unpacked, for {arch}, in {took}; kept in {cache.root}")
    return 0
