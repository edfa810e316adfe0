"""Where the virtual IP lives, who is asked whether VRRP passes, and what an apply says of two holders."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest
from staging import compile_cluster
from worlds import secrets, supply

from quorate.component import vrrp as part
from quorate.component.context import Context
from quorate.core import Key
from quorate.execute import held
from quorate.execute.facts import parse
from quorate.preflight import vip as judges
from quorate.preflight.check import World
from quorate.report.findings import Status
from quorate.resource.package import Packages
from quorate.resource.system import Setting
from quorate.spec import rules
from quorate.spec import vip as place
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Address, Facts, HostFacts
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table

VIP = IPv4Address("10.77.1.100")
RUNS = frozenset({"keepalived.service"})
ROLES = ["control-plane", "etcd", "load-balancer"]


def cluster(endpoint: Mapping[str, Any] | None = None, first: Mapping[str, Any] | None = None, **more: Any) -> Cluster:
    hosts = [
        {"name": "m1", "address": "10.77.1.11", "roles": ROLES, **(first or {})},
        {"name": "m2", "address": "10.77.1.12", "roles": ROLES},
        {"name": "m3", "address": "10.77.1.13", "roles": [*ROLES[:2], "worker"]},
    ]
    given = {"vip": str(VIP), "port": 8443, **(endpoint or {})}
    return Cluster.model_validate({"name": "c", "hosts": hosts, "endpoint": given, **more})


def has(*addresses: str) -> HostFacts:
    """`eth0 10.77.1.11/24` and so on."""
    pairs = (each.split() for each in addresses)
    return HostFacts(addresses=tuple(Address(name, IPv4Interface(address)) for name, address in pairs))


OWN = "eth0 10.77.1.11/24"


@pytest.mark.parametrize(
    ("endpoint", "first", "facts", "wanted"),
    [
        ({}, {}, HostFacts(), ("eth0", "eth0", 32)),
        ({}, {}, has(OWN), ("eth0", "eth0", 32)),
        ({"prefix": 24}, {}, has(OWN), ("eth0", "eth0", 32)),
        ({}, {}, has(OWN, "eth0 10.77.1.100/24"), ("eth0", "eth0", 32)),
        # The virtual IP is no address of the host's own.
        ({"prefix": 24}, {}, has("eth0 10.77.1.11/32", "eth0 10.77.1.100/24"), ("eth0", "eth0", 24)),
        ({}, {}, has("eth0 10.77.1.11/32"), ("eth0", "eth0", 32)),
        ({"prefix": 16}, {}, has("eth0 10.77.1.11/30"), ("eth0", "eth0", 16)),
        ({"interface": "eth1", "prefix": 24}, {}, has(OWN, "eth1 10.88.20.11/24"), ("eth1", "eth0", 24)),
        ({"interface": "eth1", "prefix": 24}, {}, has(OWN, "eth1 10.77.1.211/24"), ("eth1", "eth0", 32)),
        ({"interface": "eth1"}, {"interface": "eth0"}, has(OWN), ("eth1", "eth0", 32)),
        ({"interface": "eth1"}, {"vip_interface": "bond0.7"}, has(OWN), ("bond0.7", "eth0", 32)),
        ({}, {"interface": "eth0"}, has("br0 10.77.1.11/24", OWN), ("eth0", "eth0", 32)),
        ({}, {"interface": "eth1"}, has(OWN), ("eth1", "eth0", 32)),
    ],
)
def test_interface_carrier_and_prefix(
    endpoint: dict[str, Any], first: dict[str, Any], facts: HostFacts, wanted: tuple[str, str, int]
) -> None:
    c = cluster(endpoint, first)
    host = c.host("m1")
    found = place.interface(c, host, facts), place.carrier(c, host, facts), place.prefix(c, host, facts, VIP, [VIP])
    assert found == wanted


def test_a_virtual_ip_on_another_interface_is_a_good_file() -> None:
    for endpoint, first in (
        ({"vip": "10.88.20.100", "interface": "eth1", "prefix": 24}, {}),
        ({"vip": "10.88.20.100", "interface": "eth1"}, {"interface": "eth0"}),
        ({"vip": "10.88.20.100", "interface": "eth1"}, {"vip_interface": "eth2"}),
    ):
        c = cluster(endpoint, first)
        assert [fault for rule in rules.RULES for fault in rule.check(c)] == []


def test_router_ids_differ_within_a_network_and_a_running_one_stays() -> None:
    ids = {place.computed(IPv4Address(f"10.77.1.{last}")) for last in range(1, 255)}
    assert len(ids) == 254
    assert ids <= set(range(1, 256))
    c = cluster()
    assert place.router_id(c, {}) == place.computed(VIP) != place.router_id(cluster({"vip": "10.77.1.101"}), {})
    assert place.router_id(c, {"m2": HostFacts(router_id=109)}) == 109
    assert place.router_id(cluster(load_balancer={"virtual_router_id": 7}), {"m2": HostFacts(router_id=109)}) == 7


def test_facts_tell_addresses_and_the_number_that_runs() -> None:
    found = parse("address=lo 127.0.0.1/8\naddress=eth0 10.77.1.11/24\naddress=ppp0 10.9.9.9\nrouter_id=109\n")
    assert [str(each.address) for each in found.addresses] == ["127.0.0.1/8", "10.77.1.11/24", "10.9.9.9/32"]
    assert (found.router_id, parse("").router_id) == (109, None)


def context(running: Mapping[str, bool], c: Cluster | None = None, **changes: Any) -> Context:
    facts = {name: HostFacts(running=RUNS if runs else frozenset()) for name, runs in running.items()}
    given = Context(c or cluster(), Facts(facts), Supply(), Secrets({}, {}), table("1.36"))
    return replace(given, **changes)


def asked(given: Context) -> dict[str, str]:
    """Who is to hear whom."""
    found = {}
    for host in given.cluster.hosts:
        for resource in part.resources(given, host):
            if isinstance(resource, Packages):
                continue
            assert isinstance(resource, Setting)
            found[host.name] = resource.desired["heard"]
    return found


def test_all_balancers_ask_as_long_as_one_does_not_run() -> None:
    assert asked(context({})) == {"m1": "m2", "m2": "m1"}
    assert asked(context({"m1": True})) == {"m1": "m2", "m2": "m1"}
    assert asked(context({"m1": True, "m2": True})) == {}
    assert asked(context({}, absent=frozenset({"m2"}))) == {}


def test_no_keepalived_starts_before_all_have_heard() -> None:
    given = context({})
    facts = replace(given.facts, pod_cidrs={"m3": "10.244.0.0/24"})
    whole = replace(given, facts=facts, supply=supply("1.36.3", "containerd", True), secrets=secrets(given.cluster))
    compiled = compile_cluster(whole)
    for name in ("m1", "m2"):
        seen, queue = set(), [Key(name, "unit", "keepalived.service")]
        while queue:
            key = queue.pop()
            if key not in seen:
                seen.add(key)
                queue += compiled.needs[key]
        for other in ("m1", "m2"):
            assert Key(other, "setting", "VRRP") in seen
            assert Key(other, "packages", "virtual IP") in compiled.needs[Key(name, "setting", "VRRP")]


class Hosts:
    """Balancers that hold the address and hear each other, or do not."""

    def __init__(self, holders: set[str], silent: Mapping[str, str]) -> None:
        self.holders, self.silent = holders, silent

    async def run(self, host: str, script: str, **_: object) -> str:
        if "echo asked" in script:
            return f"asked\n2: eth0    inet {VIP}/32 scope\n" if host in self.holders else "asked\n"
        if "vrrp_instance" in script:
            return f"number 109\nsilent {self.silent[host]}\n" if host in self.silent else "number 109\n"
        return "the last lines"

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("holders", "silent", "absent", "wanted"),
    [
        ({"m1"}, {}, (), ""),
        (
            {"m1", "m2"},
            {"m2": "10.77.1.11"},
            (),
            "10.77.1.100 is on m1 and m2: m2 hears no VRRP of m1 (10.77.1.11); let IP protocol 112",
        ),
        ({"m1", "m2"}, {}, (), "10.77.1.100 is on m1 and m2, though VRRP passes between them now"),
        (set(), {}, (), "10.77.1.100 is on no balancer; keepalived says:\nm1: the last lines"),
        (set(), {}, ("m2",), ""),
    ],
)
async def test_an_apply_ends_with_one_holder(
    monkeypatch: pytest.MonkeyPatch, holders: set[str], silent: dict[str, str], absent: tuple[str, ...], wanted: str
) -> None:
    monkeypatch.setattr(held, "PAUSE", 0)
    given = context({}, absent=frozenset(absent))
    found = await held.proof(given, Hosts(holders, silent))()
    assert [text[: len(wanted)] for text in found.values()] == ([wanted] if wanted else [])


def world(said: Mapping[str, Mapping[str, str]]) -> World:
    return World(context({}), answers=said)


def test_preflight_tells_who_is_not_heard_and_what_it_can_not_know() -> None:
    both = world({"m1": {"VRRP": "heard 10.77.1.12"}, "m2": {"VRRP": "silent 10.77.1.11\nforeign"}})
    m1, m2 = both.cluster.balancers
    ended = [judges.passes(both, each) for each in (m1, m2)]
    assert [each and each.status for each in ended] == [Status.PASSED, Status.FAILED]
    assert ended[1]
    assert "m1 (10.77.1.11)" in ended[1].detail
    lacking = judges.passes(world({"m1": {"VRRP": ""}, "m2": {"VRRP": "silent 10.77.1.11"}}), m2)
    assert lacking
    assert lacking.status is Status.UNCHECKED
    clash = judges.router_id(both, m2)
    assert clash
    assert clash.status is Status.WARNED
    number = place.computed(VIP)
    router = judges.router_id(world({"m1": {"virtual IP": f"virtual MAC 10.77.1.1 {number:02x}"}}), m1)
    assert router
    assert router.status is Status.WARNED
    assert "10.77.1.1" in router.detail
