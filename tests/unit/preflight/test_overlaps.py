"""Overlaps: addresses, routes and name servers of hosts, against pods, services, the virtual IP and each other."""

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import own_net
import pytest
from own_net import Net, needs_root
from preflight_world import GOOD, judged, world

from quorate.execute.facts import parse, script
from quorate.preflight.links import ADDRESSES
from quorate.report.findings import Status
from quorate.spec.cluster import Network
from quorate.spec.facts import Facts, Resolver, Route
from quorate.spec.rules import network as rules

P, F, WARN = Status.PASSED, Status.FAILED, Status.WARNED
KERNEL = Route(IPv4Network("10.0.9.0/24"), dev="eth0", proto="kernel")
DEFAULT = Route(IPv4Network("0.0.0.0/0"), "10.0.9.1", "eth0")


def route(to: str, via: str = "10.0.9.1", dev: str = "eth0", **more: str) -> Route:
    return Route(IPv4Network(to), via, dev, **more)


def seen(*given: str | Route, host: str = "n1", has: dict[str, Any] | None = None, **more: Any) -> tuple[Status, str]:
    """What is said of a host with more addresses (`ADDRESS LINK`), routes and name servers (`server ADDRESS`)."""
    lines, routes, servers = [GOOD[host]["addresses"]], [KERNEL, DEFAULT], ["10.0.9.53"]
    for number, each in enumerate(given, 3):
        if isinstance(each, Route):
            routes.append(each)
        elif each.startswith("server "):
            servers.append(each.split()[1])
        else:
            address, link = each.split()
            lines.append(f"{number}: {link}    inet {address} scope global {link}")
    known = {"routes": tuple(routes), "resolvers": (Resolver("/etc/resolv.conf", tuple(servers)),), **(has or {})}
    balancers = {name: {"routes": (KERNEL, DEFAULT)} for name in ("b1", "b2")}
    answers = {**GOOD, host: {"addresses": "\n".join(lines)}}
    found = judged(world(answers=answers, facts={**balancers, host: known}, **more), "overlaps", host)
    assert found
    return found


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("10.244.5.1/24 eth1", "10.244.5.1/24 on eth1 is in network.pod_cidr 10.244.0.0/16"),
        ("10.96.7.8/32 lo", "10.96.7.8/32 on lo is in network.service_cidr 10.96.0.0/16"),
        ("10.1.2.3/8 eth1", "10.1.2.3/8 on eth1 contains network.pod_cidr"),
        ("10.244.3.1/24 docker0", "10.244.3.1/24 on docker0 is in"),
        ("10.244.3.1/24 flannel.1", "10.244.3.1/24 on flannel.1 is in"),
        (route("10.244.0.0/16"), "the route 10.244.0.0/16 via 10.0.9.1 dev eth0 is in network.pod_cidr"),
        (route("10.96.4.0/24", "", "wg0", table="52"), "the route 10.96.4.0/24 dev wg0 table 52 is in"),
        (
            route("10.244.7.0/26", "", "", proto="bird", nowhere="blackhole"),
            "the route blackhole 10.244.7.0/26 is in network.pod_cidr",
        ),
        ("server 10.96.0.53", "the name server 10.96.0.53 (/etc/resolv.conf) is in network.service_cidr"),
        ("server 10.96.0.10", "the name server 10.96.0.10"),
        ("server 10.244.1.1", "the name server 10.244.1.1"),
        ("10.0.9.12/32 eth1", "10.0.9.12, the address of m2, is on eth1 here"),
        ("10.0.9.100/32 lo", "10.0.9.100, the virtual IP, is on lo here"),
    ],
    ids=str,
)
def test_what_must_not_be(given: str | Route, words: str) -> None:
    status, said = seen(given)
    assert status is F, said
    assert words in said
    # A cluster that runs can't change its networks any more: it is told.
    if given != "server 10.96.0.10":
        assert seen(given, established=True) == (WARN, said)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            route("10.240.0.0/12"),
            "10.240.0.0/12 via 10.0.9.1 dev eth0 contains network.pod_cidr 10.244.0.0/16: what is",
        ),
        (
            route("10.0.0.0/8", "", "", nowhere="unreachable"),
            "the route unreachable 10.0.0.0/8 contains network.pod_cidr 10.244.0.0/16: what is",
        ),
        (route("10.0.9.96/28", "10.0.9.7"), "10.0.9.100 goes by the route 10.0.9.96/28 via 10.0.9.7 dev eth0"),
        (route("10.0.9.100/32", "", "eth1"), "its balancer b1 (10.0.9.16) by 10.0.9.0/24 dev eth0"),
        ("10.0.9.200/25 eth1", "10.0.9.14/24 on eth0 and 10.0.9.200/25 on eth1 overlap"),
        ("10.0.8.1/22 br0", "10.0.8.1/22 on br0 takes m1 (10.0.9.11/24) for a neighbour"),
    ],
    ids=str,
)
def test_what_is_doubtful(given: str | Route, words: str) -> None:
    status, said = seen(given)
    assert status is WARN, said
    assert words in said


@pytest.mark.parametrize(
    "given",
    [
        "10.88.0.5/24 eth1",
        "172.17.0.1/16 docker0",
        "10.96.0.1/32 kube-ipvs0",
        "server 127.0.0.53",
        "server fd00::53",
        route("10.0.0.0/8"),
        route("10.0.0.0/8", "", "wg0"),
        route("128.0.0.0/1", "", "tun0"),
        route("172.31.0.0/16"),
    ],
    ids=str,
)
def test_what_is_no_mistake(given: str | Route) -> None:
    assert seen(given)[0] is P, seen(given)


def test_what_the_cluster_made_itself() -> None:
    runs, other = {"running": frozenset({"kubelet.service"})}, Network(cni="none")
    assert seen("10.244.3.1/24 flannel.1", network=other)[0] is F, "left behind by somebody"
    assert seen("10.244.3.1/24 flannel.1", network=other, has=runs)[0] is P, "of an apply that did not end"
    assert seen("10.244.3.1/24 flannel.1", network=other, established=True)[0] is P
    assert seen(route("10.244.4.0/24", "10.0.9.15", proto="bird"), network=other, established=True)[0] is P
    assert seen("10.244.3.1/24 flannel.1", established=True)[0] is WARN
    assert seen("server 10.96.0.10", established=True)[0] is P, "the cluster's own"
    there = world(answers={**GOOD, "n1": {"addresses": f"{GOOD['n1']['addresses']}\n3: cni0    inet 10.244.1.1/24 x"}})
    for part, status in {"10.244.1.0/24": P, "10.244.2.0/24": F}.items():
        given = replace(there.context, facts=replace(there.context.facts, pod_cidrs={"n1": part}))
        assert (judged(replace(there, context=given), "overlaps", "n1") or (None,))[0] is status


def test_a_network_is_offered_that_nothing_overlaps() -> None:
    said = seen("10.244.5.1/24 eth1", "172.30.1.1/24 eth2", "192.168.7.7/24 eth3")[1]
    assert said.endswith("; free on all hosts is 10.128.0.0/16")


def test_a_new_host_counts_in_a_cluster_that_runs() -> None:
    assert seen("10.244.5.1/24 eth1", established=True, has={"machine_id": "new"})[0] is F


def test_what_the_file_names_outside_of_the_cluster() -> None:
    def faults(**more: Any) -> list[str]:
        found = world(**more).cluster
        return [f"{'.'.join(map(str, each.where))}: {each.rule}" for each in rules.named(found)]

    from quorate.spec.cluster import Dns, Os, Runtime
    from quorate.spec.sections import Proxy

    assert not faults(os=Os(proxy=Proxy(url="http://proxy.example:3128")))
    assert faults(os=Os(proxy=Proxy(url="http://10.96.0.5:3128"))) == [
        "os.proxy.url: 10.96.0.5 is in service_cidr 10.96.0.0/16"
    ]
    mirrors = {"docker.io": ("https://mirror.example", "http://10.244.0.9:5000")}
    assert faults(runtime=Runtime(registry_mirrors=mirrors)) == [
        "runtime.registry_mirrors.docker.io.1: 10.244.0.9 is in pod_cidr 10.244.0.0/16"
    ]
    assert faults(os=Os(ntp_servers=("ntp.example", "10.96.0.7"))) == [
        "os.ntp_servers.1: 10.96.0.7 is in service_cidr 10.96.0.0/16"
    ]
    images = {"runtime": Runtime(pause_image="10.96.0.9:5000/pause:3.9"), "dns": Dns(image="coredns/coredns:1.11")}
    assert faults(**images) == ["runtime.pause_image: 10.96.0.9 is in service_cidr 10.96.0.0/16"]
    # A registry may be a service; who asks it then waits until there are pods.
    assert not faults(runtime=Runtime(insecure_registries=("10.96.0.9:5000",)))


@needs_root
def test_a_real_host_says_all_of_it(tmp_path: Path) -> None:
    """A second NIC, a VPN's table, a static route and a LAN that is wider than the pods in it."""
    given = world()
    host = given.cluster.host("n1")
    with own_net.own_net(Net, tmp_path) as net:
        net.sh(
            f"ip link add eth0 type veth peer name p0; ip link add eth1 type veth peer name p1\n"
            f"ip addr add {host.ip}/24 dev eth0; ip addr add 10.244.5.1/24 dev eth1\n"
            "for d in lo eth0 p0 eth1 p1; do ip link set $d up; done\n"
            "ip route add default via 10.0.9.1; ip route add 10.96.3.0/24 via 10.0.9.7\n"
            "ip route add blackhole 10.96.200.0/26\n"
            "ip route add 10.244.6.0/24 via 10.0.9.8 table 52; ip route add 10.244.1.0/24 via 10.0.9.15 proto 109"
        )
        facts, said = parse(net.sh(script(given.cluster, host))), net.sh(ADDRESSES.sh(given, host))
    facts = replace(facts, resolvers=())
    context = replace(given.context, facts=Facts({**given.context.facts.hosts, "n1": facts}))
    seen = replace(given, context=context, answers={**GOOD, "n1": {"addresses": said}})
    status, words = judged(seen, "overlaps", "n1") or (None, "")
    assert status is F
    assert words == (
        "10.244.5.1/24 on eth1 is in network.pod_cidr 10.244.0.0/16; "
        "the route 10.244.6.0/24 via 10.0.9.8 dev eth0 table 52 is in network.pod_cidr 10.244.0.0/16; "
        "the route 10.96.3.0/24 via 10.0.9.7 dev eth0 is in network.service_cidr 10.96.0.0/16; and 1 more; "
        "free on all hosts is 172.30.0.0/16"
    )
    wide = replace(seen, context=replace(context, cluster=world(network=Network(
        pod_cidr=IPv4Network("10.0.128.0/17"))).cluster), answers={**GOOD, "n1": {
            "addresses": f"2: eth0    inet {host.ip}/16 scope global eth0"}})  # fmt: skip
    assert "/16 on eth0 contains network.pod_cidr 10.0.128.0/17" in (judged(wide, "overlaps", "n1") or ("", ""))[1]
