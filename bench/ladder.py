"""The ladder: every Kubernetes minor that can be built from Go modules, deployed, verified, and drilled shortly.

`make ladder` takes examples/modern.yaml at each version that has a lock, from the oldest on: builds it, deploys it in
a lab of its own, verifies with disruption, tries three faults, takes the lab away. A version that is in the results
already is passed over, so it goes on where it stopped; `--again` measures all anew. The table goes into
docs/versions.md.
"""

import argparse
import json
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from stand import RESULTS, ROOT, Stand, replaced, stand, tell

from quorate.artifact.golang import locks
from quorate.core import QuorateError
from quorate.lab.up import limit
from quorate.report.drill.report import DrillReport
from quorate.spec.load import load
from quorate.spec.versions import parts

EXAMPLE = ROOT / "examples/modern.yaml"
TABLE = ROOT / "docs/versions.md"
FAULTS = ("balancer-killed", "apiserver-killed", "master-lost")
BEGIN, END = "<!-- ladder: made by bench/ladder.py -->", "<!-- end of ladder -->"


def versions() -> list[str]:
    """One of each minor, the latest patch that has a lock; the oldest first."""
    latest = {parts(version)[:2]: version for version in locks.kubernetes(None)}
    return [latest[minor] for minor in sorted(latest)]


def rung(version: str, folder: Path) -> dict[str, Any]:
    """What became of one version; how long, in seconds. Raises QuorateError where a verb fails."""
    example = folder / "modern.yaml"
    example.write_text(re.sub(r'kubernetes: ".*"', f'kubernetes: "{version}"', EXAMPLE.read_text()))
    with stand(example, proven=False) as made:
        deploy = timed(made, "apply", "--yes")
        made.quorate("plan")
        findings = json.loads(made.quorate("verify", "--disruptive", "--yes", "--json", codes=(0, 8)))["findings"]
        limit(load(made.file).name)
        report = folder / "drill.json"
        faults = [word for name in FAULTS for word in ("--fault", name)]
        made.quorate("drill", "--yes", *faults, "--runs", "1", "--output", str(report), codes=(0, 8))
        drilled = DrillReport.read(report.read_text())
    outcomes = {finding["id"]: finding for finding in findings}
    return {
        "kubernetes": version,
        "date": date.today().isoformat(),
        "deploy_seconds": deploy,
        "passed": sum(one["status"] == "passed" for one in findings),
        "failed": {key: one["detail"] for key, one in outcomes.items() if one["status"] == "failed"},
        "skipped": {key: one["detail"] for key, one in outcomes.items() if one["status"] == "skipped"},
        "gaps": {
            fault.name: {stream: max(fault.gaps(stream), default=None) for stream in ("new", "kept", "writes")}
            for fault in drilled.faults
        },
        "lost": sum(run.lost for fault in drilled.faults for run in fault.runs),
    }


def timed(made: Stand, *words: str) -> float:
    """Wall seconds of a verb."""
    began = time.monotonic()
    made.quorate(*words)
    return round(time.monotonic() - began, 1)


def table(rungs: Sequence[Mapping[str, Any]]) -> str:
    """The table in Markdown; of each fault the longest gap of writes."""
    titles = {
        "balancer-killed": "balancer killed",
        "apiserver-killed": "API server killed",
        "master-lost": "master lost",
    }
    head = [
        "Kubernetes",
        "measured",
        "deploy, s",
        "checks passed",
        "failed",
        *(f"{title}, s" for title in titles.values()),
    ]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for one in rungs:
        if problem := one.get("problem"):
            lines.append(f"| {one['kubernetes']} | {one['date']} | {problem} |{' |' * (len(head) - 3)}")
            continue
        failed = ", ".join(one["failed"]) or "0"
        gaps = [_gap(one["gaps"].get(name, {}).get("writes")) for name in titles]
        cells = [one["kubernetes"], one["date"], f"{one['deploy_seconds']:.0f}", str(one["passed"]), failed, *gaps]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _gap(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f}"


def write(rungs: Sequence[Mapping[str, Any]], results: Path) -> None:
    """Keep the results, and the table in the documents."""
    results.write_text(json.dumps(rungs, indent=1) + "\n")
    replaced(TABLE, BEGIN, END, table(rungs))


def main() -> None:
    """Climb, and keep each rung as it is done."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("versions", nargs="*", default=versions())
    words.add_argument("--again", action="store_true", help="measure anew what is in the results")
    given = words.parse_args()
    results = RESULTS / "ladder.json"
    known = {one["kubernetes"]: one for one in json.loads(results.read_text())} if results.exists() else {}
    for version in given.versions:
        if version in known and not given.again and "problem" not in known[version]:
            tell(f"{version} is there already")
            continue
        tell(f"Kubernetes {version}")
        with tempfile.TemporaryDirectory(prefix="quorate-ladder-") as folder:
            try:
                known[version] = rung(version, Path(folder))
            except QuorateError as error:
                first = str(error).splitlines()[0]
                known[version] = {"kubernetes": version, "date": date.today().isoformat(), "problem": first}
                tell(str(error))
        write(sorted(known.values(), key=lambda one: parts(one["kubernetes"])), results)
    tell(f"{results} and the table in {TABLE.name} are written")


if __name__ == "__main__":
    main()
