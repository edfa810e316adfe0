"""`quorate build`: programs and images of a Kubernetes version, made ahead from Go modules."""

from dataclasses import asdict
from pathlib import Path
from time import monotonic

from quorate.artifact import claims, modules, suite
from quorate.artifact.cache import Cache
from quorate.artifact.export import listing
from quorate.artifact.root import default_cache
from quorate.cli.output import Output, busy, print_json
from quorate.plan.words import many, size
from quorate.report.console import NAME
from quorate.report.event import Said


async def build_version(out: Output, version: str, file: Path, arch: str, *, tests: bool, json: bool) -> int:
    """Build what a cluster of this version needs; with `tests` also Kubernetes' own tests."""
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
        print_json({"versions": dict(supply.versions), "arch": arch, "artifacts": [asdict(row) for row in rows]})
        return 0
    for part, number in supply.versions.items():
        out.say((part, NAME), f"  {number}")
    total = size(sum(row.size for row in rows))
    duration = f"{monotonic() - began:.0f} s"
    out.say((many(len(rows), "artifact"), NAME), f", {total} unpacked, for {arch}, in {duration}; kept in {cache.root}")
    return 0
