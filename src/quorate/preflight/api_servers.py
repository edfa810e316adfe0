"""Judges of the API servers: that their versions fit the way, and that nobody needs what its end does not serve."""

import re

from quorate.preflight.check import Question, World
from quorate.preflight.running import asks, ends, run, serves, some, whole
from quorate.render import cluster_questions
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec.cluster import Host
from quorate.spec.removed_apis import REMOVED, WRITTEN, Removed, removed
from quorate.spec.versions import controller_fits, parts


def _ask_served(world: World, host: Host) -> str:
    if not serves(world, host):
        return ""
    gone = [f"{name}.{each.group}" for each in removed(*ends(world)) if not each.instead for name in each.resources]
    return cluster_questions.served(run(world, host), gone)


def _ask_written(world: World, host: Host) -> str:
    """Objects are asked for in the version that stays: a request for the other would count as a use of it."""
    if not asks(world, host):
        return ""
    rows = [each for each in removed(*ends(world)) if each.instead and not _alone(world, each)]
    of = [(name, each.api, each.instead) for each in rows for name in each.resources if name in WRITTEN]
    return cluster_questions.written(run(world, host), of)


SERVED = Question("API server", _ask_served)
WRITES = Question("written", _ask_written)


def _version(world: World, host: Host) -> str:
    found = re.search(r'"gitVersion": *"v?([0-9.]+)', world.answer(host, SERVED.name))
    return found[1] if found else ""


def versions(world: World, host: Host) -> Verdict | None:
    """All API servers are of the version at which the way begins, or on it, and beside each other as they may be."""
    if not serves(world, host):
        return None
    if not world.answer(host, SERVED.name):
        return unchecked()
    if not (mine := _version(world, host)):
        return failed("its API server does not answer")
    now, goal = ends(world)
    if not parts(now)[:2] <= parts(mine)[:2] <= parts(goal)[:2]:
        return failed(f"its API server is of {mine}, the way leads from {now} to {goal}")
    others = {found for each in world.cluster.masters if (found := _version(world, each))} - {mine}
    for other in others:
        older, newer = sorted((mine, other), key=parts)
        if not controller_fits(newer, older):
            return failed(f"its API server is of {mine}, another of {other}: more than a minor apart")
    return warned(f"{mine}, beside {', '.join(sorted(others, key=parts))}") if others else passed(mine)


def removed_apis(world: World, host: Host) -> Verdict | None:
    """Nobody has asked this API server for what goes, nothing is stored that only what goes could read, and no manifest
    was last applied in it.
    """
    if not serves(world, host):
        return None
    if (lines := whole(world.answer(host, SERVED.name))) is None:
        return unchecked()
    used = [dict(re.findall(r'(\w+)="([^"]*)"', line)) for line in lines if line.startswith("used ")]
    gone = [each for each in used if parts(each.get("removed_release") or "99")[:2] <= parts(ends(world)[1])[:2]]
    wrong = [_name(each) for each in gone if not _alone(world, _row(each))]
    stored = [words[1:] for line in lines if (words := line.split())[:1] == ["stored"]]
    told = [f"was asked for {some(sorted(set(wrong)))}"] if wrong else []
    told += [f"{' '.join(reversed(each))} are stored, and nothing takes their place" for each in stored]
    if told:
        return failed("; ".join(told))
    if written := _written(world, host):
        return warned(f"last written in a version that goes: {some(written)}")
    own = sorted({_name(each) for each in gone})
    return warned(f"was asked for {some(own)}, as the control plane does itself") if own else passed()


def _written(world: World, host: Host) -> list[str]:
    lines = world.answer(host, WRITES.name).splitlines() if asks(world, host) else []
    words = (line.split(None, 2) for line in lines)
    return [f"{each[0]} as {each[1]} by {each[2]}" for each in words if len(each) == 3]


def _alone(world: World, row: Removed | None) -> bool:
    """Whether the control plane of today has to ask for it itself."""
    return row is not None and (row.own or parts(ends(world)[0])[:2] < parts(row.since))


def _row(use: dict[str, str]) -> Removed | None:
    api = "/".join(filter(None, (use.get("group", ""), use.get("version", ""))))
    return next((each for each in REMOVED if each.api == api and use.get("resource") in each.resources), None)


def _name(use: dict[str, str]) -> str:
    """A use, for a reader."""
    row = _row(use)
    instead = f", now {row.instead}" if row and row.instead else ""
    api = f"{use.get('resource')} of {use.get('group')}/{use.get('version')}"
    return f"{api} (gone from {use.get('removed_release')} on{instead})"
