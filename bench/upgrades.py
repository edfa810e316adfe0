"""Upgrades of a cluster that is used, one after the other on one cluster: `make ladder`, or with versions of your own:

    python bench/upgrades.py [--example described] [--times 3] 1.35.4 1.36.3 1.37.2

An example at the first version is deployed in a lab of its own; then `quorate upgrade --to` and `quorate apply` go to
each of the others, while the drill's client asks, writes and watches; a verify proves the cluster after each. What is
in bench/results/upgrades.json already is passed over, unless `--again`; the table in docs/tasks/upgrade.md is written
anew. A run in which the client itself was held up is void, and is not kept.
"""

import argparse
import asyncio
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from stand import RESULTS, ROOT, Stand, replaced, stand, tell

from quorate.core import QuorateError
from quorate.drill.probe import Probe
from quorate.drill.probe_config import Pace, Target
from quorate.drill.record import Result, Stream
from quorate.lab.up import limit
from quorate.spec.cluster import Cluster
from quorate.spec.load import load
from quorate.state.store import Store

EXAMPLES = {name: ROOT / f"examples/{name}.yaml" for name in ("modern", "described")}
KEPT = RESULTS / "upgrades.json"
TABLE = ROOT / "docs/tasks/upgrade.md"
BEGIN, END = "<!-- upgrades: made by bench/upgrades.py -->", "<!-- end of upgrades -->"
PACE = Pace(timeout=1.0)
"""An answer that comes after a second is none; who writes one after the other goes on then."""
VOID_S = 0.5
"""A run in which the client stood still for longer says nothing about the cluster."""
WAITS = ("drained", "uncordoned")
"""Steps that wait for pods, whose time is their programs'."""


def main() -> None:
    """Climb, and keep each step as it is done."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("versions", nargs="+", help="of Kubernetes, in the order in which they are run")
    words.add_argument("--example", choices=EXAMPLES, default="modern")
    words.add_argument("--times", type=int, default=1, help="on so many clusters, one after the other")
    words.add_argument("--again", action="store_true", help="also what is in the results already")
    given = words.parse_args()
    known = json.loads(KEPT.read_text()) if KEPT.exists() else []
    ways = list(pairwise(given.versions))
    if not given.again:
        done = [_way(one) for one in known if one["example"] == given.example]
        while ways and done.count(ways[0]) >= given.times:
            ways.pop(0)
    for _ in range(given.times if ways else 0):
        for found in climbed(given.example, [ways[0][0], *(to for _, to in ways)]):
            tell(json.dumps(found))
            known.append(found)
            write(known)


def climbed(example: str, versions: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """All the steps on one cluster."""
    with tempfile.TemporaryDirectory(prefix="quorate-upgrades-") as folder:
        file = Path(folder) / EXAMPLES[example].name
        file.write_text(today(EXAMPLES[example].read_text(), versions[0]))
        with stand(file) as made:
            secret = Path(folder) / "passphrase"
            secret.touch(mode=0o600)
            secret.write_text("what was upgraded leads back by this\n")
            made.quorate("passphrase", "--from", str(secret))
            for version in versions[1:]:
                step = stepped(made, version)
                if step["own_pause"] > VOID_S:
                    tell(f"void: the client stood still for {step['own_pause']} s")
                else:
                    yield {"example": example, **step}


def today(text: str, version: str) -> str:
    """An example at another version, on the runtime and from the source that today's have."""
    text = re.sub(r'kubernetes: ".*"', f'kubernetes: "{version}"', text)
    return re.sub(r"kind: docker", "kind: containerd", re.sub(r"source: auto", "source: modules", text))


def stepped(made: Stand, version: str) -> Mapping[str, Any]:
    """Go to a version; what a client felt meanwhile. Raises QuorateError where a verb fails."""
    cluster = load(made.file)
    limit(cluster.name)
    before, seconds = containers(made), 0.0

    def act() -> None:
        nonlocal seconds
        made.quorate("upgrade", "--to", version, codes=(2,))
        began = time.monotonic()
        made.quorate("apply", "--yes")
        seconds = round(time.monotonic() - began, 1)

    result = watched(made, act)
    after = containers(made)
    # Under it no pod may have a limit of its own, and verify tries one.
    limit(cluster.name, on=False)
    made.quorate("plan")
    made.quorate("verify")
    if result.problem:
        raise QuorateError(result.problem)
    return {
        **{"was": cluster.versions.kubernetes, "to": version, "date": date.today().isoformat()},
        **{"apply_seconds": seconds, "hosts": hosts(made)},
        "streams": {name: _told(each) for name, each in _streams(result).items()},
        **{"acknowledged": result.acknowledged, "lost": len(result.lost), "undone": len(result.undone)},
        "containers": {"same": len(before & after), "gone": len(before - after)},
        "own_pause": round(result.longest_pause, 2),
    }


def watched(made: Stand, act: Callable[[], object]) -> Result:
    """What a client at the endpoint felt while something was done."""
    cluster = load(made.file)
    secrets = Store.beside(made.file, cluster.name).secrets(cluster, datetime.now(UTC), persist=False)

    async def run() -> Result:
        async with Probe(Target.of(cluster, secrets), PACE) as probe:
            await asyncio.to_thread(act)
        assert probe.result is not None
        return probe.result

    return asyncio.run(run())


def containers(made: Stand) -> frozenset[str]:
    """Ids of the containers of all pods, and how often each was started anew."""
    each = '{range .items[*].status.containerStatuses[*]}{.containerID} {.restartCount}{"\\n"}{end}'
    cluster = load(made.file)

    async def asked() -> str:
        async with made.working("look") as work:
            return await work.via.run(cluster.masters[0].name, f"kubectl get pods -A -o jsonpath='{each}'")

    return frozenset(asyncio.run(asked()).split("\n")) - {""}


def hosts(made: Stand) -> Mapping[str, Mapping[str, float]]:
    """How long each stage of the last run worked on each host, in seconds, without what pods took to move."""
    runs = json.loads(made.quorate("history", "--json"))["runs"]
    run = json.loads(made.quorate("history", "--json", "--run", str(runs[-1]["number"])))["run"]
    found: dict[str, dict[str, float]] = {}
    for step in run["steps"]:
        if step["kind"] not in WAITS:
            mine = found.setdefault(step.get("stage", ""), {})
            mine[step["host"]] = round(mine.get(step["host"], 0.0) + step["seconds"], 1)
    return found


def waited(word: str) -> bool:
    """Whether a try failed with a client that had to wait, or was told to; others were refused or cut off."""
    return word.removeprefix("unknown-") in {"timeout", "put-off"}


def vip_moves(run: Callable[..., Mapping[str, str]], cluster: Cluster, since: int) -> int:
    """How often the virtual IP came to another balancer since then, in seconds since 1970; `run` runs a script on
    hosts.
    """
    count = f"journalctl -q --no-pager -o cat -u keepalived --since @{since} | grep -c 'Entering MASTER STATE' || :"
    return sum(map(int, run(count, *(host.name for host in cluster.balancers)).values()))


def _streams(result: Result) -> Mapping[str, Stream]:
    return {"new": result.new, "kept": result.kept, "writes": result.writes}


def _told(stream: Stream) -> Mapping[str, Any]:
    return {"of": stream.total, "failed": dict(stream.words), "longest_gap": round(stream.longest_gap, 2)}


def _way(one: Mapping[str, Any]) -> tuple[str, str]:
    return one["was"], one["to"]


def write(found: Sequence[Mapping[str, Any]]) -> None:
    """Keep the results, and the table in the documents."""
    ordered = sorted(found, key=lambda one: (one["example"] != "modern", [int(n) for n in one["to"].split(".")]))
    KEPT.write_text(json.dumps(ordered, indent=1) + "\n")
    replaced(TABLE, BEGIN, END, table(ordered))


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """The table in Markdown."""
    head = ["example", "from", "to", "seconds", "new connections failed", "kept failed", "writes failed"]
    head += ["acknowledged, lost", "longest without a write, s"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for one in found:
        streams = [one["streams"][name] for name in ("new", "kept", "writes")]
        failed = [f"{failures(each['failed'])} of {each['of']}" for each in streams]
        words = [one["example"], one["was"], one["to"], f"{one['apply_seconds']:.0f}", *failed]
        words += [f"{one['acknowledged']}, {one['lost']}", f"{streams[2]['longest_gap']:.2f}"]
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)


def failures(words: Mapping[str, int]) -> str:
    """How many tries failed, and why."""
    reasons = ", ".join(f"{word} {count}" for word, count in sorted(words.items()))
    return f"{sum(words.values())} ({reasons})" if reasons else "0"


if __name__ == "__main__":
    main()
