"""What is kept, what is made again and why, what is refused."""

from datetime import datetime, timedelta

import pytest

from quorate.core import QuorateError
from quorate.pki.issue import inspect, load_cert, load_key, new_key
from quorate.pki.keyring import Keyring
from quorate.spec.cluster import ApiServer, Cluster, Host, Pki, Role
from quorate.spec.secrets import Secrets


def again(cluster: Cluster, secrets: Secrets, now: datetime, drop: tuple[str, ...] = (), **change: bytes) -> Keyring:
    found = {**secrets.pems, **{id: text.encode() for id, text in secrets.random.items()}}
    found = {id: content for id, content in found.items() if id not in drop}
    ring = Keyring(cluster, found | {k.replace("__", "."): v for k, v in change.items()}, now, lambda id: f"/s/{id}")
    ring.complete()
    return ring


def test_what_fits_is_kept(cluster, secrets, now):
    ring = again(cluster, secrets, now + timedelta(days=200))
    assert (ring.made, ring.changes, ring.warnings) == ({}, [], [])


def test_an_added_name_renews_the_api_servers_only(cluster, secrets, now):
    more = cluster.model_copy(update={"apiserver": ApiServer(extra_sans=("api.example.org", "new.example.org"))})
    ring = again(more, secrets, now)
    assert ring.changes == [
        "apiserver@master01: does not name new.example.org",
        "apiserver@master02: does not name new.example.org",
    ]
    assert again(more, Secrets({**secrets.pems, **ring.made}, secrets.random), now).changes == []


def test_a_host_that_left_restarts_nobody(cluster, secrets, now):
    fewer = cluster.model_copy(update={"hosts": cluster.hosts[:-1]})
    assert again(fewer, secrets, now).changes == []


def test_a_new_master_renews_and_adds(cluster, secrets, now):
    host = Host(name="master03", address="10.0.0.3", roles=(Role.CONTROL_PLANE,))
    ring = again(cluster.model_copy(update={"hosts": (*cluster.hosts, host)}), secrets, now)
    assert "apiserver@master01: does not name 10.0.0.3, master03" in ring.changes
    assert "admin@master03: new" in ring.changes
    assert not any(
        change.startswith(("etcd-server", "etcd-peer", "etcd-client", "kubelet", "ca:")) for change in ring.changes
    )


def test_renewal_in_time(cluster, secrets, now):
    ring = again(cluster, secrets, now + timedelta(days=310))
    assert len(ring.changes) == sum(id.endswith(".crt") for id in secrets.pems) - 3
    assert all("expires on" in change for change in ring.changes)
    assert any("expired on" in change for change in again(cluster, secrets, now + timedelta(days=400)).changes)


def test_a_short_life_is_not_renewed_on_every_run(cluster, now):
    short = cluster.model_copy(update={"pki": Pki(leaf_days=30, renew_before_days=60)})
    fresh = Keyring(short, {}, now, str).complete()
    assert again(short, fresh, now + timedelta(days=1)).changes == []
    assert again(short, fresh, now + timedelta(days=16)).changes != []


def test_a_leaf_that_ends_with_its_ca_is_left_in_peace(cluster, now):
    brief = cluster.model_copy(update={"pki": Pki(ca_days=100, leaf_days=365)})
    ring = again(brief, Keyring(brief, {}, now, str).complete(), now + timedelta(days=90))
    assert ring.changes == []
    assert [w.split(":")[0] for w in ring.warnings] == [
        "/s/ca.crt",
        "/s/etcd-ca.crt",
        "/s/front-proxy-ca.crt",
    ]


def test_another_algorithm_renews_leaves_but_no_ca(cluster, secrets, now):
    small = cluster.model_copy(update={"hosts": cluster.hosts[:1], "pki": Pki(algorithm="rsa-2048")})
    ring = again(small, secrets, now)
    assert "apiserver@master01: key is ecdsa-p256, wanted rsa-2048" in ring.changes
    assert not {"ca.crt", "ca.key", "sa.key"} & set(ring.made)


def test_a_leaf_with_a_foreign_or_lost_key_is_made_again(cluster, secrets, now):
    ring = again(cluster, secrets, now, **{"scheduler@master01__key": new_key("ecdsa-p256")})
    assert ring.changes == ["scheduler@master01: its key is not its own"]
    ring = again(cluster, secrets, now, drop=("scheduler@master01.key",))
    assert ring.changes == ["scheduler@master01: its key is gone"]


def test_leaves_of_another_ca_are_made_again(cluster, secrets, now):
    other = Keyring(cluster, {}, now, str).complete()
    ca = {"etcd-ca__crt": other.cert("etcd-ca"), "etcd-ca__key": other.key("etcd-ca")}
    ring = again(cluster, secrets, now, **ca)
    assert len(ring.changes) == 3 * 3 + 2 * 2
    assert all(change.endswith("another CA issued it") for change in ring.changes)


def test_a_lost_ca_certificate_is_made_from_its_key_and_trusts_what_it_signed(cluster, secrets, now):
    ring = again(cluster, secrets, now, drop=("ca.crt", "sa.pub"))
    assert ring.changes == ["sa.pub: again from its key", "ca: again from its key"]
    load_cert(secrets.cert("apiserver", "master01")).verify_directly_issued_by(load_cert(ring.made["ca.crt"]))
    assert ring.made["sa.pub"] == secrets.pem("sa.pub")


VITAL = ("ca.key", "etcd-ca.key", "front-proxy-ca.key", "sa.key", "encryption-key")


@pytest.mark.parametrize("id", VITAL)
def test_what_can_not_be_replaced_is_refused(id, cluster, secrets, now):
    with pytest.raises(QuorateError) as caught:
        again(cluster, secrets, now, drop=(id,))
    assert caught.value.message.startswith(f"/s/{id}: ")
    assert "backup" in caught.value.hint


def test_a_ca_gone_with_its_key_is_refused_while_anything_hangs_on_it(cluster, secrets, now):
    with pytest.raises(QuorateError, match=r"/s/etcd-ca.crt: missing, but certificates that it signed"):
        again(cluster, secrets, now, drop=("etcd-ca.crt", "etcd-ca.key"))


@pytest.mark.parametrize("id", [*VITAL, "ca.crt", "apiserver@master01.crt", "apiserver@master01.key"])
def test_damage_is_refused_by_name_and_never_quoted(id, cluster, secrets, now):
    found = {**secrets.pems, **{k: v.encode() for k, v in secrets.random.items()}}
    damaged = found[id][3:]
    with pytest.raises(QuorateError) as caught:
        again(cluster, secrets, now, **{id.replace(".", "__"): damaged})
    text = repr(caught.value) + str(caught.value)
    assert f"/s/{id}" in text
    assert caught.value.hint
    assert not any(len(line) > 20 and line.decode() in text for line in damaged.split(b"\n"))
    assert caught.value.__cause__ is None


def test_wrong_expired_and_early_cas_are_refused(cluster, secrets, now):
    with pytest.raises(QuorateError, match=r"ca.crt: is not the certificate of ca.key"):
        again(cluster, secrets, now, ca__key=new_key("ecdsa-p256"))
    with pytest.raises(QuorateError, match=r"ca.crt: expired on") as caught:
        again(cluster, secrets, now + timedelta(days=3651))
    assert "move ca.crt away" in caught.value.hint
    with pytest.raises(QuorateError, match="not valid before"):
        again(cluster, secrets, now - timedelta(days=1))
    leaf = secrets.cert("scheduler", "master01"), secrets.key("scheduler", "master01")
    with pytest.raises(QuorateError, match="is not a CA's certificate"):
        again(cluster, secrets, now, ca__crt=leaf[0], ca__key=leaf[1])


def test_repr_shows_nothing(cluster, secrets, now):
    ring = Keyring(cluster, secrets.pems, now, str)
    ring.made.update(secrets.pems)
    shown = f"{secrets!r} {secrets} {ring!r}"
    assert "BEGIN" not in shown
    assert not any(text in shown for text in secrets.random.values())
    with pytest.raises(KeyError, match=r"nobody@nowhere\.crt"):
        secrets.cert("nobody", "nowhere")


def test_keys_and_serials_are_never_shared(secrets):
    keys = [pem for id, pem in secrets.pems.items() if id.endswith(".key")]
    serials = [inspect(pem).serial for id, pem in secrets.pems.items() if id.endswith(".crt")]
    assert len(set(keys)) == len(keys)
    assert len(set(serials)) == len(serials)
    assert load_key(secrets.pem("sa.key")).public_key() != load_key(secrets.key("ca")).public_key()
