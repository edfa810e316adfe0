"""Whatever is written into a cluster file is refused with SpecError or kept as it is; nothing else ever happens."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core import Problem, SpecError
from quorate.spec.cluster import Cluster
from quorate.spec.load import load

FIELDS = (
    "name",
    "hosts.0.name",
    "hosts.0.address",
    "hosts.0.ssh_address",
    "hosts.0.roles.0",
    "hosts.0.node_name",
    "hosts.0.interface",
    "hosts.0.labels.disk",
    "hosts.0.taints.0.key",
    "hosts.0.taints.0.value",
    "hosts.0.taints.0.effect",
    "hosts.0.ssh.user",
    "hosts.0.ssh.key",
    "ssh.jump.host",
    "ssh.jump.user",
    "versions.kubernetes",
    "endpoint.vip",
    "endpoint.address",
    "endpoint.interface",
    "runtime.pause_image",
    "runtime.log_max_size",
    "runtime.registry_mirrors.docker",
    "runtime.registry_access.docker.ca_file",
    "runtime.registry_access.docker.login_file",
    "runtime.insecure_registries.0",
    "network.pod_cidr",
    "network.dns_domain",
    "network.manifest",
    "network.node_ports",
    "dns.image",
    "etcd.data_dir",
    "etcd.extra_flags.log-level",
    "apiserver.extra_sans.0",
    "apiserver.audit_policy",
    "kubelet.config.providerID",
    "os.sysctl.net/x",
    "artifacts.mirrors.etcd",
    "artifacts.directory",
    "artifacts.cache",
    "artifacts.images.0",
    "verify.image",
)
HOSTILE = (
    "$(id)",
    "`id`",
    "a'b",
    'a"b',
    "a\nb",
    "a\r\nb",
    "%n",
    "{};",
    "a\0b",
    "a\u2010b",
    "a\u2028b",
    "a\u0085b",
    "\u202ea",
    "../../etc",
    "-o x",
    "x\n",
    " x",
    "*x",
    "&x",
    "!!x",
    "a" * 5000,
    "\U0001f600",
    "~root",
    "~nobody-there/x",
    "env:X",
    "",
)


def base() -> dict[str, object]:
    return {
        "name": "demo",
        "hosts": [{"name": "a", "address": "192.168.1.1", "roles": ["control-plane", "etcd", "worker"]}],
    }


def put(data: object, steps: list[str], value: str) -> None:
    """Set a field, and make what must be around it."""
    step, rest = steps[0], steps[1:]
    fresh: object = value if not rest else [] if rest[0].isdigit() else {}
    if isinstance(data, list):
        at = int(step)
        data[at : at + 1] = [data[at] if rest and at < len(data) else fresh]
        inner = data[at]
    else:
        assert isinstance(data, dict)
        data[step] = data.get(step, fresh) if rest else value
        inner = data[step]
    if rest:
        put(inner, rest, value)


def get(cluster: object, steps: list[str]) -> object:
    for step in steps:
        if isinstance(cluster, dict):
            cluster = cluster[step]
        elif step.isdigit():
            cluster = cluster[int(step)]  # type: ignore[index]
        else:
            cluster = getattr(cluster, step)
    return cluster


def attempt(path: Path) -> tuple[Cluster | None, list[Problem]]:
    try:
        return load(path), []
    except SpecError as error:
        return None, error.problems


def refused_or_kept(folder: Path, field: str, value: str) -> None:
    data = base()
    put(data, field.split("."), value)
    path = folder / "cluster.yaml"
    path.write_text(json.dumps(data))  # JSON is YAML
    cluster, problems = attempt(path)
    if cluster is None:
        assert problems
        assert all(each.rule and each.fix and each.value.isprintable() for each in problems)
        return
    kept = str(get(cluster, field.split(".")))
    plain = ("/", "~", "env:")
    as_path = str(folder / value) if not value.startswith(plain) else os.path.expanduser(value)
    assert kept in (value, as_path, str(folder / value), "control-plane"), (kept, value)


def test_hostile_strings_in_every_field(tmp_path: Path) -> None:
    for field in FIELDS:
        for value in HOSTILE:
            refused_or_kept(tmp_path, field, value)


@settings(max_examples=80, deadline=None)
@given(field=st.sampled_from(FIELDS), value=st.text(max_size=40))
def test_random_strings_in_every_field(tmp_path_factory: pytest.TempPathFactory, field: str, value: str) -> None:
    refused_or_kept(tmp_path_factory.mktemp("x"), field, value)


YAMLISH = st.text(alphabet="abn:-[]{}#&*!|>'\"%@`,?~ \n\t01.=<\\\0é\u2028\ufeff", max_size=60)


def only_spec_error(folder: Path, content: bytes) -> None:
    path = folder / "cluster.yaml"
    path.write_bytes(content)
    cluster, problems = attempt(path)
    assert (cluster is None) == bool(problems)


@settings(max_examples=150, deadline=None)
@given(text=st.one_of(YAMLISH, st.text(max_size=60)), head=st.sampled_from(["", "name: a\nhosts:\n", "name: "]))
def test_random_text_raises_nothing_else(tmp_path_factory: pytest.TempPathFactory, text: str, head: str) -> None:
    only_spec_error(tmp_path_factory.getbasetemp(), (head + text).encode("utf-8", "surrogatepass"))


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=60))
def test_random_bytes_raise_nothing_else(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    only_spec_error(tmp_path_factory.getbasetemp(), content)


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(section=st.sampled_from(["hosts", "ssh", "network", "etcd", "kubelet", "runtime", "os", "name"]), value=JSONISH)
def test_random_shapes_raise_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, section: str, value: object
) -> None:
    content = json.dumps(base() | {section: value}).encode()
    only_spec_error(tmp_path_factory.getbasetemp(), content)
