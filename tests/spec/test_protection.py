"""Flags and fields that the user sets: what protects stays, lists grow, and every one that there is has been judged."""

from pathlib import Path

import pytest
from bad_file import HOSTS
from free_flags import FREE, FREE_FIELDS

from quorate.component import etcd
from quorate.component.settings import apiserver, controller_manager, kubelet, proxy, scheduler
from quorate.spec.cluster import Cluster
from quorate.spec.facts import HostFacts
from quorate.spec.flag_text import duration
from quorate.spec.known import fields, flags, gates
from quorate.spec.load import load
from quorate.spec.rules.exist import PROGRAMS
from quorate.spec.rules.guarded import GATES_OFF, GATES_ON, GUARDED, GUARDED_FIELDS
from quorate.spec.rules.owned import FIELDS, OWNED
from quorate.spec.versions import table

BEFORE = {
    "etcd": {"config-file"},
    "apiserver": {"insecure-bind-address", "insecure-port"},
    "controller_manager": {"port"},
}
"""Flags that old versions have and no list tells."""
NEW = table("1.37.2")


def loaded(folder: Path, text: str) -> Cluster:
    (folder / "cluster.yaml").write_text(HOSTS + text + "\n")
    return load(folder / "cluster.yaml")


@pytest.mark.parametrize("part", PROGRAMS)
def test_every_flag_of_every_version_is_judged(part: str) -> None:
    """One that comes with a new version belongs to `owned`, `guarded`, or what is free here: read what it does."""
    known = flags(PROGRAMS[part])
    every = {name for version in known.changes for name in known.at(version) or ()}
    judged = {*OWNED[part], *GUARDED[part], "feature-gates"}
    assert not set(OWNED[part]) & set(GUARDED[part])
    assert judged - every - {"feature-gates"} <= BEFORE.get(part, set())
    assert every - judged == set(FREE[part].split())


def test_every_field_of_every_version_is_judged() -> None:
    known = fields("KubeletConfiguration")
    every = {
        name.removeprefix("KubeletConfiguration.")
        for version in known.changes
        for name in known.at(version) or ()
        if name.startswith("KubeletConfiguration.")
    }
    judged = {*FIELDS, *(path.partition(".")[0] for path in GUARDED_FIELDS), "featureGates"}
    assert judged <= every
    assert every - judged == set(FREE_FIELDS.split())


def test_feature_gates_that_are_judged_exist() -> None:
    known = gates("kubernetes")
    every = {name for version in known.changes for name in known.at(version) or ()}
    assert every >= GATES_ON | GATES_OFF
    assert not GATES_ON & GATES_OFF


@pytest.mark.parametrize(
    "text",
    [
        "apiserver: {extra_flags: {disable-admission-plugins: 'DefaultStorageClass,DefaultTolerationSeconds'}}",
        "apiserver: {extra_flags: {tls-min-version: VersionTLS13, profiling: '0', v: '7', vmodule: 'a=1,b=2'}}",
        "apiserver: {extra_flags: {tls-cipher-suites: 'TLS_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'}}",
        "apiserver: {extra_flags: {cors-allowed-origins: '^https://board[.]example$', runtime-config: api/beta=false}}",
        "apiserver: {extra_flags: {authentication-token-webhook-cache-ttl: 1m30s, audit-log-mode: blocking-strict}}",
        "apiserver: {jwt: [{issuer: {url: 'https://idp.example', audiences: [k]}}]}",
        "versions: {kubernetes: 1.31.2}\napiserver: {extra_flags: {oidc-issuer-url: 'https://idp.example'}}",
        "controller_manager: {extra_flags: {controllers: '*,bootstrapsigner,-ttl-after-finished-controller'}}",
        "apiserver: {extra_flags: {cors-allowed-origins: '//.*[.]example[.]org(:|$),^https://a[.]example[.]org$'}}",
        "apiserver: {extra_flags: {runtime-config: 'api/alpha = true', feature-gates: 'AllAlpha = F'}}",
        "controller_manager: {extra_flags: {controllers: '*,-nodeipam,-endpointslicemirroring'}}",
        "kubelet: {config: {tlsMinVersion: VersionTLS13, streamingConnectionIdleTimeout: 1h, podsPerCore: 9}}",
        "kubelet: {config: {logging: {verbosity: 4}, featureGates: {AllAlpha: false}, maxOpenFiles: 99999}}",
        "etcd: {extra_flags: {tls-min-version: TLS1.3, unsafe-no-fsync: 'false', snapshot-count: '5000'}}",
        "scheduler: {extra_flags: {authorization-always-allow-paths: '/healthz,/version'}}",
    ],
)
def test_what_takes_nothing_away_is_the_users(tmp_path: Path, text: str) -> None:
    loaded(tmp_path, text)


def test_admission_plugins_come_on_top(tmp_path: Path) -> None:
    cluster = loaded(
        tmp_path, "apiserver: {extra_flags: {enable-admission-plugins: 'AlwaysPullImages, NodeRestriction'}}"
    )
    given = apiserver.flags(cluster, cluster.hosts[0], NEW)
    assert given["enable-admission-plugins"] == "NodeRestriction,AlwaysPullImages"


def test_health_is_asked_by_anybody_whatever_else_is(tmp_path: Path) -> None:
    own = "{extra_flags: {authorization-always-allow-paths: /version}}"
    cluster = loaded(tmp_path, f"controller_manager: {own}\nscheduler: {own}")
    for given in (controller_manager.flags(cluster, NEW), scheduler.flags(cluster)):
        assert given["authorization-always-allow-paths"] == "/healthz,/readyz,/livez,/version"


def test_a_map_of_the_users_keeps_what_it_does_not_name(tmp_path: Path) -> None:
    cluster = loaded(tmp_path, "kubelet: {config: {evictionHard: {memory.available: 500Mi}, maxParallelImagePulls: 3}}")
    config = kubelet.config(cluster, cluster.hosts[1], HostFacts(), NEW)
    evicted = config["evictionHard"]
    assert isinstance(evicted, dict)
    assert (evicted["memory.available"], evicted["nodefs.available"]) == ("500Mi", "10%")
    assert config["maxParallelImagePulls"] == 3


def test_null_leaves_what_quorate_sets(tmp_path: Path) -> None:
    bare = loaded(tmp_path, "")
    given = "{rotateCertificates: null, tlsCipherSuites: ~, evictionHard: {memory.available: null}, logging: null}"
    nulls = loaded(tmp_path, f"kubelet: {{config: {given}}}")
    assert kubelet.config(nulls, nulls.hosts[1], HostFacts(), NEW) == kubelet.config(
        bare, bare.hosts[1], HostFacts(), NEW
    )


def test_thresholds_of_a_flag_come_beside_the_others(tmp_path: Path) -> None:
    cluster = loaded(tmp_path, "kubelet: {extra_flags: {eviction-hard: 'memory.available<1Gi, nodefs.available<5%'}}")
    evicted = kubelet.config(cluster, cluster.hosts[1], HostFacts(), NEW)["evictionHard"]
    assert isinstance(evicted, dict)
    assert (evicted["memory.available"], evicted["nodefs.available"]) == ("1Gi", "5%")
    assert evicted["imagefs.available"] == "15%"
    assert "eviction-hard" not in kubelet.flags(cluster, cluster.hosts[1], NEW)


def test_flags_that_are_not_read_beside_a_configuration_are_in_it(tmp_path: Path) -> None:
    flags_ = "{ipvs-strict-arp: T, conntrack-min: '9', nodeport-addresses: '10.0.0.0/8,10.1.0.1/32', v: '2'}"
    cluster = loaded(
        tmp_path,
        f"network: {{proxy_mode: ipvs}}\nproxy: {{extra_flags: {flags_}}}\n"
        "scheduler: {extra_flags: {kube-api-qps: '100', leader-elect-retry-period: 3s}}",
    )
    config = proxy.config(cluster, cluster.hosts[1], HostFacts(), NEW)
    assert config["ipvs"] == {"strictARP": True}
    assert config["nodePortAddresses"] == ["10.0.0.0/8", "10.1.0.1/32"]
    assert proxy.flags(cluster) == {"config": proxy.CONFIG, "v": "2"}
    scheduled = scheduler.config(cluster, NEW)
    assert scheduled["clientConnection"] == {"kubeconfig": "/etc/kubernetes/kube-scheduler.kubeconfig", "qps": 100.0}
    assert "kube-api-qps" not in scheduler.flags(cluster)


def test_what_the_flags_call_iptables_has_its_own_section_in_nftables_mode(tmp_path: Path) -> None:
    own = "proxy: {extra_flags: {masquerade-all: 'true', iptables-localhost-nodeports: 'false'}}"
    cluster = loaded(tmp_path, f"network: {{proxy_mode: nftables}}\n{own}")
    config = proxy.config(cluster, cluster.hosts[1], HostFacts(), NEW)
    assert config["nftables"] == {"masqueradeAll": True}
    assert config["iptables"] == {"localhostNodePorts": False}


def test_etcd_with_nothing_older_than_tls_1_3_is_told_no_suites(tmp_path: Path) -> None:
    cluster = loaded(tmp_path, "etcd: {extra_flags: {tls-min-version: TLS1.3}}")
    given = etcd.flags(cluster, cluster.hosts[0])
    assert given["tls-min-version"] == "TLS1.3"
    assert "cipher-suites" not in given


def test_further_issuers_are_believed_beside_the_nameless_rule(tmp_path: Path) -> None:
    cluster = loaded(tmp_path, "apiserver: {jwt: [{issuer: {url: 'https://idp.example', audiences: [k]}}]}")
    config = apiserver.authentication_config(cluster, NEW)
    assert config is not None
    assert config["jwt"] == [{"issuer": {"url": "https://idp.example", "audiences": ["k"]}}]
    assert config["anonymous"]


def test_durations_are_read_as_go_does() -> None:
    assert [duration(text) for text in ("0", "0s", "1h30m", "1.5s", "300ms", "10", "", "x", "1d")] == [
        *(0, 0, 5400, 1.5, 0.3),
        *(None, None, None, None),
    ]
