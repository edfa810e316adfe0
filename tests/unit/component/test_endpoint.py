"""Every host asks the endpoint: who can't reach it is named with the holder, and holds up nobody else."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import own_net
import pytest
from own_net import Net, needs_root
from past_clusters import THREE, E, ancestors, cluster, context, resource
from preflight_world import GOOD, judged, spoken, world
from staging import compile_cluster

from quorate.component import endpoint
from quorate.core import Key
from quorate.execute.apply import Executor
from quorate.execute.observe import look
from quorate.pki.issue import issue_ca, new_key
from quorate.plan import graph
from quorate.plan.step import Plan, Step
from quorate.report.findings import Status
from quorate.resource.unit import Ready
from quorate.spec.cluster import Cluster, Endpoint
from quorate.transport.local import LocalTransport

VIP, PORT = "10.0.9.100", 8443


def asked(host: str) -> Key:
    return Key(host, "ready", "endpoint")


def test_every_host_asks_and_waits_for_its_own_answer_alone() -> None:
    compiled = compile_cluster(context(cluster({**THREE, "m4": (E,)})))
    assert {host for host in THREE if asked(host) in compiled.needs} == set(THREE)
    assert asked("m4") not in compiled.needs, "a member of etcd alone uses no endpoint"
    kubelet = ancestors(compiled, Key("n1", "unit", "kubelet.service"))
    assert {asked("m1"), asked("n1")} <= kubelet
    assert not {asked("n2"), asked("b1")} & kubelet
    assert asked("m1") in ancestors(compiled, asked("n1"))
    assert Key("b1", "unit", "keepalived.service") in ancestors(compiled, asked("n1"))


def test_balancers_say_who_holds_it() -> None:
    ready = resource(compile_cluster(context(cluster(THREE))), asked("n1"))
    assert isinstance(ready, Ready)
    assert [host for host, _ in ready.witnesses] == ["b1", "b2"]
    outside = compile_cluster(context(cluster(THREE, endpoint=Endpoint(address="api.example"))))
    assert resource(outside, asked("n1")).witnesses == ()  # type: ignore[attr-defined]


SERVER = f"""\
import http.server, ssl, sys
class Ok(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    log_message = lambda *_: None
server = http.server.ThreadingHTTPServer(("0.0.0.0", {PORT}), Ok)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); tls.load_cert_chain(sys.argv[1])
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
HOSTS = {"m1": "10.0.9.11", "n1": "10.0.9.14", "n2": "10.0.9.15"}


@pytest.fixture
def nets(tmp_path: Path) -> Iterator[dict[str, Net]]:
    """m1 with the virtual IP and a server behind it, and two workers on its wire."""
    with ExitStack() as stack:
        made = {name: stack.enter_context(own_net.own_net(Net, tmp_path)) for name in HOSTS}
        made["m1"].sh(f"ip link set lo up; ip link add eth0 type bridge; ip addr add {HOSTS['m1']}/24 dev eth0")
        made["m1"].sh(f"ip addr add {VIP}/32 dev eth0; ip link set eth0 up")
        for name in ("n1", "n2"):
            made["m1"].sh(
                f"ip link add {name} type veth peer name eth0 netns /proc/{made[name].holder}/ns/net\n"
                f"ip link set {name} up master eth0"
            )
            made[name].sh(f"ip link set lo up; ip addr add {HOSTS[name]}/24 dev eth0; ip link set eth0 up")
        key = new_key("ecdsa-p256")
        (tmp_path / "pem").write_bytes(key + issue_ca("x", "x", key, now=datetime.now(UTC), days=1, serial=1))
        made["m1"].begin(sys.executable, "-c", SERVER, str(tmp_path / "pem"))
        answers = f"curl -sk --max-time 1 -o /dev/null https://{VIP}:{PORT}/"
        assert made["n1"].within(20, lambda: made["n1"].sh(answers, check=False) == "0")
        yield made


def small() -> Cluster:
    return Cluster.model_validate(
        {
            "name": "c",
            "endpoint": {"vip": VIP, "port": PORT},
            "hosts": [
                {"name": "m1", "address": HOSTS["m1"], "roles": ["control-plane", "etcd", "load-balancer"]},
                *({"name": name, "address": HOSTS[name], "roles": ["worker"]} for name in ("n1", "n2")),
            ],
        }
    )


def way(net: Net) -> list[str]:
    """Into a host's network, with a /run of its own."""
    script = 'mount -t tmpfs t /run && mkdir /run/quorate && exec "$@"'
    return ["nsenter", f"--net=/proc/{net.holder}/ns/net", "unshare", "-m", "/bin/sh", "-c", script, "-"]


@needs_root
@pytest.mark.parametrize("where", ["port security", "a route of the worker"])
async def test_a_worker_that_the_virtual_ip_does_not_answer(
    nets: dict[str, Net], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(endpoint, "THEN", 2)
    if where == "port security":
        nets["m1"].sh(f"iptables -w -A INPUT -s {HOSTS['n1']} -d {VIP} -j DROP")
    else:
        nets["n1"].sh(f"ip route add unreachable {VIP}")
    given = replace(context(cluster(THREE)), cluster=small(), former=(), established=None)
    resources = [each for host in given.cluster.hosts for each in endpoint.resources(given, host)]
    via = LocalTransport({name: way(net) for name, net in nets.items()})
    states, lost = await look(resources, via)
    assert not lost
    assert [states[each.key] for each in resources] == [{"ready": "yes"}, {"ready": "no"}, {"ready": "yes"}]
    parts = [graph.Part(endpoint.NAME, each.host, (each,)) for each in resources]
    made = graph.edges(parts, {endpoint.NAME: graph.After()})
    steps = {each.key: Step(each, states[each.key]) for each in resources}
    plan = Plan(
        steps, {key: frozenset(made.needs[key]) for key in graph.topological_order(made.needs)}, gates=made.gates
    )
    outcome = await Executor(plan, via, lambda _event: None).run()
    assert set(outcome.failed) == {asked("n1")}
    said = outcome.failed[asked("n1")]
    assert f"this host can't reach https://{VIP}:{PORT}/readyz: curl: (" in said
    mac = nets["m1"].sh("cat /sys/class/net/eth0/address").strip()
    assert f"m1 holds {VIP}, on eth0, {mac}" in said
    assert f"the balancers' own addresses answer: {HOSTS['m1']}" in said
    # And `status` sees it on a cluster that runs.
    assert "silent" in await via.run("n1", endpoint.reaches(given.cluster))
    assert "reached" in await via.run("n2", endpoint.reaches(given.cluster))


def test_preflight_asks_where_the_endpoint_is_there_already() -> None:
    held = f"{GOOD['b2']['addresses']}\n2: eth0    inet {VIP}/32 scope global eth0"

    def seen(how: str, host: str = "n1", holder: str = held, **more: object) -> tuple[Status, str] | None:
        answers = {**spoken(host, "endpoint", f"asked tcp\ntcp {VIP} 6443 {how}"), "b2": {"addresses": holder}}
        return judged(world(answers=answers, **more), "endpoint", host)  # type: ignore[arg-type]

    new = {"n1": {"machine_id": "another"}}
    assert seen("silent") is None, "before the first apply there is none"
    assert seen("open", established=True) == (Status.PASSED, f"{VIP}:6443")
    assert seen("refused", established=True) == (Status.PASSED, f"{VIP}:6443")
    words = f"can't reach {VIP}:6443, which b2 holds"
    assert seen("silent", established=True, facts=new) == (Status.FAILED, f"{words} (no answer)")
    assert seen("barred", established=True, facts=new) == (Status.FAILED, f"{words} (turned away)")
    assert seen("silent", established=True) == (Status.WARNED, f"{words} (no answer)")
    nobody = seen("silent", holder=GOOD["b2"]["addresses"], established=True, facts=new)
    assert nobody == (Status.UNCHECKED, f"nobody holds {VIP} at the moment")
    own = seen("silent", endpoint=Endpoint(local=True), established=True, facts=new)
    assert own is None, "a host's own balancer comes with the host"
    assert seen("silent", endpoint=Endpoint(address="192.0.2.1")) == (
        Status.WARNED,
        "can't reach 192.0.2.1:6443 (no answer)",
    )
