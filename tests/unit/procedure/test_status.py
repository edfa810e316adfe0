"""Status and survey: what hosts print becomes values, and what is wrong is named."""

import base64
import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from host_answers import NOW, said

from quorate.cli.output import Output
from quorate.cli.status import print_status
from quorate.core import Blob, QuorateError, TransportError
from quorate.execute.survey import Service, View, parse, survey, units
from quorate.pki.issue import issue_ca, new_key
from quorate.procedure import rules
from quorate.procedure.kubeconfig import operator_kubeconfig
from quorate.procedure.status import gone, judge
from quorate.render.drain import MARK
from quorate.spec.cluster import Cluster, Endpoint, Host, LoadBalancer, Role, Runtime
from quorate.state.store import Store

ROLES = {
    "m1": (Role.CONTROL_PLANE, Role.ETCD),
    "m2": (Role.CONTROL_PLANE,),
    "w1": (Role.WORKER, Role.ETCD),
    "w2": (Role.WORKER, Role.ETCD),
    "b1": (Role.LOAD_BALANCER,),
    "b2": (Role.LOAD_BALANCER,),
}


def cluster(**more: object) -> Cluster:
    hosts = tuple(
        Host(name=name, address=IPv4Address(f"10.0.9.{number}"), roles=roles)
        for number, (name, roles) in enumerate(ROLES.items(), 1)
    )
    values: dict[str, object] = {"endpoint": Endpoint(vip=IPv4Address("10.0.9.100")), **more}
    return Cluster(name="c", hosts=hosts, **values)  # type: ignore[arg-type]


def pem(days: int) -> str:
    return issue_ca("some", "c", new_key("ecdsa-p256"), now=NOW, days=days, serial=1).decode()


UNITS = """\
Id=etcd.service
LoadState=loaded
ActiveState=active
ActiveEnterTimestamp=Mon 2026-11-23 13:00:00 UTC
NRestarts=2

Id=kubelet.service
LoadState=not-found
ActiveState=inactive
ActiveEnterTimestamp=
NRestarts=0

Id=kube-proxy.service
LoadState=loaded
ActiveState=failed
ActiveEnterTimestamp=
NRestarts=0
"""


def test_services_are_read() -> None:
    answers = said(units=UNITS, health="etcd.service yes\nkube-proxy.service no\n")
    view = parse(("etcd.service", "kubelet.service", "kube-proxy.service", "nginx.service"), answers, {})
    assert view.services == {
        "etcd.service": Service("active", datetime(2026, 11, 23, 13, 0, tzinfo=UTC), 2, True),
        "kubelet.service": Service("absent"),
        "kube-proxy.service": Service("failed", None, 0, False),
        "nginx.service": Service("absent"),
    }
    assert [service.ok for service in view.services.values()] == [True, False, False, False]


def test_addresses_files_servers_and_certificates_are_read() -> None:
    one, two = pem(10), pem(20)
    answers = said(
        addresses="1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 10.0.9.100/24 scope global eth0\n",
        files="600 root:root /etc/kubernetes/pki/a.key\n644 etcd:etcd /etc/etcd/pki/with space.crt\n",
        certificates=f"file /etc/kubernetes/pki/a.crt\n{one}file /etc/kubernetes/pki/broken.crt\nrubbish\n",
        users=f"/etc/kubernetes/x.kubeconfig {base64.b64encode(two.encode()).decode()}\n/y.kubeconfig !!\n",
        servers="/etc/kubernetes/x.kubeconfig https://10.0.9.1:6443\n",
        etcd="https://10.0.9.1:2379,https://10.0.9.3:2379\n",
        upstreams="10.0.9.1:6443\n",
    )
    view = parse((), answers, {"own": "x"})
    assert view.now == NOW
    assert view.addresses == {"127.0.0.1", "10.0.9.100"}
    assert view.files["/etc/kubernetes/pki/a.key"] == ("0600", "root:root")
    assert view.files["/etc/etcd/pki/with space.crt"] == ("0644", "etcd:etcd")
    assert [each.path for each in view.certificates] == ["/etc/kubernetes/pki/a.crt", "/etc/kubernetes/x.kubeconfig"]
    assert view.servers == {"/etc/kubernetes/x.kubeconfig": "https://10.0.9.1:6443"}
    assert view.etcd_servers == ("https://10.0.9.1:2379", "https://10.0.9.3:2379")
    assert view.left_out == ("10.0.9.1:6443",)
    assert view.more == {"own": "x"}


def test_a_host_that_says_nothing_is_no_crash() -> None:
    view = parse(("etcd.service",), dict.fromkeys(said(), ""), {})
    assert view.services == {"etcd.service": Service("absent")}


def test_units_follow_the_roles() -> None:
    c = cluster(load_balancer=LoadBalancer(kind="haproxy"), runtime=Runtime(kind="docker"))
    assert units(c, c.host("b1")) == (
        *("haproxy.service", "quorate-pulse.service", "keepalived.service", "quorate-address.service"),
    )
    assert units(c, c.host("w1"))[:2] == ("etcd.service", "docker.service")
    assert "keepalived.service" not in units(cluster(endpoint=Endpoint(address="api.example")), c.host("b1"))


class Silent:
    """A door behind which nobody answers, or all answer nothing."""

    def __init__(self, *lost: str) -> None:
        self.lost = lost

    async def run(self, host: str, script: str, *, blob: Blob | None = None, **_more: object) -> str:
        if host in self.lost:
            raise TransportError("no route", host=host)
        return ""

    async def close(self) -> None:
        return


async def test_lost_hosts_are_named_and_the_others_looked_at() -> None:
    views, lost = await survey(cluster(), Silent("w1"))
    assert lost == {"w1": "no route"}
    assert set(views) == set(ROLES) - {"w1"}


def member(number: int, leader: int) -> str:
    status = {"header": {"member_id": number, "revision": 7}, "version": "3.4.23", "dbSize": 1138688, "leader": leader}
    return json.dumps([{"Endpoint": "x", "Status": status}])


def healthy(c: Cluster) -> dict[str, View]:
    conditions = [{"type": "Ready", "status": "True"}]
    nodes = [
        {"metadata": {"name": host.node}, "status": {"conditions": conditions, "nodeInfo": {"kubeletVersion": "v1"}}}
        for host in c.workers
    ]
    leases = [
        {"metadata": {"name": name}, "spec": {"holderIdentity": f"{holder}_6f1e"}}
        for name, holder in (("kube-controller-manager", "m2"), ("kube-scheduler", "m1"))
    ]
    views = {}
    for number, host in enumerate(c.hosts, 1):
        more = {"member": member(number, 3)} if host in c.members else {}
        if host in c.masters:
            more |= {"nodes": json.dumps({"items": nodes}), "leases": json.dumps({"items": leases})}
        services = {unit: Service("active", NOW, 0, True) for unit in units(c, host)}
        addresses = frozenset({host.ip, *(["10.0.9.100"] if host.name == "b2" else [])})
        views[host.name] = View(NOW, services, addresses, more=more)
    return views


def test_a_healthy_cluster_has_no_problems() -> None:
    c = cluster()
    found = judge(c, healthy(c), {})
    assert found.problems == ()
    assert found.ok
    assert [each.host for each in found.members if each.leader] == ["w1"]
    assert found.leases == {"kube-controller-manager": "m2", "kube-scheduler": "m1"}
    assert found.vip_owners == ("b2",)
    assert {node.name for node in found.nodes} == {"w1", "w2"}
    assert json.loads(json.dumps(found.as_dict()))["etcd"][1]["leader"] is True
    assert ("b2", "virtual IP", "held", "10.0.9.100") in found.rows()


def test_everything_wrong_is_named() -> None:
    c = cluster()
    views = healthy(c)
    del views["w2"]
    b1 = views["b1"]
    views["b1"] = View(NOW, {**b1.services, "nginx.service": Service("failed")}, frozenset({"10.0.9.100"}))
    m1 = views["m1"].services
    silent = Service("active", NOW, 0, False)
    certificate = parse((), said(certificates=f"file /a.crt\n{pem(3)}"), {}).certificates
    more = dict(views["m1"].more) | {"nodes": "", "leases": "not json"}
    views["m1"] = View(NOW, {**m1, "kube-apiserver.service": silent}, certificates=certificate, more=more)
    found = judge(c, views, {"w2": "no route"})
    assert set(found.problems) == {
        "w2: unreachable: no route",
        "b1: nginx is failed",
        "m1: kube-apiserver is not answering",
        "10.0.9.100 is held by b1, b2",
        "m1: /a.crt ends in 3 days",
    }
    assert found.rows()[0] == ("w2", "host", "unreachable", "no route")
    assert found.certificates["m1"].not_after - NOW <= timedelta(days=3)
    assert [each.healthy for each in found.members] == [True, True, False]


def test_the_outlook_counts_lost_hosts_and_services_as_gone() -> None:
    c, views = cluster(), healthy(cluster())
    assert judge(c, views, {}).as_dict()["survives"] == {
        "ok": True,
        "may_fail": 1,
        "fatal": {},
        "text": "survives the loss of any one host",
    }
    without = {name: view for name, view in views.items() if name != "w1"}
    found = judge(c, without, {"w1": "no route"})
    assert found.outlook is not None
    assert found.outlook.text == "w1 is away: losing m1 or w2 would stop writes"
    assert not any("losing" in problem for problem in found.problems)
    down = Service("active", NOW, 0, False)
    views["m1"] = View(NOW, {**views["m1"].services, "etcd.service": down}, more=views["m1"].more)
    assert judge(c, views, {}).as_dict()["survives"]["fatal"] == dict.fromkeys(("w1", "w2"), "stop writes")


def test_a_balancer_is_not_gone_because_api_servers_are() -> None:
    c, views = cluster(), healthy(cluster())
    silent = Service("active", NOW, 0, False)

    def gone_at(*silenced: str) -> set[str]:
        units_of = {
            name: {unit: silent if unit in silenced else service for unit, service in view.services.items()}
            for name, view in views.items()
        }
        said = {name: View(NOW, services) for name, services in units_of.items()}
        return {process for _, process in gone(c, said)}

    assert gone_at("nginx.service") == {"nginx"}
    assert gone_at("nginx.service", "kube-apiserver.service") == {"kube-apiserver"}


def test_no_answer_of_any_api_server_is_a_problem() -> None:
    c = cluster()
    views = {name: View(view.now, view.services, view.addresses) for name, view in healthy(c).items()}
    problems = judge(c, views, {}).problems
    assert "no API server tells about its nodes" in problems
    assert "etcd has no leader" in problems


def test_kubeconfig_is_the_administrators_at_the_endpoint(tmp_path: Path) -> None:
    c, store = cluster(), Store(tmp_path / "state")
    with pytest.raises(QuorateError, match="no key of the administrator"):
        operator_kubeconfig(c, store)
    assert not (tmp_path / "state").exists()
    store = Store(tmp_path / "state")
    store.secrets(c, datetime.now(UTC), persist=True)
    text = operator_kubeconfig(c, Store(tmp_path / "state"))
    assert "https://10.0.9.100:6443" in text
    assert "kubernetes-admin@c" in text


def test_missing_rules_are_a_problem_and_the_ports_are_told() -> None:
    c, views = cluster(), healthy(cluster())
    w1 = views["w1"]
    gone = "the firewall does not let the cluster in: INPUT does not lead to QUORATE-INPUT\n"
    views["w1"] = View(NOW, w1.services, w1.addresses, more=dict(w1.more) | {"rules": gone})
    found = judge(c, views, {})
    assert [each for each in found.problems if each.startswith("w1: the firewall does not let the cluster in")]
    assert not found.ok
    plain = found.as_dict()
    assert plain["missing_rules"] == {"w1": [gone.strip()]}
    assert "2380/tcp from 10.0.9.4, 10.0.9.5 (etcd peers)" not in plain["ports"]["b1"]
    assert "VRRP from 10.0.9.6 (VRRP of the balancers)" in plain["ports"]["b1"]
    assert not [each for ports in plain["ports"].values() for each in ports if "SSH" in each]


def test_status_runs_the_checks_that_lie_on_the_host(tmp_path: Path) -> None:
    ask = rules.ASK.replace("/etc/quorate", str(tmp_path))
    (tmp_path / "firewall").write_text("echo closed")
    (tmp_path / "firewall.check").write_text("echo 'one is missing'; exit 3")
    (tmp_path / "routes.check").write_text(":")
    said = subprocess.run(["sh", "-ec", ask], capture_output=True, text=True, check=True).stdout
    assert rules.parse(said) == ("one is missing",)
    (tmp_path / "firewall.check").unlink()
    assert rules.parse(subprocess.run(["sh", "-ec", ask], capture_output=True, text=True, check=True).stdout) == ()


def test_versions_are_those_of_processes_and_what_is_mixed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    c, views = cluster(), healthy(cluster())
    runs = {"m1": "kube-apiserver Kubernetes v1.37.2", "m2": "kube-apiserver Kubernetes v1.36.3"}
    for name, text in runs.items():
        views[name] = replace(views[name], more={**views[name].more, "running": text})
    found = judge(c, views, {})
    assert found.ok, "an upgrade that is under way is no fault"
    plain = json.loads(json.dumps(found.as_dict()))
    assert plain["versions"]["m1"] == {"kube-apiserver": "1.37.2"}
    assert plain["mixed"] == {
        "kubernetes": {"1.37.2": {"kube-apiserver": ["m1"]}, "1.36.3": {"kube-apiserver": ["m2"]}}
    }
    for leads_to, told in (({"kubernetes": "1.37.2"}, "leads to 1.37.2"), ({}, "no operation is under way")):
        with Output(svg=None, title="") as out, out.console.capture() as shown:
            print_status(out, c, found, leads_to)
        assert "versions            m1: kubernetes 1.37.2" in shown.get()
        assert "mixed               kubernetes 1.36.3: apiserver on m2; 1.37.2: apiserver on m1; " in shown.get()
        assert told in shown.get()


def test_a_node_that_we_cordoned_is_told_apart_from_one_of_somebody_else() -> None:
    c, views = cluster(), healthy(cluster())
    for name in ("m1", "m2"):
        nodes = json.loads(views[name].more["nodes"])
        for item, marks in zip(nodes["items"], ({MARK: "yes"}, {"mine": "x"}), strict=True):
            item["spec"], item["metadata"]["annotations"] = {"unschedulable": True}, marks
        views[name] = replace(views[name], more={**views[name].more, "nodes": json.dumps(nodes)})
    found = judge(c, views, {})
    assert [each for each in found.warnings if each.startswith("node ")] == [
        "node w1 takes no pods since quorate cordoned it: `quorate apply` goes on with it"
    ]
    assert [node["cordoned_by_us"] for node in found.as_dict()["nodes"]] == [True, False]
