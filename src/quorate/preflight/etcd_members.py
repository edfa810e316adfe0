"""Judge of etcd's members before one is stopped: each well, none behind, none of a release that may not return."""

from quorate.component.context import address
from quorate.component.etcd import etcdctl
from quorate.execute import members
from quorate.execute.members import Member
from quorate.preflight.check import Question, World
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec.cluster import Host, Role
from quorate.spec.upgrade_path import ETCD
from quorate.spec.versions import ETCD_FLAWS, parts, repaired


def _ask(world: World, host: Host) -> str:
    if not (world.upgrades and host.has(Role.ETCD)):
        return ""
    health = f"{etcdctl(host)} --command-timeout=3s endpoint health >/dev/null 2>&1"
    return f"echo asked\n{health} && echo healthy\n{members.questions(host)['member']}"


BEHIND = 10_000
"""Entries of the log that a member may have to apply yet, as the questions are not asked at one moment."""
MEMBER = Question("etcd member", _ask)


def _member(world: World, host: Host) -> Member:
    lines = world.answer(host, MEMBER.name).splitlines()
    status = next((line for line in lines if line.startswith("[")), "")
    return members.told(host, status, healthy="healthy" in lines)


def sound(world: World, host: Host) -> Verdict | None:
    """The member is healthy and votes, without an alarm, of the version of the others or on the way."""
    if not (world.upgrades and host.has(Role.ETCD)):
        return None
    if not world.answer(host, MEMBER.name):
        return unchecked()
    mine = _member(world, host)
    every = [_member(world, each) for each in world.cluster.members]
    if not mine.id:
        return failed("the member does not answer")
    if raised := [alarm for alarm in members.alarms(every) if host.name in alarm.hosts]:
        return failed("; ".join(map(str, raised)))
    if mine.learner:
        return failed("the member is a learner: it does not vote, and can't be counted on while another restarts")
    if not mine.healthy:
        return failed("the member is not healthy")
    if (late := max(member.applied for member in every) - mine.applied) > BEHIND:
        return failed(f"the member is {late} entries of the log behind")
    if host == world.cluster.members[0] and (joining := _learners(world)):
        return failed(f"a member of no host of ours is a learner: {', '.join(joining)}")
    others = {member.version for member in every if member.version} - {mine.version}
    return _flawed(world, mine.version) or _mixed(world, mine.version, others) or passed(mine.version)


def _learners(world: World) -> list[str]:
    """Those that no host of the file runs."""
    ours = {host.ip for host in world.cluster.members}
    found = (each for each in world.context.facts.members if each.learner and address(each) not in ours)
    return [each.name or address(each) for each in found]


def _flawed(world: World, version: str) -> Verdict | None:
    flaw = next((flaw for flaw in ETCD_FLAWS if flaw.never and version in flaw.releases), None)
    if flaw is None:
        return None
    first, fixed = world.context.stops[0].move, repaired(version)
    same_line = first.part == ETCD and parts(first.version)[:2] == parts(version)[:2]
    if same_line and repaired(first.version) == first.version:
        return warned(f"etcd {version} {flaw.fault}; {first.version} comes before all else")
    return failed(
        f'etcd {version} {flaw.fault}: write etcd: "{fixed}" or a later one of its line under `versions`, with the '
        "Kubernetes that runs, and apply that first"
    )


def _mixed(world: World, version: str, others: set[str]) -> Verdict | None:
    if not others:
        return None
    on_way = {world.context.releases.get("etcd", ""), *(stop.move.versions["etcd"] for stop in world.context.stops)}
    text = f"etcd {version}, other members {', '.join(sorted(others, key=parts))}"
    if {version, *others} <= on_way:
        return warned(f"{text}: an upgrade goes on there")
    return failed(f"{text}, and the way begins at {world.context.releases.get('etcd', 'none')}")
