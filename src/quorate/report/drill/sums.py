"""What the runs of a drill come to: the numbers and words that terminal and page show alike."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from quorate.plan.words import many
from quorate.report.drill.report import DrillReport, Fault, Run, StreamStats, spread
from quorate.spec.processes import elected

FELT = ("new", "kept", "writes")
"""The streams that have goals, in the order in which they are shown."""
LED = ("etcd", *elected())
"""What has a leader, as `Run.takeovers` names it."""


@dataclass(frozen=True)
class Cell:
    """What one stream met in all runs of a fault; times in seconds, rounded up to hundredths."""

    p50: float
    p99: float
    most: float
    failed: int
    total: int
    goal: float | None
    missed: bool
    change: float | None
    """Of `most` against the earlier report; above 0 is longer than before."""


@dataclass(frozen=True)
class Talk:
    """When kubelets heard the API again, of all runs of a fault; seconds from it, rounded up to hundredths."""

    p50: float
    most: float
    """Of the slowest; infinite when one did not hear it in time."""
    slowest: str
    """Its host."""
    goal: float | None
    missed: bool


@dataclass(frozen=True)
class Sum:
    """What a fault came to besides gaps: the worst of its runs."""

    lost: int
    disorder: int
    owner: float | None
    """Seconds until one balancer held the virtual IP; None when no run tells."""
    ownerless: int
    """Runs that do not tell, though others do."""
    takeovers: Mapping[str, float]
    moved: Sequence[str]
    healthy: float | None
    sick: int
    """Runs after which not all was healthy in time."""
    problems: Sequence[str]
    """Of the runs that count for nothing, with their numbers."""


def up(seconds: float) -> float:
    """Rounded up to hundredths, so that no rounding hides a missed goal."""
    return math.ceil(round(seconds * 100, 6)) / 100 if math.isfinite(seconds) else seconds


def told(seconds: float) -> str:
    """A time with the digits that mean something: a probe tries every 20 ms."""
    if not math.isfinite(seconds):
        return "never"
    return f"{up(seconds):.2f}" if seconds < 100 else f"{seconds:.0f}"


def within(seconds: float) -> str:
    """A time with its unit; `never` where there is none."""
    return f"{told(seconds)} s" if math.isfinite(seconds) else told(seconds)


def signed(change: float, minus: str = "-") -> str:
    """A change with its sign: `+` is longer than before."""
    rounded = round(change, 2)
    return f"{'+' if rounded > 0 else minus if rounded < 0 else ''}{abs(rounded):.2f}"


def misses(felt: StreamStats, goal: float | None) -> bool:
    """Whether one run's stream is beyond its goal."""
    return goal is not None and (felt.gap > goal if goal else felt.failed > 0)


def same(fault: Fault, before: DrillReport | None) -> Fault | None:
    """The same fault in an earlier report."""
    return next((each for each in before.faults if each.name == fault.name), None) if before else None


def cell(fault: Fault, stream: str, before: Fault | None = None) -> Cell | None:
    """One stream of a fault, None when no run that counts has it."""
    gaps = fault.gaps(stream)
    if not gaps:
        return None
    p50, p99, most = map(up, spread(gaps))
    felt = [run.felt[stream] for run in fault.counted if stream in run.felt]
    past = before.gaps(stream) if before else []
    return Cell(
        p50,
        p99,
        most,
        sum(each.failed for each in felt),
        sum(each.total for each in felt),
        fault.goals.get(stream),
        fault.missed(stream),
        round(most - up(max(past)), 2) if past else None,
    )


def talk(fault: Fault) -> Talk | None:
    """The kubelets of a fault, None when no run that counts tells of one."""
    if not fault.heard:
        return None
    most, slowest = max(fault.heard)
    p50, _, _ = spread([seconds for seconds, _ in fault.heard])
    return Talk(up(p50), up(most), slowest, fault.kubelets, fault.unheard)


def total(fault: Fault) -> Sum:
    """The worst of a fault's runs; what was lost or moved counts also where a run had a problem."""
    owners = [run.one_owner for run in fault.counted if run.one_owner is not None]
    well = [run.healthy for run in fault.counted if run.healthy is not None]
    led = {name for run in fault.counted for name in run.takeovers}
    return Sum(
        sum(run.lost for run in fault.runs),
        sum(run.disorder for run in fault.runs),
        max(owners, default=None),
        len(fault.counted) - len(owners) if owners else 0,
        {name: max(run.takeovers.get(name, 0.0) for run in fault.counted) for name in sorted(led)},
        [pod for run in fault.runs for pod in run.moved],
        max(well, default=None),
        sum(run.healthy is None for run in fault.counted),
        [f"run {run.number}: {run.problem}" for run in fault.runs if run.problem],
    )


def led(drilled: DrillReport) -> Sequence[str]:
    """All that has a leader somewhere in the report."""
    found = {name for fault in drilled.faults for run in fault.runs for name in run.takeovers}
    return (*LED, *sorted(found - set(LED)))


def goals(drilled: DrillReport) -> tuple[int, int]:
    """How many goals were reached, of those that were measured."""
    tried = [
        fault.missed(stream)
        for fault in drilled.faults
        for stream in fault.goals
        if any(stream in run.felt for run in fault.counted)
    ]
    tried += [fault.unheard for fault in drilled.faults if fault.kubelets is not None and fault.heard]
    return tried.count(False), len(tried)


def wrong(fault: Fault) -> Iterator[str]:
    """What must not happen, and did; the gaps are told elsewhere."""
    found = total(fault)
    if found.lost:
        yield f"{many(found.lost, 'acknowledged write')} lost"
    if found.disorder:
        yield f"{many(found.disorder, 'answer')} that no order of the writes explains"
    if found.moved:
        yield f"{many(len(found.moved), 'pod')} moved though the host lived: {', '.join(sorted(set(found.moved)))}"
    if found.sick:
        yield f"not healthy in time after {many(found.sick, 'run')}"
    yield from found.problems


def verdict(drilled: DrillReport) -> str:
    """The whole report in a sentence."""
    faults = [fault for fault in drilled.faults if fault.runs]
    if not faults:
        return "No fault was tried."
    reached, tried = goals(drilled)
    gaps = (
        "There was no goal for the gaps."
        if not tried
        else f"{'The goal was' if tried == 1 else f'All {tried} goals were'} reached."
        if reached == tried
        else f"{tried - reached} of {many(tried, 'goal')} {'was' if tried - reached == 1 else 'were'} missed."
    )
    if drilled.problem:
        return f"It ended early, or can't tell all: {drilled.problem}. {gaps}"
    if drilled.ok:
        return f"Nothing was lost and everything healed. {gaps}"
    bad = sum(any(wrong(fault)) for fault in faults)
    return f"Something went wrong in {bad} of {many(len(faults), 'fault')}. {gaps}"


def run_line(fault: Fault, run: Run) -> str:
    """One run in a line, for progress."""
    head = f"{fault.title}, run {run.number} on {run.target}: "
    if run.problem:
        return f"{head}does not count: {run.problem}"
    parts = []
    for stream in (each for each in FELT if each in run.felt):
        felt, goal = run.felt[stream], fault.goals.get(stream)
        aim = "" if not misses(felt, goal) else f" (goal {goal:g})" if goal else f" ({felt.failed} failed, goal 0)"
        parts.append(f"{stream} {told(felt.gap)} s{aim}")
    if told_of := talk(replace(fault, runs=[run])):
        aim = f" (goal {told_of.goal:g})" if told_of.missed else ""
        parts.append(f"kubelets {within(told_of.most)}{aim}")
    parts += [f"{many(run.lost, 'write')} lost"] * bool(run.lost)
    parts += [f"{run.disorder} out of order"] * bool(run.disorder)
    parts += [f"{many(len(run.moved), 'pod')} moved"] * bool(run.moved)
    parts.append("not healthy in time" if run.healthy is None else f"healthy after {told(run.healthy)} s")
    return head + ", ".join(parts)
