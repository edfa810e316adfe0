"""What speaks against a restore before anything is touched, and what is restored."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from backup_sets import KEY, NAME, manifest, parts
from state_folders import TEXT, cluster

from quorate.backup import archive
from quorate.backup.archive import OpenedSet, open_set
from quorate.backup.keys import AUTHORITIES, ENCRYPTION, GOES_ON, KEYS, SERVICE_ACCOUNTS, told
from quorate.backup.preview import Live
from quorate.backup.restore import check, loses, restoration, versions
from quorate.core import PlanError
from quorate.pki.issue import new_key, public_pem
from quorate.pki.old_keys import files, short
from quorate.spec.cluster import ApiServer
from quorate.spec.restoring import WEEK
from quorate.spec.secrets import EncryptionKey, OldKeys
from quorate.state import age
from quorate.state.bundle import Bundle, Entry
from quorate.state.opener import Opener
from quorate.state.store import Store

HALF = bytes(range(256)) * 64
WHOLE = HALF + hashlib.sha256(HALF).digest()
"""As etcd ends a snapshot."""
SECRETS = {
    **{file: f"{file} of now\n".encode() for file in AUTHORITIES},
    SERVICE_ACCOUNTS: new_key("ecdsa-p256"),
    ENCRYPTION: b"A" * 43 + b"=\n",
}


def opened(
    folder: Path,
    secrets: Mapping[str, bytes] = SECRETS,
    snapshot: bytes = WHOLE,
    named: str = "c",
    encryption_keys: tuple[str, ...] = ("key1",),
) -> OpenedSet:
    entries = {"cluster.yaml": Entry(TEXT.encode(), 0o600)}
    entries |= {f"state/{file}": Entry(content, 0o600) for file, content in secrets.items()}
    content = Bundle(named, "cluster.yaml", entries)
    told = manifest(content)
    data = replace(told.etcd, size=len(snapshot), sha256=hashlib.sha256(snapshot).hexdigest())
    told = replace(told, cluster=named, etcd=data, encryption_keys=encryption_keys)
    members = [
        (name, (lambda out: out.write(age.seal(snapshot, [age.public(KEY)]))) if name == archive.SNAPSHOT else fill)
        for name, fill in parts(told, content)
    ]
    path = folder / f"{NAME}{archive.SUFFIX}"
    archive.write(path, members)
    return open_set(path, Opener(age.identities(KEY.encode(), "key", lambda: "")))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    file = tmp_path / "cluster.yaml"
    file.write_text(TEXT)
    made = Store.beside(file, "c")
    for name, content in SECRETS.items():
        made.write(made.path / name, content)
    return made


def test_a_backup_of_this_cluster_and_its_keys_is_taken(tmp_path: Path, store: Store) -> None:
    found = check(opened(tmp_path), cluster(), store)
    assert found.brought == OldKeys()
    assert list(told(found)) == []


def test_that_of_another_cluster_is_refused(tmp_path: Path, store: Store) -> None:
    with pytest.raises(PlanError, match="is a backup of the cluster d, and not of c"):
        check(opened(tmp_path, named="d"), cluster(), store)


@pytest.mark.parametrize("file", KEYS)
def test_a_key_that_is_missing_is_named(tmp_path: Path, store: Store, file: str) -> None:
    less = {name: content for name, content in SECRETS.items() if name != file}
    with pytest.raises(PlanError) as lacks:
        check(opened(tmp_path, less), cluster(), store)
    assert f"lacks {KEYS[file]} ({file})" in lacks.value.message


@pytest.mark.parametrize("file", [SERVICE_ACCOUNTS, ENCRYPTION])
def test_a_key_that_is_damaged_is_named_and_not_shown(tmp_path: Path, store: Store, file: str) -> None:
    with pytest.raises(PlanError) as damaged:
        check(opened(tmp_path, SECRETS | {file: b"no such key\n"}), cluster(), store)
    assert f"{file} of {NAME}" in damaged.value.message
    assert "no such key" not in damaged.value.message


def test_keys_that_were_exchanged_since_come_along_to_read_with(tmp_path: Path, store: Store) -> None:
    before = {SERVICE_ACCOUNTS: new_key("ecdsa-p256"), ENCRYPTION: b"B" * 43 + b"="}
    older = EncryptionKey("key1", "C" * 43 + "=")
    kept = {f"random/{id}": content for id, content in files(OldKeys((older,))).items()}
    store.write(store.path / "copy/identity", b"AGE-SECRET-KEY-1\n")
    then = opened(tmp_path, {**SECRETS, **before, **kept, "copy/identity": b"AGE-SECRET-KEY-1\n"})
    found = check(then, cluster(), store)
    public = public_pem(before[SERVICE_ACCOUNTS])
    assert found.brought == OldKeys((EncryptionKey("key1", "B" * 43 + "="), older), (public,))
    one, *_ = said = list(told(found))
    assert one.startswith("keys of that time are added for reading: encryption key key1 (")
    assert f"key of service accounts ({short(public)})" in one
    assert "is believed again" in said[1]
    assert not [each for each in ("B" * 43, "C" * 43) if each in "".join(said)]
    for id, content in files(found.brought).items():
        store.write(store.path / ("random" if id.startswith("encryption") else "pki") / id, content)
    again = check(then, cluster(), store)
    assert again.brought == OldKeys(), "it has them now"
    assert list(told(again)) == []


@pytest.mark.parametrize("file", AUTHORITIES)
def test_the_cluster_goes_on_with_its_own_authority_and_that_is_said(tmp_path: Path, store: Store, file: str) -> None:
    found = check(opened(tmp_path, SECRETS | {file: b"another\n"}), cluster(), store)
    assert found.brought == OldKeys()
    (said,) = told(found)
    assert said == f"{KEYS[file]} stays the present one, and not that of the backup: {GOES_ON[file]}"
    key = file.replace(".crt", ".key")
    store.write(store.path / key, b"its key\n")
    (tmp_path / f"{NAME}.backup").unlink()
    renewed = check(opened(tmp_path, SECRETS | {file: b"another\n", key: b"its key\n"}), cluster(), store)
    assert list(told(renewed)) == [], "of the same key it is the same authority"


def test_one_of_the_same_name_and_authority_with_no_key_of_ours_is_of_another_cluster(
    tmp_path: Path, store: Store
) -> None:
    others = {SERVICE_ACCOUNTS: new_key("ecdsa-p256"), ENCRYPTION: b"B" * 43 + b"="}
    with pytest.raises(PlanError) as other:
        check(opened(tmp_path, SECRETS | others), cluster(), store)
    assert "it is of another one of that name" in other.value.message
    assert f"{KEYS[ENCRYPTION]} ({ENCRYPTION})" in other.value.message
    assert f"`quorate adopt {NAME}.backup --into FOLDER`" in other.value.message
    assert "B" * 43 not in other.value.message


def test_secrets_that_nobody_could_read_are_told(tmp_path: Path, store: Store) -> None:
    with pytest.raises(PlanError) as unknown:
        check(opened(tmp_path, encryption_keys=("key2", "key1")), cluster(), store)
    assert f"Secrets in {NAME} are encrypted with key2" in unknown.value.message
    (tmp_path / f"{NAME}.backup").unlink()
    plain = cluster().model_copy(update={"apiserver": ApiServer(encrypt_secrets=False)})
    with pytest.raises(PlanError, match=r"apiserver\.encrypt_secrets is false"):
        check(opened(tmp_path), plain, store)
    (tmp_path / f"{NAME}.backup").unlink()
    check(opened(tmp_path, encryption_keys=()), plain, store)


def test_what_goes_back_with_the_data_is_named_by_version(tmp_path: Path) -> None:
    now = cluster()
    restoring = restoration(opened(tmp_path), now, now, tmp_path)
    running = {"kubernetes": "1.38.0", "etcd": "3.6.15", "containerd": "2.2.0"}
    back, stays = versions(restoring, running, {"kubernetes": "1.37.2", "etcd": "3.6.15", "containerd": "2.2.0"})
    assert back == "versions go back with it, on all hosts: kubernetes 1.38.0 -> 1.37.2"
    assert stays == "stays as it is, of another version than then: etcd 3.6.15 (then 3.6.14)"
    assert list(versions(restoring, restoring.versions, restoring.versions)) == []


def test_what_is_restored_is_the_snapshot_with_the_versions_that_wrote_it(tmp_path: Path, store: Store) -> None:
    now = cluster()
    then = now.model_copy(
        update={"hosts": (*now.hosts, now.workers[0].model_copy(update={"name": "w9", "node_name": None}))}
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = restoration(opened(tmp_path), then, now, scratch)
    assert found.blob is not None
    assert gzip.decompress(found.blob.path.read_bytes()) == WHOLE
    assert [path.name for path in scratch.iterdir()] == ["snapshot.gz"], "no plain snapshot is left"
    assert (found.size, found.sha256) == (len(WHOLE), hashlib.sha256(WHOLE).hexdigest())
    assert found.versions == {"etcd": "3.6.14", "kubernetes": "1.37.2"}
    assert len(found.nodes) == 1
    again = restoration(opened(tmp_path / "scratch"), then, now, scratch)
    assert again.id != found.id, "each restore has a token of its own"


@pytest.mark.parametrize(
    ("etcd", "programs", "tool", "bump"),
    [
        ("3.4.23", ("etcd", "etcdctl"), "etcdctl", 0),
        ("3.4.27", ("etcd", "etcdctl"), "etcdctl", WEEK),
        ("3.5.9", ("etcd", "etcdctl", "etcdutl"), "etcdutl", 0),
        ("3.5.10", ("etcd", "etcdctl"), "etcdctl", WEEK),
        ("3.6.0", ("etcd", "etcdctl", "etcdutl"), "etcdutl", WEEK),
        ("3.7.3", ("etcd", "etcdctl"), "etcdutl", WEEK),
    ],
)
def test_the_program_and_what_it_can_depend_on_the_version(
    tmp_path: Path, store: Store, etcd: str, programs: tuple[str, ...], tool: str, bump: int
) -> None:
    now = cluster()
    found = restoration(opened(tmp_path), now, now, tmp_path).by(etcd, programs)
    assert (found.tool, found.bump) == (tool, bump)


@pytest.mark.parametrize("wrong", [WHOLE[:-1], WHOLE[:-512], WHOLE[:9] + b"?" + WHOLE[10:], WHOLE[:20], b""])
def test_a_snapshot_that_is_not_whole_is_refused_here(tmp_path: Path, store: Store, wrong: bytes) -> None:
    now = cluster()
    with pytest.raises(PlanError, match="its own checksum does not fit"):
        restoration(opened(tmp_path, snapshot=wrong), now, now, tmp_path)


def test_data_go_back_only_when_that_is_meant(tmp_path: Path) -> None:
    told = opened(tmp_path).manifest
    works = loses(told, NAME, Live({"m1": 1234, "m2": 1234}, True), 3)
    assert works is not None
    assert "2 of its 3 members answer" in works.why
    assert "--replace HOST" in works.fix
    survivor = loses(told, NAME, Live({"m2": 1300}, False), 3)
    assert survivor is not None
    assert "m2 has data up to revision 1300, and " in survivor.why
    assert "`quorate backup` saves what that member has" in survivor.fix
    assert loses(told, NAME, Live({"m2": 1234}, False), 3) is None
    assert loses(told, NAME, Live({}, False), 3) is None
