"""The whole control experiment: every fault with quorate's settings, then with others', on the same simulated hosts.

`make drill` does that for both examples, one after the other: it brings up a lab, deploys, drills, puts other tools'
settings in place and drills again, has `quorate apply` put its own back, and adds bad weather. It takes hours; each
report is written when it is there. JSON and HTML, and the tables made from them (drill.md), go to bench/results.
"""

import argparse
import gzip
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import control
from peers import PEERS, Peer
from stand import EXAMPLES, RESULTS, Stand, on_event, stand, tell
from table import OURS, markdown
from weather import Weather, keep, weather

from quorate.cli.interrupt import as_interrupt
from quorate.cli.output import run
from quorate.core import QuorateError
from quorate.drill import runner
from quorate.drill.catalog import named
from quorate.drill.probe_config import Target
from quorate.report.drill.page import page
from quorate.report.drill.report import DrillReport, Fault, Run
from quorate.report.drill.sums import run_line
from quorate.spec.load import load

MOST = 10
"""Runs with each of the others' settings, unless more are asked for: each of their faults is left for longer."""
OVERHEAD = 5.0
"""Seconds of a run beyond those of its fault, until all is healthy again; measured on two cores."""
AROUND = 240.0
"""Seconds of a cluster beyond its drills: bring up, deploy, verify, put settings in place and back."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("files", nargs="*", type=Path, default=list(EXAMPLES), help="cluster files (both examples)")
    words.add_argument("--runs", type=int, default=30, help="runs of each fault with quorate's settings")
    words.add_argument("--peer-runs", type=int, default=0, help=f"with the others' (as many, at most {MOST})")
    words.add_argument("--only", nargs="+", default=[], metavar="FAULT", help="only these faults")
    words.add_argument("--no-control", action="store_true", help="quorate's settings alone")
    words.add_argument("--minutes", type=float, default=0, help="of bad weather at the end (0: none)")
    words.add_argument("--out", type=Path, default=RESULTS)
    words.add_argument("--go-on", action="store_true", help="do not measure again what is in the folder already")
    words.add_argument("--again", action="store_true", help="put these faults into the report that is in the folder")
    given = words.parse_args(arguments)
    if given.again and not given.only:
        words.error("--again needs --only: the faults to measure again")
    given.peer_runs = given.peer_runs or min(given.runs, MOST)
    named(given.only)
    return given


def wanted(peer: Peer, only: Sequence[str]) -> Sequence[str]:
    """The faults to try with other settings."""
    return [name for name in peer.faults if not only or name in only]


def estimate(given: argparse.Namespace, kind: str) -> float:
    """Seconds that a cluster takes, about."""
    seconds: float = (
        AROUND + 60 * given.minutes + given.runs * sum(fault.seconds + OVERHEAD for fault in named(given.only))
    )
    for peer in () if given.no_control else PEERS[kind]:
        faults = named(names) if (names := wanted(peer, given.only)) else ()
        seconds += given.peer_runs * sum(peer.seconds.get(each.name, each.seconds) + OVERHEAD for each in faults)
    return seconds


def on_run(fault: Fault, one: Run) -> None:
    """Print what became of a run."""
    tell(run_line(fault, one))


async def ours(made: Stand, names: Sequence[str], runs: int) -> DrillReport:
    """The drill with quorate's settings."""
    async with made.working("drill") as work:
        found = await runner.drill(
            work.cluster, work.secrets, work.via, faults=names, runs=runs, emit=on_event, on_run=on_run
        )
    return replace(found, cluster=made.name, about={**found.about, "settings": "as quorate deploys them"})


async def theirs(made: Stand, peer: Peer, names: Sequence[str], runs: int) -> DrillReport:
    """The drill with others' settings, which are gone afterwards as far as `quorate apply` would not see them."""
    async with made.working("drill") as work:
        cluster, via = work.cluster, work.via
        files = await control.files_of(cluster, via, peer)
        target = Target.of(cluster, work.secrets)
        if peer.port:
            (host,) = files
            target = replace(target, host=cluster.host(host).ip, port=peer.port, server_name=target.host)
        try:
            await control.begin(cluster, via, files)
            found = await runner.drill(
                cluster,
                work.secrets,
                via,
                faults=names,
                runs=runs,
                settings=peer.name,
                seconds=peer.seconds,
                target=target,
                emit=on_event,
                on_run=on_run,
            )
        finally:
            await control.end(via, files)
    return replace(found, cluster=made.name, about={**found.about, "settings": f"{peer.title}: {peer.about}"})


def called(cluster: str, settings: str) -> str:
    """What a report's files are called, without what follows the dot."""
    return f"drill-{cluster}" + (f"-{settings}" if settings != OURS else "")


def there(given: argparse.Namespace, cluster: str, settings: str) -> DrillReport | None:
    """A report that need not be made again."""
    path = given.out / f"{called(cluster, settings)}.json.gz"
    if not ((given.go_on or given.again) and path.exists()):
        return None
    tell(f"{path.name} is there already")
    return unpacked(path)


def unpacked(path: Path) -> DrillReport:
    """A report as it was kept."""
    return DrillReport.read(gzip.decompress(path.read_bytes()).decode("utf-8"))


def renewed(old: DrillReport, new: DrillReport) -> DrillReport:
    """A report with the faults of a later one in place of its own; `about` names them.

    Raises QuorateError when the two are not about the same: topology, versions, pace, machine and runs.
    """
    for key in ("topology", "kubernetes", "pace", "machine", "runs"):
        if old.about.get(key) != new.about.get(key):
            raise QuorateError(f"{key} was {old.about.get(key)}, and is {new.about.get(key)}: measure all again")
    later = (datetime.fromisoformat(new.began) - datetime.fromisoformat(old.began)).total_seconds()
    fresh = {
        fault.name: replace(fault, runs=[replace(run, at=run.at + later) for run in fault.runs]) for fault in new.faults
    }
    about = {**old.about, "measured again": f"{', '.join(fresh)}: {new.began}"}
    return replace(
        old,
        about=about,
        faults=[fresh.pop(fault.name, fault) for fault in old.faults] + [*fresh.values()],
        problem="; ".join(filter(None, (old.problem, new.problem))),
    )


def write(folder: Path, found: DrillReport, before: DrillReport | None = None) -> None:
    """Keep a report as JSON, packed, and as a page, and make the tables anew."""
    folder.mkdir(parents=True, exist_ok=True)
    name = called(found.cluster, found.settings)
    # Without the time, so that the same samples are the same file.
    (folder / f"{name}.json.gz").write_bytes(gzip.compress(found.text().encode(), mtime=0))
    (folder / f"{name}.html").write_text(page(found, before), encoding="utf-8")
    tables(folder)


def tables(folder: Path) -> None:
    """Write drill.md from the reports in a folder."""
    reports = [unpacked(path) for path in sorted(folder.glob("drill-*.json.gz"))]
    weathers = [Weather.read(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("weather-*.json"))]
    (folder / "drill.md").write_text(markdown(reports, weathers), encoding="utf-8")


def one(example: Path, given: argparse.Namespace) -> list[str]:
    """All drills of one cluster; what went wrong."""
    wrong = []
    with stand(example) as made:
        first = there(given, made.name, OURS)
        if first and given.again and first.about.get("runs") != str(given.runs):
            # Before hours of work, which `renewed` would refuse.
            raise QuorateError(f"the report has {first.about.get('runs')} runs of each fault, not {given.runs}")
        if first is None or given.again:
            found = run(ours(made, given.only, given.runs))
            first = renewed(first, found) if first else found
            write(given.out, first)
        if not first.ok:
            wrong.append(f"{made.name}: not all was well with quorate's settings; see its page")
        for peer in () if given.no_control else PEERS[load(made.file).load_balancer.kind]:
            if not (names := wanted(peer, given.only)) or there(given, made.name, peer.name):
                continue
            tell(f"{made.name}: {peer.name}: {peer.title}")
            try:
                found = run(theirs(made, peer, names, given.peer_runs))
                write(given.out, found, first)
                wrong += [f"{made.name}, settings {peer.name}: {found.problem}"] if found.problem else []
            except QuorateError as error:
                wrong.append(f"{made.name}, settings {peer.name}: {error}")
                tell(wrong[-1])
            # Drift, for quorate to see and repair: a plan is empty afterwards.
            for words in (("apply", "--yes"), ("plan",)):
                made.quorate(*words)
        if given.minutes and not (given.go_on and (given.out / f"weather-{made.name}.json").exists()):
            sky = run(weather(made, given.minutes))
            keep(sky, given.out)
            tables(given.out)
            wrong += [] if sky.passed else [f"{made.name}: false alarms in bad weather"]
    return wrong


def main() -> int:
    """All clusters; 1 when something went wrong with quorate's settings or could not be measured."""
    given = parse()
    seconds = sum(estimate(given, load(example).load_balancer.kind) for example in given.files)
    tell(f"{given.runs} runs, {given.peer_runs} with others' settings: about {seconds / 3600:.1f} hours")
    wrong = []
    with as_interrupt():
        for example in given.files:
            try:
                wrong += one(example, given)
            except QuorateError as error:
                wrong.append(f"{example.stem}: {error}")
                tell(wrong[-1])
    for each in wrong:
        tell(each)
    tell(f"{given.out / 'drill.md'} has the tables")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except QuorateError as error:
        raise SystemExit(str(error)) from error
