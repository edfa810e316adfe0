"""What a drill measured, as values that the console, JSON and the page read alike.

Seconds of a run count from its fault; those of a report from its beginning.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf
from typing import Any, NamedTuple, Self

STREAMS = ("new", "kept", "writes", "watch")
"""New connections, a kept connection, writes, a watch: what the probe sends, in the order in which it is shown."""


@dataclass(frozen=True)
class StreamStats:
    """What one stream of the probe met in one fault."""

    gap: float
    """Longest time without a success, in seconds."""
    failed: int
    total: int
    words: Mapping[str, int] = field(default_factory=dict)
    """How many failed for each reason."""


class Sample(NamedTuple):
    """One try of the probe: when it began, how long it took, and whether it succeeded."""

    at: float
    seconds: float
    ok: bool


@dataclass(frozen=True)
class Span:
    """Something that was so for a while: who held the virtual IP, who led, how a service was."""

    lane: str
    """What is told of, such as `virtual IP` or `etcd leader`."""
    begin: float
    end: float
    label: str
    """A host's name, or a state."""


@dataclass(frozen=True)
class Run:
    """One fault, once."""

    number: int
    at: float
    """Seconds from the report's beginning to the fault."""
    target: str
    """Host, and service if only that was hit."""
    outage: float
    """Seconds from the fault until it was healed."""
    felt: Mapping[str, StreamStats] = field(default_factory=dict)
    """By stream, from the fault until all was healthy."""
    lost: int = 0
    """Acknowledged writes that were not there in the end."""
    disorder: int = 0
    """Answers and events that no order of the writes explains: the history is not linearizable."""
    one_owner: float | None = None
    """Seconds until exactly one balancer held the virtual IP, for good; None: it never was, or there is none."""
    takeovers: Mapping[str, float] = field(default_factory=dict)
    """Seconds until somebody else led, by what is led; only what lost its leader."""
    kubelets: Mapping[str, float | None] = field(default_factory=dict)
    """Seconds until each kubelet heard the API again, for good, by host; None: it did not in time."""
    moved: Sequence[str] = ()
    """Pods that were started again, or elsewhere, though their host lived."""
    healthy: float | None = None
    """Seconds from the healing until all was healthy; None: it was not in time."""
    ticks: Mapping[str, Sequence[Sample]] = field(default_factory=dict)
    """The probe's tries by stream; kept for the worst run of a fault alone."""
    spans: Sequence[Span] = ()
    problem: str = ""
    """Why the run counts for nothing, if so."""


@dataclass(frozen=True)
class Fault:
    """All runs of one fault."""

    name: str
    title: str
    goals: Mapping[str, float] = field(default_factory=dict)
    """Longest gap aimed at by stream, in seconds; 0: no request may fail."""
    runs: Sequence[Run] = ()
    skipped: str = ""
    """Why there are no runs, if so."""
    loops: float | None = None
    """Seconds within which somebody else is to lead where the leader was lost, if that is a goal."""
    kubelets: float | None = None
    """Seconds within which every kubelet is to hear the API again, if that is a goal."""

    @property
    def counted(self) -> Sequence[Run]:
        """The runs without a problem."""
        return [run for run in self.runs if not run.problem]

    def gaps(self, stream: str) -> list[float]:
        """Longest gap of each run."""
        return [run.felt[stream].gap for run in self.counted if stream in run.felt]

    def missed(self, stream: str) -> bool:
        """Whether a goal was not reached in one of the runs."""
        if stream not in self.goals:
            return False
        if not self.goals[stream]:
            return any(run.felt[stream].failed for run in self.counted if stream in run.felt)
        return any(gap > self.goals[stream] for gap in self.gaps(stream))

    @property
    def late(self) -> bool:
        """Whether somebody else led too late in one of the runs."""
        led = [seconds for run in self.counted for seconds in run.takeovers.values()]
        return self.loops is not None and any(seconds > self.loops for seconds in led)

    @property
    def heard(self) -> list[tuple[float, str]]:
        """Seconds until a kubelet heard the API again, and its host, of all runs; infinite where it did not."""
        return [
            (inf if seconds is None else seconds, host)
            for run in self.counted
            for host, seconds in run.kubelets.items()
        ]

    @property
    def unheard(self) -> bool:
        """Whether a kubelet heard the API too late in one of the runs."""
        return self.kubelets is not None and any(seconds > self.kubelets for seconds, _ in self.heard)

    @property
    def worst(self) -> Run | None:
        """The run with the longest gap of any stream."""
        runs = [run for run in self.counted if run.felt]
        return max(runs, key=lambda run: max(felt.gap for felt in run.felt.values()), default=None)


@dataclass(frozen=True)
class DrillReport:
    """A whole drill."""

    cluster: str
    settings: str
    """Whose settings were tried: `quorate`, or those of another tool in a control experiment."""
    began: str
    """ISO 8601."""
    seconds: float
    version: str
    about: Mapping[str, str] = field(default_factory=dict)
    """Topology, versions, pace and machine, for whoever compares."""
    calm: Mapping[str, StreamStats] = field(default_factory=dict)
    """What the probe met before the first fault: the resolution of all other numbers."""
    faults: Sequence[Fault] = ()
    survival: Sequence[tuple[str, str, str]] = ()
    """From the file alone: what fails, `survives` or `fails`, and what that means."""
    problem: str = ""
    """Why it ended early, or says nothing of lost writes, if so."""

    @property
    def ok(self) -> bool:
        """Whether nothing was lost and everything healed."""
        runs = [run for fault in self.faults for run in fault.runs]
        return not self.problem and all(
            not (run.problem or run.lost or run.disorder or run.moved or run.healthy is None) for run in runs
        )

    def text(self) -> str:
        """JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def read(cls, text: str) -> Self:
        """The report in a text that `text` made. Raises ValueError when it is none."""
        try:
            return cls(**_drilled(json.loads(text)))
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"no report of a drill: {error}") from error


def _drilled(read: Any) -> dict[str, Any]:
    faults = [Fault(**{**fault, "runs": [_run(run) for run in fault["runs"]]}) for fault in read["faults"]]
    survival = [(what, verdict, meaning) for what, verdict, meaning in read["survival"]]
    return {**read, "calm": _felt(read["calm"]), "faults": faults, "survival": survival}


def _felt(read: Any) -> dict[str, StreamStats]:
    return {stream: StreamStats(**felt) for stream, felt in read.items()}


def _run(read: Any) -> Run:
    ticks = {stream: [Sample(*tick) for tick in found] for stream, found in read["ticks"].items()}
    return Run(
        **{**read, "felt": _felt(read["felt"]), "ticks": ticks, "spans": [Span(**each) for each in read["spans"]]}
    )


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, 99th percentile and maximum, by nearest rank. Raises ValueError for no values."""
    if not values:
        raise ValueError("no values")
    ranked = sorted(values)
    last = len(ranked)
    return ranked[max(0, -(-last // 2) - 1)], ranked[max(0, -(-last * 99 // 100) - 1)], ranked[-1]
