"""Kubernetes' conformance tests on labs of their own, with images made here and a registry that mirrors upstream's.

`make conformance` deploys examples/modern.yaml at its version, or at those that are named, and runs all tests, also
those that bear nothing beside them and those that stop what others use: nobody else is there. What came of it is kept
in bench/results/conformance as JSON, JUnit and a page, and the table in docs/versions.md is written anew. A run that
was stopped leaves the lab up, and the next one goes on where it was.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from own_registry import push, serving, told
from stand import RESULTS, ROOT, Stand, own, replaced, tell

from quorate.artifact.suite import ARCHIVE
from quorate.core import QuorateError
from quorate.lab.record import find
from quorate.lab.up import down, up
from quorate.spec.load import load
from quorate.spec.versions import parts
from quorate.state.store import Store

sys.path.append(str(ROOT / "tests/transport"))
import programs

EXAMPLE = ROOT / "examples/modern.yaml"
PLACE = ROOT / "bench/.conformance"
"""The cluster file of the run, its state, and the images: kept until the run is over."""
SKIP = "ImageVolume should succeed with pod and pull policy of Always"
"""Looks for Alpine's name in an image; ours are made of Debian's packages."""
KEPT = RESULTS / "conformance"
TABLE = ROOT / "docs/versions.md"
BEGIN, END = "<!-- conformance: made by bench/conformance.py -->", "<!-- end of conformance -->"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    words = argparse.ArgumentParser(description=__doc__)
    newest = load(EXAMPLE, offline=True).versions.kubernetes
    words.add_argument("versions", nargs="*", default=[newest], help="of Kubernetes; the example's by default")
    words.add_argument("--quick", action="store_true", help="the quick run alone")
    words.add_argument("--jobs", default="4", help="groups of tests at once")
    words.add_argument("--table", action="store_true", help="only write the table anew from what is kept")
    return words.parse_args(arguments)


def prepared(version: str) -> tuple[Stand, bool]:
    """The cluster file and the tests' images, and whether a run of before is to go on."""
    file = PLACE / "cluster.yaml"
    made = Stand(f"{EXAMPLE.stem}-{version}", file)
    if file.exists() and find(load(file, offline=True).name):
        cluster = load(file, offline=True)
        begun = (Store.beside(file, cluster.name).path / "conformance/run.json").exists()
        if begun and cluster.versions.kubernetes == version:
            return made, True
        down(cluster.name, tell)
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    file.write_text(own(re.sub(r'kubernetes: ".*"', f'kubernetes: "{version}"', EXAMPLE.read_text())))
    made.quorate("conformance", "--images", str(PLACE))
    shutil.copyfile(file, PLACE / "plain.yaml")
    return made, False


@contextmanager
def deployed(version: str) -> Iterator[tuple[Stand, bool]]:
    """The cluster, verified, with a registry that has the images of the tests; and whether a run is to go on."""
    made, goes_on = prepared(version)
    plain = PLACE / "plain.yaml"
    address = up(load(plain), made.file, tell).gateways[0].partition("/")[0]
    folder = PLACE / "registry"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    subprocess.run([ROOT / "tests/transport/get_programs.sh"], stdout=subprocess.DEVNULL, check=True)
    with serving(programs.find("docker-registry"), address, folder) as registry:
        push(registry, PLACE / ARCHIVE)
        made.file.write_text(told(plain.read_text(), registry))
        made.quorate("apply", "--yes")
        if not goes_on:
            made.quorate("verify")
        yield made, goes_on


def run(version: str, *, quick: bool, jobs: str) -> None:
    """Deploy or go on, run, keep, take away. Raises QuorateError."""
    folder = PLACE / "result"
    words = ["--jobs", jobs, "--output", str(folder), "--json", "--skip", SKIP]
    words += [] if quick else ["--full", "--serial", "--disruptive", "--yes"]
    with deployed(version) as (made, goes_on):
        text = made.quorate("conformance", *words, *(["--go-on"] if goes_on else []), codes=(0, 8))
    keep(json.loads(text), version, folder, quick=quick)
    down(load(made.file).name, tell)
    shutil.rmtree(PLACE)


def keep(document: dict[str, Any], version: str, folder: Path, *, quick: bool) -> None:
    """Among the results: of a whole run the page, too."""
    name = f"{version}-quick" if quick else version
    document.pop("folder")
    document |= {"date": date.today().isoformat(), "kind": "quick" if quick else "full"}
    for failed in document["failed"]:
        failed["log"] = failed["log"][-2000:]
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{name}.json").write_text(portable(json.dumps(document, indent=1)) + "\n")
    if not quick:
        for made in (folder / "conformance.html", folder / "junit.xml"):
            (KEPT / f"{name}{made.suffix}").write_text(portable(made.read_text()))
    tell(f"{version}: {document['passed']} passed, {len(document['failed'])} failed, {len(document['left'])} not run")


def portable(text: str) -> str:
    """Where this checkout and the cache are says nothing of the tests."""
    return text.replace(f"{ROOT}/", "").replace(f"{Path.home()}/", "~/")


def kept() -> list[Mapping[str, Any]]:
    """All results, the oldest version first, whole runs before quick ones."""
    found = [json.loads(path.read_text()) for path in KEPT.glob("*.json")]
    return sorted(found, key=lambda one: (parts(one["version"]), one["kind"]))


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """The table in Markdown, and below it what failed or was not run."""
    lines = [
        "| Kubernetes | run | measured | tests run | passed | of them conformance | failed | not run |",
        "|---|---|---|---|---|---|---|---|",
    ]
    notes = []
    for one in results:
        failed, left = one["failed"], one["left"]
        counts = (one["passed"] + len(failed), one["passed"], one["conformance"], len(failed), len(left))
        lines.append(f"| {one['version']} | {one['kind']} | {one['date']} | {' | '.join(map(str, counts))} |")
        notes += [f"- {one['version']}, failed: {each['name']}: {each['reason'].splitlines()[0]}" for each in failed]
        notes += [f"- {one['version']}, not run: {each['name']} ({each['reason']})" for each in left]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def main(arguments: Sequence[str] | None = None) -> None:
    """Each version, and the table after each. A version that does not come up does not stop the others."""
    asked = parse(arguments)
    missed = []
    for version in [] if asked.table else asked.versions:
        try:
            run(version, quick=asked.quick, jobs=asked.jobs)
        except QuorateError as error:
            missed.append(version)
            tell(f"{version}: {error}")
        replaced(TABLE, BEGIN, END, table(kept()))
    replaced(TABLE, BEGIN, END, table(kept()))
    if missed:
        raise SystemExit(f"no result: {', '.join(missed)}")


if __name__ == "__main__":
    main()
