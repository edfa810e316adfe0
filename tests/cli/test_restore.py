"""`restore` and `adopt` of a backup: what is refused before anything is sent, what is shown, and that it goes on."""

import base64
import gzip
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from backup_sets import manifest, parts
from fake_hosts import CLUSTER, Hosts, Quorate

from quorate.backup import archive
from quorate.backup.manifest import StateMark
from quorate.pki.issue import new_key
from quorate.spec.load import load
from quorate.spec.supply import Supply
from quorate.state import age, seal
from quorate.state.bundle import gather
from quorate.state.past import Past
from quorate.state.store import Store

NAME = "tiny-20261123T120000Z-0123abcd"
HALF = b"a secret of the cluster's " * 512
WHOLE = HALF[:12800] + hashlib.sha256(HALF[:12800]).digest()


def made(file: Path, *, name: str = NAME, snapshot: bytes = WHOLE, etcd: str = "3.4.23", key: str = "") -> Path:
    """A backup of the state folder as it is now, beside the cluster file."""
    cluster = load(file)
    store = Store.beside(file, cluster.name)
    content = gather(store.path, cluster, file, file.read_text())
    told = manifest(content)
    data = replace(told.etcd, version=etcd, size=len(snapshot), sha256=hashlib.sha256(snapshot).hexdigest())
    told = replace(
        told,
        cluster=cluster.name,
        etcd=data,
        kubernetes="1.20.2",
        versions={"kubernetes": "1.20.2", "etcd": etcd},
        state=StateMark(1, content.digest),
    )
    key = key or seal.identity(store)
    members = [
        (name, (lambda out: out.write(age.seal(snapshot, [age.public(key)]))) if name == archive.SNAPSHOT else fill)
        for name, fill in parts(told, content, key=key)
    ]
    path = file.parent / "backups" / f"{name}{archive.SUFFIX}"
    path.parent.mkdir(exist_ok=True)
    archive.write(path, members)
    return path


@pytest.fixture
def built(file: Path, quorate: Quorate, hosts: Hosts) -> Path:
    """A cluster that was built, as far as its state folder knows."""
    assert quorate("apply", "--yes")[0] == 7
    cluster = load(file)
    store = Store.beside(file, cluster.name)
    seal.identity(store)
    store.keep()
    Past(store, file, cluster).finish(file.read_text(), {}, Supply(versions={"kubernetes": "1.20.2", "etcd": "3.4.23"}))
    hosts.scripts.clear()
    return file


def sent(hosts: Hosts) -> list[str]:
    """Scripts that could have changed something."""
    return [script for _, script in hosts.scripts if "snapshot restore" in script or "systemctl stop" in script]


def test_what_can_not_be_restored_is_refused_before_anything_is_done(
    quorate: Quorate, built: Path, hosts: Hosts, tmp_path: Path
) -> None:
    path = made(built)
    whole = path.read_bytes()
    for wrong, code, why in (
        (whole[: len(whole) // 2], 1, "backup"),
        (whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:], 1, "is not as it was written"),
        (b"", 1, "backup"),
    ):
        path.write_bytes(wrong)
        found, _, err = quorate("restore", str(path), "--yes")
        assert (found, why in err) == (code, True), err
    path.write_bytes(whole)
    made(built, snapshot=WHOLE[:-1])
    code, _, err = quorate("restore", str(path), "--yes")
    assert (code, "its own checksum does not fit" in err) == (4, True)
    made(built, etcd="3.5.35")
    code, _, err = quorate("restore", str(path), "--yes")
    assert (code, 'write etcd: "3.5.35" under `versions`' in err) == (4, True), err
    made(built, key=age.make_identity())
    code, _, err = quorate("restore", str(path), "--yes")
    assert (code, "is not sealed for this key" in err) == (1, True)
    code, _, err = quorate("restore", "no-such-backup", "--yes")
    assert (code, "there is no backup no-such-backup" in err) == (1, True)
    assert sent(hosts) == []
    assert not (built.parent / ".quorate/tiny/operation.json").exists()
    assert [each.name for each in path.parent.iterdir()] == [path.name], "nothing plain is left"


def test_keys_that_were_exchanged_since_are_kept_to_read_with(quorate: Quorate, built: Path, hosts: Hosts) -> None:
    path = made(built)
    state = built.parent / ".quorate/tiny"
    then = {name: (state / name).read_bytes() for name in ("random/encryption-key", "pki/sa.key", "pki/sa.pub")}
    now = {"random/encryption-key": b"A" * 43 + b"=", "pki/sa.key": new_key("ecdsa-p256")}
    for name, content in now.items():
        (state / name).write_bytes(content)
    code, out, err = quorate("restore", str(path), "--yes")
    assert code == 7, err
    assert "keys of that time are added for reading: encryption key key1 (" in out
    assert "is believed again" in out
    assert [each.read_bytes() for each in (state / "random").glob("encryption-key.*")] == [
        then["random/encryption-key"]
    ]
    assert [each.read_bytes() for each in (state / "pki").glob("sa.*.pub")] == [then["pki/sa.pub"]]
    assert {name: (state / name).read_bytes() for name in now} == now
    everything = out + err + (state / "operation.json").read_text() + (state / "journal.jsonl").read_text()
    assert then["random/encryption-key"].decode() not in everything
    code, out, _ = quorate("restore", str(path), "--yes")
    assert (code, "has begun: this goes on with it" in out) == (7, True)
    assert len([*(state / "random").glob("encryption-key.*"), *(state / "pki").glob("sa.*.pub")]) == 2


def test_one_of_another_cluster_of_that_name_is_refused(quorate: Quorate, built: Path, hosts: Hosts) -> None:
    path, state = made(built), built.parent / ".quorate/tiny"
    key = built.parent / "age.key"
    key.write_bytes((state / "copy/identity").read_bytes())
    (state / "random/encryption-key").write_text("A" * 43 + "=")
    (state / "pki/sa.key").write_bytes(new_key("ecdsa-p256"))
    (state / "copy/identity").write_text(age.make_identity())
    code, _, err = quorate("restore", str(path), "--yes", "--identity", str(key))
    assert (code, "it is of another one of that name" in err, "quorate adopt" in err) == (4, True, True), err
    assert sent(hosts) == []
    assert not [*(state / "random").glob("encryption-key.*"), *(state / "pki").glob("sa.*.pub")]


def works(_host: str, script: str) -> str:
    """A member of etcd that leads, with less of one thing and more of another than the backup."""
    if "endpoint status" in script:
        return '"Revision" : 1300\n"Leader" : 5\n'
    now = b"/registry/pods/shop/new\n/registry/minions/w1\n"
    return base64.b64encode(gzip.compress(now)).decode() if "q_keys" in script else ""


def test_etcd_that_works_is_not_taken_back_unless_that_is_meant(quorate: Quorate, built: Path, hosts: Hosts) -> None:
    path = made(built)
    hosts.acts = works
    code, _, err = quorate("restore", str(path), "--yes")
    assert (code, "etcd works: 1 of its 1 members answer" in err, "--roll-back" in err) == (4, True, True)
    assert sent(hosts) == []
    code, out, _ = quorate("restore", NAME, "--yes", "--roll-back")
    assert code == 7
    assert "etcd goes from revision 1300 back to 1234: 66 writes since are lost" in out
    assert "pods: 1 comes back (shop/web-1), 1 vanishes (shop/new)" in out
    assert "secrets: 1 comes back (shop/login)" in out


def test_programs_are_told_every_name_that_comes_back_or_vanishes(quorate: Quorate, built: Path, hosts: Hosts) -> None:
    made(built)
    hosts.acts = works
    code, out, _ = quorate("restore", NAME, "--yes", "--roll-back", "--json")
    assert code == 7
    events = [json.loads(each) for each in out.splitlines()]
    told = {each["kind"]: (each["back"], each["gone"]) for each in events if each["event"] == "foretold"}
    assert told == {"": ([], []), "pods": (["shop/web-1"], ["shop/new"]), "secrets": (["shop/login"], [])}


def test_all_stages_are_shown_and_a_restore_that_has_begun_is_gone_on_with(
    quorate: Quorate, built: Path, hosts: Hosts
) -> None:
    path = made(built)
    code, out, err = quorate("restore", str(path), "--yes", "--verbose")
    assert code == 7, out + err
    for stage in ("new data beside the old", "stop", "exchange the data", "etcd", "API servers", "nodes"):
        assert stage in out
    assert "the cluster becomes what it was at 2026-11-23T12:00:00Z" in out
    assert "this etcd can't raise revisions" in out
    record = json.loads((built.parent / ".quorate/tiny/operation.json").read_text())
    assert (record["kind"], record["restoring"]["source"]) == ("restore", NAME)
    assert not [script for script in sent(hosts) if "systemctl stop" in script], "the first stage failed: nothing stops"
    code, _, err = quorate("plan")
    assert (code, f"`quorate restore {NAME}` goes on with it" in err) == (4, True), err
    code, out, _ = quorate("restore", str(path), "--yes")
    assert (code, "has begun: this goes on with it" in out) == (7, True)
    again = json.loads((built.parent / ".quorate/tiny/operation.json").read_text())
    assert (again["id"], again["began"]) == (record["id"], record["began"])
    other = made(built, name=NAME[:-1] + "e", snapshot=HALF[512:12800] + hashlib.sha256(HALF[512:12800]).digest())
    code, _, err = quorate("restore", str(other), "--yes")
    assert (code, f"a restore of {NAME} has begun and not ended" in err) == (4, True)


def test_a_restore_that_has_begun_is_given_up(quorate: Quorate, built: Path, hosts: Hosts) -> None:
    code, _, err = quorate("restore", "--give-up", "--yes")
    assert (code, "no restore has begun that could be given up" in err) == (4, True)
    code, _, err = quorate("restore", "--yes")
    assert (code, "no backup is named" in err, "there is none" in err) == (1, True, True)
    made(built)
    code, _, err = quorate("restore", "--yes")
    assert (code, f"name one: {NAME}" in err) == (1, True)
    assert quorate("restore", str(made(built)), "--yes")[0] == 7
    code, out, err = quorate("restore", "--give-up", "--yes")
    assert (code, "open again" in out) == (7, True), out + err
    record = json.loads((built.parent / ".quorate/tiny/operation.json").read_text())
    assert record["restoring"]["given_up"] is True
    assert "open again" in quorate("plan")[1], "and whatever comes next goes on with that"


def test_a_clone_ends_when_api_servers_serve(quorate: Quorate, built: Path, hosts: Hosts) -> None:
    assert quorate("restore", str(made(built)), "--as-clone", "--yes")[0] == 7
    record = json.loads((built.parent / ".quorate/tiny/operation.json").read_text())
    assert record["restoring"]["clone"] is True


def test_objects_need_a_new_file_and_names(quorate: Quorate, built: Path, hosts: Hosts, tmp_path: Path) -> None:
    path = str(made(built))
    for words, why in (
        (("--objects", "shop:secrets"), "no file is named for the objects"),
        (("--objects", "shop:secrets", "--out", "cluster.yaml"), "cluster.yaml is there already"),
        (("--objects", "shop/secrets", "--out", "new.yaml"), "names no objects"),
    ):
        code, _, err = quorate("restore", path, *words)
        assert (code, why in err) == (64, True), err
    assert hosts.scripts == []
    assert not (tmp_path / "new.yaml").exists()


def test_nothing_secret_is_said(quorate: Quorate, built: Path, hosts: Hosts) -> None:
    path = made(built)
    _, out, err = quorate("restore", str(path), "--yes", "--verbose")
    everything = out + err + (built.parent / ".quorate/tiny/journal.jsonl").read_text()
    everything += "".join(script for _, script in hosts.scripts if ". /etc/os-release" not in script)
    assert "a secret of the cluster's" not in everything
    store = Store.beside(built, "tiny")
    token = (store.path / "random/etcd-token").read_text()
    assert not [text for text in store.confidential() if text in out + err and text != token], "a token is no secret"


def test_a_backup_alone_brings_a_state_folder_back(quorate: Quorate, built: Path, hosts: Hosts, tmp_path: Path) -> None:
    path = made(built)
    key = tmp_path / "age.key"
    key.write_text(seal.identity(Store.beside(built, "tiny")) + "\n")
    code, out, err = quorate("adopt", str(path), "--into", "new", "--identity", str(key))
    assert code == 0, err
    assert "quorate restore -f" in out
    assert (tmp_path / "new/cluster.yaml").read_text() == CLUSTER
    for name in ("pki/ca.key", "pki/sa.key", "random/encryption-key", "last-applied.yaml"):
        assert (tmp_path / "new/.quorate/tiny" / name).read_bytes() == (tmp_path / ".quorate/tiny" / name).read_bytes()
    code, out, _ = quorate("adopt", str(path), "--into", "newer", "--identity", str(key), "--json")
    assert (code, json.loads(out)["copy_of"]) == (0, NAME)
    path.write_bytes(path.read_bytes()[:9000])
    code, _, err = quorate("adopt", str(path), "--into", "newest", "--identity", str(key))
    assert code == 1
    assert not (tmp_path / "newest").exists()
