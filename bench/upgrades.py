"""Upgrades of a cluster that is used, one after the other on one cluster: `bench/upgrades.py 1.35.4 1.36.3 1.37.2`.

examples/modern.yaml at the first version is deployed in a lab of its own; then `quorate upgrade --to` and `quorate
apply` go to each of the others, while the drill's client asks, writes and watches. What it felt, and how long each
stage took, is kept in bench/results/upgrades.json; a verify proves the cluster after each.
"""

import argparse
import asyncio
import json
import re
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from stand import RESULTS, ROOT, Stand, stand, tell

from quorate.core import QuorateError
from quorate.drill.probe import Probe
from quorate.drill.probe_config import Target
from quorate.drill.record import Result
from quorate.lab.up import limit
from quorate.spec.load import load
from quorate.state.store import Store

EXAMPLE = ROOT / "examples/modern.yaml"
KEPT = RESULTS / "upgrades.json"


def main() -> None:
    """Climb, and keep each step as it is done."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("versions", nargs="+", help="of Kubernetes, in the order in which they are run")
    given = words.parse_args()
    known = json.loads(KEPT.read_text()) if KEPT.exists() else []
    with tempfile.TemporaryDirectory(prefix="quorate-upgrades-") as folder:
        example = Path(folder) / "modern.yaml"
        first, *rest = given.versions
        example.write_text(re.sub(r'kubernetes: ".*"', f'kubernetes: "{first}"', EXAMPLE.read_text()))
        with stand(example) as made:
            secret = Path(folder) / "passphrase"
            secret.touch(mode=0o600)
            secret.write_text("what was upgraded leads back by this\n")
            made.quorate("passphrase", "--from", str(secret))
            for version in rest:
                found = stepped(made, version)
                tell(json.dumps(found))
                known = [one for one in known if (one["was"], one["to"]) != (found["was"], found["to"])]
                known.append(found)
                KEPT.write_text(json.dumps(known, indent=1) + "\n")


def stepped(made: Stand, version: str) -> Mapping[str, Any]:
    """Go to a version; what a client felt meanwhile. Raises QuorateError where a verb fails."""
    was = load(made.file).versions.kubernetes
    cluster = load(made.file)
    target = Target.of(
        cluster, Store.beside(made.file, cluster.name).secrets(cluster, datetime.now(UTC), persist=False)
    )
    limit(cluster.name)
    seconds = 0.0

    def act() -> float:
        made.quorate("upgrade", "--to", version, codes=(2,))
        began = time.monotonic()
        made.quorate("apply", "--yes")
        return round(time.monotonic() - began, 1)

    async def run() -> Result:
        nonlocal seconds
        async with Probe(target) as probe:
            seconds = await asyncio.to_thread(act)
        assert probe.result is not None
        return probe.result

    result = asyncio.run(run())
    # Under it no pod may have a limit of its own, and verify tries one.
    limit(cluster.name, on=False)
    made.quorate("plan")
    made.quorate("verify")
    if result.problem:
        raise QuorateError(result.problem)
    streams = {"new": result.new, "kept": result.kept, "writes": result.writes}
    return {
        **{"was": was, "to": version, "date": date.today().isoformat(), "apply_seconds": seconds},
        "streams": {
            name: {"of": each.total, "failed": dict(each.words), "longest_gap": round(each.longest_gap, 2)}
            for name, each in streams.items()
        },
        **{"acknowledged": result.acknowledged, "lost": len(result.lost), "undone": len(result.undone)},
        "own_pause": round(result.longest_pause, 2),
    }


if __name__ == "__main__":
    main()
