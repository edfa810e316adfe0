"""Crashes in the middle of a deployment, of quorate and of hosts. The hosts are bare when a story begins.

QUORATE_CRASHES in the environment is how often; from FULL on every boundary between two steps is one of the moments.
QUORATE_SEED repeats a run's choices.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from deployed import LIMIT, Deployed

from quorate.lab import fault

FULL = 100
COUNT = int(os.environ.get("QUORATE_CRASHES", "4"))
SEED = int(os.environ.get("QUORATE_SEED", str(random.SystemRandom().randrange(10**6))))
POINTS = 5
"""Boundaries between steps at which it is killed when COUNT is small."""
EARLY = 0.75
"""Where the last of these lies at most: what a host went on with after a kill never begins again, so a deployment that
was killed a few times has fewer steps than were planned.
"""
HORIZON = 30.0
"""Seconds that a deployment is believed to take before one was seen."""
OUTAGE = 10.0
"""Seconds for which a host is cut off or frozen."""

LEFT = r"""
find / -xdev \( -name '*.quorate-new' -o -path '/var/lib/quorate/found/*.part' -o -path '/var/lib/quorate/*.new' \)
find /tmp -name p -type p
# What is not empty only says that a script of before must not begin any more.
find /run/quorate -name 'script-*' -size 0 2>/dev/null
ls -d /run/quorate-lock /run/quorate/credential /var/lib/quorate/install /var/lib/quorate/writing/* 2>/dev/null
grep -lsx '# quorate' /usr/sbin/policy-rc.d
exit 0
"""
"""What a run that was cut off may leave on a host, and a later one must have taken away."""


@dataclass
class Tally:
    """What was done, for the last word of a story."""

    what: str
    crashes: int = 0
    runs: int = 0
    deployments: int = 0
    """How often it was built to the end."""
    began: float = field(default_factory=time.monotonic)
    codes: list[int] = field(default_factory=list)
    """Exit codes of runs that ended by themselves."""

    def __str__(self) -> str:
        seconds = time.monotonic() - self.began
        return (
            f"{self.what}, seed {SEED}: {self.crashes} crashes in {self.runs} runs, {self.deployments} deployments, "
            f"exit codes {sorted(self.codes)}, {seconds:.0f} s"
        )


def chance(story: str) -> random.Random:
    """The choices of a story: the same for the same seed."""
    return random.Random(f"{SEED} {story}")


# -- running it ------------------------------------------------------------------------------------------


@contextmanager
def applying(
    deployed: Deployed, *words: str, told: "IO[str] | int" = subprocess.PIPE
) -> Iterator["subprocess.Popen[str]"]:
    """`apply --json` at work; killed with the block when it has not ended by itself."""
    argv = [sys.executable, "-m", "quorate", "apply", "--yes", "--json", *words, "-f", str(deployed.file)]
    said = deployed.file.with_name("said")
    with said.open("w") as errors:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=told, stderr=errors, text=True, bufsize=1)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def events(process: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    """What it tells, as it tells it; an error of the verb itself is an event `error`."""
    assert process.stdout is not None
    for line in process.stdout:
        yield {"event": "error", **json.loads(line)}


def applied(deployed: Deployed, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """An apply that is left alone: its exit code and what it told."""
    with applying(deployed, *words) as process:
        told = list(events(process))
        return process.wait(timeout=LIMIT), told


def destroy(deployed: Deployed) -> None:
    """The hosts are bare again."""
    deployed.quorate("destroy", "--yes", deployed.cluster.name)


def converged(deployed: Deployed) -> None:
    """Nothing is left to do, and nothing is left behind: no temporary file, no lock, here or on a host."""
    deployed.quorate("plan", code=0)
    left = {host: found.split() for host, found in deployed.run(LEFT).items() if found.split()}
    assert left == {}
    assert [str(path) for path in (deployed.file.parent / ".quorate").rglob("*.tmp")] == []


def proven(deployed: Deployed) -> None:
    """The cluster works."""
    findings = deployed.json("verify")["findings"]
    assert isinstance(findings, list)
    assert [finding for finding in findings if finding["status"] == "failed"] == []


def finished(deployed: Deployed, tally: Tally) -> None:
    """The next apply, left alone, goes on to the end; the cluster is as if nothing had happened."""
    code, told = applied(deployed)
    tally.runs += 1
    tally.codes.append(code)
    assert code == 0, [event for event in told if event["event"] == "step-failed"]
    tally.deployments += 1
    converged(deployed)
    proven(deployed)


# -- quorate is killed -----------------------------------------------------------------------------------


def killed_at_random_moments(deployed: Deployed, count: int = COUNT) -> Tally:
    """kill -9 at `count` random moments; when it converges before that, the next deployment begins."""
    tally, dice, horizon = Tally("killed at random moments"), chance("moments"), HORIZON
    while tally.crashes < count:
        tally.runs += 1
        began, moment = time.monotonic(), dice.uniform(0.2, horizon)
        with applying(deployed) as process:
            try:
                said, _ = process.communicate(timeout=moment)
            except subprocess.TimeoutExpired:
                tally.crashes += 1
                continue
        tally.codes.append(process.returncode)
        assert process.returncode == 0, said[-4000:]
        tally.deployments += 1
        converged(deployed)
        # Not less, after a run that had little left to do: whoever is always killed early never gets far.
        horizon = max(HORIZON, time.monotonic() - began)
        destroy(deployed)
    finished(deployed, tally)
    return tally


def killed_between_steps(deployed: Deployed, count: int = COUNT) -> Tally:
    """kill -9 as a step begins, before its result is known: at POINTS of them, or at each once."""
    tally, dice = Tally("killed between steps"), chance("boundaries")
    started: set[tuple[str, str, str]] = set()
    marks: list[int] | None = None
    while True:
        tally.runs += 1
        failed: list[object] = []
        with applying(deployed) as process:
            for event in events(process):
                failed += [event] if event["event"] == "step-failed" else []
                if event["event"] == "planned" and marks is None:
                    every = range(1, event["create"] + event["change"] + 1)
                    marks = (
                        list(every) if count >= FULL else sorted(dice.sample(every[: int(EARLY * len(every))], POINTS))
                    )
                    print(f"{len(every)} steps, killed at {marks if count < FULL else 'each'}", flush=True)
                if event["event"] == "step-started":
                    started.add((event["host"], event["kind"], event["name"]))
                    if marks and len(started) >= marks[0]:
                        marks = [mark for mark in marks if mark > len(started)]
                        tally.crashes += 1
                        process.kill()
                        break
            else:
                code = process.wait(timeout=LIMIT)
                tally.codes.append(code)
                assert code == 0, f"exit {code}: {failed}"
                break
    assert tally.crashes >= POINTS - 1, "the last ones may be steps that were done by others"
    finished(deployed, tally)
    return tally


# -- a host is in trouble --------------------------------------------------------------------------------


def rebooted(lab: str, host: str) -> None:
    """Its power goes, and comes back."""
    fault.kill(lab, host)
    fault.start(lab, host)


def cut_off(lab: str, host: str) -> None:
    """Its cable is out for a while."""
    fault.cut(lab, host)
    time.sleep(OUTAGE)
    fault.heal(lab, host)


def frozen(lab: str, host: str) -> None:
    """It hangs for a while."""
    fault.freeze(lab, host)
    time.sleep(OUTAGE)
    fault.thaw(lab, host)


FAULTS: Sequence[Callable[[str, str], None]] = (rebooted, cut_off, frozen)


def hosts_in_trouble(deployed: Deployed, count: int = max(COUNT, len(FAULTS))) -> Tally:
    """A random host at a random moment, one fault after another; an apply succeeds, or fails naming a host of these."""
    tally, dice, horizon = Tally("hosts rebooted, cut off, frozen"), chance("hosts"), HORIZON
    names = [host.name for host in deployed.cluster.hosts]
    while tally.crashes < count:
        tally.runs += 1
        hit: list[str] = []
        told = deployed.file.with_name("told")
        with told.open("w") as out, applying(deployed, told=out) as process:
            while tally.crashes < count:
                try:
                    process.wait(timeout=dice.uniform(0.5, horizon / 2))
                    break
                except subprocess.TimeoutExpired:
                    host, act = dice.choice(names), FAULTS[tally.crashes % len(FAULTS)]
                    tally.crashes += 1
                    hit.append(host)
                    print(f"{act.__name__}: {host}", flush=True)
                    act(deployed.cluster.name, host)
            process.wait(timeout=LIMIT)
        said = told.read_text() + deployed.file.with_name("said").read_text()
        tally.codes.append(process.returncode)
        # 4: it was lost to the preflight, before anything was changed.
        assert process.returncode in ((0, 4, 6, 7) if hit else (0,)), said[-4000:]
        if process.returncode:
            assert any(host in said for host in hit), f"{hit} had trouble, and none is named: {said[-4000:]}"
        elif tally.crashes < count:
            tally.deployments += 1
            destroy(deployed)
    finished(deployed, tally)
    return tally
