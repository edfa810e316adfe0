"""The checks that count where versions move: lines as a real API server gives them (tests/transport), and what is made
of them.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from host_answers import NOW
from preflight_world import change, judged, upgrading

from quorate.core import Blob, PlanError
from quorate.pki.issue import issue_ca, new_key
from quorate.plan.step import Plan
from quorate.preflight import upgrade_catalog
from quorate.preflight.check import World
from quorate.preflight.disk import needs
from quorate.preflight.report import Report, judge
from quorate.preflight.runner import parse, script
from quorate.render.cluster_questions import served as asks_served
from quorate.report.findings import Status
from quorate.resource.file import Binary
from quorate.spec.facts import Member

P, F, WARN, U = Status.PASSED, Status.FAILED, Status.WARNED, Status.UNCHECKED
MASTERS = ("m1", "m2", "m3")
HOOK = "ValidatingWebhookConfiguration/guard a.example.com gatekeeper-system/webhook"
MUTATING = "MutatingWebhookConfiguration/inject b.example.com default/there"
USED = 'group="%s",removed_release="%s",resource="%s",subresource="",version="%s"'
PSP = "stored podsecuritypolicies.policy 2"


def served(version: str, *lines: str) -> str:
    """What an API server says of itself; other releases have more fields of its version, in another order."""
    told = json.dumps({"major": "1", "gitVersion": f"v{version}", "goVersion": "go1.26.1"}, indent=2)
    return "\n".join(["asking", told, "", *lines, "asked"])


def used(group: str, version: str, resource: str, gone: str) -> str:
    return "used " + USED % (group, gone, resource, version)


FLOWS = used("flowcontrol.apiserver.k8s.io", "v1beta3", "flowschemas", "1.32")
INGRESS = used("networking.k8s.io", "v1beta1", "ingresses", "1.22")
BUDGET = used("policy", "v1beta1", "poddisruptionbudgets", "1.25")

CASES: list[tuple[str, str, str, Status, str]] = [
    # check, question, its answer, verdict, words of it
    ("nodes", "nodes", "n1 True KubeletReady\nn2 True KubeletReady\nasked", P, "2 Ready"),
    ("nodes", "nodes", "n1 True KubeletReady\nn2 Unknown NodeStatusUnknown\nasked", F, "not Ready: n2 (NodeStatusUnkn"),
    ("nodes", "nodes", "n1\nasked", F, "n1 (no word)"),
    ("nodes", "nodes", "n1 False KubeletNotReady", U, ""),
    ("nodes", "nodes", "", U, ""),
    ("webhooks", "webhooks", f"{HOOK} ready\n{MUTATING}\nasked", P, "2 that fail closed"),
    ("webhooks", "webhooks", "asked", P, "0 that"),
    (
        "webhooks",
        "webhooks",
        f"{HOOK} none\n{MUTATING} ready\nasked",
        F,
        "guard (a.example.com: gatekeeper-system/webho",
    ),
    ("webhooks", "webhooks", f"{HOOK} none", U, ""),
    ("api-services", "API services", "asked", P, ""),
    ("api-services", "API services", "v1beta1.metrics.k8s.io MissingEndpoints\nasked", F, "k8s.io (MissingEndpoints)"),
    ("api-services", "API services", "", U, ""),
    ("crds", "CRDs", "things.x.example v1 served v1 v1beta1\nasked", P, "1 of them"),
    ("crds", "CRDs", "things.x.example v1alpha1 v1 served v1\nasked", F, "things.x.example v1alpha1"),
    ("crds", "CRDs", "things.x.example v1 served\nasked", F, "things.x.example v1"),
    ("crds", "CRDs", "", U, ""),
    ("budgets", "budgets", "asked", P, ""),
    ("budgets", "budgets", "budget default/idle\nasked", P, ""),
    (
        "budgets",
        "budgets",
        "budget a/db\non n1 db-0\npending\nasked",
        WARN,
        "no disruption is allowed: a/db (db-0 on n1)",
    ),
    ("budgets", "budgets", "budget a/db\non n1 db-0", U, ""),
    ("pods", "lost pods", "asked", P, ""),
    (
        "pods",
        "lost pods",
        "bare a/x\ncount bare 1\nasked",
        WARN,
        "1 pod without a controller, which nobody makes anew (a/x)",
    ),
    (
        "pods",
        "lost pods",
        "emptyDir a/x\nemptyDir a/y\nemptyDir a/z\ncount emptyDir 9\nasked",
        WARN,
        "a/x, a/y, a/z, ...)",
    ),
    ("pods", "lost pods", "count bare 1", U, ""),
]


@pytest.mark.parametrize(("check", "question", "answer", "status", "words"), CASES)
def test_what_the_api_server_tells(check: str, question: str, answer: str, status: Status, words: str) -> None:
    """It is asked once, through one host: the others have nothing to say."""
    there = upgrading(answers={"m1": {question: answer}})
    found = judged(there, check, "m1")
    assert found is not None
    assert found[0] is status, found
    assert words in found[1]
    assert judged(there, check, "m2") is None
    assert judged(replace(there, context=replace(there.context, stops=())), check, "m1") is None


def test_every_check_is_seen_to_fail_and_to_pass() -> None:
    """Those that judge more than one answer are below."""
    below = {"api-servers", "etcd-members", "removed-apis", "certificates"}
    for wanted in ({P}, {F, WARN}):
        assert {row[0] for row in CASES if row[3] in wanted} | below == {check.id for check in upgrade_catalog.CHECKS}


def test_where_nothing_can_be_asked_nobody_passes() -> None:
    """Nobody's shell with an empty PATH: nothing hangs, and nothing is told."""
    there = upgrading("1.24.17", "1.25.16")
    for name in ("m1", "n1"):
        text, names = script(there, there.cluster.host(name))
        done = subprocess.run(
            ["/bin/sh", "-c", text],
            env={"PATH": "/nonexistent"},
            user=65534,
            capture_output=True,
            text=True,
            check=True,
        )
        told = replace(there, answers={name: parse(names, done.stdout)[0]})
        for check in upgrade_catalog.CHECKS:
            said = judged(told, check.id, name)
            silent = check.id in ("api-servers", "etcd-members")
            assert said is None or said[0] is (F if silent else U), (check.id, said)


def test_nodes_of_hosts_that_do_not_answer_are_left_as_they_are() -> None:
    said = {"m1": {"nodes": "n1 True KubeletReady\nn2 Unknown NodeStatusUnknown\nasked"}}
    found = judged(upgrading(answers=said, lost={"n2": "no route"}), "nodes", "m1")
    assert found == (WARN, "n2 left as it is: its host does not answer")


def test_what_a_drain_takes_is_asked_only_where_one_comes() -> None:
    for now, comes in (("1.35.4", True), ("1.36.1", False)):
        there = upgrading(now=now)
        _, names = script(there, there.cluster.host("m1"))
        assert ("lost pods" in names, "budgets" in names) == (comes, comes)
        assert (judged(there, "pods", "m1") is not None) is comes


def of_masters(said: Mapping[str, str], **more: str) -> World:
    return upgrading(answers={name: {"API server": text} for name, text in said.items()}, **more)


@pytest.mark.parametrize(
    ("versions", "status", "words"),
    [
        (("1.35.4", "1.35.4", "1.35.4"), P, "1.35.4"),
        (("1.35.4", "1.36.3", "1.35.4"), WARN, "1.35.4, beside 1.36.3"),
        (("1.34.9", "1.35.4", "1.35.4"), F, "is of 1.34.9, the way leads from 1.35.4 to 1.36.3"),
        (("1.37.0", "1.35.4", "1.35.4"), F, "is of 1.37.0"),
        (("1.35.4", "1.37.0", "1.35.4"), F, "another of 1.37.0: more than a minor apart"),
    ],
)
def test_versions_of_api_servers(versions: tuple[str, ...], status: Status, words: str) -> None:
    found = judged(of_masters(dict(zip(MASTERS, map(served, versions), strict=True))), "api-servers", "m1")
    assert found is not None
    assert (found[0], words in found[1]) == (status, True), found


def test_an_api_server_that_does_not_answer() -> None:
    assert judged(of_masters({"m1": "asking"}), "api-servers", "m1") == (F, "its API server does not answer")
    assert judged(of_masters({}), "api-servers", "m1") == (U, "the host does not tell")
    assert judged(of_masters({}), "api-servers", "n1") is None


@pytest.mark.parametrize(
    ("now", "goal", "line", "status", "words"),
    [
        ("1.21.14", "1.22.17", "", P, ""),
        ("1.21.14", "1.22.17", INGRESS, F, "ingresses of networking.k8s.io/v1beta1 (gone from 1.22 on, now networking"),
        ("1.21.14", "1.22.17", BUDGET, P, ""),
        ("1.24.17", "1.25.16", BUDGET, F, "poddisruptionbudgets of policy/v1beta1"),
        # Nothing else is served yet, so that the control plane asks for it, too.
        ("1.20.15", "1.25.16", BUDGET, WARN, "as the control plane does itself"),
        ("1.31.9", "1.32.5", FLOWS, WARN, "flowschemas"),
        ("1.24.17", "1.25.16", PSP, F, "2 podsecuritypolicies.policy are stored, and nothing takes their place"),
        # Not of the table: the API server knows it.
        ("1.35.4", "1.36.3", used("x.k8s.io", "v1beta1", "things", "1.36"), F, "things of x.k8s.io/v1beta1"),
        ("1.35.4", "1.36.3", used("x.k8s.io", "v1beta1", "things", "1.37"), P, ""),
        ("1.35.4", "1.36.3", used("x.k8s.io", "v1beta1", "things", ""), P, ""),
    ],
)
def test_apis_that_go(now: str, goal: str, line: str, status: Status, words: str) -> None:
    there = of_masters({"m2": served(now, *filter(None, [line]))}, now=now, goal=goal)
    found = judged(there, "removed-apis", "m2")
    assert found is not None
    assert (found[0], words in found[1]) == (status, True), found
    assert judged(there, "removed-apis", "m3") == (U, "the host does not tell")


def test_manifests_in_a_version_that_goes_are_told_with_their_writer() -> None:
    there = upgrading(now="1.21.14", goal="1.22.17")
    written = "ingresses/shop/web networking.k8s.io/v1beta1 kubectl-client-side-apply"
    there = replace(there, answers={"m1": {"API server": served("1.21.14"), "written": written}})
    assert judged(there, "removed-apis", "m1") == (
        WARN,
        "last written in a version that goes: ingresses/shop/web as networking.k8s.io/v1beta1 by "
        "kubectl-client-side-apply",
    )
    text, _ = script(there, there.cluster.host("m1"))
    assert "get ingresses.v1.networking.k8s.io -A" in text
    assert "v1beta1.networking" not in text
    assert "podsecuritypolicies" not in text


def member(
    version: str, *errors: str, id: int = 26, healthy: bool = True, learner: bool = False, applied: int = 40_000
) -> str:
    status: dict[str, object] = {"header": {"member_id": id, "revision": 7}, "version": version, "leader": 26}
    status |= {"dbSize": 1, "raftAppliedIndex": applied}
    status |= {"isLearner": True} if learner else {}
    status |= {"errors": list(errors)} if errors else {}
    told = json.dumps([{"Endpoint": "x", "Status": status}])
    return "\n".join(["asked", *(["healthy"] if healthy else []), told])


METRICS = """\
# TYPE apiserver_requested_deprecated_apis gauge
apiserver_requested_deprecated_apis{group="policy",removed_release="1.25",resource="poddisruptionbudgets",\
subresource="",version="v1beta1"} 1
apiserver_requested_deprecated_apis{group="batch",removed_release="1.25",resource="cronjobs",subresource="",\
version="v1beta1"} 0
apiserver_storage_objects{resource="podsecuritypolicies.policy"} 3
apiserver_storage_objects{resource="poddisruptionbudgets.policy"} 4
etcd_object_counts{resource="podsecuritypolicies.policy"} 3
apiserver_storage_objects{resource="podsecuritypolicies.policy"} 0
apiserver_storage_objects{resource="podsecuritypolicies.policy"} -1
"""


def test_of_all_metrics_only_what_is_judged_leaves_the_host() -> None:
    text = f"ask() {{ case $3 in /version) echo v;; *) cat <<'E'\n{METRICS}E\n;; esac; }}\n"
    text += asks_served("ask", ["podsecuritypolicies.policy"])
    done = subprocess.run(["/bin/sh", "-c", text], capture_output=True, text=True, check=True)
    stored = ["stored podsecuritypolicies.policy 3"] * 2
    assert done.stdout.split("\n")[:-1] == ["asking", "v", "", BUDGET, *stored, "asked"]


def of_members(*said: str, **more: str) -> World:
    return upgrading(
        answers={name: {"etcd member": text} for name, text in zip(MASTERS, said, strict=True) if text}, **more
    )


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ((member("3.6.11"),) * 3, P, "3.6.11"),
        ((member("3.6.11", healthy=False), member("3.6.11"), ""), F, "not healthy"),
        ((member("3.6.11", learner=True), "", ""), F, "is a learner"),
        (("asked", "", ""), F, "does not answer"),
        ((member("3.6.11", "memberID:26 alarm:NOSPACE ", healthy=False), "", ""), F, "alarm NOSPACE, raised by m1"),
        ((member("3.6.11", applied=100), member("3.6.11"), ""), F, "39900 entries of the log behind"),
        ((member("3.6.11", applied=31_000), member("3.6.11"), ""), P, "3.6.11"),
        ((member("3.6.11"), member("3.6.16"), ""), WARN, "other members 3.6.16: an upgrade goes on there"),
        ((member("3.6.11"), member("3.5.21"), ""), F, "other members 3.5.21, and the way begins at 3.6.11"),
        (("", "", ""), U, ""),
    ],
)
def test_members(said: tuple[str, ...], status: Status, words: str) -> None:
    found = judged(of_members(*said, etcd="3.6.11", to_etcd="3.6.16"), "etcd-members", "m1")
    assert found is not None
    assert (found[0], words in found[1]) == (status, True), found


def test_a_learner_that_no_host_of_the_file_runs() -> None:
    there = of_members(*(member("3.6.11"),) * 3)
    facts = there.context.facts
    listed = (Member("a", "old", "https://10.0.9.99:2380", True), Member("b", "m2", "https://10.0.9.12:2380", True))
    hosts = {name: replace(each, members=listed) for name, each in facts.hosts.items()}
    there = replace(there, context=replace(there.context, facts=replace(facts, hosts=hosts)))
    assert judged(there, "etcd-members", "m1") == (F, "a member of no host of ours is a learner: old")
    assert judged(there, "etcd-members", "m2") == (P, "3.6.11")


@pytest.mark.parametrize(
    "noise", ["Error executing template: x\n\n\traw data was: {}", "budget", "count\non\nused {", "stored"]
)
def test_noise_breaks_no_judge(noise: str) -> None:
    there = upgrading("1.24.17", "1.25.16")
    questions = {question.name for check in upgrade_catalog.CHECKS for question in check.asks}
    for text in (noise, f"{noise}\nasked"):
        told = replace(there, answers={"m1": dict.fromkeys(questions, text)})
        assert {finding.id for finding in judge(told)} >= {check.id for check in upgrade_catalog.CHECKS}


def test_members_of_a_bad_release_go_to_a_good_one_of_their_line_before_all_else() -> None:
    bad = (member("3.5.4"),) * 3
    first = of_members(*bad, now="1.33.4", goal="1.34.4", etcd="3.5.4", to_etcd="3.5.4")
    found = judged(first, "etcd-members", "m1")
    assert found is not None
    assert found[0] is F
    assert 'write etcd: "3.5.6" or a later one of its line' in found[1]
    for goal in ("3.5.35", "3.6.16"):
        there = of_members(*bad, now="1.33.4", goal="1.33.4", etcd="3.5.4", to_etcd=goal)
        assert judged(there, "etcd-members", "m1") == (
            WARN,
            "etcd 3.5.4 may not start again after a member lost power (etcd issue 14429); 3.5.35 comes before all else",
        )


def test_certificates_last_another_day() -> None:
    text = issue_ca("ca", "test", new_key("ecdsa-p256"), now=NOW, days=1, serial=1).decode()
    clock = int(NOW.timestamp())

    def at(seconds: int) -> tuple[Status, str] | None:
        said = f"{clock + seconds}\nfile /etc/kubernetes/pki/ca.crt\n{text}"
        return judged(upgrading(answers={"n1": {"certificates": said}}), "certificates", "n1")

    soon = at(60)
    assert soon is not None
    assert soon[0] is F
    assert "/etc/kubernetes/pki/ca.crt ends 2026-11-24 14:00 UTC" in soon[1]
    assert at(-3600 * 2) == (P, "the first of 1 ends 2026-11-24")
    assert judged(upgrading(answers={"n1": {"certificates": str(clock)}}), "certificates", "n1") is None
    assert judged(upgrading(answers={}), "certificates", "n1") == (U, "the host does not tell")


def test_an_upgrade_that_has_begun_is_ended() -> None:
    """What it may have caused itself is told, and keeps nobody from going on."""
    ill = {"m1": {"nodes": "n1 False KubeletNotReady\nasked", "API server": "asking"}}
    there = upgrading(answers=ill)
    fresh = Report(judge(there))
    with pytest.raises(PlanError, match="nodes@m1: not Ready: n1"):
        fresh.demand()
    going = Report(judge(replace(there, begun=True)))
    assert {each.id: each.status for each in going.findings}["nodes"] is WARN
    going.demand()


def test_without_an_upgrade_nothing_of_it_is_asked() -> None:
    there = upgrading()
    plain = replace(there, context=replace(there.context, stops=()))
    own = {question.name for check in upgrade_catalog.CHECKS for question in check.asks}
    for host in there.cluster.hosts:
        assert not own & set(script(plain, host)[1])
    there = upgrading("1.24.17", "1.25.16")
    assert own <= {name for host in there.cluster.hosts for name in script(there, host)[1]}
    assert not {check.id for check in upgrade_catalog.CHECKS} & {finding.id for finding in judge(plain)}


def test_room_is_for_the_largest_stage_and_not_for_all_of_them() -> None:
    def stage(size: int) -> Plan:
        return change(Binary(host="m1", path="/opt/bin/x", blob=Blob(Path("x"), "0" * 64, size)))

    there = replace(upgrading(), plan=stage(50), later=(stage(70), stage(60)))
    assert needs(there, there.cluster.host("m1"))["/opt/bin"] == 70
