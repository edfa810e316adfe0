"""Level 2: everything in a backup is read through an API server with the keys in it, or it is told what can't be."""

import asyncio
import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import backup_sets as sets
import pytest
from cluster_programs import of_line
from state_folders import NOW, cluster

from quorate.backup import archive, prove
from quorate.backup.keys import compared
from quorate.backup.objects import Selection, objects, text
from quorate.backup.proof import Proof
from quorate.component.settings import encryption
from quorate.core import VerifyFailed
from quorate.render import throwaway, yaml
from quorate.spec.supply import Supply
from quorate.spec.versions import restorers
from quorate.state import age
from quorate.state.bundle import Bundle, Entry
from quorate.state.opener import Opener
from quorate.state.store import Store
from quorate.transport.local import LocalTransport

VERSION = "3.7"


class Made:
    """Programs, and a snapshot of a cluster with a few objects, written with the keys of a state folder."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.bin = work / "bin"
        self.bin.mkdir()
        for part, version in (("etcd", VERSION), ("kubernetes", "1.37")):
            for program in of_line(part, version).iterdir():
                (self.bin / program.name).symlink_to(program)
        self.store = Store.beside(work / "cluster.yaml", "c")
        self.secrets = self.store.secrets(cluster(), NOW, persist=True)
        self.bundle = Bundle(
            "c",
            "cluster.yaml",
            {
                "cluster.yaml": Entry(b"name: c\n", 0o600),
                **{
                    f"state/{path.relative_to(self.store.path)}": Entry(path.read_bytes(), 0o600)
                    for name in ("pki/sa.key", "pki/sa.pub", "random/encryption-key")
                    for path in [self.store.path / name]
                },
            },
        )
        self.snapshot, self.revision = asyncio.run(self._snapshot())

    async def _snapshot(self) -> tuple[bytes, int]:
        """An API server on an empty etcd writes what is wanted."""
        place = self.work / "first"
        place.mkdir()
        prove.keep_keys(self.opened(b"", 0), place)
        script = (
            throwaway.functions(str(self.bin), restorers(VERSION), 2**31)
            + throwaway.api_server(str(self.bin), prove.api_flags(cluster()), "10.96.0.0/16")
            + throwaway.moved(str(place), api=True)
            + f"{self.bin}/etcd --data-dir=e --name=e --listen-client-urls={throwaway.SERVES} "
            + f"--advertise-client-urls={throwaway.SERVES} --listen-peer-urls=unix://peer:1 "
            + "--initial-advertise-peer-urls=unix://peer:1 --initial-cluster=e=unix://peer:1 >etcd.log 2>&1 &\n"
            + "q_etcd=$!\n"
            + "q_api 120\n"
            + "q_ctl create secret generic token --from-literal=word=swordfish >/dev/null\n"
            + "q_ctl create configmap plain --from-literal=word=known >/dev/null\n"
            + "q_ctl create serviceaccount robot >/dev/null; q_ctl create token robot >robot\n"
            + "rm -f s.db; q_own snapshot save s.db >/dev/null; q_utl snapshot status s.db -w json\n"
        )
        said = await LocalTransport().run("here", script)
        revision = int(said.partition('"revision":')[2].partition(",")[0])
        self.token = (place / "robot").read_text()
        return (place / "s.db").read_bytes(), revision

    def opened(self, snapshot: bytes, revision: int, bundle: Bundle | None = None) -> archive.OpenedSet:
        """A set with that snapshot."""
        content = bundle or self.bundle
        told = sets.manifest(content)
        etcd = replace(
            told.etcd,
            version=f"{VERSION}.0",
            revision=revision,
            compact_revision=0,
            hash=0,
            keys={},
            size=len(snapshot),
            sha256=hashlib.sha256(snapshot).hexdigest(),
        )
        path = self.work / f"{sets.NAME}.backup"
        archive.write(path, sets.parts(replace(told, etcd=etcd), content, snapshot=snapshot))
        return archive.open_set(path, Opener(age.identities(sets.KEY.encode(), "key", lambda: "")))

    async def prove(self, found: archive.OpenedSet) -> Proof:
        with prove.private(self.work / "proving") as scratch:
            (scratch / "bin").symlink_to(self.bin)
            return await prove.prove(found, cluster(), Supply(), scratch)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("read"))


@pytest.fixture(autouse=True)
def _programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "_unpack", lambda *_: None)


async def test_every_secret_is_decrypted(made: Made) -> None:
    assert b"swordfish" not in made.snapshot
    assert b"known" in made.snapshot
    proof = await made.prove(made.opened(made.snapshot, made.revision))
    assert (proof.level, proof.where) == (2, "here")
    assert proof.evidence["secrets"] == 1
    assert proof.evidence["resources"] > 40
    assert proof.evidence["objects"] > 20
    assert proof.evidence["not_read"] == 0
    assert list((made.work / "proving").iterdir()) == []


REVIEW = """
review() {
  printf '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"%s"}}' "$(cat robot)" |
    q_ctl create -f - -o jsonpath='{.status.authenticated}'
}
word() { q_ctl get secret "$1" -o jsonpath='{.data.word}' 2>/dev/null || :; }
tell() { echo "$1 token=$(word token) later=$(word later) robot=$(review)"; }
"""


async def test_keys_of_before_read_and_verify_and_the_present_ones_write_and_sign(made: Made) -> None:
    """A cluster whose keys were exchanged since, restored, and then without the keys of before."""
    found, place = made.opened(made.snapshot, made.revision), made.work / "restored"
    now = Store.beside(place / "cluster.yaml", "c")
    place.mkdir()
    now.secrets(cluster(), NOW, persist=True)
    present = now.secrets(cluster(), NOW, persist=False)
    both = now.secrets(cluster(), NOW, persist=True, old=compared(found, now).brought)
    assert [key.name for key in both.encryption_keys] == ["key1", "key1"], "all keys of a name are tried"
    found.snapshot_in(place)
    (place / "robot").write_text(made.token)
    (place / "sa.key").write_bytes(both.pem("sa.key"))
    for folder, secrets in (("both", both), ("present", present)):
        (place / folder).mkdir()
        (place / folder / "sa.pub").write_bytes(secrets.pem("sa.pub"))
        (place / folder / "encryption.yaml").write_text(yaml.dump(encryption.config(*secrets.encryption_keys)))
    script = (
        throwaway.functions(str(made.bin), restorers(VERSION), 2**31)
        + throwaway.api_server(str(made.bin), prove.api_flags(cluster()), "10.96.0.0/16")
        + throwaway.moved(str(place), api=True)
        + REVIEW
        + "q_serve 120; cp both/* .; q_api 120\n"
        + "q_ctl create secret generic later --from-literal=word=marlin >/dev/null; tell both\n"
        + "q_api_end; cp present/* .; q_api 120; tell present\n"
    )
    told = await LocalTransport().run("here", script)
    swordfish, marlin = (base64.b64encode(word).decode() for word in (b"swordfish", b"marlin"))
    assert told.splitlines() == [
        f"both token={swordfish} later={marlin} robot=true",
        f"present token= later={marlin} robot=",
    ]


async def test_a_backup_of_such_a_cluster_is_read_with_all_its_keys(made: Made) -> None:
    store = Store.beside(made.work / "later/cluster.yaml", "c")
    store.path.parent.parent.mkdir()
    store.secrets(cluster(), NOW, persist=True, old=compared(made.opened(b"", 0), store).brought)
    paths = [path for folder in ("pki", "random") for path in (store.path / folder).iterdir()]
    entries = {f"state/{path.relative_to(store.path)}": Entry(path.read_bytes(), 0o600) for path in paths}
    later = replace(made.bundle, entries={"cluster.yaml": made.bundle.entries["cluster.yaml"], **entries})
    proof = await made.prove(made.opened(made.snapshot, made.revision, later))
    assert (proof.level, proof.evidence["secrets"]) == (2, 1)


async def test_with_another_key_they_are_not(made: Made) -> None:
    other = "A" * 43 + "="
    entries = {**made.bundle.entries, "state/random/encryption-key": Entry(other.encode(), 0o600)}
    found = made.opened(made.snapshot, made.revision, replace(made.bundle, entries=entries))
    with pytest.raises(VerifyFailed, match="secrets can't be read") as caught:
        await made.prove(found)
    assert other not in str(caught.value)
    assert list((made.work / "proving").iterdir()) == []


async def test_single_objects_are_read_out_of_it_as_they_can_be_created_anew(made: Made) -> None:
    found = made.opened(made.snapshot, made.revision)
    wanted = [Selection.read(each) for each in ("default:secrets/token", "default:configmaps/plain", ":namespaces")]
    with prove.private(made.work / "reading") as scratch:
        (scratch / "bin").symlink_to(made.bin)
        read = await objects(found, cluster(), Supply(), scratch, wanted)
    token, plain, *rest = read
    assert (token["kind"], token["metadata"]) == ("Secret", {"name": "token", "namespace": "default"})
    assert base64.b64decode(token["data"]["word"]) == b"swordfish"
    assert (plain["kind"], plain["data"]) == ("ConfigMap", {"word": "known"})
    assert {"default", "kube-system"} <= {each["metadata"]["name"] for each in rest}
    assert not [each for each in read if "status" in each or "uid" in each["metadata"]]
    assert text(read[:2]).count("kind:") == 2
    assert list((made.work / "reading").iterdir()) == []


@pytest.mark.parametrize(("wanted", "why"), [("default:secrets/other", "not found"), ("shop:nothings/x", "nothings")])
async def test_what_is_not_in_it_is_named(made: Made, wanted: str, why: str) -> None:
    found = made.opened(made.snapshot, made.revision)
    with prove.private(made.work / "reading") as scratch:
        (scratch / "bin").symlink_to(made.bin)
        with pytest.raises(VerifyFailed, match=why) as caught:
            await objects(found, cluster(), Supply(), scratch, [Selection.read(wanted)])
    assert "swordfish" not in str(caught.value)
