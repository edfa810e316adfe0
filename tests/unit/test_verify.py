"""Verify: the catalogue, how checks end, what is always put back; hosts are a scripted door."""

import asyncio
import contextlib
import itertools
import re
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

import pytest
from verify_model import Model

from quorate.core import Blob, CommandFailed, TransportError
from quorate.execute import survey
from quorate.render import yaml
from quorate.spec.cluster import Cluster, Endpoint, Host, LoadBalancer, Role
from quorate.verify import api, failover, outage, pods, workload
from quorate.verify.catalog import CHECKS
from quorate.verify.check import Check, Finding, Skip, Status, Wrong, examine
from quorate.verify.env import Env
from quorate.verify.pods import Lab, Pod
from quorate.verify.runner import passed, verify
from quorate.verify.sample import Sample


def cluster(vip: str | None = "10.0.9.100", kind: str = "nginx") -> Cluster:
    def host(name: str, number: int, *roles: Role) -> Host:
        return Host(name=name, address=IPv4Address(f"10.0.9.{number}"), roles=roles)

    balancers = (host("b1", 5, Role.LOAD_BALANCER), host("b2", 6, Role.LOAD_BALANCER)) if vip else ()
    hosts = (
        host("m1", 1, Role.CONTROL_PLANE, Role.ETCD),
        host("w1", 3, Role.WORKER),
        host("w2", 4, Role.WORKER),
        *balancers,
    )
    return Cluster(
        name="c",
        hosts=hosts,
        endpoint=Endpoint(vip=IPv4Address(vip) if vip else None),
        load_balancer=LoadBalancer(kind=kind),  # type: ignore[arg-type]
    )


class Door:
    """A transport that notes every script and answers by a function."""

    def __init__(self, answer: Callable[[str, str], str] = lambda _host, _script: "") -> None:
        self.answer = answer
        self.scripts: list[tuple[str, str]] = []

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        self.scripts.append((host, script))
        await asyncio.sleep(0)
        return self.answer(host, script)

    async def close(self) -> None:
        return

    def sent(self, host: str, part: str) -> bool:
        return any(to == host and part in script for to, script in self.scripts)


def env(door: Door, c: Cluster | None = None) -> Env:
    return Env(c or cluster(), door, "quorate-verify-x")


def test_the_catalogue_begins_with_the_sixteen_in_their_order() -> None:
    ids = [check.id for check in CHECKS]
    assert ids[:16] == [str(number) for number in range(1, 17)]
    assert len(set(ids)) == len(ids)
    assert [check.id for check in CHECKS if check.disruptive] == ["6", "7", "8", "15", "16"]
    assert all(len(check.title) <= 72 for check in CHECKS)


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (None, Status.PASSED, "all good"),
        (Wrong("two\nlines"), Status.FAILED, "two lines"),
        (Skip("nothing to look at"), Status.SKIPPED, "nothing to look at"),
        (CommandFailed("command failed", host="m1", code=7, stderr="a\nb\n"), Status.FAILED, "m1: exit 7: b"),
        (TransportError("no route", host="w1"), Status.FAILED, "w1: no route"),
    ],
)
async def test_how_checks_end(error: Exception | None, status: Status, detail: str) -> None:
    async def run(_env: Env) -> str:
        if error:
            raise error
        return "all good"

    finding = await examine(Check("x", "a title", run), env(Door()))
    assert (finding.id, finding.status, finding.detail) == ("x", status, detail)


async def test_a_bug_in_a_check_is_no_finding() -> None:
    async def run(_env: Env) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await examine(Check("x", "a title", run), env(Door()))


async def test_what_is_shared_is_looked_at_once_and_fails_for_all() -> None:
    calls = []

    async def make(_env: Env) -> int:
        calls.append(1)
        raise Wrong("no")

    one = env(Door())
    found = await asyncio.gather(one.once(make), one.once(make), return_exceptions=True)
    assert [str(each) for each in found] == ["no", "no"]
    assert len(calls) == 1


async def test_findings_come_in_the_order_of_the_catalogue_and_disruptive_ones_last() -> None:
    told: list[str] = []

    def check(id: str, disruptive: bool = False) -> Check:
        async def run(_env: Env) -> str:
            return id

        return Check(id, id, run, disruptive)

    checks = (check("stop", True), check("a"), check("b"))

    def tell(finding: Finding) -> None:
        told.append(finding.id)

    found = await verify(cluster(), Door(), disruptive=True, on_finding=tell, checks=checks)
    assert told == ["a", "b", "stop"]
    assert [finding.id for finding in found] == ["stop", "a", "b"]
    assert passed(found)
    found = await verify(cluster(), Door(), disruptive=False, on_finding=tell, checks=checks)
    assert [finding.id for finding in found] == ["a", "b"]


async def test_namespace_is_deleted_and_stopped_services_start_even_when_a_check_is_a_bug() -> None:
    door = Door()

    async def run(one: Env) -> str:
        await outage.stop(one, one.cluster.host("b1"), ["nginx.service"])
        raise ZeroDivisionError

    checks = (Check("x", "x", run, disruptive=True),)
    with pytest.raises(ZeroDivisionError):
        await verify(cluster(), door, disruptive=True, on_finding=lambda _finding: None, checks=checks)
    assert door.sent("b1", "systemctl start --no-block nginx.service")
    assert door.sent("m1", "delete namespace quorate-verify-")


async def test_a_cancelled_run_puts_back_what_it_stopped() -> None:
    door, stopped = Door(), asyncio.Event()

    async def run(one: Env) -> str:
        await outage.stop(one, one.cluster.host("b1"), ["nginx.service"])
        stopped.set()
        await asyncio.sleep(60)
        return ""

    checks = (Check("x", "x", run, disruptive=True),)
    task = asyncio.create_task(
        verify(cluster(), door, disruptive=True, on_finding=lambda _finding: None, checks=checks)
    )
    await stopped.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    last = [script for host, script in door.scripts if host == "b1"][-1]
    assert "systemctl start --no-block nginx.service" in last
    assert door.sent("m1", "delete namespace quorate-verify-")


async def test_the_guard_is_set_before_the_stop_and_put_away_after_the_start() -> None:
    door = Door()
    one = env(door)
    b1 = one.cluster.host("b1")
    await outage.stop(one, b1, ["nginx.service"])
    script = door.scripts[0][1]
    assert script.startswith("set -e\nsystemd-run ")
    assert script.index("--on-active=180") < script.index("systemctl stop nginx.service")
    guard = one.outages[0].guard
    await outage.start(one, b1)
    assert f"systemctl stop {guard}.timer" in door.scripts[1][1]
    assert one.outages == []


async def test_no_stop_without_a_guard() -> None:
    def answer(_host: str, script: str) -> str:
        if "systemd-run" in script:
            raise CommandFailed("command failed", host="b1", code=1, stderr="systemd-run: not found")
        return ""

    one = env(Door(answer))
    with pytest.raises(CommandFailed):
        await outage.stop(one, one.cluster.host("b1"), ["nginx.service"])
    assert one.outages == []


async def test_what_can_not_be_started_again_is_told() -> None:
    def answer(_host: str, script: str) -> str:
        if "reset-failed" in script:
            raise TransportError("no route", host="b1")
        return ""

    async def run(one: Env) -> str:
        await outage.stop(one, one.cluster.host("b1"), ["nginx.service"])
        return ""

    told: list[Finding] = []
    checks = (Check("x", "x", run, disruptive=True),)
    found = await verify(cluster(), Door(answer), disruptive=True, on_finding=told.append, checks=checks)
    assert found == told
    assert not passed(found)
    assert [(each.id, each.status) for each in told] == [("x", Status.PASSED), ("restored", Status.FAILED)]
    assert "within 180 s" in told[1].detail


async def test_without_balancers_and_workers_checks_are_skipped_with_a_reason() -> None:
    master = Host(name="m1", address=IPv4Address("10.0.9.1"), roles=(Role.CONTROL_PLANE, Role.ETCD))
    alone = Cluster(name="c", hosts=(master,))
    reasons = {}
    for check in CHECKS:
        if check.id in {"2", "3", "5", "6", "7", "8", "10", "12", "13", "15", "16", "one-answer", "dns", "9"}:
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
    match = api._LINE.match(line)
    assert (match.group(1, 2) if match else None) == pair


LAB = Lab((Pod("a", "n1", "10.1.0.2"), Pod("b", "n2", "10.1.1.2")), "10.0.0.9", 30080)
GOOD = "a a\nb b\n" + "service a\nservice b\n" * 2


def test_answers_of_pods_are_judged() -> None:
    workload._judge(LAB, "w1", GOOD)
    with pytest.raises(Wrong, match=r"from w1: no answer from b \(10.1.1.2 on n2\)"):
        workload._judge(LAB, "w1", GOOD.replace("b b", "b -"))
    with pytest.raises(Wrong, match=r"no answer from b"):
        workload._judge(LAB, "w1", GOOD.replace("b b", "b a"))
    with pytest.raises(Wrong, match="answers 3 of 4"):
        workload._judge(LAB, "w1", GOOD.replace("service b", "service -", 1))


def test_why_pods_do_not_run() -> None:
    waiting = {"reason": "ErrImagePull", "message": "no such host"}
    pull = {"metadata": {"name": "a"}, "status": {"containerStatuses": [{"state": {"waiting": waiting}}]}}
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}
    unplaced = {"metadata": {"name": "b"}, "status": {"conditions": [condition]}}
    assert pods.why_not([pull]) == "a: ErrImagePull: no such host"
    assert pods.why_not([unplaced]) == "b: Unschedulable: 0/2 nodes"
    assert "kube-controller-manager" in pods.why_not([])


def test_test_objects_are_yaml_in_their_own_namespace() -> None:
    made = pods.objects(env(Door()))
    assert yaml.dump_all(made).count("namespace: quorate-verify-x") == len(made) - 1
    assert pods.wanted(env(Door())) == 3


def test_the_gap_counts_the_beginning_and_the_end() -> None:
    good, bad = True, False
    sample = Sample([(0.0, bad), (1.0, good), (1.5, good), (2.0, bad), (5.0, bad)])
    assert sample.gap == 3.5
    assert sample.failed == 3
    assert str(sample) == "3 of 5 requests lost, longest gap 3.5 s"


@pytest.fixture(autouse=True)
def _nothing_is_asked_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(_env: Env, _urls: list[str]) -> None:
        return None

    monkeypatch.setattr(api, "_from_here", none)


async def run_on(model: Model) -> dict[str, Finding]:
    found = await verify(model.cluster, Door(model), disruptive=False, on_finding=lambda _finding: None)
    return {finding.id: finding for finding in found}


async def test_a_healthy_cluster_passes() -> None:
    model = Model(cluster())
    model.syntax = True
    found = await run_on(model)
    assert {id: each.detail for id, each in found.items() if each.status is not Status.PASSED} == {
        "dns": "no CoreDNS in the cluster: its image could not be had from the artifact source; see dns.image"
    }
    assert all(finding.detail for finding in found.values())


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
        ("independent", "https://10.0.9.1:2379", "https://10.0.9.7:2379", "uses 10.0.9.7, no member"),
        ("one-answer", "02:aa\n", "02:bb\n", "finds 10.0.9.100 at 02:bb"),
        ("reach-from-hosts", "port-10.0.9.4 web-0", "port-10.0.9.4 -", "NodePort 30080 silent at 10.0.9.4"),
        ("reach-from-pods", "api ok\n", "api -\n", "does not answer"),
        ("nameless", '"system:public-info-viewer"', '"cluster-admin"', "x gives cluster-admin to system:unauthent"),
        ("nameless", "403 401 ", "403 200 ", "m1 answers the nameless 403 200"),
        ("kubelet-closed", "401 exit=7", "200 exit=7", "answers 200 to the nameless"),
        ("kubelet-closed", "exit=7 exit=7", "exit=7 exit=0", "port 10255 of w1 is open"),
        ("keys-placed", "pki/kubelet-client.key", "pki/ca.key", "w1 has /etc/kubernetes/pki/ca.key"),
        ("keys-closed", "00 root:root /etc/kubernetes/pki/sa.key", "44 root:root /etc/kubernetes/pki/sa.key", "(0644)"),
        ("sealed", "k8s:enc:secretbox:v1:key1:......\n0", "k8s:v1:Secret\n1", "begins 'k8s:v1:Secret'"),
    ],
)  # fmt: skip
async def test_each_check_sees_its_fault(id: str, old: str, new: str, detail: str) -> None:
    def spoil(host: str, _script: str, text: str) -> str:
        # The MAC of the holder stays: what is spoiled is what the others see.
        return text if old == "02:aa\n" and host == "b1" else text.replace(old, new)

    found = await run_on(Model(cluster(), spoil))
    assert (found[id].status, detail in found[id].detail) == (Status.FAILED, True), found[id]


async def test_a_lost_host_fails_what_needs_it_and_nothing_hangs() -> None:
    def spoil(host: str, _script: str, text: str) -> str:
        if host == "w2":
            raise TransportError("no route", host="w2")
        return text

    found = await run_on(Model(cluster(), spoil))
    assert found["4"].status is Status.PASSED
    assert found["keys-closed"].detail == "w2: no route"


class Drill(Model):
    """The model with services that can be stopped: the VIP goes to where the balancer runs."""

    def __init__(self, c: Cluster, *, stuck: bool = False) -> None:
        super().__init__(c)
        self.stopped: set[tuple[str, str]] = set()
        self.stuck = stuck

    def __call__(self, host: str, script: str) -> str:
        for word, act in (("stop", self.stopped.add), ("start", self.stopped.discard)):
            for unit in survey.units(self.cluster, self.cluster.host(host)):
                if re.search(rf"^systemctl {word} .*{unit}", script, re.M):
                    act((host, unit))
        text = super().__call__(host, script)
        if "ip -4 -o addr show to" in script:
            up = [each.name for each in self.cluster.balancers if (each.name, "nginx.service") not in self.stopped]
            holder = "b1" if self.stuck else up[0]
            return f"2: eth0    inet {self.cluster.endpoint.vip}/24 scope\n" if host == holder else ""
        return text


class Asking(Door):
    """Answers the sampler until it is told to end."""

    async def run(self, host: str, script: str, **more: Any) -> str:
        if (on_line := more.get("on_line")) is not None:
            for tick in itertools.count():
                on_line(f"{tick * 10**8} 200")
                await asyncio.sleep(0.001)
        return await super().run(host, script, **more)


@pytest.mark.parametrize("stuck", [False, True])
async def test_the_vip_is_moved_and_put_back(stuck: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "CALM", 0.01)
    monkeypatch.setattr(failover, "MOVE", 0.5)
    model = Drill(cluster(), stuck=stuck)
    model.syntax = True
    checks = [check for check in CHECKS if check.id in {"6", "7", "8"}]
    door = Asking(model)
    found = await verify(cluster(), door, disruptive=True, on_finding=lambda _finding: None, checks=checks)
    seen = {finding.id: (finding.status, finding.detail) for finding in found}
    assert door.sent("b1", "systemctl stop nginx.service")
    assert model.stopped == set()
    if stuck:
        assert seen["6"][0] is Status.FAILED
        assert "after nginx.service stopped on b1, 10.0.9.100 is on b1" in seen["6"][1]
    else:
        assert {status for status, _ in seen.values()} == {Status.PASSED}, seen
        assert seen["6"][1].startswith("10.0.9.100 from b1 to b2 within 0.")


async def test_a_sick_cluster_is_not_hurt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "HEALTHY", 0.0)
    model = Drill(cluster())
    model.spoil = lambda _host, _script, text: text.replace("kubelet.service yes", "kubelet.service no")
    door = Door(model)
    checks = [check for check in CHECKS if check.id == "6"]
    (finding,) = await verify(cluster(), door, disruptive=True, on_finding=lambda _finding: None, checks=checks)
    assert finding.status is Status.FAILED
    assert "kubelet on w1 is silent" in finding.detail
    assert not any("systemctl stop" in script for _, script in door.scripts)
