"""Verify's checks: what each makes of a healthy cluster, and of one with a fault; hosts are a scripted door."""

import re
from collections import Counter
from ipaddress import IPv4Address

import pytest
from verify_door import Door, cluster, env
from verify_model import Model

from quorate.core import TransportError
from quorate.render import yaml
from quorate.report.findings import Finding, Status
from quorate.spec.cluster import Cluster, Dns, Endpoint, Host, Metrics, Role, Versions
from quorate.verify import pods, reach, traffic, vip
from quorate.verify.catalog import CHECKS
from quorate.verify.check import examine
from quorate.verify.pods import Lab, Pod
from quorate.verify.runner import verify
from quorate.verify.sample import Sample

pytestmark = pytest.mark.usefixtures("nothing_is_asked_from_here")


async def test_without_balancers_and_workers_checks_are_skipped_with_a_reason() -> None:
    master = Host(name="m1", address=IPv4Address("10.0.9.1"), roles=(Role.CONTROL_PLANE, Role.ETCD))
    alone = Cluster(name="c", hosts=(master,))
    reasons = {}
    for check in CHECKS:
        if check.id in {
            "2",
            "3",
            "5",
            "6",
            "7",
            "8",
            "10",
            "12",
            "13",
            "15",
            "16",
            "one-answer",
            "dns",
            "9",
            "metrics",
            "aggregation",
            "limits",
        }:
            finding = await examine(check, env(Door(), alone))
            reasons[check.id] = (finding.status, finding.detail)
    # The traffic itself fails here, since the scripted hosts answer nothing; the logs are not asked for.
    assert {status for status, _ in reasons.values()} == {Status.SKIPPED}, reasons
    assert reasons["16"][1] == "1 etcd members survive no loss"


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        ("10.0.9.3 10.0.9.1:6443 - [23/Nov/2026:14:27:56 +0000] 200 1280", ("10.0.9.3", "10.0.9.1")),
        ("10.0.9.3 10.0.9.2:6443 - [23/Nov/2026:14:27:56.120] -- 3471", ("10.0.9.3", "10.0.9.2")),
        ("10.0.9.3 - - [23/Nov/2026:14:27:56 +0000] 502 0", None),
        ("Server k8s-apiserver/m1 is DOWN", None),
    ],
)
def test_log_lines_of_both_balancers(line: str, pair: tuple[str, str] | None) -> None:
    match = traffic._LINE.match(line)
    assert (match.group(1, 2) if match else None) == pair


LAB = Lab((Pod("a", "n1", "10.1.0.2"), Pod("b", "n2", "10.1.1.2")), "10.0.0.9", 30080)
GOOD = "a a\nb b\n" + "service a\nservice b\n" * 2


def test_answers_of_pods_are_judged() -> None:
    assert reach.fault(LAB, "w1", GOOD) == ""
    assert reach.fault(LAB, "w1", GOOD.replace("b b", "b -")) == "from w1: no answer from b (10.1.1.2 on n2)"
    assert "no answer from b" in reach.fault(LAB, "w1", GOOD.replace("b b", "b a"))
    assert "answers 3 of 4" in reach.fault(LAB, "w1", GOOD.replace("service b", "service -", 1))


def test_why_pods_do_not_run() -> None:
    waiting = [{"state": {"waiting": {"reason": "ErrImagePull", "message": "no such host"}}}]
    unplaced = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}]
    for status, said in (
        ({"containerStatuses": waiting}, "ErrImagePull: no such host"),
        ({"conditions": unplaced}, "Unschedulable: 0/2 nodes"),
        ({"reason": "Evicted", "message": "DiskPressure"}, "Evicted: DiskPressure"),
    ):
        assert pods.why_not([{"metadata": {"name": "a"}, "status": status}]) == f"a: {said}"
    assert "kube-controller-manager" in pods.why_not([])


def test_test_objects_are_yaml_in_their_own_namespace() -> None:
    made = pods.objects(env(Door()))
    assert yaml.dump_all(made).count("namespace: quorate-verify-x") == len(made) - 1
    assert pods.wanted(cluster()) == 3


def test_the_gap_counts_the_beginning_and_the_end() -> None:
    good, bad = True, False
    sample = Sample(((0.0, bad), (1.0, good), (1.5, good), (2.0, bad), (5.0, bad)))
    assert sample.gap == 3.5
    assert sample.failed == 3
    assert str(sample) == "3 of 5 requests lost, longest gap 3.5 s"


async def run_on(model: Model) -> dict[str, Finding]:
    found = await verify(model.cluster, Door(model), disruptive=False, on_finding=lambda _finding: None)
    return {finding.id: finding for finding in found}


async def test_a_healthy_cluster_passes() -> None:
    model = Model(cluster())
    model.syntax = True
    found = await run_on(model)
    assert {id: each.detail for id, each in found.items() if each.status is not Status.PASSED} == {}
    assert all(finding.detail for finding in found.values())


async def test_what_is_not_in_the_cluster_is_not_run_and_says_why() -> None:
    def without(_host: str, script: str, text: str) -> str:
        return "" if "get service kube-dns" in script or "get apiservice" in script else text

    found = await run_on(Model(cluster(), without))
    assert {id: each.detail for id, each in found.items() if each.status is Status.SKIPPED} == {
        "dns": "no CoreDNS in the cluster: its image could not be had from the artifact source; see dns.image",
        "metrics": "no metrics-server in the cluster: the artifact source does not bring its image; see metrics.image",
        "aggregation": found["metrics"].detail,
    }
    old = cluster().model_copy(update={"versions": Versions(kubernetes="1.20.2")})
    found = await run_on(Model(old, without))
    for id in ("metrics", "aggregation"):
        assert found[id].status is Status.SKIPPED
        assert found[id].detail == "no metrics-server that can be had fits Kubernetes 1.20.2; see metrics.image"
    off = {"metrics": Metrics(enabled=False), "dns": Dns(enabled=False)}
    found = await run_on(Model(cluster().model_copy(update=off), without))
    assert found["metrics"].detail == "metrics.enabled is false in the cluster file"
    named = {"metrics": Metrics(image="r.example/metrics:1"), "dns": Dns(image="r.example/dns:1")}
    found = await run_on(Model(cluster().model_copy(update=named), without))
    assert {found[id].status for id in ("dns", "metrics", "aggregation")} == {Status.FAILED}


def local() -> Cluster:
    return cluster(vip=None).model_copy(update={"endpoint": Endpoint(local=True)})


async def test_where_each_node_has_a_balancer_those_are_asked() -> None:
    model = Model(local())
    model.syntax = True
    found = await run_on(model)
    skipped = {id: each.detail for id, each in found.items() if each.status is not Status.PASSED}
    why = "no virtual IP in the cluster file: each node has a balancer of its own"
    assert skipped == {"5": why, "one-answer": why}
    assert found["1"].detail.startswith("12 of 12 answers from 3 hosts")
    assert found["2"].detail.count("to 10.0.9.1") == 3, "the master's own, too"
    assert found["3"].detail == "API servers by worker: w1 to 1, w2 to 1"
    assert found["independent"].detail == "1 masters each at their own API server, 2 workers at https://127.0.0.1:6444"


@pytest.mark.parametrize(
    ("id", "old", "new", "detail"),
    [
        ("1", 'https://127.0.0.1:6444 "gitVersion"', "https://127.0.0.1:6444 none", "127.0.0.1:6444: 0 of 12"),
        ("2", "10.0.9.1:6443 - [", "10.0.9.9:6443 - [", "no line names 10.0.9.1"),
        ("3", "127.0.0.1 10.0.9.1:6443", "127.0.0.1 10.0.9.2:6443", "no line from w1 to 10.0.9.1; w2 to 10.0.9.1"),
        ("independent", "kubelet.kubeconfig https://127.0.0.1:6444", "kubelet.kubeconfig https://10.0.9.1:6443",
         "kubelet of w1 asks https://10.0.9.1:6443, not https://127.0.0.1:6444"),
    ],
)  # fmt: skip
async def test_faults_where_each_node_has_a_balancer_are_seen(id: str, old: str, new: str, detail: str) -> None:
    found = await run_on(Model(local(), lambda _host, _script, text: text.replace(old, new)))
    assert found[id].status is Status.FAILED
    assert detail in found[id].detail


@pytest.mark.parametrize(
    ("id", "old", "new", "detail"),
    [
        ("1", 'https://10.0.9.100:6443 "gitVersion"', "https://10.0.9.100:6443 none", "10.0.9.100:6443: 0 of 8"),
        ("2", "10.0.9.1:6443 - [", "10.0.9.9:6443 - [", "no line names 10.0.9.1"),
        ("3", "10.0.9.4 10.0.9.1:6443", "10.0.9.3 10.0.9.1:6443", "no line from w2 to 10.0.9.1"),
        ("4", '{"metadata": {"name": "w2"}', '{"metadata": {"name": "w9"}', "not Ready: w2"),
        ("5", "inet 10.0.9.100/24", "inet 10.0.9.101/24", "is on no host"),
        ("9", "200 401", "200 200", "200 200, expected 200 401"),
        ("11", "200 200 200", "200 000 200", "service 10.0.0.9 000"),
        ("12", "serving as web-1", "", "web-1 on w2: empty"),
        ("13", '"nodeName": "w2"', '"nodeName": "w1"', "no pod on w2"),
        ("14", '{"ip": "10.0.9.1"}', '{"ip": "10.0.9.9"}', "['10.0.9.9'], expected ['10.0.9.1']"),
        ("own-address", "m1 ok", "m1 [-]etcd failed", "m1: [-]etcd failed"),
        ("independent", "uler.kubeconfig https://10.0.9.1", "uler.kubeconfig https://10.0.9.2", "not its own"),
        ("independent", "https://127.0.0.1:2382", "https://10.0.9.7:2379", "uses 10.0.9.7, not its way to etcd"),
        ("one-answer", "02:aa\n", "02:bb\n", "finds 10.0.9.100 at 02:bb"),
        ("reach-from-hosts", "port-10.0.9.4 web-0", "port-10.0.9.4 -", "NodePort 30080 silent at 10.0.9.4"),
        ("reach-from-pods", "api ok\n", "api -\n", "does not answer"),
        ("dns", "nobody.quorate", "x.quorate", "expected NXDOMAIN, got"),
        ("dns", "@10.244.1.2 10.96.0.1", "@10.244.1.2 timed out", "at 10.244.1.2: expected 10.96.0.1, got timed out"),
        ("dns", '"clusterIP": "10.96.0.10"', '"clusterIP": "10.0.0.7"', "service kube-dns is at 10.0.0.7"),
        ("metrics", "w2 52m 2% 512Mi 6%", "w2 <unknown> <unknown> <unknown> <unknown>", "w2 <unknown>"),
        ("metrics", "w1 52m 2% 512Mi 6%\n", "", "after"),
        ("aggregation", 'through "usage"', "through", "through the API server of m1"),
        ("aggregation", "without-certificate@10.244.1.9:10250 User system:anonymous cannot list 403",
         "without-certificate@10.244.1.9:10250 List 200",
         "10.244.1.9:10250, asked from m1 as admin-without-certificate: List"),
        ("aggregation", "NodeMetricsList 200", "cannot list 403", "as admin: cannot list 403"),
        ("nameless", '"system:public-info-viewer"', '"cluster-admin"', "x gives cluster-admin to system:unauthent"),
        ("nameless", "403 401 ", "403 200 ", "m1 answers the nameless 403 200"),
        ("kubelet-closed", "401 exit=7", "200 exit=7", "answers 200 to the nameless"),
        ("kubelet-closed", "exit=7 exit=7", "exit=7 exit=0", "port 10255 of w1 is open"),
        ("keys-placed", "pki/kubelet-client.key", "pki/ca.key", "w1 has /etc/kubernetes/pki/ca.key"),
        ("keys-closed", "00 root:root /etc/kubernetes/pki/sa.key", "44 root:root /etc/kubernetes/pki/sa.key", "(0644)"),
        ("sealed", "k8s:enc:secretbox:v1:key1:......\n0", "k8s:v1:Secret\n1", "begins 'k8s:v1:Secret'"),
        ("audited", '"code": 404', '"code": 200', "audit.log says"),
        ("audited", '{"verb": "get", "user": {"username": "quorate-admin", "groups": ["system:masters"]}, '
         '"responseStatus": {"code": 404}}', "", "has no line of a request"),
    ],
)  # fmt: skip
async def test_each_check_sees_its_fault(
    id: str, old: str, new: str, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vip, "LOOK_AGAIN_AFTER_S", 0.0)

    def spoil(host: str, _script: str, text: str) -> str:
        # The MAC of the holder stays: what is spoiled is what the others see.
        return text if old == "02:aa\n" and host == "b1" else text.replace(old, new)

    found = await run_on(Model(cluster(), spoil))
    assert (found[id].status, detail in found[id].detail) == (Status.FAILED, True), found[id]


@pytest.mark.parametrize(("id", "detail"), [("5", "10.0.9.100 on b1"), ("one-answer", "all at b1")])
async def test_an_address_that_is_on_its_way_is_waited_for(
    id: str, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vip, "VIP_ARRIVES_S", 60.0)
    looks = 0

    def spoil(host: str, script: str, text: str) -> str:
        nonlocal looks
        looks += "ip -4 -o addr show to" in script and host == "b1"
        return text if looks > 2 else text.replace("inet 10.0.9.100/24", "")

    found = await run_on(Model(cluster(), spoil))
    assert (found[id].status, detail in found[id].detail) == (Status.PASSED, True), found[id]


@pytest.mark.parametrize("id", ["5", "one-answer"])
@pytest.mark.parametrize(("times", "status"), [(2, Status.PASSED), (1000, Status.FAILED)])
async def test_an_address_seen_on_two_hosts_is_looked_at_again(
    id: str, times: int, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hosts that are asked one after the other both have an address that moves meanwhile; it is on two for good
    where balancers don't hear each other."""
    monkeypatch.setattr(vip, "VIP_ARRIVES_S", 60.0 if status is Status.PASSED else 0.0)
    second = "2: eth0    inet 10.0.9.100/24 scope global\n"
    looks = 0

    def spoil(host: str, script: str, text: str) -> str:
        nonlocal looks
        if host != "b2":
            return text
        direct = "ip -4 -o addr show to" in script
        looks += direct
        if looks > times:
            return text
        return (
            second if direct else re.sub(r"(?m)^2: eth0    inet 10.0.9.\d+/24 scope global$", rf"\g<0>\n{second}", text)
        )

    found = await run_on(Model(cluster(), spoil))
    said = "on b1" if id == "5" else "all at b1"
    wanted = said if status is Status.PASSED else "10.0.9.100 is on b1, b2, expected exactly one"
    assert (found[id].status, wanted in found[id].detail) == (status, True), found[id]


@pytest.mark.parametrize(("times", "status"), [(2, Status.PASSED), (3, Status.FAILED)])
async def test_an_address_that_moves_while_hosts_ask_is_asked_for_again(
    times: int, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other balancer answers, though this one has it; if it goes on to, both have it."""
    monkeypatch.setattr(vip, "LOOK_AGAIN_AFTER_S", 0.0)
    asked: Counter[str] = Counter()

    def spoil(host: str, script: str, text: str) -> str:
        if "ip neigh show" not in script:
            return text.replace("02:aa", "02:bb") if host == "b2" else text
        asked[host] += 1
        return text.replace("02:aa", "02:bb") if asked[host] <= times else text

    found = await run_on(Model(cluster(), spoil))
    assert found["one-answer"].status is status
    assert "all at b1" in found["one-answer"].detail or status is Status.FAILED


async def test_a_lost_host_fails_what_needs_it_and_nothing_hangs() -> None:
    def spoil(host: str, _script: str, text: str) -> str:
        if host == "w2":
            raise TransportError("no route", host="w2")
        return text

    found = await run_on(Model(cluster(), spoil))
    assert found["4"].status is Status.PASSED
    assert found["keys-closed"].detail == "w2: no route"
