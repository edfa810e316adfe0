"""Look at hosts: one script per host asks everything; nothing is changed."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from quorate.core import Key, State, Transport, TransportError
from quorate.plan.compile import Compiled
from quorate.plan.staged import Later, foreseen
from quorate.plan.step import Plan, Step
from quorate.render.sh import quote
from quorate.resource import ask
from quorate.resource.file import File
from quorate.resource.resource import Resource

LOOKS, PAUSE = 5, 1.0
"""How often, after how many seconds, what alone does not answer is asked again: a virtual IP that moves or an election
of etcd is over by then, and no reason to call the cluster changed."""


def questions(resources: Sequence[Resource]) -> dict[str, list[str]]:
    """The questions of the resources, grouped by tool; one that wants nothing (its removal does) is not asked."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for resource in filter(_wants, resources):
        probe = resource.probe()
        grouped[probe.tool].append(probe.question)
    return dict(grouped)


def states(resources: Sequence[Resource], output: str) -> dict[Key, State | None]:
    """The states that the answers tell."""
    replies = {tool: iter(found) for tool, found in ask.answers(questions(resources), output).items()}
    return {
        resource.key: resource.parse(next(replies[resource.probe().tool])) if _wants(resource) else {}
        for resource in resources
    }


def _wants(resource: Resource) -> bool:
    return bool(resource.desired)


async def look(resources: Iterable[Resource], via: Transport) -> tuple[dict[Key, State | None], dict[str, str]]:
    """The state of every resource, and the hosts that did not answer with the reason.

    Resources of an unreachable host have the state None.
    """
    by_host: dict[str, list[Resource]] = defaultdict(list)
    for resource in resources:
        by_host[resource.key.host].append(resource)
    lost: dict[str, str] = {}

    async def one(host: str, mine: Sequence[Resource]) -> Mapping[Key, State | None]:
        try:
            output = await via.run(host, ask.script(questions(mine)))
        except TransportError as error:
            lost[host] = error.message
            return dict.fromkeys((resource.key for resource in mine), None)
        return states(mine, output)

    found = await asyncio.gather(*(one(host, mine) for host, mine in by_host.items()))
    return {key: state for part in found for key, state in part.items()}, lost


async def texts(paths: Mapping[Key, str], via: Transport) -> dict[Key, str]:
    """The present text of files, for a diff; files that are not text or not there are left out."""
    by_host: dict[str, dict[Key, str]] = defaultdict(dict)
    for key, path in paths.items():
        by_host[key.host][key] = path

    async def one(host: str, mine: Mapping[Key, str]) -> dict[Key, str]:
        asked = {"script": [f"cat -- {quote(path)}" for path in mine.values()]}
        output = await via.run(host, ask.script(asked))
        return dict(zip(mine, ask.answers(asked, output)["script"], strict=True))

    found = await asyncio.gather(*(one(host, mine) for host, mine in by_host.items()))
    return {key: text for part in found for key, text in part.items()}


async def observe(
    compiled: Compiled,
    via: Transport,
    rest: Sequence[Compiled] = (),
    *,
    lost: Sequence[str] = (),
    notes: tuple[str, ...] = (),
    ahead: bool = True,
) -> tuple[Plan, tuple[Later, ...]]:
    """Look at every resource of a stage, and `ahead` at what later ones add; hosts known to be lost are not asked
    again.
    """
    stages = (compiled, *rest) if ahead else (compiled,)
    resources = {resource.key: resource for each in stages for resource in reversed(each.resources)}
    resources |= {resource.key: resource for resource in compiled.resources}
    # What only waits for what others do has nothing to tell before they have.
    asked = [each for each in resources.values() if each.host not in lost and not (each.waits and each.watches)]
    states, more = await look(asked, via)
    away = tuple(sorted({*lost, *more}))
    plan, further = foreseen(compiled, rest, states)
    plan = replace(plan, notes=notes, unreachable=away)
    for _ in range(LOOKS):
        if not (late := plan.late()):
            break
        await asyncio.sleep(PAUSE)
        states, _ = await look(late, via)
        plan = replace(plan, steps={**plan.steps, **{each.key: Step(each, states.get(each.key)) for each in late}})
    return plan, further


async def present_texts(plan: Plan, via: Transport) -> dict[Key, str]:
    """What stands now in the text files that would change; secret ones are left out."""
    paths = {
        step.key: step.resource.path
        for step in plan.changes
        if isinstance(step.resource, File) and not step.resource.secret and step.actual
    }
    return await texts(paths, via)
