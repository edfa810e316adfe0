"""Labels and taints of nodes: which keys are taken, who sets them, what becomes of those that the file has no more."""

import subprocess
from pathlib import Path

import pytest
from past_clusters import THREE, W, ancestors, cluster, context
from staging import compile_cluster

from quorate.core import Key, SpecError
from quorate.plan.step import difference
from quorate.resource.kube import NodeMarks
from quorate.spec.cluster import Cluster, Taint
from quorate.spec.load import load

MARKS = Key("m1", "node", "n1")
FILE = """\
name: c
hosts:
  - {name: m1, address: 10.0.9.11, roles: [control-plane, etcd]}
  - {name: n1, address: 10.0.9.12, roles: [worker], labels: {LABELS}, taints: [TAINTS]}
"""


def taken(folder: Path, *, labels: str = "", taints: str = "") -> list[str]:
    """What is wrong with them."""
    path = folder / "cluster.yaml"
    path.write_text(FILE.replace("{LABELS}", f"{{{labels}}}").replace("TAINTS", taints))
    try:
        load(path)
    except SpecError as error:
        return [f"{each.field} {each.rule}" for each in error.problems]
    return []


@pytest.mark.parametrize(
    "key",
    [
        "disk",
        "Under_Score.And-Dash",
        "example.org/Disk_2",
        f"{'x' * 70}.org/a-label-of-dns-is-shorter",
        f"{'x' * 253}/the-longest",
        "node-role.kubernetes.io/worker",
        "node-role.kubernetes.io/a.b_c",
        "node-restriction.kubernetes.io/tenant",
        "topology.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/zone",
        "node.kubernetes.io/exclude-from-external-load-balancers",
        "kubelet.kubernetes.io/pool",
        "node.kubernetes.io/instance-type",
        "beta.kubernetes.io/instance-type",
        "scheduling.k8s.io/pool",
        "site.k8s.io/rack",
        "kubernetes.io/site",
        "feature.node.kubernetes.io/cpu-cpuid.AVX512F",
        "nvidia.com/gpu.present",
    ],
)
def test_any_valid_key_is_taken(tmp_path: Path, key: str) -> None:
    assert not taken(tmp_path, labels=f"'{key}': x")


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("kubernetes.io/hostname", "the kubelet itself writes"),
        ("kubernetes.io/arch", "the kubelet itself writes"),
        ("beta.kubernetes.io/os", "the kubelet itself writes"),
        (f"{'x' * 254}/y", "254 characters, the API takes 253"),
        ("Example.org/x", "must be a label key"),
        ("a..b/x", "must be a label key"),
        ("x/y/z", "must be a label key"),
        ("/x", "must be a label key"),
        ("example.org/", "must be a label key"),
        ("-x", "must be a label key"),
        ("x" * 64, "must be a label key"),
    ],
)
def test_what_would_not_last_or_is_none_is_refused_with_the_reason(tmp_path: Path, key: str, why: str) -> None:
    (told,) = taken(tmp_path, labels=f"'{key}': x")
    assert why in told


def test_taints_of_administrators_are_taken_and_those_of_controllers_not(tmp_path: Path) -> None:
    assert not taken(tmp_path, taints="{key: node-role.kubernetes.io/control-plane}")
    assert not taken(tmp_path, taints="{key: node.kubernetes.io/out-of-service, value: x, effect: NoExecute}")
    for key in ("node.kubernetes.io/disk-pressure", "node.cloudprovider.kubernetes.io/uninitialized"):
        assert "sets and clears itself" in str(taken(tmp_path, taints=f"{{key: {key}}}"))


def marked(labels: dict[str, str], *taints: Taint) -> Cluster:
    plain = cluster(THREE)
    hosts = [h.model_copy(update={"labels": labels, "taints": taints}) if h.name == "n1" else h for h in plain.hosts]
    return plain.model_copy(update={"hosts": tuple(hosts)})


def of(now: Cluster, was: Cluster) -> NodeMarks | None:
    compiled = compile_cluster(context(now, was))
    found = next((each for each in compiled.ordered if each.key == MARKS), None)
    assert found is None or isinstance(found, NodeMarks)
    return found


def test_the_administrator_sets_what_a_kubelet_may_not_when_the_node_is_there() -> None:
    role = {"node-role.kubernetes.io/worker": "", "disk": "ssd"}
    compiled = compile_cluster(context(marked(role)))
    assert {Key("n1", "ready", "node"), Key("m1", "ready", "kube-apiserver")} <= ancestors(compiled, MARKS)
    unit = next(b for b in compiled.ordered if b.key == Key("n1", "file", "/etc/systemd/system/kubelet.service"))
    assert "--node-labels=disk=ssd" in unit.content  # type: ignore[attr-defined]
    assert "node-role" not in unit.content  # type: ignore[attr-defined]
    plain = cluster(THREE)
    assert of(plain, plain) is None


def test_what_the_file_has_no_more_goes_and_what_others_set_stays() -> None:
    hot, cold = Taint(key="example.org/hot", value="1"), Taint(key="cold", effect="NoExecute")
    marks = of(marked({"disk": "hdd"}, cold), marked({"disk": "ssd", "rack": "7"}, hot, cold))
    assert marks is not None
    actual = marks.parse(
        "label disk=ssd\nlabel rack=7\nlabel team=a\ntaint example.org/hot:NoSchedule=1\n"
        "taint cold:NoExecute=\ntaint node.kubernetes.io/unschedulable:NoSchedule=\n"
    )
    assert actual is not None
    assert difference(marks.desired, actual) == {
        "label disk": ("=ssd", "=hdd"),
        "label rack": ("=7", "none"),
        "taint example.org/hot:NoSchedule": ("=1", "none"),
    }
    (action,) = marks.converge(actual)
    labels, taints = action.script.splitlines()
    assert "label --overwrite node n1 disk=hdd rack- " in labels
    assert "taint --overwrite node n1 example.org/hot:NoSchedule- " in taints
    assert "team" not in action.script
    after = marks.parse("label disk=hdd\nlabel team=a\ntaint cold:NoExecute=\n")
    assert after is not None
    assert not difference(marks.desired, after)
    assert marks.parse("") is None, "nothing is known while the API is away"


def test_a_taint_that_is_missing_is_set_again() -> None:
    marks = of(marked({}, Taint(key="a", value="b"), Taint(key="c")), cluster(THREE))
    assert marks is not None
    actual = marks.parse("label kubernetes.io/os=linux\n")
    assert actual is not None
    (action,) = marks.converge(actual)
    assert "taint --overwrite node n1 a=b:NoSchedule c:NoSchedule " in action.script
    assert subprocess.run(["sh", "-n"], input=action.script, text=True, check=False).returncode == 0


def test_a_host_that_is_no_node_any_more_is_not_asked() -> None:
    was = marked({"disk": "ssd"})
    assert of(cluster({**THREE, "n1": (W,)}), was) is not None
    now = cluster({name: roles for name, roles in THREE.items() if name != "n1"})
    assert of(now, was) is None
