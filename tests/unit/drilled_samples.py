"""Made-up drills for tests of the report: the same numbers every time, as many runs and tries as a real one."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from quorate.report.drill.report import DrillReport, Fault, Run, Sample, Span, StreamStats

EVERY = {"new": 0.02, "kept": 0.02, "writes": 0.04, "watch": 0.04}
HOSTS = ("master01", "master02", "master03")


@dataclass(frozen=True)
class Kind:
    """How a made-up fault goes: goals and typical gaps of new, kept, writes; who is hit; what changes hands."""

    name: str
    title: str
    goals: tuple[float, float, float] | None
    gaps: tuple[float, float, float]
    target: str
    outage: float = 5.0
    healthy: float = 1.5
    vip: bool = False
    leaders: tuple[str, ...] = ()
    service: str = ""
    failing: bool = True


KINDS = (
    Kind(
        "balancer-killed",
        "balancer process killed",
        (0.15, 0.5, 0.5),
        (0.09, 0.2, 0.21),
        "lb01",
        2,
        1,
        True,
        (),
        "haproxy",
    ),
    Kind("balancer-host", "balancer host lost", (0.4, 1, 1), (0.31, 0.45, 0.5), "lb01", 10, 4, True, (), "haproxy"),
    Kind(
        "apiserver-killed",
        "apiserver killed",
        (0.05, 0.5, 0.5),
        (0.055, 0.2, 0.2),
        "master01",
        1,
        3,
        service="kube-apiserver",
    ),
    Kind(
        "apiserver-terminated",
        "apiserver terminated",
        (0, 0, 0),
        (0.03, 0.03, 0.05),
        "master02",
        1,
        4,
        service="kube-apiserver",
        failing=False,
    ),
    Kind("apiserver-hung", "apiserver hung", (1, 2, 2), (0.9, 2.4, 2.5), "master03", 12, 2, service="kube-apiserver"),
    Kind(
        "master-host",
        "master host lost",
        (0.5, 1, 1.5),
        (0.36, 0.8, 1.3),
        "master01",
        15,
        18,
        leaders=("etcd", "kube-controller-manager", "kube-scheduler"),
        service="kube-apiserver",
    ),
    Kind(
        "etcd-leader",
        "etcd leader host lost",
        (0.5, 1, 1.5),
        (0.3, 0.8, 1.0),
        "master01",
        15,
        16,
        leaders=("etcd",),
        service="etcd",
    ),
    Kind(
        "scheduler-killed",
        "scheduler leader killed",
        (0, 0, 0),
        (0.03, 0.03, 0.05),
        "master02",
        1,
        6,
        leaders=("kube-scheduler",),
        failing=False,
        service="kube-scheduler",
    ),
    Kind("worker-host", "worker lost", None, (0.03, 0.03, 0.05), "worker01", 60, 12, failing=False, service="kubelet"),
)
TAKEN = {"etcd": 0.8, "kube-controller-manager": 5.2, "kube-scheduler": 4.9}


def felt(gap: float, every: float, window: float, failing: bool) -> StreamStats:
    failed = int(gap / 0.1) + 1 if failing else 0
    slow = failed // 3
    words = {"timeout": slow, "refused": failed - slow} if slow else {"refused": failed} if failed else {}
    return StreamStats(gap, failed, int(window / every), words)


def ticks(random: Random, gap: float, every: float, window: float, failing: bool) -> list[Sample]:
    """From 3 s before the fault: tries every so often, and none that succeeds for `gap` seconds after it."""
    begin, found, at = 0.04 * random.random() if failing else window, [], -3.0
    while at < window:
        took = 0.003 + 0.004 * random.random()
        if begin <= at + took < begin + gap - every:
            found.append(Sample(at, 0.1 if random.random() < 0.6 else 0.002, False))
        else:
            found.append(Sample(at, took, True))
        at += every
    return [tick for tick in found if tick.ok or tick.at + tick.seconds < begin + gap]


def spans(kind: Kind, takeovers: Mapping[str, float], window: float) -> list[Span]:
    host, begin, end = kind.target, -3.0, window + 1
    found = [Span("virtual IP", begin, end, "lb01")]
    if kind.vip:
        found = [Span("virtual IP", begin, 0.06, "lb01"), Span("virtual IP", 0.07, kind.outage + 0.4, "lb02")]
        found += [Span("virtual IP", kind.outage + 0.35, end, "lb01")]
    for name in TAKEN:
        if name in takeovers:
            found.append(Span(f"{name} leader", begin, 0.0, host))
            found.append(Span(f"{name} leader", takeovers[name], end, next(each for each in HOSTS if each != host)))
        else:
            found.append(Span(f"{name} leader", begin, end, "master03"))
    lane = f"{kind.service} on {host}"
    found += [Span(lane, begin, 0.02, "active"), Span(lane, 0.02, kind.outage, "failed")]
    found += [Span(lane, kind.outage, kind.outage + kind.healthy * 0.7, "activating")]
    return [*found, Span(lane, kind.outage + kind.healthy * 0.7, end, "active")]


def run(random: Random, kind: Kind, number: int, at: float, slow: float) -> Run:
    healthy = kind.healthy * (0.8 + 0.4 * random.random())
    window = kind.outage + healthy
    gaps = [gap * slow * (0.5 + 0.55 * random.betavariate(2, 3)) for gap in kind.gaps]
    by = dict(zip(EVERY, [*gaps, gaps[-1] + 0.02], strict=True))
    takeovers = {name: TAKEN[name] * (0.7 + 0.4 * random.random()) for name in kind.leaders}
    return Run(
        number,
        at,
        kind.target,
        kind.outage,
        {stream: felt(gap, EVERY[stream], window, kind.failing) for stream, gap in by.items()},
        one_owner=0.07 + 0.05 * random.random() if kind.vip else None,
        takeovers=takeovers,
        kubelets={"worker01": 0.6 + 4 * random.random(), "worker02": 0.5 + 8 * random.random()},
        moved=[],
        healthy=healthy,
        ticks={stream: ticks(random, gap, EVERY[stream], window, kind.failing) for stream, gap in by.items()},
        spans=spans(kind, takeovers, window),
    )


def fault(kind: Kind, runs: int = 30, slow: float = 1.0) -> Fault:
    random = Random(f"{kind.name} {slow}")
    found = [run(random, kind, number + 1, 60 + 25 * number, slow) for number in range(runs)]
    goals = dict(zip(("new", "kept", "writes"), kind.goals, strict=True)) if kind.goals else {}
    heard = 10.0 if kind.goals else None
    made = Fault(kind.name, kind.title, goals, found, kubelets=heard)
    kept = [each if each is made.worst else Run(**{**vars(each), "ticks": {}, "spans": []}) for each in found]
    return Fault(kind.name, kind.title, goals, kept, kubelets=heard)


def drilled(runs: int = 30, slow: float = 1.0, settings: str = "quorate") -> DrillReport:
    """A whole drill; `slow` stretches all gaps."""
    skipped = Fault(
        "link-cut", "balancer link cut", {"new": 0.5, "kept": 1, "writes": 1}, [], "the balancers share one cable"
    )
    return DrillReport(
        "three-masters",
        settings,
        "2024-05-17T08:12:44+00:00",
        14832.0,
        "0.1.0",
        {
            "topology": "3 masters, 2 balancers, 2 workers",
            "Kubernetes": "v1.20.2",
            "etcd": "3.4.23",
            "balancer": "haproxy 2.6",
            "pace": "20 ms",
            "machine": "2 cores, simulated hosts",
        },
        {
            "new": StreamStats(0.027, 0, 3000),
            "kept": StreamStats(0.024, 0, 3000),
            "writes": StreamStats(0.048, 0, 1500),
            "watch": StreamStats(0.051, 0, 1500),
        },
        [*(fault(kind, runs, slow) for kind in KINDS), skipped],
        [
            ("any balancer", "survives", "the other one takes the virtual IP"),
            ("any master", "survives", "two of three members of etcd are a majority"),
            (
                "two masters",
                "fails",
                "etcd has no majority: reads of what is cached only, no writes; pods go on running",
            ),
            ("any worker", "survives", "its pods are started elsewhere after 50 s and 300 s"),
        ],
    )
