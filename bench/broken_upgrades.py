"""Upgrades that cannot hold, and those that are cut off: `make broken-upgrades`.

examples/modern.yaml runs the minor before in a lab of its own. Its upgrade is asked for with one program broken, with
settings that the new release refuses, with a host that dies in the middle; and on a second lab its operator is killed
at the edge of each stage and at random moments. After each, all that runs is asked what it is, while the drill's client
writes; at the end the same cluster goes to the newest with good programs. What came of it is kept in
bench/results/broken_upgrades.json, and the table in docs/tasks/upgrade.md is written anew. What is in the results is
passed over; `--again` does it anew, `--case WORD` only those with the word in their name.
"""

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from broken_cases import (
    CASES,
    ETCD,
    EXAMPLE,
    TO,
    WAS,
    Case,
    Upgrade,
    died,
    ended_well,
    fell_back,
    given_up,
    killed,
    refused,
    renamed,
)
from broken_programs import Programs
from stand import RESULTS, ROOT, Stand, replaced, stand, tell
from upgrades import failures

from quorate.core import QuorateError

KEPT = RESULTS / "broken_upgrades.json"
TABLE = ROOT / "docs/tasks/upgrade.md"
BEGIN, END = "<!-- broken upgrades: made by bench/broken_upgrades.py -->", "<!-- end of broken upgrades -->"
GOOD = "good programs, at the end"
KILLED = "the operator is killed"


def main() -> None:
    """Break, ask, and keep each outcome as it is there."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--case", action="append", default=[], help="only those with this in their name")
    words.add_argument("--points", type=int, default=20, help="random moments at which the operator is killed")
    words.add_argument(
        "--minutes", type=float, default=1000, help="begin nothing more after so many; call it again then"
    )
    words.add_argument("--again", action="store_true", help="also what is in the results already")
    given = words.parse_args()
    over = time.monotonic() + 60 * given.minutes
    known = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    names = [*(case.what for case in CASES), GOOD, KILLED]
    todo = {
        name
        for name in names
        if (given.again or name not in known) and (not given.case or any(word in name for word in given.case))
    }

    def keep(name: str, found: Mapping[str, Any]) -> None:
        tell(f"{name}: {json.dumps(found)}")
        known[name] = {"date": date.today().isoformat(), **found}
        write({name: known[name] for name in names if name in known})

    if todo - {KILLED}:
        with deployed() as upgrade:
            for name, found in broken(upgrade, [case for case in CASES if case.what in todo], over):
                keep(name, found)
            if time.monotonic() < over:
                keep(GOOD, ended_well(upgrade))
        if upgrade.problems:
            raise SystemExit(f"not as it must be: {', '.join(upgrade.problems)}")
    if KILLED in todo and time.monotonic() < over:
        with deployed() as upgrade:
            keep(KILLED, killed(upgrade, given.points))


def broken(upgrade: Upgrade, cases: Sequence[Case], over: float) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All cases on one cluster: it runs the old release on most hosts until the last. None begins when it is `over`."""
    for case in cases:
        if time.monotonic() >= over:
            return
        tell(case.what)
        kinds: tuple[tuple[bool, Callable[[Upgrade, Case], Mapping[str, Any]]], ...] = (
            (not case.stage, refused),
            (bool(case.dies), died),
            (True, fell_back),
        )
        try:
            yield case.what, next(act for fits, act in kinds if fits)(upgrade, case)
            if case.stage == ETCD:
                given_up(upgrade)
        except QuorateError as error:
            # With good programs the next one goes on from wherever this has left the hosts.
            tell(f"{case.what}: {error}")
            upgrade.problems.append(case.what)


@contextmanager
def deployed() -> Iterator[Upgrade]:
    """The example at the old release, with a passphrase, and programs of the new one in a folder."""
    with tempfile.TemporaryDirectory(prefix="quorate-broken-") as name:
        folder = Path(name)
        file = folder / "modern.yaml"
        file.write_text(renamed(re.sub(r'kubernetes: ".*"', f'kubernetes: "{TO}"', EXAMPLE.read_text())))
        made = Stand("modern", file)
        offered = Programs(folder / "good")
        made.quorate("artifacts", "--export", str(offered.good), "--path", "--from", WAS)
        file.write_text(file.read_text().replace(f'"{TO}"', f'"{WAS}"'))
        with stand(file) as made:
            secret = folder / "passphrase"
            secret.touch(mode=0o600)
            secret.write_text("what was broken comes back by this\n")
            made.quorate("passphrase", "--from", str(secret))
            yield Upgrade(made, offered)


def write(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Keep the results, and the table in the documents."""
    KEPT.write_text(json.dumps(found, indent=1) + "\n")
    replaced(TABLE, BEGIN, END, table(found))


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The table in Markdown."""
    head = ["what is broken", "how it ended", "host", "seconds", "failed: new, kept, writes", "acknowledged, lost"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for name, one in found.items():
        ended = one["ended"]
        if kills := one.get("kills"):
            edges = sum(each["edge"] for each in kills)
            ended += f", killed at {edges} edges and {len(kills) - edges} moments"
        words = [name, ended, one.get("host", "-"), f"{one['seconds']:.0f}" if "seconds" in one else "-"]
        streams = one.get("failed")
        moved = "; the VIP moved" if one.get("vip_moved") else ""
        words.append(", ".join(map(failures, streams.values())) + moved if streams else "-")
        words.append(f"{one['acknowledged']}, {one['lost']}" if "lost" in one else "-")
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
