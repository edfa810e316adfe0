"""Ways in which an upgrade does not hold, or is cut off, and what must be true afterwards.

Each function does one to a cluster in the lab while the drill's client asks and writes, asks all that runs what it is,
and returns what came of it; it raises QuorateError where that is not as it must be.
"""

import json
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broken_programs import Programs
from course import Site
from running import SERVICES, Running, running
from stand import ROOT, Stand, own, tell
from upgrades import VOID_S, vip_moves, waited, watched

from quorate.core import QuorateError
from quorate.drill.record import Result
from quorate.lab import fault
from quorate.lab.up import limit

EXAMPLE = ROOT / "examples/modern.yaml"
WAS, TO = "1.36.3", "1.37.2"
ETCD, CONTROL, NODES = "etcd 3.7.3", f"control plane {TO}", f"nodes {TO}"
STAGES = (ETCD, CONTROL, NODES)
SPREAD_S = 18.0
"""A random moment lies within so many seconds of a run's first change; a whole upgrade takes some ten times that."""


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
        return running(self.site)

    def last_run(self) -> Mapping[str, Any]:
        """What the journal tells of the last run."""
        runs = json.loads(self.made.quorate("history", "--json"))["runs"]
        number = str(runs[-1]["number"])
        run: Mapping[str, Any] = json.loads(self.made.quorate("history", "--json", "--run", number))["run"]
        return run


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

    seen = _seen(upgrade, act)
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
    felt = _felt(*seen)
    why = _plain(why).partition("what ran before is back: ")[2][:200]
    return {"ended": "back", "host": host, "seconds": seconds, "told": why, "restarted": restarted, **felt}


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

    seen = _seen(upgrade, act)
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
    _serves(upgrade, case.dies)
    arrived(upgrade, NODES)
    seconds = round(time.monotonic() - began, 1)
    told = {"ended": "goes on when it is back", "host": case.dies, "seconds": seconds}
    return {**told, "told": _reason(failed[case.dies]), **_felt(*seen, strict=False)}


def _serves(upgrade: Upgrade, master: str) -> None:
    """Wait until a master that was off serves again, with whatever it then runs."""
    cluster = upgrade.site.cluster
    api = f"kubectl --server=https://{cluster.host(master).ip}:{cluster.apiserver.port} get --raw /readyz"
    asks = f"curl -sf http://127.0.0.1:2381/health && {api}"
    wait = f"n=0; until {asks}; do n=$((n + 1)); [ $n -lt 60 ] || exit 1; sleep 2; done"
    upgrade.site.run(wait, master)


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

    seen = _seen(upgrade, act)
    there(upgrade)
    return {"ended": f"at {TO}", "seconds": seconds, **_felt(*seen)}


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
    seen = _seen(upgrade, act)
    there(upgrade)
    told = {"ended": f"at {TO}", "seconds": round(time.monotonic() - began, 1), "seed": seed, "kills": kills}
    return {**told, **_felt(*seen)}


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


def _seen(upgrade: Upgrade, act: Callable[[], object]) -> tuple[Result, int]:
    """What the client felt, and how often the virtual IP came to another balancer meanwhile."""
    began = int(time.time())
    result = watched(upgrade.made, act)
    return result, vip_moves(upgrade.site.run, upgrade.site.cluster, began)


def _felt(result: Result, moves: int, *, strict: bool = True) -> Mapping[str, Any]:
    """What the client felt: raises QuorateError for a lost write, and, where it is `strict`, for a request that failed
    other than by waiting for too long. A move of the virtual IP ends what goes through it: one of each kind then. A run
    in which the client itself was held up is void.
    """
    demand(not result.problem and not result.lost and not result.undone, f"{result.problem} lost: {result.lost}")
    streams = {"new": result.new, "kept": result.kept, "writes": result.writes}
    failed = {name: dict(stream.words) for name, stream in streams.items()}
    cut = {name: sum(of for word, of in words.items() if not waited(word)) for name, words in failed.items()}
    when = [round(each.start, 1) for stream in streams.values() for each in stream.tries if not each.ok][:12]
    demand(
        not strict or result.longest_pause <= VOID_S, f"void: the client stood still for {result.longest_pause:.1f} s"
    )
    demand(
        not strict or max(cut.values()) <= moves, f"requests failed: {failed} at {when}, the VIP moved {moves} times"
    )
    return {
        "failed": failed,
        "of": {name: stream.total for name, stream in streams.items()},
        "longest_without_a_write": round(result.writes.longest_gap, 2),
        **{"acknowledged": result.acknowledged, "lost": len(result.lost)},
        **{"own_pause": round(result.longest_pause, 2), "vip_moved": moves},
    }


def _plain(text: str) -> str:
    """Words alone, as a terminal's width does not matter."""
    return " ".join(text.split())


def _reason(text: str, word: str = "") -> str:
    """The first line with a word in it, without this machine's folders."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and word in line]
    return re.sub(r"/\S*/", "", lines[0])[:200] if lines else ""
