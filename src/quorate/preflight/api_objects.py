"""Judges of objects that keep API servers from serving: webhooks that fail closed, extensions that are down, versions
of custom resources that nobody serves.
"""

from quorate.preflight.check import Question, World
from quorate.preflight.running import asks, run, some, whole
from quorate.render import cluster_questions
from quorate.report.findings import Verdict, failed, passed, unchecked
from quorate.spec.cluster import Host


def _ask_webhooks(world: World, host: Host) -> str:
    return cluster_questions.webhooks(run(world, host)) if asks(world, host) else ""


def _ask_services(world: World, host: Host) -> str:
    template = cluster_questions.API_SERVICES
    return cluster_questions.listed(run(world, host), "apiservices", template) if asks(world, host) else ""


def _ask_crds(world: World, host: Host) -> str:
    template = cluster_questions.CRDS
    return (
        cluster_questions.listed(run(world, host), "customresourcedefinitions", template) if asks(world, host) else ""
    )


WEBHOOKS = Question("webhooks", _ask_webhooks)
API_SERVICES = Question("API services", _ask_services)
CRDS = Question("CRDs", _ask_crds)


def webhooks(world: World, host: Host) -> Verdict | None:
    """Whoever is asked before every write, and must answer, can: a service of nobody is waited for in vain."""
    if not asks(world, host):
        return None
    if (lines := whole(world.answer(host, WEBHOOKS.name))) is None:
        return unchecked()
    hooks = [words for line in lines if len(words := line.split()) in (3, 4)]
    if dead := [f"{of} ({hook}: {service})" for of, hook, service, *how in hooks if how == ["none"]]:
        return failed(f"fails closed, and its service has no ready endpoint: {some(dead)}")
    return passed(f"{len(hooks)} that fail closed")


def api_services(world: World, host: Host) -> Verdict | None:
    """Every extension of the API answers: with one down, namespaces do not end, and controllers wait."""
    if not asks(world, host):
        return None
    if (lines := whole(world.answer(host, API_SERVICES.name))) is None:
        return unchecked()
    down = [f"{name} ({reason})" for name, _, reason in (line.partition(" ") for line in lines) if name]
    return failed(f"not Available: {some(down)}") if down else passed()


def crds(world: World, host: Host) -> Verdict | None:
    """Each version in which objects may be stored is served: else an API server can't read them."""
    if not asks(world, host):
        return None
    if (lines := whole(world.answer(host, CRDS.name))) is None:
        return unchecked()
    lost = []
    for line in lines:
        about, _, served = line.partition(" served")
        name, *stored = about.split()
        if gone := [version for version in stored if version not in served.split()]:
            lost.append(f"{name} {', '.join(gone)}")
    return failed(f"stored, and not served: {some(lost)}") if lost else passed(f"{len(lines)} of them")
