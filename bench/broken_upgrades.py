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
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from broken_programs import Programs
from course import Site
from stand import RESULTS, ROOT, Stand, own, replaced, stand, tell
from upgrades import VOID_S, watched

from quorate.core import QuorateError
from quorate.drill.record import Result
from quorate.lab import fault
from quorate.lab.up import limit

EXAMPLE = ROOT / "examples/modern.yaml"
KEPT = RESULTS / "broken_upgrades.json"
TABLE = ROOT / "docs/tasks/upgrade.md"
BEGIN, END = "<!-- broken upgrades: made by bench/broken_upgrades.py -->", "<!-- end of broken upgrades -->"
WAS, TO = "1.36.3", "1.37.2"
ETCD, CONTROL, NODES = "etcd 3.7.3", f"control plane {TO}", f"nodes {TO}"
STAGES = (ETCD, CONTROL, NODES)
SPREAD_S = 18.0
"""A random moment lies within so many seconds of a run's first change; a whole upgrade takes some ten times that."""
SERVICES = (
    *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "containerd"),
    *("haproxy", "keepalived"),
)
ASK = f"""for u in {" ".join(SERVICES)}; do
  p=$(systemctl show -p MainPID --value $u.service); [ "${{p:-0}}" != 0 ] || continue
  v=$(timeout 20 /proc/$p/exe --version 2>/dev/null | grep -oE '[0-9]+\\.[0-9]+\\.[0-9]+' | head -n 1)
  echo "$u $(systemctl show -p ExecMainStartTimestampMonotonic --value $u.service) \\
    $(sha256sum </proc/$p/exe | cut -c 1-16) ${{v:-none}}"
done"""
NODES_ARE = """kubectl get nodes -o jsonpath='{range .items[*]}{.metadata.name} {.status.nodeInfo.kubeletVersion} """
NODES_ARE += """{.spec.unschedulable}{"\\n"}{end}'"""


@dataclass(frozen=True)
class Program:
    """A service as it runs."""

    started: str
    digest: str
    version: str


@dataclass(frozen=True)
class Running:
    """What runs now, by the programs' and the API's own word."""

    programs: Mapping[str, Mapping[str, Program]]
    """By host and service."""
    nodes: Mapping[str, str]
    """The kubelet's version by node."""
    cordoned: tuple[str, ...]

    def same_programs(self, other: "Running", host: str) -> bool:
        """Whether a host runs the same, however often it was started."""
        return _kinds(self.programs[host]) == _kinds(other.programs[host])


def _kinds(programs: Mapping[str, Program]) -> Mapping[str, tuple[str, str]]:
    return {name: (each.digest, each.version) for name, each in programs.items()}


@dataclass(frozen=True)
class Case:
    """One way in which an upgrade does not hold."""

    what: str
    stage: str = ""
    """In which it shows; empty: before anything is touched."""
    program: str = ""
    """Its folder and name in the bundle."""
    how: str = ""
    """See `broken_programs`."""
    wish: str = ""
    """Lines for the cluster file instead of a program."""
    told: str = ""
    """What a refusal must say."""
    dies: str = ""
    """A host that loses its power when the stage has begun on it."""


API, KUBELET, MEMBER = (
    *(f"kubernetes-{TO}/{name}" for name in ("kube-apiserver", "kubelet")),
    "etcd-3.7.3/etcd",
)
CASES = (
    Case("a removed flag", wish='controller_manager: {extra_flags: {concurrent-service-syncs: "2"}}', told="1.37"),
    Case("an unknown feature gate", wish='apiserver: {extra_flags: {feature-gates: "NoSuchGate=true"}}', told="NoSuch"),
    Case("a bad configuration field", wish="kubelet: {config: {noSuchField: 1}}", told="noSuchField"),
    Case("an API server for another processor", program=API, how="wrong architecture", told="for arm64"),
    Case("a truncated API server", program=API, how="truncated", told="says nothing"),
    Case("a member refuses its data", ETCD, MEMBER, "refuses its data"),
    Case("the API server ends at once", CONTROL, API, "ends at once"),
    Case("the API server hangs", CONTROL, API, "hangs"),
    Case("the API server is never ready", CONTROL, API, "serves nothing"),
    Case("a master dies in the middle", CONTROL, dies="master03"),
    Case("a kubelet is never Ready", NODES, KUBELET, "never Ready"),
)
GOOD = "good programs, at the end"
KILLED = "the operator is killed"


@dataclass
class Upgrade:
    """A cluster in the lab, its file, and the programs that it is offered."""

    made: Stand
    offered: Programs
    past: set[str] = field(default_factory=set)
    """Stages that are done."""
    problems: list[str] = field(default_factory=list)
    """Cases that were not as they must be."""

    @property
    def site(self) -> Site:
        """Its hosts."""
        return Site(self.made)

    def write(self, version: str, source: Path | None, wish: str = "") -> None:
        """The file asks for a version from a folder, or from modules."""
        text = re.sub(r'kubernetes: ".*"', f'kubernetes: "{version}"', EXAMPLE.read_text())
        if source is not None:
            text = re.sub(r"source: modules.*", f"source: directory\n  directory: {source}", text)
        self.made.file.write_text(own(renamed(f"{text}\n{wish}\n" if wish else text)))

    def quorate(self, *words: str) -> tuple[int, str]:
        """Run the tool; how it ended, and all that it said."""
        argv = self._argv(*words)
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def _argv(self, *words: str) -> list[str]:
        tell(f"quorate {' '.join(words)}")
        return [sys.executable, "-m", "quorate", *words, "-f", str(self.made.file)]

    @contextmanager
    def started(self, *words: str) -> Iterator["subprocess.Popen[str]"]:
        """The tool at work, with its events on stdout; killed with the block when it has not ended by itself."""
        argv = self._argv(*words, "--json")
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def running(self) -> Running:
        """Ask everybody."""
        cluster, site = self.site.cluster, self.site
        told = site.run(ASK, *(host.name for host in cluster.hosts))
        programs = {host: dict(map(_program, text.splitlines())) for host, text in told.items()}
        master = next(host.name for host in cluster.masters if "kube-apiserver" in programs[host.name])
        nodes = [line.split() for line in site.run(NODES_ARE, master)[master].splitlines()]
        return Running(
            programs,
            {name: version for name, version, *_ in nodes},
            tuple(name for name, _, *cordoned in nodes if cordoned == ["true"]),
        )

    def last_run(self) -> Mapping[str, Any]:
        """What the journal tells of the last run."""
        runs = json.loads(self.made.quorate("history", "--json"))["runs"]
        number = str(runs[-1]["number"])
        run: Mapping[str, Any] = json.loads(self.made.quorate("history", "--json", "--run", number))["run"]
        return run


def _program(line: str) -> tuple[str, Program]:
    name, *words = line.split()
    return name, Program(*words)


def renamed(text: str) -> str:
    """The example for a lab beside those of other tools: by another name, in a network of its own."""
    return re.sub(r"192\.168\.111\.", "192.168.151.", re.sub(r"^name: .*", "name: broken", text, flags=re.M))


def demand(true: bool, why: str) -> None:
    """Raise QuorateError unless something is as it must be."""
    if not true:
        raise QuorateError(why)


def refused(upgrade: Upgrade, case: Case) -> Mapping[str, Any]:
    """A wish that is refused by plan and apply alike, before anything is touched."""
    upgrade.write(WAS, None)
    before, codes, text = upgrade.running(), [], ""
    upgrade.write(TO, upgrade.offered.broken(case.program, case.how) if case.program else None, case.wish)
    for words in (("plan",), ("apply", "--yes")):
        code, text = upgrade.quorate(*words)
        demand(code in {3, 4, 5} and case.told in text, f"{words}: exit {code}, not a refusal: {text[-3000:]}")
        codes.append(code)
    upgrade.write(WAS, None)
    demand(upgrade.running() == before, "something was touched")
    return {"ended": "refused in the plan", "codes": codes, "told": _reason(text, case.told)}


def fell_back(upgrade: Upgrade, case: Case) -> Mapping[str, Any]:
    """A program that does not hold: its host is back on what it ran, and nobody else has noticed."""
    arrived(upgrade, case.stage)
    upgrade.write(TO, upgrade.offered.broken(case.program, case.how))
    before, seconds, said = upgrade.running(), 0.0, (0, "")

    def act() -> None:
        nonlocal seconds, said
        began = time.monotonic()
        said = upgrade.quorate("apply", "--yes")
        seconds = round(time.monotonic() - began, 1)

    result = watched(upgrade.made, act)
    code, text = said
    after, run = upgrade.running(), upgrade.last_run()
    demand(code == 7, f"exit {code}: {text[-3000:]}")
    failed = [step for step in run["steps"] if step.get("result") == "failed"]
    host = " ".join({step["host"] for step in failed})
    why = " ".join(step.get("error", "") for step in failed)
    demand(host in before.programs and host in text, f"not one host is named, but {host!r}: {text[-3000:]}")
    demand("it did not hold, and what ran before is back" in text, f"no reason is named: {text[-3000:]}")
    demand(f"broken on purpose: {case.how}" in text, f"no evidence is shown: {text[-3000:]}")
    demand(before.same_programs(after, host), f"{host} ran {before.programs[host]}, runs {after.programs[host]}")
    others = [name for name in before.programs if name != host and before.programs[name] != after.programs[name]]
    demand(not others, f"touched: {[(before.programs[name], after.programs[name]) for name in others]}")
    demand(before.nodes == after.nodes, f"nodes were {before.nodes}, are {after.nodes}")
    demand(not after.cordoned, f"cordoned: {after.cordoned}")
    _remembered(upgrade, host)
    demand(upgrade.running() == after, "a second try touched something")
    restarted = {
        name: f"{each.version}" for name, each in after.programs[host].items() if each != before.programs[host][name]
    }
    felt = _felt(result)
    return {"ended": "back", "host": host, "seconds": seconds, "told": _reason(why), "restarted": restarted, **felt}


def _remembered(upgrade: Upgrade, host: str) -> None:
    """The plan tells that it was tried, and apply does not try it again by itself."""
    code, text = upgrade.quorate("plan")
    tried = re.search(rf"{host}: this change of [\w-]+ was tried at ", _plain(text))
    demand(code == 2 and tried is not None, f"plan, exit {code}, does not tell of it: {text[-3000:]}")
    code, text = upgrade.quorate("apply", "--yes")
    demand(code == 4 and "tried before" in text, f"apply, exit {code}, tries it again: {text[-3000:]}")


def died(upgrade: Upgrade, case: Case) -> Mapping[str, Any]:
    """A host loses its power while its turn is; the run names it and ends, and goes on when it has come back."""
    arrived(upgrade, case.stage)
    upgrade.write(TO, upgrade.offered.good)
    lab, ended = upgrade.site.cluster.name, 0
    before = upgrade.running()

    def act() -> None:
        nonlocal ended
        with upgrade.started("apply", "--yes", "--through", case.stage) as process:
            assert process.stdout is not None
            for line in process.stdout:
                event = json.loads(line)
                if ended == 0 and event.get("host") == case.dies and event.get("name") == "kube-apiserver.service":
                    tell(f"{case.dies} loses its power")
                    fault.kill(lab, case.dies)
                    ended = -1
            ended = process.wait() if ended == -1 else 0

    result = watched(upgrade.made, act)
    run = upgrade.last_run()
    failed = {step["host"]: step.get("error", "") for step in run["steps"] if step.get("result") == "failed"}
    demand(ended not in {0, 2} and list(failed) == [case.dies], f"exit {ended}, failed: {failed}")
    fault.start(lab, case.dies)
    changed = {step["host"] for step in run["steps"] if step.get("result") == "changed"}
    after = upgrade.running()
    touched = {name for name in before.programs if before.programs[name] != after.programs[name]}
    demand(touched <= changed | {case.dies}, f"touched: {touched}, changed {changed}")
    demand(not after.cordoned, f"cordoned: {after.cordoned}")
    began = time.monotonic()
    arrived(upgrade, NODES)
    seconds = round(time.monotonic() - began, 1)
    told = {"ended": "goes on when it is back", "host": case.dies, "seconds": seconds}
    return {**told, "told": _reason(failed[case.dies]), **_felt(result, strict=False)}


def arrived(upgrade: Upgrade, stage: str) -> None:
    """Go on with good programs until a stage is the next one."""
    behind = [each for each in STAGES[: STAGES.index(stage)] if each not in upgrade.past]
    if behind:
        upgrade.write(TO, upgrade.offered.good)
        upgrade.made.quorate("apply", "--yes", "--through", behind[-1])
        upgrade.past.update(behind)


def given_up(upgrade: Upgrade) -> None:
    """In its first stage the file's old versions lead back, and nothing is left to do."""
    upgrade.write(WAS, None)
    before = upgrade.running()
    upgrade.made.quorate("apply", "--yes")
    upgrade.made.quorate("plan")
    demand(upgrade.running() == before, "giving it up touched something")


def ended_well(upgrade: Upgrade) -> Mapping[str, Any]:
    """With good programs it comes to its end."""
    upgrade.write(TO, upgrade.offered.good)
    seconds = 0.0

    def act() -> None:
        nonlocal seconds
        began = time.monotonic()
        upgrade.made.quorate("apply", "--yes")
        seconds = round(time.monotonic() - began, 1)

    result = watched(upgrade.made, act)
    there(upgrade)
    return {"ended": f"at {TO}", "seconds": seconds, **_felt(result)}


def there(upgrade: Upgrade) -> None:
    """All is of the new release, nothing is left to do, and a verify proves the cluster."""
    now = upgrade.running()
    wanted = {name: TO for name in SERVICES if name.startswith("kube")} | {"etcd": "3.7.3"}
    other = {
        (host, name): each.version
        for host, programs in now.programs.items()
        for name, each in programs.items()
        if each.version != wanted.get(name, each.version)
    }
    demand(not other and set(now.nodes.values()) == {f"v{TO}"}, f"of another version: {other}, {now.nodes}")
    demand(not now.cordoned, f"cordoned: {now.cordoned}")
    # Under it no pod may have a limit of its own, and verify tries one.
    limit(upgrade.site.cluster.name, on=False)
    upgrade.made.quorate("plan")
    upgrade.made.quorate("verify")


def killed(upgrade: Upgrade, points: int) -> Mapping[str, Any]:
    """The operator's machine is lost at the edge of each stage, and at random moments; the next apply goes on."""
    upgrade.write(TO, upgrade.offered.good)
    chance = random.Random(seed := random.SystemRandom().randrange(10**6))
    kills: list[Mapping[str, Any]] = []
    edges = set[str]()

    def act() -> None:
        while sum(not each["edge"] for each in kills) < points:
            kill = _killed(upgrade, edges, chance.uniform(0, SPREAD_S))
            if kill is None:
                return
            tell(f"killed: {kill}")
            kills.append(kill)
        upgrade.made.quorate("apply", "--yes")

    began = time.monotonic()
    result = watched(upgrade.made, act)
    there(upgrade)
    told = {"ended": f"at {TO}", "seconds": round(time.monotonic() - began, 1), "seed": seed, "kills": kills}
    return {**told, **_felt(result)}


def _killed(upgrade: Upgrade, edges: set[str], after: float) -> Mapping[str, Any] | None:
    """Where an apply was killed: as the first that reaches a stage, or so many seconds after it began with one; None
    where it had come to its end.
    """
    stage, last = "", ""
    with upgrade.started("apply", "--yes") as process:
        timer = threading.Timer(after, process.send_signal, [signal.SIGKILL])
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "stage-begun":
                stage = event["name"]
                if stage not in edges:
                    edges.add(stage)
                    timer.cancel()
                    process.kill()
                    process.wait()
                    return {"edge": True, "stage": stage}
                if timer.ident is None:
                    timer.start()
            elif event["event"].startswith("step-"):
                last = f"{event['event']} {event['host']}/{event['kind']}/{event['name']}"
        code = process.wait()
        timer.cancel()
    demand(code in {0, -signal.SIGKILL}, f"apply ended with exit {code}, after {last}")
    return None if code == 0 else {"edge": False, "stage": stage, "after_s": round(after, 1), "last": last}


def _felt(result: Result, *, strict: bool = True) -> Mapping[str, Any]:
    """What the client felt: raises QuorateError for a lost write, and, where it is `strict` and the client was not held
    up itself, for a request that failed other than by waiting for too long.
    """
    demand(not result.problem and not result.lost and not result.undone, f"{result.problem} lost: {result.lost}")
    streams = {"new": result.new, "kept": result.kept, "writes": result.writes}
    failed = {name: dict(stream.words) for name, stream in streams.items()}
    words = {word.removeprefix("unknown-") for each in failed.values() for word in each}
    void = result.longest_pause > VOID_S
    demand(void or not strict or not words - {"timeout", "put-off"}, f"requests failed: {failed}")
    return {
        "failed": failed,
        "of": {name: stream.total for name, stream in streams.items()},
        "longest_without_a_write": round(result.writes.longest_gap, 2),
        **{"acknowledged": result.acknowledged, "lost": len(result.lost)},
        "own_pause": round(result.longest_pause, 2),
    }


def _plain(text: str) -> str:
    """Words alone, as a terminal's width does not matter."""
    return " ".join(text.split())


def _reason(text: str, word: str = "") -> str:
    """The first line with a word in it, without this machine's folders."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and word in line]
    return re.sub(r"/\S*/", "", lines[0])[:200] if lines else ""


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
        words.append(", ".join(map(_failed, streams.values())) if streams else "-")
        words.append(f"{one['acknowledged']}, {one['lost']}" if "lost" in one else "-")
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)


def _failed(words: Mapping[str, int]) -> str:
    reasons = ", ".join(f"{word} {count}" for word, count in sorted(words.items()))
    return f"{sum(words.values())} ({reasons})" if reasons else "0"


if __name__ == "__main__":
    main()
