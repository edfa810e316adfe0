"""The ways back from losses of etcd, measured: `make recovery`.

Both examples, each in a lab of its own, go through all of `losses.CASES`, one after the other on one cluster; at the
end of each a verify proves the cluster. What came of it is kept in bench/results/recovery.json, and the table in
docs/tasks/restore.md is written anew. What is in the results already is passed over; `--again` measures it anew.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from course import Site, went_through
from losses import CASES, PASSPHRASE, elsewhere, member_keys
from stand import RESULTS, ROOT, Stand, replaced, stand, tell

from quorate.core import QuorateError

EXAMPLES = {"described": ROOT / "examples/described.yaml", "modern": ROOT / "examples/modern.yaml"}
KEPT = RESULTS / "recovery.json"
TABLE = ROOT / "docs/tasks/restore.md"
ELSEWHERE = "all, and this machine"
"""The last case of each example: its lab is another one then."""
ALL = (*CASES, ELSEWHERE)
COMMANDS = ("restore", "apply --replace", "20 backups")
"""The step that is the way back, whichever it was."""
BEGIN, END = "<!-- recovery: made by bench/recovery.py -->", "<!-- end of recovery -->"


def main() -> None:
    """Lose, come back, keep each outcome as it is there."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("examples", nargs="*", default=list(EXAMPLES), help=f"of {', '.join(EXAMPLES)}")
    words.add_argument("--case", action="append", choices=ALL, help="only these")
    words.add_argument("--again", action="store_true", help="measure anew what is in the results")
    given = words.parse_args()
    known = {_key(one): one for one in json.loads(KEPT.read_text())} if KEPT.exists() else {}
    for example in given.examples:
        cases = [each for each in given.case or ALL if given.again or not _done(known.get((example, each)))]
        if not cases:
            tell(f"{example}: all is there already")
            continue
        with stand(EXAMPLES[example], proven=False) as made:
            for one in measured(example, made, cases):
                known[_key(one)] = one
                write(list(known.values()))
    tell(f"{KEPT} and the table in {TABLE.name} are written")


def measured(example: str, made: Stand, cases: Sequence[str]) -> Iterable[Mapping[str, Any]]:
    """Each case on the cluster as the one before has left it; after one that failed nothing is known of it."""
    site = Site(made)
    file = made.file.with_name("passphrase")
    file.write_text(PASSPHRASE + "\n")
    file.chmod(0o600)
    made.quorate("passphrase", "--from", str(file))
    made.quorate("apply", "--yes")
    for name in cases:
        tell(f"{example}: {name}")
        about = {"example": example, "case": name, "date": date.today().isoformat()}
        about |= {"kubernetes": site.cluster.versions.kubernetes, "etcd": etcd_version(site)}
        try:
            if name == ELSEWHERE:
                site = Site(Stand(made.name, file.parent / "elsewhere" / made.file.name))
                outcome = elsewhere(Site(made), site.stand.file.parent, file)
            else:
                outcome = went_through(site, CASES[name])
            site.quorate("verify")
        except QuorateError as error:
            tell(str(error))
            yield {**about, "problem": str(error).splitlines()[0]}
            return
        tell(str(outcome))
        yield {**about, **asdict(outcome)}


def etcd_version(site: Site) -> str:
    """What a member says of itself."""
    host = site.cluster.members[0].name
    said = site.run(f"curl -sf {member_keys()} https://127.0.0.1:2379/version", host)[host]
    return str(json.loads(said)["etcdserver"])


def write(found: Sequence[Mapping[str, Any]]) -> None:
    """Keep the results, and the table in the documents."""
    ordered = sorted(found, key=lambda one: (list(EXAMPLES).index(one["example"]), ALL.index(one["case"])))
    KEPT.write_text(json.dumps(ordered, indent=1) + "\n")
    replaced(TABLE, BEGIN, END, table(ordered))


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """The table in Markdown."""
    head = ["lost", "Kubernetes", "etcd", "writes before", "newer than the backup, lost", "command, s"]
    head += ["without writes, s", "a Service followed, s"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for one in found:
        about = [one["case"], one["kubernetes"], one["etcd"]]
        if problem := one.get("problem"):
            lines.append(f"| {' | '.join(about)} | {problem} |{' |' * (len(head) - len(about) - 1)}")
            continue
        command = next(one["steps"][step] for step in COMMANDS if step in one["steps"])
        numbers = [one["acknowledged"], one["lost"], f"{command:.0f}", one["outage"], one["follows"]]
        lines.append(f"| {' | '.join([*about, *map(str, numbers)])} |")
    return "\n".join(lines)


def _key(one: Mapping[str, Any]) -> tuple[str, str]:
    return one["example"], one["case"]


def _done(one: Mapping[str, Any] | None) -> bool:
    return one is not None and "problem" not in one


if __name__ == "__main__":
    main()
