"""Workers in several subnets: refused, or routed by the gateways that the file names, with the real ip."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import own_net
import pytest
from own_net import Net, needs_root

from quorate.component import cni
from quorate.component.context import Context
from quorate.component.keeper import check_of
from quorate.execute.facts import parse, script
from quorate.plan import guard
from quorate.render.sh import quote
from quorate.resource.file import File
from quorate.resource.unit import Ready
from quorate.spec import rules
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts, Route
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table

ADDRESSES = {"m": "10.77.1.11", "w1": "10.77.1.21", "w2": "10.77.2.21"}
GATEWAYS = {"10.77.1.0/24": "10.77.1.1", "10.77.2.0/24": "10.77.2.1"}


def cluster(addresses: dict[str, str] = ADDRESSES, **network: object) -> Cluster:
    hosts = [
        {"name": name, "address": address, "roles": ["control-plane", "etcd"] if name == "m" else ["worker"]}
        for name, address in addresses.items()
    ]
    return Cluster.model_validate({"name": "c", "hosts": hosts, "network": network})


def context(given: Cluster, said: dict[str, str] | None = None) -> Context:
    """The hosts, of which some tell their routes."""
    found = {
        name: parse("".join(f"route={line}\n" for line in text.splitlines())) for name, text in (said or {}).items()
    }
    cidrs = {"w1": "10.244.1.0/24", "w2": "10.244.2.0/24"}
    blobs = Supply(binaries=dict.fromkeys(cni.PLUGINS, None))  # type: ignore[arg-type]
    return Context(given, Facts(found, cidrs), blobs, Secrets({}, {}), table("1.36"))


def faults(given: Cluster, *, runs: bool = False) -> list[str]:
    return [f"{'.'.join(map(str, each.where))}: {each.rule}" for each in rules.check(given, runs=runs, offline=True)
            if "pods" in each.rule or "gateways" in each.where]  # fmt: skip


def test_the_file_is_refused_unless_it_names_the_gateways() -> None:
    (said,) = faults(cluster())
    assert "m in 10.77.1.0/24 and w2 in 10.77.2.0/24 have no way to each other's pods (taking each as /24)" in said
    assert not faults(cluster(), runs=True), "a cluster that runs knows better: plan asks the hosts"
    assert not faults(cluster(cni="none"))
    assert not faults(cluster({**ADDRESSES, "w2": "10.77.1.22"}))
    assert not faults(cluster(gateways=GATEWAYS))
    assert not faults(cluster(gateways={"10.77.0.0/22": "10.77.0.1"})), "one subnet, as wide as it is"
    assert "hosts.2.address: is in no subnet" in faults(cluster(gateways={"10.77.1.0/24": "10.77.1.1"}))[0]
    for wrong, words in {
        ("10.77.1.0/24", "10.77.2.1"): "no machine's address in 10.77.1.0/24",
        ("10.77.1.0/24", "10.77.1.255"): "no machine's address in 10.77.1.0/24",
        ("10.77.1.0/24", "10.77.1.11"): "is host m",
        ("10.77.2.0/23", "10.77.2.1"): "overlaps with 10.77.2.0/24",
        ("10.244.0.0/24", "10.244.0.1"): "overlaps with pod_cidr",
    }.items():
        assert words in "\n".join(faults(cluster(gateways={**GATEWAYS, wrong[0]: wrong[1]}))), wrong
    assert "has no effect" in faults(cluster(cni="none", gateways=GATEWAYS))[0]


WIRE = "default via 10.77.1.1 dev eth0\n10.77.1.0/24 dev eth0 proto kernel scope link src 10.77.1.21"


def said(given: Context) -> str:
    return "\n".join(map(str, guard.refusals(given, {})))


def test_a_plan_is_refused_where_the_hosts_say_so() -> None:
    refused = said(context(cluster(), {"w1": WIRE}))
    assert "host w1: w2, 10.77.2.21, is behind 10.77.1.1, not on its wire" in refused
    assert "network.gateways" in refused
    # One wire that the file can't know: a /22, or a second address of the host.
    wide = WIRE.replace("10.77.1.0/24 dev", "10.77.0.0/22 dev")
    flat = cluster(gateways={"10.77.0.0/22": "10.77.0.1"})
    assert not said(context(flat, dict.fromkeys(ADDRESSES, wide)))
    both = f"{WIRE}\n10.77.2.0/24 dev eth1 proto kernel scope link src 10.77.2.99"
    assert "host w1" not in said(context(cluster(), {"w1": both}))
    # Where the file calls one what is two.
    assert "host w1: w2" in said(context(flat, {"w1": WIRE}))
    # The gateway itself must be on the wire, too.
    assert not said(context(cluster(gateways=GATEWAYS), dict.fromkeys(("m", "w1"), WIRE)))
    odd = WIRE.replace("10.77.1.0/24 dev", "10.77.1.16/28 dev").replace("via 10.77.1.1 ", "via 10.77.1.17 ")
    assert "the gateway 10.77.1.1 is behind 10.77.1.17" in said(context(cluster(gateways=GATEWAYS), {"w1": odd}))
    # Who tells no routes has at least the subnet of its address.
    assert "w2, 10.77.2.21, is outside of 10.77.1.0/24" in said(context(cluster(), {"w1": ""}))
    assert not said(context(cluster(cni="manifest"), {"w1": WIRE}))


def test_the_plan_says_what_the_gateways_must_know() -> None:
    given = context(cluster(gateways=GATEWAYS))
    must = "must lead 10.244.1.0/24 to 10.77.1.21, 10.244.2.0/24 to 10.77.2.21"
    assert list(guard.notes(given))[-2:] == [
        f"the router 10.77.1.1 of 10.77.1.0/24 {must}",
        f"the router 10.77.2.1 of 10.77.2.0/24 {must}",
    ]
    known = replace(given, established=given.cluster)
    assert not [note for note in guard.notes(known) if "router" in note]


def test_routes_are_read() -> None:
    lines = (
        "default proto static \\\tnexthop via 10.0.0.1 dev a weight 1 \\\tnexthop via 10.0.0.2 dev b weight 1",
        "10.9.0.0/16 dev wg0 table 52 scope link",
        "10.0.0.5 via 10.0.0.9 dev a proto static metric 5",
        "nonsense",
    )
    assert context(cluster(), {"m": "\n".join(lines)}).of(cluster().hosts[0]).routes == (
        Route(IPv4Network("0.0.0.0/0"), "10.0.0.1", "a", "static"),
        Route(IPv4Network("10.9.0.0/16"), "", "wg0", "", "52"),
        Route(IPv4Network("10.0.0.5/32"), "10.0.0.9", "a", "static"),
    )


@pytest.fixture
def nets(tmp_path: Path) -> Iterator[dict[str, Net]]:
    """Two workers in subnets of their own, each with a pod's address, and a router between them."""
    with ExitStack() as stack:
        made = {}
        for name in ("router", "w1", "w2"):
            (tmp_path / name).mkdir()
            made[name] = stack.enter_context(own_net.own_net(Net, tmp_path / name))
        made["router"].sh("echo 1 >/proc/sys/net/ipv4/ip_forward; iptables -w -S >/dev/null")
        for n in (1, 2):
            there = made[f"w{n}"]
            made["router"].sh(
                f"ip link add to{n} type veth peer name eth0 netns /proc/{there.holder}/ns/net; ip link set to{n} up\n"
                f"ip addr add 10.77.{n}.1/24 dev to{n}"
            )
            there.sh(
                f"ip link set lo up; ip addr add 10.77.{n}.21/24 dev eth0; ip link set eth0 up\n"
                f"ip route add default via 10.77.{n}.1; echo 1 >/proc/sys/net/ipv4/ip_forward\n"
                f"ip link add {cni.BRIDGE} type bridge; ip addr add 10.244.{n}.1/24 dev {cni.BRIDGE}\n"
                f"ip link set {cni.BRIDGE} up"
            )
            made["router"].sh(f"ip route add 10.244.{n}.0/24 via 10.77.{n}.21")
        yield made


REFUSED = """\
import socket
try:
    socket.create_connection(("10.244.2.1", 9), 2, ("10.244.1.1", 0))
except ConnectionRefusedError:
    raise SystemExit(0)
"""
"""A packet from pod to pod and one back: nobody listens there."""


@needs_root
def test_pods_reach_each_other_by_the_gateways(nets: dict[str, Net]) -> None:
    # What real hosts say is what the guard judges by.
    plain = cluster()
    told = {name: parse(nets[name].sh(script(plain, plain.host(name)))) for name in ("w1", "w2")}
    refused = said(replace(context(plain), facts=Facts(told)))
    assert "host w1: w2, 10.77.2.21, is behind 10.77.1.1" in refused
    assert "host w2: w1, 10.77.1.21, is behind 10.77.2.1" in refused
    given = replace(context(cluster(gateways=GATEWAYS)), facts=Facts(told, context(plain).facts.pod_cidrs))
    assert "w1" not in said(given)
    for name in ("w1", "w2"):
        resources = list(cni.resources(given, given.cluster.host(name)))
        files = {each.path: each.content for each in resources if isinstance(each, File)}
        (nets[name].folder / "routes").write_text(files[cni.ROUTES])
        (nets[name].folder / "routes.check").write_text(files[check_of(cni.ROUTES)])
        (nets[name].folder / "routes.list").write_text(files[cni.LIST])
        nets[name].begin("/bin/sh", str(nets[name].folder / "routes"))
        (ready,) = [each for each in resources if isinstance(each, Ready)]
        whole = ready.check.replace(cni.ROUTES, str(nets[name].folder / "routes"))
        assert nets[name].within(20, lambda name=name, whole=whole: nets[name].sh(whole, check=False) == "0")  # type: ignore[misc]
    ask = f"{sys.executable} -c {quote(REFUSED)}"
    assert nets["w1"].within(15, lambda: nets["w1"].sh(ask, check=False) == "0")
