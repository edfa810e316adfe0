"""How long the newest takes to deploy, beside 1.20.2 on the same hosts: in turns, as ratio of medians.

Both are examples/three-masters.yaml, five hosts; the newest takes versions and artifacts from examples/modern.yaml.
Binaries are built before, hosts are bare each time. Results go to bench/results/deploys.json.
"""

import argparse
import json
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path

from run import machine
from stand import RESULTS, ROOT, stand, tell

EXAMPLES = ROOT / "examples"


def newest(text: str) -> str:
    """The cluster file with the versions and the source of the example modern."""
    modern = (EXAMPLES / "modern.yaml").read_text()
    versions = next(line for line in modern.splitlines() if line.startswith("  kubernetes: "))
    artifacts = modern[modern.index("\nartifacts:\n") :]
    return text.replace('  kubernetes: "1.20.2"', versions) + artifacts


def deploy(file: Path) -> float:
    """Seconds of one deployment on bare hosts."""
    with stand(file, proven=False) as made:
        began = time.monotonic()
        made.quorate("apply", "--yes")
        return round(time.monotonic() - began, 1)


def main() -> None:
    """Measure in turns, print, keep."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--times", type=int, default=3)
    given = words.parse_args()
    old = (EXAMPLES / "three-masters.yaml").read_text()
    with tempfile.TemporaryDirectory(prefix="quorate-deploys-") as folder:
        files = {"1.20.2": Path(folder) / "old.yaml", "newest": Path(folder) / "new.yaml"}
        files["1.20.2"].write_text(old)
        files["newest"].write_text(newest(old))
        took: dict[str, list[float]] = {name: [] for name in files}
        for _ in range(given.times):
            for name, file in files.items():
                took[name].append(deploy(file))
                tell(f"{name}: {took[name][-1]} s")
    ratio = statistics.median(took["newest"]) / statistics.median(took["1.20.2"])
    result = {"date": date.today().isoformat(), "machine": machine(), "seconds": took, "ratio": round(ratio, 2)}
    (RESULTS / "deploys.json").write_text(json.dumps(result, indent=1) + "\n")
    tell(f"ratio of medians: {ratio:.2f}")


if __name__ == "__main__":
    main()
