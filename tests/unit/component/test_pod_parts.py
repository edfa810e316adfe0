"""The parts that run in pods, CoreDNS and metrics-server: which image, where, and what they may and trust."""

import base64
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from verify_door import cluster

from quorate.component import dns, metrics
from quorate.component.context import Context
from quorate.core import Blob
from quorate.pki import profiles
from quorate.resource.kube import KeyPair, Manifest
from quorate.resource.resource import Resource
from quorate.spec import metrics_server
from quorate.spec.cluster import Cluster, Role
from quorate.spec.facts import Facts, HostFacts, Resolver
from quorate.spec.layout import BIN
from quorate.spec.ports import openings
from quorate.spec.processes import listeners
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table

PEMS = {"ca.crt": b"CA", "metrics-server.crt": b"CERT", "metrics-server.key": b"KEY"}
BLOB = Blob(Path("/nonexistent"), "", 0)
BUILT = Supply(
    images=dict.fromkeys(("quorate.local/coredns:1", "quorate.local/metrics-server:1"), BLOB),
    pause_image="quorate.local/pause:1",
    coredns_image="quorate.local/coredns:1",
    metrics_server_image="quorate.local/metrics-server:1",
)
DEBIAN = Supply(images={"quorate.local/pause:1": BLOB}, pause_image="quorate.local/pause:1")


def of(kubernetes: str = "1.37.2", **changes: object) -> Cluster:
    given = cluster().model_dump() | {"versions": {"kubernetes": kubernetes}} | changes
    return Cluster.model_validate(given)


def context(c: Cluster, supply: Supply = BUILT, facts: Facts | None = None) -> Context:
    return Context(c, facts or Facts(), supply, Secrets(PEMS, {}), table(c.versions.kubernetes))


def resources(part: Any, given: Context) -> list[Resource]:
    return [resource for host in given.cluster.hosts for resource in part.resources(given, host)]


def objects(part: Any, given: Context) -> dict[str, Any]:
    """The objects of a part's manifest, by kind and name."""
    (manifest,) = (resource for resource in resources(part, given) if isinstance(resource, Manifest))
    found = [yaml_read(each) for each in manifest.text.split("\n---\n")]
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in found}


def yaml_read(text: str) -> Any:
    from ruamel.yaml import YAML

    return YAML(typ="safe").load(text)


@pytest.mark.parametrize(("part", "name"), [(dns, "coredns"), (metrics, "metrics-server")])
def test_the_image_is_the_files_else_the_sources_else_upstreams(part: Any, name: str) -> None:
    def image(c: Cluster, supply: Supply) -> str:
        deployment = objects(part, context(c, supply))[f"Deployment/{name}"]
        return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])

    assert image(of(**{part.NAME: {"image": "r.example/mine:1"}}), BUILT) == "r.example/mine:1"
    assert image(of(), BUILT) == f"quorate.local/{name}:1"
    usual = image(of(), Supply())
    assert usual.startswith("registry.k8s.io/")
    # Images of the user's own don't mean that there is no registry.
    assert image(of(), Supply(images={"r.example/app:1": BLOB})) == usual
    assert image(of(), Supply(images={usual: BLOB}, pause_image="p:1")) == usual
    # A source that brings images, and not this one: nobody could pull it.
    assert resources(part, context(of(), DEBIAN)) == []
    assert resources(part, context(of(**{part.NAME: {"enabled": False}}))) == []


def test_metrics_server_is_installed_where_one_fits_or_is_named() -> None:
    assert resources(metrics, context(of("1.30.14"))) == []
    assert profiles.METRICS_SERVER not in profiles.certificates(of("1.30.14"))
    assert profiles.METRICS_SERVER in profiles.certificates(of("1.31.14"))
    named = of("1.30.14", metrics={"image": "r.example/metrics-server:0.7"})
    assert resources(metrics, context(named))
    assert profiles.METRICS_SERVER in profiles.certificates(named)
    assert profiles.METRICS_SERVER not in profiles.certificates(of(metrics={"enabled": False}))


def test_nobody_s_certificate_goes_unverified() -> None:
    found = objects(metrics, context(of()))
    api = found["APIService/v1beta1.metrics.k8s.io"]["spec"]
    assert base64.b64decode(api["caBundle"]) == b"CA"
    assert "insecureSkipTLSVerify" not in api
    # The name that an API server asks for is <service>.<namespace>.svc.
    assert profiles.METRICS_SERVER.sans == (f"{api['service']['name']}.{api['service']['namespace']}.svc",)
    pod = found["Deployment/metrics-server"]["spec"]["template"]["spec"]
    flags = dict(flag.removeprefix("--").partition("=")[::2] for flag in pod["containers"][0]["args"])
    assert flags["kubelet-certificate-authority"].endswith("/ca.crt")
    assert flags["kubelet-preferred-address-types"] == "InternalIP"
    assert "kubelet-insecure-tls" not in flags
    mount = pod["containers"][0]["volumeMounts"][0]["mountPath"]
    assert (flags["tls-cert-file"], flags["tls-private-key-file"]) == (f"{mount}/tls.crt", f"{mount}/tls.key")
    (pair,) = (resource for resource in resources(metrics, context(of())) if isinstance(resource, KeyPair))
    assert pod["volumes"][0]["secret"]["secretName"] == pair.title
    assert b"KEY" not in repr(pair).encode()


def test_where_api_servers_reach_no_pods_it_uses_the_workers_network() -> None:
    def port(c: Cluster) -> tuple[bool, str]:
        pod = objects(metrics, context(c))["Deployment/metrics-server"]["spec"]["template"]["spec"]
        secure = next(flag for flag in pod["containers"][0]["args"] if flag.startswith("--secure-port="))
        assert pod["containers"][0]["ports"][0]["containerPort"] == int(secure.partition("=")[2])
        return pod.get("hostNetwork", False), secure.partition("=")[2]

    other = {"cni": "manifest", "manifest": "cni.yaml"}
    everywhere = [host.model_dump() | {"roles": (*host.roles, Role.WORKER)} for host in of().hosts[:1]]
    assert port(of()) == (False, "10250")
    assert port(of(network=other)) == (True, "10251")
    assert port(of(network=other, hosts=[*everywhere, *of().hosts[1:]])) == (False, "10250")
    worker = of().workers[0]
    for c, opened in ((of(network=other), True), (of(), False)):
        assert opened == (10251 in {each.port for each in listeners(c, worker)})
        rules = {rule.purpose: rule for rule in openings(c, worker)}
        assert opened == ("metrics-server" in rules)
    assert rules.keys() - {"metrics-server"} == {each.purpose for each in openings(of(), worker)}
    assert metrics_server.on_hosts(of(network=other))


def test_there_are_never_more_metrics_servers_than_workers() -> None:
    two = objects(metrics, context(of()))
    assert two["Deployment/metrics-server"]["spec"]["replicas"] == 2
    assert two["PodDisruptionBudget/metrics-server"]["spec"]["maxUnavailable"] == 1
    lonely = of(hosts=[of().hosts[0], of().hosts[1], *of().hosts[3:]])
    one = objects(metrics, context(lonely))
    assert one["Deployment/metrics-server"]["spec"]["replicas"] == 1
    assert "PodDisruptionBudget/metrics-server" not in one


def resolving(servers: tuple[str, ...]) -> HostFacts:
    return HostFacts(resolvers=(Resolver("/etc/resolv.conf", servers),))


@pytest.mark.parametrize(
    ("first", "second", "asked"),
    [
        (("10.0.0.53",), ("10.0.0.54",), "/etc/resolv.conf"),
        (("127.0.0.1", "10.0.0.53"), ("10.0.0.54", "fd00::1"), "10.0.0.53 10.0.0.54 fd00::1"),
        (("10.96.0.10", "10.0.0.53"), ("10.0.0.54", "fe80::1%eth0"), "10.0.0.53 10.0.0.54"),
        ((), ("10.0.0.54", "fd00::1"), "10.0.0.54 fd00::1"),
        (("127.0.0.53",), ("10.0.0.54",), "10.0.0.54"),
        ((), ("::1", "127.0.0.1"), ""),
    ],
)
def test_names_outside_are_asked_where_somebody_knows_them(
    first: tuple[str, ...], second: tuple[str, ...], asked: str
) -> None:
    facts = Facts({name: resolving(found) for name, found in {"w1": first, "w2": second}.items()})
    corefile = objects(dns, context(of(), facts=facts))["ConfigMap/coredns"]["data"]["Corefile"]
    lines = [line.strip() for line in corefile.splitlines()]
    # With nobody to ask, CoreDNS would not start.
    assert [line for line in lines if line.startswith("forward")] == ([f"forward . {asked}"] if asked else [])
    assert ("loop" in lines) == bool(asked)


KUBECTL = """#!/bin/sh
case "$*" in
*"get secret -n kube-system metrics-server"*'jsonpath={.data.tls\\.crt} {.data.tls\\.key}') cat "$HOME/secret" ;;
*) exit 9 ;;
esac
"""


def test_a_pair_is_known_by_its_digest_alone(tmp_path: Path) -> None:
    pair = KeyPair(
        host="m1",
        title="metrics-server",
        namespace="kube-system",
        cert=b"CERT",
        key_pem=b"KEY",
        server="https://x:6443",
    )
    for name, text in (("kubectl", KUBECTL), ("curl", "#!/bin/sh\n[ ! -e $HOME/away ]\n"), ("secret", "")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    def state() -> object:
        script = pair.probe().question.replace(BIN, str(tmp_path))
        env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
        return pair.parse(
            subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env=env).stdout
        )

    assert state() == {"sha256": hashlib.sha256(b"").hexdigest()}
    (action,) = pair.converge({})
    (text,) = (line for line in action.script.splitlines() if line.startswith("{"))
    data = yaml_read(text)["data"]
    assert {name: base64.b64decode(value) for name, value in data.items()} == {"tls.crt": b"CERT", "tls.key": b"KEY"}
    assert action.secret
    (tmp_path / "secret").write_text(f"{data['tls.crt']} {data['tls.key']}")
    assert state() == pair.desired
    (tmp_path / "away").touch()
    assert state() is None
