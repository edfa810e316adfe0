"""Flags and fields that the user sets: what protects stays, lists grow, and every one that there is has been judged."""

from pathlib import Path

import pytest
from bad_file import HOSTS
from free_flags import FREE, FREE_FIELDS

from quorate.component import etcd
from quorate.component.settings import apiserver, controller_manager, kubelet, scheduler
from quorate.spec.cluster import Cluster
from quorate.spec.facts import HostFacts
from quorate.spec.known import fields, flags, gates
from quorate.spec.load import load
from quorate.spec.rules.exist import PROGRAMS
from quorate.spec.rules.guard import duration
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
