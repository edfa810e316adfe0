"""The conformance tests on the newest Kubernetes: all that disturb nobody, on a lab of its own, with images made here.

`make conformance` deploys examples/modern.yaml, runs the suite, and keeps what came of it in bench/results as JSON,
JUnit and a page. A run that was stopped leaves the lab up, and the next one goes on where it was.
"""

import argparse
import json
import re
import shutil
from collections.abc import Sequence

from stand import RESULTS, ROOT, Stand, own, tell

from quorate.execute.store import Store
from quorate.lab.record import find
from quorate.lab.up import down, up
from quorate.spec.load import load

EXAMPLE = ROOT / "examples/modern.yaml"
PLACE = ROOT / "bench/.conformance"
"""The cluster file of the run, its state, and the images: kept until the run is over."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--quick", action="store_true", help="the quick run alone")
    words.add_argument("--serial", action="store_true", help="also tests that bear nothing beside them")
    words.add_argument("--jobs", default="4", help="groups of tests at once")
    return words.parse_args(arguments)


def stage() -> tuple[Stand, bool]:
    """The cluster with the tests' images, and whether a run of before is to go on."""
    file = PLACE / "cluster.yaml"
    made = Stand(EXAMPLE.stem, file)
    if file.exists() and find(load(file).name):
        if (Store.beside(file, load(file).name).path / "conformance/run.json").exists():
            return made, True
        down(load(file).name, tell)
    PLACE.mkdir(exist_ok=True)
    text = re.sub(r"  packages: bundle", "  images: [conformance-images.tar]\n  packages: bundle", EXAMPLE.read_text())
    # The images' versions are asked of the suite: the file names them only when they are there.
    file.write_text(own(EXAMPLE.read_text()))
    made.quorate("conformance", "--images", str(PLACE))
    file.write_text(own(text))
    up(load(file), file, tell)
    made.quorate("apply", "--yes")
    made.quorate("verify")
    return made, False


def main(arguments: Sequence[str] | None = None) -> None:
    """Deploy or go on, run, keep, take away."""
    asked = parse(arguments)
    made, goes_on = stage()
    words = ["--jobs", asked.jobs, "--output", str(RESULTS / "conformance"), "--json"]
    words += [] if asked.quick else ["--full"]
    words += ["--serial"] if asked.serial else []
    words += ["--go-on"] if goes_on else []
    document = json.loads(made.quorate("conformance", *words, codes=(0, 8)))
    document.pop("folder")
    for failed in document["failed"]:
        failed["log"] = failed["log"][-2000:]
    (RESULTS / "conformance" / "conformance.json").write_text(json.dumps(document, indent=1) + "\n")
    tell(f"{document['passed']} passed, {len(document['failed'])} failed, {len(document['left'])} not run")
    down(load(made.file).name, tell)
    shutil.rmtree(PLACE)


if __name__ == "__main__":
    main()
