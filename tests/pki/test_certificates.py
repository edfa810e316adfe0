"""Every certificate of the table, judged by openssl."""

import re
import subprocess
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core import SpecError
from quorate.pki import profiles
from quorate.pki.issue import SKEW, PkiError, inspect, issue_ca, issue_leaf, load_cert, load_key, new_key
from quorate.pki.profiles import AUTHORITIES, SUPERUSERS, Wanted, certificates, files
from quorate.spec import pki_files
from quorate.spec.cluster import Cluster, Endpoint, Host, Role


def openssl(*args: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["openssl", *args], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, (args, done.stdout, done.stderr)
    return done.stdout.decode()


def test_openssl_accepts_every_certificate(cluster, secrets, tmp_path):
    for authority in AUTHORITIES:
        (tmp_path / f"{authority.id}.crt").write_bytes(secrets.cert(authority.id))
    for want in certificates(cluster):
        leaf = tmp_path / "leaf.crt"
        leaf.write_bytes(secrets.pem(f"{want.id}.crt"))
        base = ["verify", "-x509_strict", "-CAfile", str(tmp_path / f"{want.ca}.crt")]
        for purpose, is_for in (("sslserver", want.server), ("sslclient", want.client)):
            args = [*base, "-purpose", purpose, str(leaf)]
            if is_for:
                openssl(*args)
            else:
                assert subprocess.run(["openssl", *args], capture_output=True, check=False).returncode != 0
        if want.name == "apiserver" and want.host == "master01":
            for san in want.sans:
                kind = "-verify_ip" if re.fullmatch(r"[0-9.]+", san) else "-verify_hostname"
                openssl(*base, kind, san, str(leaf))
        key_pub = openssl("pkey", "-pubout", stdin=secrets.pem(f"{want.id}.key"))
        assert key_pub == openssl("x509", "-pubkey", "-noout", stdin=leaf.read_bytes())


def test_each_ca_rejects_leaves_of_the_others(cluster, secrets, tmp_path):
    (tmp_path / "ca").write_bytes(secrets.cert("ca"))
    (tmp_path / "leaf").write_bytes(secrets.cert("etcd-server", "master01"))
    args = ["openssl", "verify", "-CAfile", str(tmp_path / "ca"), str(tmp_path / "leaf")]
    assert subprocess.run(args, capture_output=True, check=False).returncode != 0


def test_what_openssl_reads_is_what_the_table_says(cluster, secrets):
    for want in certificates(cluster):
        text = openssl("x509", "-noout", "-text", stdin=secrets.pem(f"{want.id}.crt"))
        names = set(re.findall(r"(?:DNS|IP Address):([^,\s]+)", text))
        assert names == set(want.sans), want.id
        assert ("TLS Web Server Authentication" in text) == want.server
        assert ("TLS Web Client Authentication" in text) == want.client
        assert re.search(r"Key Usage: critical\s+Digital Signature\n", text)
        assert re.search(r"Basic Constraints: critical\s+CA:FALSE", text)
        assert "Subject Key Identifier" in text
        assert "Authority Key Identifier" in text
        info = inspect(secrets.pem(f"{want.id}.crt"))
        assert (info.cn, info.orgs) == (want.cn, want.orgs)


@pytest.mark.parametrize("authority", AUTHORITIES, ids=lambda a: a.id)
def test_a_ca_signs_leaves_only(authority, secrets):
    text = openssl("x509", "-noout", "-text", stdin=secrets.cert(authority.id))
    assert re.search(r"Basic Constraints: critical\s+CA:TRUE, pathlen:0", text)
    assert re.search(r"Key Usage: critical\s+Digital Signature, Certificate Sign, CRL Sign", text)


def test_the_apiserver_is_known_by_every_name(cluster):
    want = next(w for w in certificates(cluster) if w.id == "apiserver@master02")
    assert set(want.sans) == {
        "master01", "10.0.0.1", "master02", "10.0.0.2", "10.0.0.21", "10.0.0.22", "10.0.0.100",
        "10.96.0.1", "127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local", "api.example.org", "192.0.2.7",
    }  # fmt: skip


def test_least_privilege(cluster):
    wanted = certificates(cluster)
    assert [w.id for w in wanted if SUPERUSERS in w.orgs] == ["super-admin"]
    assert {w.cn for w in wanted if w.name == "kubelet-client"} == {
        "system:node:10.0.0.11",
        "system:node:node02",
    }
    assert {w.orgs for w in wanted if w.name == "kubelet-client"} == {("system:nodes",)}
    assert len({w.id for w in wanted}) == len(wanted)


def test_what_lies_where(cluster):
    for host in cluster.hosts:
        placed = files(cluster, host)
        assert len({f.path for f in placed}) == len(placed)
        ids = {f.id for f in placed}
        assert not ids & {"etcd-ca.key", "front-proxy-ca.key"}
        assert not any("super-admin" in id or id.startswith("admin") for id in ids)
        assert ("ca.key" in ids) == host.has(Role.CONTROL_PLANE) == ("sa.key" in ids)
        assert all(f.secret == f.id.endswith(".key") == (f.mode == "0600") for f in placed)
        assert all("@" not in f.id or f.id.split("@")[1].rsplit(".", 1)[0] == host.name for f in placed)
    assert files(cluster, cluster.host("lb01")) == ()
    by_id = {f.id: f for f in files(cluster, cluster.host("master01"))}
    assert by_id["apiserver@master01.key"].path == pki_files.APISERVER_KEY
    assert by_id["etcd-peer@master01.key"].owner == "etcd:etcd"


def test_every_profile_has_both_paths_or_none():
    for profile in profiles.PROFILES:
        assert bool(profile.cert_path) == bool(profile.key_path), profile.name


def test_a_node_name_that_no_certificate_can_hold_is_refused():
    host = Host(name="n", address="10.0.0.1", roles=tuple(Role), node_name="a" * 60)
    with pytest.raises(SpecError, match="too long for a certificate"):
        certificates(Cluster(name="c", hosts=(host,)))


@settings(deadline=None)
@given(st.permutations(range(6)))
def test_order_of_hosts_does_not_matter(cluster, order):
    shuffled = cluster.model_copy(update={"hosts": tuple(cluster.hosts[i] for i in order)})

    def by_id(c: Cluster) -> dict[str, tuple[str, ...]]:
        return {w.id: w.sans for w in certificates(c)}

    assert by_id(shuffled) == by_id(cluster)


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "rsa-2048"])
def test_algorithms(algorithm, now):
    key = new_key(algorithm)
    ca = issue_ca("ca", "o", key, now=now, days=10, serial=1)
    want = Wanted("x", None, "ca", "x", server=True, sans=("h",))
    leaf = issue_leaf(want, new_key(algorithm), ca, key, now=now, days=100, serial=2)
    info = inspect(leaf)
    assert info.algorithm == algorithm
    assert ("keyEncipherment" in info.usages) == (algorithm != "ecdsa-p256")
    assert info.not_after == inspect(ca).not_after
    # Hosts whose clocks are behind take it all the same; its life lies within its CA's.
    assert timedelta(minutes=59) < now - info.not_before < timedelta(minutes=61)
    later = issue_leaf(want, new_key(algorithm), ca, key, now=now + timedelta(minutes=5), days=1, serial=3)
    assert inspect(later).not_before >= inspect(ca).not_before
    old = issue_leaf(want, new_key(algorithm), ca, key, now=now - timedelta(minutes=5), days=1, serial=4)
    assert inspect(old).not_before == inspect(ca).not_before


def test_an_existing_endpoint_name_is_in_the_certificate(cluster):
    named = cluster.model_copy(update={"endpoint": Endpoint(address="k8s.example.org")})
    want = next(w for w in certificates(named) if w.name == "apiserver")
    assert "k8s.example.org" in want.sans


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_refused_without_a_word_of_it(garbage):
    for pem in (garbage, b"-----BEGIN CERTIFICATE-----\n" + garbage + b"\n-----END CERTIFICATE-----\n"):
        for load in (load_cert, load_key):
            with pytest.raises(PkiError) as caught:
                load(pem)
            assert str(caught.value) in {"not a readable certificate", "not a readable private key"}


def test_hosts_whose_clocks_are_behind_take_a_new_certificate(now, tmp_path):
    """By openssl, at a host's hour: what the preflight lets pass is valid there."""
    key = new_key("ecdsa-p256")
    ca = issue_ca("ca", "o", key, now=now, days=10, serial=1)
    leaf = issue_leaf(Wanted("x", None, "ca", "x", server=True, sans=("h",)), key, ca, key, now=now, days=1, serial=2)
    for name, pem in (("ca", ca), ("leaf", leaf)):
        (tmp_path / name).write_bytes(pem)

    def says(behind: timedelta) -> str:
        there = str(int((now - behind).timestamp()))
        command = ["openssl", "verify", "-attime", there, "-CAfile", tmp_path / "ca", tmp_path / "leaf"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    assert says(SKEW - timedelta(seconds=1)).endswith("leaf: OK\n")
    assert "not yet valid" in says(SKEW + timedelta(seconds=2))
