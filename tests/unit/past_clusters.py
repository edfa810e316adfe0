"""Clusters with a past, as inputs of `compile`: no host, no key worth anything."""

from collections.abc import Mapping
from ipaddress import IPv4Address

from worlds import secrets, supply

from quorate.component.context import Context
from quorate.core import Key
from quorate.plan.compile import Compiled
from quorate.resource.resource import Resource
from quorate.spec.cluster import Cluster, Endpoint, Host, Role, Versions
from quorate.spec.facts import Facts, HostFacts, Member
from quorate.spec.versions import table
from quorate.state.subnets import Subnets, allocate

M, E, W, L = Role.CONTROL_PLANE, Role.ETCD, Role.WORKER, Role.LOAD_BALANCER
THREE = {"m1": (M, E), "m2": (M, E), "m3": (M, E), "n1": (W,), "n2": (W,), "b1": (L,), "b2": (L,)}
NUMBERS = {name: number for number, name in enumerate([*THREE, "n3", "m4"], 11)}


def cluster(roles: Mapping[str, tuple[Role, ...]], *, vip: str = "10.0.9.100", **more: object) -> Cluster:
    hosts = tuple(
        Host(name=name, address=IPv4Address(f"10.0.9.{NUMBERS[name]}"), roles=has) for name, has in roles.items()
    )
    values: dict[str, object] = {"endpoint": Endpoint(vip=IPv4Address(vip))} | more
    return Cluster(name="c", versions=Versions(kubernetes="1.20.2"), hosts=hosts, **values)  # type: ignore[arg-type]


def without(*names: str) -> dict[str, tuple[Role, ...]]:
    return {name: roles for name, roles in THREE.items() if name not in names}


def member(name: str, *, learner: bool = False, started: bool = True) -> Member:
    number = NUMBERS[name]
    return Member(f"a{number}", name if started else "", f"https://10.0.9.{number}:2380", learner)


def context(
    now: Cluster,
    was: Cluster | None = None,
    *,
    absent: frozenset[str] = frozenset(),
    empty: frozenset[str] = frozenset(),
    replaced: frozenset[str] = frozenset(),
    listed: tuple[Member, ...] | None = None,
) -> Context:
    """A cluster that ran as it was; `empty` are hosts without etcd's data."""
    former = was or now
    names = {host.name for host in (*now.hosts, *former.hosts)} - absent
    members_of_old = {host.name for host in former.members} - empty
    known = listed if listed is not None else tuple(member(host.name) for host in former.members)
    found = {
        name: HostFacts(
            machine_id=f"id-{name}",
            etcd_member=name in members_of_old,
            members=known if name in members_of_old else (),
            running=frozenset(
                {"etcd.service", "kube-apiserver.service", "nginx.service"} if name not in replaced else ()
            ),
        )
        for name in names
    }
    cidrs = allocate(now, Subnets({}, {})).given
    return Context(
        now,
        Facts(found, cidrs),
        supply("1.20.2", "containerd", images=False),
        secrets(now),
        table("1.20.2"),
        established=former,
        former=(former,),
        replaced=replaced,
        absent=absent,
    )


def ids(now: Cluster) -> dict[str, str]:
    return {host.name: f"id-{host.name}" for host in now.hosts}


def ancestors(compiled: Compiled, key: Key) -> set[Key]:
    found: set[Key] = set()
    waiting = [key]
    while waiting:
        for need in compiled.needs[waiting.pop()] - found:
            found.add(need)
            waiting.append(need)
    return found


def resource(compiled: Compiled, key: Key) -> Resource:
    return next(each for each in compiled.ordered if each.key == key)


def named(compiled: Compiled, text: str) -> list[Key]:
    return [key for key in compiled.needs if text in str(key)]
