"""What stands around the change of a worker that runs: once for each host, whatever number of its components change."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from quorate.component.context import Context
from quorate.core import Key
from quorate.plan.graph import Part
from quorate.render.sh import quote
from quorate.resource.drain import Drained, Uncordoned
from quorate.resource.fallback import Fallback, Settled
from quorate.resource.kube import kubectl
from quorate.resource.resource import Resource
from quorate.resource.system import Hook, User
from quorate.resource.unit import Ready, Unit
from quorate.spec.cluster import Host

NAME = "rollout"


def around(context: Context, parts: Sequence[Part], lane: Collection[str], runs: Callable[[Part], bool]) -> list[Part]:
    """The parts, and of each worker that `runs` what the file wants around the change of its `lane`: a hook, a drain;
    a hook, the node that takes pods again, a hook, a pause.
    """
    rollout = context.cluster.rollout
    if not (rollout.drain or rollout.before or rollout.after or rollout.pause_seconds):
        return list(parts)
    hosts: dict[str, list[Part]] = {}
    for part in parts:
        if part.component in lane:
            hosts.setdefault(part.host, []).append(part)
    more, ahead = list[Part](), dict[str, frozenset[Key]]()
    for name, mine in hosts.items():
        if any(map(runs, mine)):
            first, last = _of(context, context.cluster.host(name), mine)
            ahead[name] = frozenset(resource.key for resource in first)
            more += [Part(NAME, resource.host, (resource,), name) for resource in (*first, *last)]
    found = [_behind(part, ahead.get(part.host, frozenset())) if part.component in lane else part for part in parts]
    return [*found, *more]


def _of(context: Context, host: Host, parts: Sequence[Part]) -> tuple[list[Resource], list[Resource]]:
    """What is done before the change of a host, and after it."""
    watches = _watches(host.name, parts)
    acts = frozenset(key for part in parts for key in part.acts)
    first = _chain(_before(context, host), frozenset(), watches)
    return first, _chain(_after(context, host), acts, watches)


def _before(context: Context, host: Host) -> list[Resource]:
    rollout, found = context.cluster.rollout, list[Resource]()
    if rollout.before:
        found.append(Hook(host=host.name, what="before the change", script=quote(rollout.before)))
    if rollout.drain:
        seconds, api = context.cluster.kubelet.drain_seconds, context.api_host.name
        run = kubectl(_url(context), timeout=f"{seconds}s")
        found.append(Drained(host=api, node=host.node, run=run, seconds=seconds))
    return found


def _after(context: Context, host: Host) -> list[Resource]:
    rollout, found = context.cluster.rollout, list[Resource]()
    if rollout.drain:
        back = Uncordoned(host=context.api_host.name, node=host.node, run=kubectl(_url(context)))
        if rollout.before_uncordon:
            found.append(_checked(rollout.before_uncordon, host, back))
        found.append(back)
    if rollout.after:
        found.append(Hook(host=host.name, what="after the change", script=quote(rollout.after)))
    if rollout.pause_seconds:
        seconds = rollout.pause_seconds
        found.append(Hook(host=host.name, what="pause", script=f"sleep {seconds}", seconds=seconds))
    return found


def _checked(program: str, host: Host, back: Uncordoned) -> Hook:
    """The site's word before a node takes pods again; asked again by the apply that finds the node as we left it."""
    refused = f"{program} failed (exit $rc): node {host.node} stays cordoned until an apply in which it succeeds"
    script = f'rc=0; {quote(program)} || rc=$?\n[ $rc = 0 ] || {{ echo "{refused}"; exit $rc; }}'
    what, watches = "before it takes pods again", frozenset({back.key})
    return Hook(host=host.name, what=what, script=script, program=program, watches=watches)


def _url(context: Context) -> str:
    """Of the API server through which objects are written."""
    return f"https://{context.api_host.ip}:{context.cluster.apiserver.port}"


def _chain(resources: Iterable[Resource], before: frozenset[Key], watches: frozenset[Key]) -> list[Resource]:
    """One after the other, all after `before`."""
    found: list[Resource] = []
    for resource in resources:
        found.append(replace(resource, explicit=resource.explicit | before, watches=resource.watches | watches))
        before = frozenset({resource.key})
    return found


def _behind(part: Part, ahead: frozenset[Key]) -> Part:
    """The part, nothing of which is touched before."""
    resources = (
        resource if isinstance(resource, User) else replace(resource, explicit=resource.explicit | ahead)
        for resource in part.resources
    )
    return replace(part, resources=tuple(resources)) if ahead else part


def _watches(host: str, parts: Sequence[Part]) -> frozenset[Key]:
    """What disturbs the host's pods when it changes: all of its lane but proofs, and what its services load."""
    resources = [resource for part in parts for resource in part.resources]
    loads = {path for resource in resources if isinstance(resource, Unit) for path in resource.loads}
    own = {resource.key for resource in resources if not isinstance(resource, Ready | Fallback | Settled)}
    return frozenset(own | {Key(host, "file", path) for path in loads})
