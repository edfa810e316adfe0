"""A name for the virtual IP: in certificates before anybody is pointed at it, in /etc/hosts as long as anybody is."""

from pathlib import Path

import pytest
import staging
from past_clusters import THREE, ancestors, cluster, context, resource
from preflight_world import judged, spoken, world
from staging import compile_cluster

from quorate.core import Key
from quorate.operation.change import AWAY, JOIN, LEAVE
from quorate.pki.profiles import certificates
from quorate.report.findings import Status
from quorate.resource.block import Block
from quorate.spec.cluster import Cluster, Endpoint, Os
from quorate.spec.leaving import retiring_lines
from quorate.state.past import Past
from quorate.state.store import Store

P, F, WARN = Status.PASSED, Status.FAILED, Status.WARNED
HOSTS = Key("n1", "block", "/etc/hosts:c")


def named(name: str = "api.example.org", vip: str = "10.0.9.100", **more: object) -> Cluster:
    endpoint = Endpoint(vip=vip, name=name, port=8443)  # type: ignore[arg-type]
    return cluster(THREE, endpoint=endpoint, **more)


def plain(vip: str = "10.0.9.100") -> Cluster:
    return cluster(THREE, endpoint=Endpoint(vip=vip, port=8443))  # type: ignore[arg-type]


def lines(now: Cluster, was: Cluster, stage: str = JOIN) -> tuple[str, ...]:
    found = resource(staging.named(context(now, was), stage), HOSTS)
    assert isinstance(found, Block)
    return tuple(line for line in found.lines if "10.0.9.10" in line)


def test_certificates_have_both_and_kubeconfigs_the_name() -> None:
    now = named()
    assert (now.server_url, now.front) == ("https://api.example.org:8443", "10.0.9.100")
    for wanted in certificates(now):
        if wanted.name == "apiserver":
            assert {"api.example.org", "10.0.9.100"} <= set(wanted.sans)
    compiled = compile_cluster(context(now))
    for user in ("kubelet", "kube-proxy"):
        text = resource(compiled, Key("n1", "file", f"/etc/kubernetes/{user}.kubeconfig"))
        assert "server: https://api.example.org:8443" in text.content  # type: ignore[attr-defined]


def test_nobody_is_pointed_at_the_name_before_it_is_in_the_certificates_and_in_hosts() -> None:
    compiled = compile_cluster(context(named(), plain()))
    before = ancestors(compiled, Key("n1", "unit", "kubelet.service"))
    assert {Key(master, "ready", "kube-apiserver") for master in ("m1", "m2", "m3")} <= before
    assert {Key("m1", "file", "/etc/kubernetes/pki/apiserver.crt"), HOSTS} <= before
    assert lines(named(), plain()) == ("10.0.9.100 api.example.org",)


def test_on_the_way_back_the_name_stays_in_hosts_until_nobody_is_pointed_at_it() -> None:
    assert lines(plain(), named()) == ("10.0.9.100 api.example.org",)
    assert lines(plain(), named(), AWAY) == lines(plain(), named(), LEAVE) == ()
    assert staging.names(context(plain())) == [JOIN]


def test_a_name_follows_the_virtual_ip_and_leads_to_the_old_one_first_meanwhile() -> None:
    old, new = named(), named(vip="10.0.9.101")
    both = ("10.0.9.100 api.example.org", "10.0.9.101 api.example.org")
    assert lines(new, old) == both
    assert lines(new, old, AWAY) == both[1:]
    conf = Key("b1", "file", "/etc/quorate/keepalived.conf")
    there = [
        "10.0.9.100/" in resource(staging.named(context(new, old), name), conf).content  # type: ignore[attr-defined]
        for name in (JOIN, AWAY, LEAVE)
    ]
    assert there == [True, True, False], "the address goes before the name leads elsewhere"


def test_hosts_files_are_left_alone_where_they_should_be() -> None:
    dns = named().model_copy(update={"endpoint": named().endpoint.model_copy(update={"name_in_hosts": False})})
    assert dns.hosts_line == ""
    assert named(os=Os(hosts_file=False)).hosts_line == ""
    assert lines(dns, dns) == ()
    assert retiring_lines(dns, [named()]) == ("10.0.9.100 api.example.org",)


def test_certificates_go_on_naming_what_clients_were_ever_told(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text("x")
    now = named()
    past = Past(Store.beside(file, "c"), file, now)
    past.begin("x", {})
    past.begin("x", {})
    assert past.endpoints == ("10.0.9.100", "api.example.org")


@pytest.mark.parametrize(
    ("in_hosts", "said", "status", "words"),
    [
        (True, "", P, "apply writes `10.0.9.100 api.example.org`"),
        (True, "10.0.9.100", P, "is 10.0.9.100"),
        (True, "192.0.2.7", F, "a line of /etc/hosts leads api.example.org to 192.0.2.7"),
        (False, "", F, "is not found"),
        (False, "192.0.2.7", F, "leads to 192.0.2.7, not to 10.0.9.100"),
        (False, "10.0.9.100", P, "is 10.0.9.100"),
        (False, "10.0.9.100\n10.0.9.99", WARN, "leads to 10.0.9.99, too"),
    ],
)
def test_the_preflight_asks_every_host_for_the_name(in_hosts: bool, said: str, status: Status, words: str) -> None:
    endpoint = Endpoint(vip="10.0.9.100", name="api.example.org", name_in_hosts=in_hosts)  # type: ignore[arg-type]
    answers = spoken("n1", "endpoint-name", f"asked\n{said}")
    found = judged(world(endpoint=endpoint, answers=answers), "endpoint-name", "n1")
    assert found is not None
    assert found[0] == status
    assert words in found[1]
    assert judged(world(), "endpoint-name", "n1") is None
    at = world(endpoint=endpoint, answers=answers)
    assert judged(at, "endpoint-name", "m1") is not None
