"""A balancer on every node: what hosts get, and how a cluster moves to it from a virtual IP and back."""

import socket
import subprocess
from contextlib import closing
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import staging
from past_clusters import THREE, E, L, M, W, ancestors, cluster, context, resource, without
from staging import compile_cluster

from quorate.component import balancer
from quorate.core import Key
from quorate.execute.survey import health, units
from quorate.operation.change import JOIN, LEAVE
from quorate.plan.compile import Compiled
from quorate.plan.guard import refusals
from quorate.procedure.kubeconfig import outside
from quorate.resource.file import File
from quorate.resource.removal import Removal
from quorate.spec.cluster import Cluster, Endpoint, LoadBalancer
from quorate.spec.facts import HostFacts
from quorate.spec.layout import STATE
from quorate.spec.ports import BALANCER_STATE, Listener, openings
from quorate.spec.processes import listeners
from quorate.spec.survival import Part, Reads, after
from quorate.spec.whatif import weaknesses

NODES = {"m1": (M, E), "m2": (M, E), "m3": (M, E, W), "n1": (W,), "n2": (W,)}
HELD = NODES | {"m1": (M, E, L), "m3": (M, E, W, L)}
"""m1 stays without being a worker, m3 is all at once; only they have balancers of before."""
LOCAL = Endpoint(local=True)
VIP = Endpoint(vip=IPv4Address("10.0.9.100"), port=8443)


def local(**more: object) -> Cluster:
    return cluster(NODES, **{"endpoint": LOCAL, **more})


def held(**more: object) -> Cluster:
    return cluster(HELD, **{"endpoint": VIP, **more})


def text(compiled: Compiled, host: str, path: str) -> str:
    (file,) = (each for each in compiled.ordered if (each.host, each.name) == (host, path))
    assert isinstance(file, File)
    assert isinstance(file.content, str)
    return file.content


def listens(conf: str) -> list[str]:
    """Where clients come in."""
    words = [line.split() for line in conf.splitlines()]
    found = [each[1].rstrip(";") for each in words if each[:1] in (["listen"], ["bind"])]
    return [each for each in found if each != f"127.0.0.1:{BALANCER_STATE}"]


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_each_node_has_one_for_itself_and_nothing_of_a_virtual_ip(kind: str) -> None:
    c = local(load_balancer=LoadBalancer(kind=kind))
    compiled = compile_cluster(context(c))
    conf = balancer.NGINX_CONF if kind == "nginx" else balancer.HAPROXY_CONF
    for host in c.hosts:
        written = text(compiled, host.name, conf)
        assert listens(written)[0] == "127.0.0.1:6444"
        assert "0.0.0.0" not in written
        assert f"{kind}.service" in units(c, host)
        assert "127.0.0.1:6444" in health(c, host)[f"{kind}.service"]
        assert "quorate-watchdog.service" in units(c, host)
        assert f"127.0.0.1:{BALANCER_STATE}" in written
        assert Listener(BALANCER_STATE, "balancer's state", local=True) in listeners(c, host)
        assert f"systemctl kill -s KILL {kind}.service" in text(compiled, host.name, balancer.WATCHDOG)
        unit = text(compiled, host.name, "/etc/systemd/system/quorate-watchdog.service")
        assert "CapabilityBoundingSet=\n" in unit
        needs = ancestors(compiled, Key(host.name, "unit", "quorate-watchdog.service"))
        assert Key(host.name, "file", balancer.WATCHDOG) in needs
        assert not [each for each in openings(c, host) if each.purpose in ("API endpoint", "VRRP of the balancers")]
    assert not {each.name for each in compiled.ordered} & {"keepalived.service", "quorate-pulse.service", "VRRP"}
    for node in ("m3", "n1", "n2"):
        for program in ("kubelet", "kube-proxy"):
            config = text(compiled, node, f"/etc/kubernetes/{program}.kubeconfig")
            assert "server: https://127.0.0.1:6444\n" in config


def test_a_kubelet_waits_for_its_own_balancer_alone() -> None:
    compiled = compile_cluster(context(local()))
    before = ancestors(compiled, Key("n1", "unit", "kubelet.service"))
    assert {Key("n1", "ready", "endpoint"), Key("n1", "ready", "nginx"), Key("m2", "ready", "kube-apiserver")} <= before
    assert not {Key("n2", "ready", "endpoint"), Key("n2", "ready", "nginx"), Key("m1", "ready", "endpoint")} & before


def test_a_cluster_that_moves_to_it_keeps_the_virtual_ip_until_all_have_moved() -> None:
    given = context(local(), held())
    compiled, leave = compile_cluster(given), staging.named(given, LEAVE)
    assert set(listens(text(compiled, "m1", balancer.NGINX_CONF))) >= {"0.0.0.0:8443", "127.0.0.1:6444"}
    assert listens(text(compiled, "n1", balancer.NGINX_CONF)) == ["127.0.0.1:6444"]
    assert listens(text(leave, "m1", balancer.NGINX_CONF)) == ["127.0.0.1:6444"]
    for host in ("m1", "m3"):
        gone = Key(host, "removal", "virtual_ip")
        assert staging.stage_of(given, gone) == LEAVE
        removal = resource(leave, gone)
        assert isinstance(removal, Removal)
        assert "keepalived.service" in {each.name for each in removal.resources}
        assert gone in ancestors(leave, Key(host, "removal", "vrrp")), "its package goes after it"
    removed = {each.name for each in leave.resources if isinstance(each, Removal)}
    assert {"virtual_ip", "vrrp"} <= removed
    assert "balancer" not in removed


def test_the_way_back_is_one_too() -> None:
    given = context(held(), local())
    compiled = compile_cluster(given)
    assert set(listens(text(compiled, "m3", balancer.NGINX_CONF))) >= {"0.0.0.0:8443", "127.0.0.1:6444"}
    assert "127.0.0.1:6444" not in listens(text(staging.named(given, LEAVE), "m3", balancer.NGINX_CONF))
    assert Key("m1", "unit", "keepalived.service") in ancestors(compiled, Key("n1", "unit", "kubelet.service"))
    for host in ("m2", "n1", "n2"):
        assert staging.stage_of(given, Key(host, "removal", "balancer")) == LEAVE


def test_hosts_of_the_balancers_that_leave_go_last() -> None:
    given = context(cluster(without("b1", "b2"), endpoint=LOCAL), cluster(THREE, endpoint=VIP))
    for host in ("b1", "b2"):
        assert staging.stage_of(given, Key(host, "removal", "everything")) == LEAVE


def test_ports_stay_open_as_long_as_somebody_comes_by_them() -> None:
    given = context(local(), held())
    given = replace(
        given,
        facts=replace(
            given.facts,
            hosts={
                name: HostFacts(**{**vars(each), "firewall": "iptables"}) for name, each in given.facts.hosts.items()
            },
        ),
    )
    compiled = compile_cluster(given)
    path = "/etc/quorate/firewall"
    assert "--dport 8443" in text(compiled, "m1", path)
    assert "8443" not in text(staging.named(given, LEAVE), "m1", path)
    assert "8443" not in text(compiled, "m2", path)


def test_one_port_can_t_be_both_on_a_host_that_moves() -> None:
    said = refusals(context(local(endpoint=Endpoint(local=True, local_port=8443)), held()), {})
    assert [each.fix for each in said] == ["write another `endpoint.local_port`"]
    assert "balancers of m1, m3" in said[0].why
    assert not refusals(context(local(), held()), {})
    assert not refusals(context(held(), local()), {})


def test_another_port_of_its_own_is_taken_beside_the_old_one() -> None:
    given = context(local(endpoint=Endpoint(local=True, local_port=6445)), local())
    compiled = compile_cluster(given)
    assert listens(text(compiled, "n1", balancer.NGINX_CONF)) == ["127.0.0.1:6445", "127.0.0.1:6444"]
    assert listens(text(staging.named(given, LEAVE), "n1", balancer.NGINX_CONF)) == ["127.0.0.1:6445"]


def test_an_only_master_that_grows_keeps_its_flags_until_nodes_have_moved() -> None:
    one = cluster({"m1": (M, E), "n1": (W,)}, endpoint=Endpoint())
    three = cluster({"m1": (M, E), "m2": (M, E), "m3": (M, E), "n1": (W,)}, endpoint=LOCAL)
    unit = "/etc/systemd/system/kube-apiserver.service"
    join, leave = (text(staging.named(context(three, one), name), "m1", unit) for name in (JOIN, LEAVE))
    assert join == text(compile_cluster(context(one)), "m1", unit)
    assert leave == text(compile_cluster(context(three)), "m1", unit)
    assert join != leave


def test_what_is_survived() -> None:
    c = local()
    assert c.server_url == "https://10.0.9.11:6443"
    two = frozenset(Part(host, "kube-apiserver") for host in ("m1", "m2"))
    assert after(c, two).reads is Reads.YES
    assert after(c, two).entry_points == ("m3",)
    assert after(c, frozenset({Part("n1", "nginx")})).workers == ("m3", "n2")
    assert after(c, frozenset({Part("m1", "nginx")})).ok
    assert [told for told in weaknesses(c) if "at one master each" in told]


def test_few_balancers_look_often_and_many_less() -> None:
    def script(count: int) -> str:
        hosts = {**NODES, **{f"w{number}": (W,) for number in range(count)}}
        made = Cluster.model_validate(
            {
                "name": "c",
                "endpoint": {"local": True},
                "hosts": [
                    {"name": name, "address": f"10.0.{n // 200}.{n % 200 + 1}", "roles": roles}
                    for n, (name, roles) in enumerate(hosts.items())
                ],
            }
        )
        resources = balancer.resources(replace(context(local()), cluster=made), made.host("n1"))
        return next(each.content for each in resources if isinstance(each, File) and each.path == balancer.UPSTREAMS)  # type: ignore[return-value]

    assert "--rate 8/s" in script(20)
    assert "--rate 4/s" in script(21)
    assert "--rate 1/s" in script(400)


def test_the_operator_gets_a_master_that_answers() -> None:
    with closing(socket.create_server(("127.0.0.2", 0))) as server:
        port = server.getsockname()[1]
        hosts = [
            {"name": f"m{n}", "address": f"127.0.0.{n}", "roles": ["control-plane", "etcd", "worker"]}
            for n in (1, 2, 3)
        ]
        given = {"name": "c", "hosts": hosts, "endpoint": {"local": True}, "apiserver": {"port": port}}
        assert outside(Cluster.model_validate(given)) == f"https://127.0.0.2:{port}"
    assert outside(Cluster.model_validate(given)) == f"https://127.0.0.1:{port}"
    address = Cluster.model_validate(given | {"endpoint": {"local": True, "address": "api.example", "port": 443}})
    assert outside(address) == "https://api.example:443"
    assert address.node_url == "https://127.0.0.1:6444"


def test_keepalived_s_package_goes_if_it_came_with_us(tmp_path: Path) -> None:
    removal = resource(staging.named(context(local(), held()), LEAVE), Key("m1", "removal", "vrrp"))
    (tmp_path / "made").write_text("/somewhere\n")

    def left(packages: str) -> str:
        (tmp_path / "packages").write_text(packages)
        question = removal.probe().question.replace(STATE, str(tmp_path))
        assert isinstance(question, str)
        return subprocess.run(["sh", "-c", question], capture_output=True, text=True, check=True).stdout

    assert left("keepalived\n") == "removed=no\n"
    assert left("nginx\n") == left("") == "removed=yes\n"
