"""A program that runs is asked whether it would start with new settings before they are placed: real programs."""

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from built import programs
from own_root import Root
from past_clusters import ancestors
from staging import compile_cluster
from worlds import secrets, supply

from quorate.component.context import Context
from quorate.core import CommandFailed, Key
from quorate.execute import batch
from quorate.plan.compile import Compiled
from quorate.resource.file import File
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts, HostFacts
from quorate.spec.layout import BIN, UNITS
from quorate.spec.versions import supported, table
from quorate.state.subnets import Subnets, allocate

BUILT = Path(os.environ["PROGRAMS"]) if os.environ.get("PROGRAMS") else None
SEEN = ("etc/kubernetes", "etc/etcd", "etc/systemd/system", "var/lib/quorate", "run/quorate")
DAEMONS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "etcd")
CONFIGS = ("kubelet", "kube-proxy", "kube-scheduler", "audit-policy", "authentication")
ASKED = (*(f"{UNITS}/{name}.service" for name in DAEMONS), *(f"/etc/kubernetes/{name}.yaml" for name in CONFIGS))
RUNS, STOPPED = "systemctl() { return 0; }\n", "systemctl() { return 3; }\n"


@cache
def plain() -> Compiled:
    return compiled()


def compiled(version: str = supported()[-1], texts: Mapping[str, str] | None = None, **sections: Any) -> Compiled:
    """One host that does everything, as the file has it; rules are not asked."""
    host = {"name": "m1", "address": "10.0.9.11", "roles": ["control-plane", "etcd", "worker"]}
    given = {"name": "c", "versions": {"kubernetes": f"{version}.0"}, "hosts": [host], **sections}
    c = Cluster.model_validate(given)
    kept = supply(c.versions.kubernetes, "containerd", images=True)
    cidrs = allocate(c, Subnets({}, {})).given
    cgroup = "v2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "v1"
    facts = Facts({"m1": HostFacts(machine_id="1", cgroup=cgroup)}, cidrs)
    return compile_cluster(Context(c, facts, kept, secrets(c), table(c.versions.kubernetes), texts or {}))


def files(of: Compiled) -> dict[str, File]:
    found = {each.path: each for each in of.resources if isinstance(each, File)}
    return {path: file for path, file in found.items() if path.startswith(("/etc/kubernetes", "/etc/etcd", UNITS))}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newest programs, in one folder."""
    folder, one = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("bin")
    for part in ("kubernetes", "etcd"):
        for each in programs(part, folder, BUILT, newest=True).values():
            for program in each.iterdir():
                (one / program.name).symlink_to(program)
    if missing := [name for name in DAEMONS if not (one / name).exists()]:
        pytest.skip(f"no {missing[0]} was built here: `quorate build {supported()[-1]}.0` does")
    return one


async def placed(root: Root, file: File, place: Path, systemctl: str) -> None:
    # On a busy machine a program takes its time, and one that takes too long is let through.
    file = replace(file, trial=file.trial.replace("timeout 20 ", "timeout 50 "))
    for action in file.converge({}):
        await root.via.run("h", systemctl + batch.upload(action).replace(f"{BIN}/", f"{place}/"))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A host on which all files lie, as if everything ran."""
    made = Root(tmp_path, SEEN)
    for path, file in files(plain()).items():
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).write_text(file.content)
    return made


def test_who_is_asked_and_when() -> None:
    of = plain()
    asked = {path: file for path, file in files(of).items() if file.trial}
    assert set(asked) == set(ASKED)
    before = ancestors(of, Key("m1", "file", f"{UNITS}/kube-apiserver.service"))
    assert Key("m1", "binary", f"{BIN}/kube-apiserver") in before
    for name in ("audit-policy.yaml", "authentication.yaml", "encryption.yaml", "pki/ca.crt"):
        assert Key("m1", "file", f"/etc/kubernetes/{name}") in before
    before = ancestors(of, Key("m1", "file", f"{UNITS}/kubelet.service"))
    assert Key("m1", "file", "/etc/kubernetes/kubelet.yaml") in before


@pytest.mark.parametrize("path", ASKED)
async def test_what_quorate_writes_is_taken(root: Root, place: Path, path: str) -> None:
    await placed(root, files(plain())[path], place, RUNS)


API, MANAGER = f"{UNITS}/kube-apiserver.service", f"{UNITS}/kube-controller-manager.service"
SCHEDULER, KUBELET, PROXY = (f"{UNITS}/{name}.service" for name in ("kube-scheduler", "kubelet", "kube-proxy"))


def extra(part: str, **flags: str) -> dict[str, Any]:
    return {part: {"extra_flags": {name.replace("_", "-"): value for name, value in flags.items()}}}


BAD: tuple[tuple[str, dict[str, Any], str], ...] = (
    (API, extra("apiserver", no_such_flag="1"), "unknown flag"),
    (API, extra("apiserver", max_requests_inflight="many"), "many"),
    (API, extra("apiserver", feature_gates="NoSuchGate=true"), "NoSuchGate"),
    (API, extra("apiserver", enable_admission_plugins="NoSuchPlugin"), "NoSuchPlugin"),
    (API, extra("apiserver", admission_control_config_file="/no/such"), "/no/such"),
    (API, extra("apiserver", runtime_config="no.such/v1=true"), "no.such"),
    (API, extra("apiserver", tls_sni_cert_key="/no/such,/no/such"), "/no/such"),
    (API, extra("apiserver", oidc_issuer_url="https://idp.example", oidc_client_id="k"), "mutually exclusive"),
    (MANAGER, extra("controller_manager", controllers="*,no-such"), "no-such"),
    (MANAGER, extra("controller_manager", node_eviction_rate="few"), "few"),
    (
        SCHEDULER,
        extra("scheduler", pod_max_in_unschedulable_pods_duration="x"),
        "pod-max-in-unschedulable-pods-duration",
    ),
    (KUBELET, extra("kubelet", image_gc_high_threshold="150"), "HighThreshold"),
    (PROXY, extra("proxy", ipvs_scheduler="rr", no_such_flag="1"), "unknown flag"),
    (f"{UNITS}/etcd.service", extra("etcd", auto_compaction_mode="no-such"), "no-such"),
    (f"{UNITS}/etcd.service", extra("etcd", no_such_flag="1"), "not defined"),
    ("/etc/kubernetes/kubelet.yaml", {"kubelet": {"config": {"imageGCHighThresholdPercent": 150}}}, "HighThreshold"),
    ("/etc/kubernetes/authentication.yaml", {"apiserver": {"jwt": [{"issuer": {"url": "http://x"}}]}}, "jwt[0]"),
)


@pytest.mark.parametrize(("path", "sections", "words"), BAD, ids=[f"{Path(bad[0]).name}: {bad[2]}" for bad in BAD])
async def test_what_a_program_would_not_take_is_never_placed(
    root: Root, place: Path, tmp_path: Path, path: str, sections: dict[str, Any], words: str
) -> None:
    file, there = files(compiled(**sections))[path], tmp_path / path[1:]
    before = there.read_text()
    assert file.content != before
    with pytest.raises(CommandFailed) as caught:
        await placed(root, file, place, RUNS)
    assert "would not start with these settings" in caught.value.stderr
    assert words in caught.value.stderr
    assert there.read_text() == before
    assert [each.name for each in there.parent.iterdir() if "quorate-new" in each.name] == []


async def test_a_policy_of_the_users_is_tried_too(root: Root, place: Path, tmp_path: Path) -> None:
    policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: NoSuch}]\n"
    file = files(compiled(texts={"audit-policy": policy}))["/etc/kubernetes/audit-policy.yaml"]
    with pytest.raises(CommandFailed) as caught:
        await placed(root, file, place, RUNS)
    assert "NoSuch" in caught.value.stderr
    assert policy not in (tmp_path / "etc/kubernetes/audit-policy.yaml").read_text()


async def test_where_nothing_runs_nobody_is_asked(root: Root, place: Path) -> None:
    file = files(compiled(**extra("apiserver", no_such_flag="1")))[API]
    await placed(root, file, place, STOPPED)
    assert "no-such-flag" in (root.etc.parents[1] / API[1:]).read_text()


async def test_without_a_network_of_its_own_the_command_line_is_asked(root: Root, place: Path) -> None:
    alone = RUNS + "unshare() { return 1; }\n"
    await placed(root, files(plain())[API], place, alone)
    with pytest.raises(CommandFailed):
        await placed(root, files(compiled(**extra("apiserver", no_such_flag="1")))[API], place, alone)


async def test_a_slow_program_has_refused_nothing(root: Root, tmp_path: Path) -> None:
    (tmp_path / "etcd").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "etcd").chmod(0o755)
    file = files(plain())[f"{UNITS}/etcd.service"]
    file = replace(file, trial=file.trial.replace("timeout 20 ", "timeout 0.2 "))
    await placed(root, file, tmp_path, RUNS)
