"""All settings of every minor: as reviewed (golden files), and with nothing that the minor doesn't know."""

import json
from pathlib import Path

import pytest

from quorate.component.settings import (
    apiserver,
    audit,
    controller_manager,
    encryption,
    kubelet,
    proxy,
    scheduler,
)
from quorate.spec.cluster import Cluster
from quorate.spec.facts import HostFacts, Resolver
from quorate.spec.known import fields, flags
from quorate.spec.known import table as known
from quorate.spec.known.fit import misfits
from quorate.spec.secrets import EncryptionKey
from quorate.spec.versions import Minor, supported, table

HERE = Path(__file__).parent

ORDINARY = HostFacts()
SHARED = HostFacts(
    cgroup="v1",
    container=True,
    conntrack_writable=False,
    resolvers=(
        Resolver("/etc/resolv.conf", ("127.0.0.53",)),
        Resolver("/run/systemd/resolve/resolv.conf", ("10.0.0.53",)),
    ),
)
"""A host that shares its kernel and has cgroup v1."""

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def cluster(minor: Minor, *, masters: int = 3, **changes: object) -> Cluster:
    roles = ["control-plane", "etcd", "worker"]
    hosts = [{"name": f"master-{n}", "address": f"10.0.0.{n}", "roles": roles} for n in range(1, masters + 1)]
    worker = {
        "name": "worker-1",
        "address": "10.0.0.21",
        "roles": ["worker"],
        "labels": {"disk": "ssd", "node-role.kubernetes.io/worker": "", "node.kubernetes.io/rack": "r1"},
        "taints": [{"key": "dedicated", "value": "db"}],
    }
    balancer = {"name": "lb-1", "address": "10.0.0.31", "roles": ["load-balancer"]}
    content: dict[str, object] = {
        "name": "golden",
        "versions": {"kubernetes": f"{minor.kubernetes}.0"},
        "endpoint": {"vip": "10.0.0.100"},
        "hosts": [*hosts, worker, balancer],
    }
    return Cluster.model_validate(content | changes)


def all_flags(c: Cluster, minor: Minor) -> dict[str, list[dict[str, str]]]:
    """Each component's flags, of every host."""
    return {
        "kube-apiserver": [apiserver.flags(c, host, minor) for host in c.masters],
        "kube-controller-manager": [controller_manager.flags(c, minor)],
        "kube-scheduler": [scheduler.flags(c)],
        "kubelet": [kubelet.flags(c, host, minor) for host in c.workers],
        "kube-proxy": [proxy.flags(c)],
    }


def variants(minor: Minor) -> list[Cluster]:
    """The clusters whose settings differ most."""
    clusters = [
        cluster(minor),
        cluster(minor, masters=1, apiserver={"encrypt_secrets": False}, os={"swap": "keep"}),
        cluster(minor, network={"cni": "manifest", "manifest": "cni.yaml"}),
        *(cluster(minor, network={"proxy_mode": mode}) for mode in minor.proxy_modes),
    ]
    return clusters + ([cluster(minor, runtime={"kind": "docker"})] if minor.docker else [])


def show(minor: Minor) -> str:
    """All settings of a minor as text: of a whole cluster, and how other hosts and choices differ."""
    c = cluster(minor)
    master, node = c.masters[0], c.host("worker-1")
    texts = []

    def add_flags(title: str, given: dict[str, str]) -> None:
        texts.append("\n".join([f"=== {title}", *(f"--{name}={value}" for name, value in given.items())]))

    def add_config(title: str, config: object) -> None:
        texts.append(f"=== {title}\n{json.dumps(config, indent=2)}")

    def differences(config: dict[str, object], usual: dict[str, object]) -> dict[str, object]:
        return {name: value for name, value in config.items() if usual.get(name) != value}

    add_flags("kube-apiserver on master-1", apiserver.flags(c, master, minor))
    add_config("authentication", apiserver.authentication_config(c, minor))
    add_config("audit policy", audit.policy())
    add_config("encryption", encryption.config(EncryptionKey("key1", KEY)))
    add_flags("kube-controller-manager", controller_manager.flags(c, minor))
    add_flags("kube-scheduler", scheduler.flags(c))
    add_config("kube-scheduler", scheduler.config(c, minor))
    add_flags("kubelet on worker-1", kubelet.flags(c, node, minor))
    usual = kubelet.config(c, node, ORDINARY, minor)
    add_config("kubelet on worker-1", usual)
    shared = kubelet.config(c, node, SHARED, minor, "cgroupfs")
    add_config("kubelet where the kernel is shared", differences(shared, usual))
    if minor.docker:
        docker = cluster(minor, runtime={"kind": "docker"})
        add_flags("kubelet with docker", kubelet.flags(docker, docker.host("worker-1"), minor))
    add_flags("kube-proxy", proxy.flags(c))
    usual = proxy.config(c, node, ORDINARY, minor)
    add_config("kube-proxy on worker-1", usual)
    add_config("kube-proxy where the kernel is shared", differences(proxy.config(c, node, SHARED, minor), usual))
    for mode in minor.proxy_modes[1:]:
        other = cluster(minor, network={"proxy_mode": mode})
        add_config(f"kube-proxy with {mode}", differences(proxy.config(other, node, ORDINARY, minor), usual))
    return "\n\n".join(texts) + "\n"


@pytest.mark.parametrize("version", supported())
def test_settings_are_as_reviewed(version, golden):
    golden(HERE / f"v{version}.txt", show(table(version)))


@pytest.mark.parametrize("version", supported())
def test_every_flag_is_known_to_its_minor(version):
    minor = table(version)
    for c in variants(minor):
        for component, given in all_flags(c, minor).items():
            for one in given:
                assert set(one) <= set(flags(component).at(version))


@pytest.mark.parametrize("version", supported())
def test_no_flag_is_empty(version):
    minor = table(version)
    for c in variants(minor):
        for given in all_flags(c, minor).values():
            assert all(value != "" for one in given for value in one.values())


@pytest.mark.parametrize("facts", [ORDINARY, SHARED], ids=["ordinary", "shared"])
@pytest.mark.parametrize("version", supported())
def test_every_configuration_field_exists_and_has_its_type(version, facts):
    minor = table(version)
    for c in variants(minor):
        for host in c.workers:
            configs = (
                kubelet.config(c, host, facts, minor),
                proxy.config(c, host, facts, minor),
                scheduler.config(c, minor),
            )
            for config in configs:
                kind = str(config["kind"])
                assert list(misfits(config, kind, fields(kind).at(version))) == []


@pytest.mark.parametrize("version", supported())
def test_configuration_has_an_api_version_that_the_minor_serves(version):
    minor = table(version)
    group, _, api = minor.scheduler_api.partition("/")
    assert group == "kubescheduler.config.k8s.io"
    assert api in known("apis", "KubeSchedulerConfiguration").at(version)
    if minor.authentication_api:
        group, _, api = minor.authentication_api.partition("/")
        assert group == "apiserver.config.k8s.io"
        assert api in known("apis", "AuthenticationConfiguration").at(version)
        assert encryption.config(EncryptionKey("key1", KEY))["apiVersion"] in {
            f"{group}/{each}" for each in known("apis", "EncryptionConfiguration").at(version)
        }


@pytest.mark.parametrize("version", supported())
def test_the_users_flags_and_fields_win(version):
    minor = table(version)
    own = {"extra_flags": {"profiling": "F", "v": "4"}}
    c = cluster(
        minor,
        apiserver=own,
        controller_manager=own,
        scheduler=own,
        proxy={"extra_flags": {"v": "4"}},
        kubelet={"extra_flags": {"node-ip": "::1"}, "config": {"maxPods": 7}},
    )
    given = all_flags(c, minor)
    assert all(one["v"] == "4" for name, several in given.items() if name != "kubelet" for one in several)
    assert given["kube-apiserver"][0]["profiling"] == "F"
    assert given["kubelet"][0]["node-ip"] == "::1"
    assert kubelet.config(c, c.workers[0], ORDINARY, minor)["maxPods"] == 7


def test_a_single_api_server_sends_nobody_away():
    minor = table("1.36")
    c = cluster(minor, masters=1)
    assert "goaway-chance" not in apiserver.flags(c, c.masters[0], minor)


def test_a_node_gives_itself_only_labels_that_its_kubelet_accepts():
    host = cluster(table("1.36")).host("worker-1")
    assert set(kubelet.own_labels(host)) == {"disk", "node.kubernetes.io/rack"}


def test_the_encryption_key_that_writes_goes_first_and_each_keeps_its_name():
    config = encryption.config(EncryptionKey("key2", "bmV3"), EncryptionKey("key1", "b2xk"))
    keys = config["resources"][0]["providers"][0]["secretbox"]["keys"]
    assert keys == [{"name": "key2", "secret": "bmV3"}, {"name": "key1", "secret": "b2xk"}]


def test_the_audit_policy_logs_no_bodies_and_ends_with_everything():
    rules = audit.policy()["rules"]
    assert {rule["level"] for rule in rules} == {"None", "Metadata"}
    assert rules[-1] == {"level": "Metadata"}
