"""Judges of nodes, and of the pods that a drain does not move, or takes something from."""

from quorate.operation import runtimes
from quorate.operation.upgrade import drains
from quorate.plan.words import many
from quorate.preflight.check import Question, World
from quorate.preflight.running import asks, run, some, whole
from quorate.render import cluster_questions
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec.cluster import Host

TAKEN = {
    "bare": "without a controller, which nobody makes anew",
    "emptyDir": "with an emptyDir, which goes",
    "hostPath": "with a hostPath, which stays behind",
    "local": "with a volume of its node, for which it waits",
}
"""What a drain does to pods, by what `render.cluster_questions.LOST` calls it."""


def _ask_nodes(world: World, host: Host) -> str:
    template = cluster_questions.NODES
    return cluster_questions.listed(run(world, host), "nodes", template) if asks(world, host) else ""


def _drains(world: World, host: Host) -> bool:
    return asks(world, host) and (drains(world.context) or bool(runtimes.former(world.context)))


def _ask_budgets(world: World, host: Host) -> str:
    return cluster_questions.budgets(run(world, host)) if _drains(world, host) else ""


def _ask_pods(world: World, host: Host) -> str:
    return cluster_questions.lost_pods(run(world, host)) if _drains(world, host) else ""


NODES = Question("nodes", _ask_nodes)
BUDGETS = Question("budgets", _ask_budgets)
PODS = Question("lost pods", _ask_pods)


def nodes(world: World, host: Host) -> Verdict | None:
    """Each node is Ready; that of a host that does not answer is left as it is."""
    if not asks(world, host):
        return None
    if (lines := whole(world.answer(host, NODES.name))) is None:
        return unchecked()
    ready = [(*line.split(), "", "")[:3] for line in lines]
    away = {each.node for each in world.cluster.hosts if each.name in world.lost}
    ill = [f"{name} ({reason or 'no word'})" for name, status, reason in ready if status != "True" and name not in away]
    if ill:
        return failed(f"not Ready: {some(ill)}")
    left = [name for name, status, _ in ready if status != "True"]
    return warned(f"{some(left)} left as it is: its host does not answer") if left else passed(f"{len(ready)} Ready")


def budgets(world: World, host: Host) -> Verdict | None:
    """No drain waits for a PodDisruptionBudget that allows nothing now."""
    if not _drains(world, host):
        return None
    if (lines := whole(world.answer(host, BUDGETS.name))) is None:
        return unchecked()
    held: dict[str, list[str]] = {}
    budget = ""
    for words in map(str.split, lines):
        if words[:1] == ["budget"]:
            budget = words[-1]
        elif words[:1] == ["on"] and len(words) == 3:
            held.setdefault(budget, []).append(f"{words[2]} on {words[1]}")
    told = [f"{name} ({some(pods, 3)})" for name, pods in held.items()]
    return warned(f"no disruption is allowed: {some(told)}") if told else passed()


def pods(world: World, host: Host) -> Verdict | None:
    """No pod loses something when its node is drained."""
    if not _drains(world, host):
        return None
    if (lines := whole(world.answer(host, PODS.name))) is None:
        return unchecked()
    words = [each for each in map(str.split, lines) if len(each) in (2, 3)]
    counts = {each[1]: int(each[2]) for each in words if each[0] == "count" and each[-1].isdigit()}
    told = []
    for kind, what in TAKEN.items():
        if kind in counts:
            names = [each[1] for each in words if each[0] == kind]
            more = ", ..." if counts[kind] > len(names) else ""
            told.append(f"{many(counts[kind], 'pod')} {what} ({', '.join(names)}{more})")
    return warned("; ".join(told)) if told else passed()
