"""Seven hosts as a preflight sees them, all well; tests say what differs."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from worlds import secrets, supply

from quorate.component.context import Context, Stop
from quorate.plan.step import Plan, Step
from quorate.preflight.catalog import CHECKS
from quorate.preflight.check import Clock, World
from quorate.report.findings import Status
from quorate.resource.resource import Resource
from quorate.spec.cluster import Cluster, Endpoint, Host, Role, Versions
from quorate.spec.facts import Facts, HostFacts, Resolver
from quorate.spec.upgrade_path import way
from quorate.spec.versions import table
from quorate.spec.versions_data import MINORS

M, E, W, L = Role.CONTROL_PLANE, Role.ETCD, Role.WORKER, Role.LOAD_BALANCER
ROLES: Mapping[str, tuple[str, ...]] = {
    **{"m1": (M, E), "m2": (M, E), "m3": (M, E)},
    **{"n1": (W,), "n2": (W,), "b1": (L,), "b2": (L,)},
}
IP = {name: number for number, name in enumerate(ROLES, 11)}
GOOD: Mapping[str, Mapping[str, str]] = {
    name: {
        "addresses": f"2: eth0    inet 10.0.9.{number}/24 scope global eth0\n"
        "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN\n"
        f"2: eth0@if9: <BROADCAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP\\    link/ether 02:00:{number} brd ff"
    }
    for name, number in IP.items()
}
GB = 10**9


def of_host(name: str) -> HostFacts:
    return HostFacts(
        machine_id=f"id-{name}",
        os_version="12",
        kernel="6.1.0-30-amd64",
        memory_bytes=8 * GB,
        time_sync="chronyd",
        resolvers=(Resolver("/etc/resolv.conf", ("10.0.9.53",)),),
    )


def world(
    *,
    roles: Mapping[str, tuple[str, ...]] = ROLES,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
    answers: Mapping[str, Mapping[str, str]] = GOOD,
    established: bool = False,
    lost: Mapping[str, str] | None = None,
    clocks: Mapping[str, Clock] | None = None,
    **file: Any,
) -> World:
    """`facts` by host, `file` by section of the cluster file; `established` is the same cluster as it was before."""

    def cluster(roles: Mapping[str, tuple[str, ...]], **file: Any) -> Cluster:
        hosts = tuple(
            Host(name=name, address=IPv4Address(f"10.0.9.{IP[name]}"), roles=tuple(Role(role) for role in has))
            for name, has in roles.items()
        )
        values = {"endpoint": Endpoint(vip=IPv4Address("10.0.9.100"))} | file
        return Cluster(name="c", versions=Versions(kubernetes="1.36.0"), hosts=hosts, **values)

    now, was = cluster(roles, **file), cluster(ROLES)
    found = {host.name: replace(of_host(host.name), **(facts or {}).get(host.name, {})) for host in now.hosts}
    context = Context(
        now,
        Facts(found),
        supply("1.36.0", "containerd", images=False),
        secrets(was),
        table("1.36.0"),
        established=was if established else None,
        met=frozenset(ROLES) if established else frozenset(),
    )
    known = {name: f"id-{name}" for name in ROLES} if established else {}
    return World(context, known, Plan({}, {}), lost=lost or {}, answers=answers, clocks=clocks or {})


def upgrading(now: str = "1.35.4", goal: str = "1.36.3", *, etcd: str = "", to_etcd: str = "", **more: Any) -> World:
    """The same cluster as it is about to get other versions; `more` as in `world`."""
    there = world(established=True, **more)
    releases, wanted = (
        {"kubernetes": version, "etcd": of or table(version).etcd} for version, of in ((now, etcd), (goal, to_etcd))
    )
    if not to_etcd:
        wanted["etcd"] = releases["etcd"]
    given = there.context
    stops = tuple(
        Stop(move, given.cluster, given.supply, table(move.versions["kubernetes"]))
        for move in way(releases, wanted, {minor: f"{minor}.1" for minor in MINORS})
    )
    brought = replace(given.supply, versions=wanted)
    return replace(there, context=replace(given, supply=brought, minor=table(goal), releases=releases, stops=stops))


def spoken(host: str, question: str, answer: str) -> Mapping[str, Mapping[str, str]]:
    """What all say when they are well, one answer of one host aside."""
    return {**GOOD, host: {**GOOD[host], question: answer}}


def change(*resources: Resource) -> Plan:
    """A plan that makes these."""
    return Plan({resource.key: Step(resource, {}) for resource in resources}, {})


def judged(found: World, check: str, host: str) -> tuple[Status, str] | None:
    """What one check says about one host."""
    verdict = next(each for each in CHECKS if each.id == check).judge(found, found.cluster.host(host))
    return verdict and (verdict.status, verdict.detail)


def status(found: World, check: str, host: str) -> Status | None:
    """The same without its words."""
    said = judged(found, check, host)
    return said and said[0]
