"""Sealed copies: who can open them, when they are sent, which counts, and what real sh makes of the script."""

import importlib.util
import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from own_root import Root
from state_folders import SECRET, TEXT, Hosts, cluster, tree

from quorate.core import PlanError, QuorateError
from quorate.execute import facts
from quorate.procedure.adopt import READ, fetch, newest
from quorate.spec.facts import HostFacts
from quorate.spec.restoring import Restoration
from quorate.state import age, seal
from quorate.state.bundle import gather
from quorate.state.opener import Opened, Opener, Sealed
from quorate.state.seal import Mark
from quorate.state.store import Store

pytestmark = pytest.mark.usefixtures("cheap")


def test_who_can_open_what() -> None:
    mine, other = age.make_identity(), age.make_identity()
    sealed = age.seal(b"content", [age.public(mine)])

    def key(text: str) -> list[age.Identity]:
        return age.identities(f"# a comment\n{text}\n".encode(), "key", lambda: "")

    assert age.unseal(sealed, key(mine), "it") == b"content"
    with pytest.raises(QuorateError, match="it is not sealed for this key"):
        age.unseal(sealed, key(other), "it")
    for bad in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), b"", sealed[:40]):
        with pytest.raises(QuorateError, match="it is damaged"):
            age.unseal(bad, key(mine), "it")
    with pytest.raises(QuorateError, match="no private key that age knows") as caught:
        key(age.public(mine))
    assert mine not in str(caught.value)


@pytest.mark.parametrize("passphrase", ["", "of the key"])
def test_ssh_keys_open_too(tmp_path: Path, passphrase: str) -> None:
    path = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path], check=True)
    sealed = age.seal(b"content", [path.with_suffix(".pub").read_text().strip()])
    if passphrase and not importlib.util.find_spec("bcrypt"):
        with pytest.raises(QuorateError, match="needs the bcrypt package"):
            age.identities(path.read_bytes(), "id", lambda: passphrase)
        return
    assert age.unseal(sealed, age.identities(path.read_bytes(), "id", lambda: passphrase), "it") == b"content"
    if passphrase:
        with pytest.raises(QuorateError, match="wrong passphrase"):
            age.identities(path.read_bytes(), "id", lambda: "not it")


def test_the_real_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    locked = age.lock(b"key", SECRET)
    assert locked.startswith(b"age-encryption.org/v1\n-> scrypt ")
    assert age.unlock(locked, SECRET, "it") == b"key"
    with pytest.raises(QuorateError, match="the passphrase does not open it"):
        age.unlock(locked, SECRET + "!", "it")
    with pytest.raises(QuorateError, match="it is damaged"):
        age.unlock(locked[:-1], SECRET, "it")
    excessive = locked.replace(locked.split(b"\n")[1][-2:], b"40", 1)
    with pytest.raises(QuorateError, match="it is damaged: Excessive work"):
        age.unlock(excessive, SECRET, "it")


def test_the_passphrase_is_kept_nowhere(full: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(QuorateError, match="shorter than 12"):
        seal.set_passphrase(full, "short")
    assert seal.locked(full) is None
    seal.set_passphrase(full, SECRET)
    key = seal.identity(full)
    everything = b"".join(content for _, content in tree(full.path).values())
    assert SECRET.encode() not in everything
    assert age.unlock(seal.locked(full) or b"", SECRET, "it").decode() == key
    assert seal.identity(full) == key, "made once"
    assert {mode for name, (mode, _) in tree(full.path).items() if name.startswith("copy/")} == {0o600}


async def test_without_anybody_who_could_open_it_there_is_no_copy(full: Store, cluster_file: Path) -> None:
    hosts, before = Hosts(), tree(full.path)
    assert await hosts.applies(full, cluster_file, cluster()) == []
    assert tree(full.path) == before
    assert "quorate passphrase" in seal.notes(full, cluster())[0]
    assert seal.notes(full, cluster(copies=False)) == ()
    seal.set_passphrase(full, SECRET)
    assert seal.notes(full, cluster()) == ()


async def test_copies_are_sent_when_something_changed_and_only_then(full: Store, cluster_file: Path) -> None:
    hosts = Hosts()
    seal.set_passphrase(full, SECRET)
    assert await hosts.applies(full, cluster_file, cluster()) == ["m1", "m2", "m3"]
    assert seal.last(full, "c").sequence == 1
    assert await hosts.applies(full, cluster_file, cluster()) == []
    full.journal({"run": "2"})
    assert await hosts.applies(full, cluster_file, cluster()) == [], "a journal that says that nothing was done"
    assert await hosts.applies(full, cluster_file, cluster(), changed=True) == ["m1", "m2", "m3"]
    assert seal.last(full, "c").sequence == 1
    full.write(full.path / "endpoints", b"10.0.0.101\n")
    assert await hosts.applies(full, cluster_file, cluster()) == ["m1", "m2", "m3"]
    assert seal.last(full, "c").sequence == 2
    del hosts.copies["m2"]
    assert await hosts.applies(full, cluster_file, cluster()) == ["m2"], "a new machine, say"
    seal.set_passphrase(full, SECRET + " two")
    assert await hosts.applies(full, cluster_file, cluster()) == ["m1", "m2", "m3"]


async def test_who_is_no_etcd_host_keeps_none(full: Store, cluster_file: Path) -> None:
    hosts = Hosts()
    seal.set_passphrase(full, SECRET)
    hosts.copies |= {"n1": "c 1 00", "m3": "other 1 00"}
    assert await hosts.applies(full, cluster_file, cluster()) == ["m1", "m2", "m3", "n1"]
    assert "n1" not in hosts.copies
    assert await hosts.applies(full, cluster_file, cluster(copies=False)) == ["m1", "m2", "m3"]
    assert hosts.copies == {}


async def test_a_host_that_fails_is_a_warning_and_gets_it_next_time(full: Store, cluster_file: Path) -> None:
    hosts = Hosts()
    hosts.dead = {"m2"}
    seal.set_passphrase(full, SECRET)
    copies = hosts.copies_of(full, cluster_file, cluster(), absent=frozenset({"m3"}))
    await copies.begin()
    await copies.end(changed=True)
    assert copies.warnings == ["m2: the copy of the state folder could not be written: no route"]
    hosts.dead = set()
    assert await hosts.applies(full, cluster_file, cluster()) == ["m2", "m3"]


async def test_what_is_wrong_here_is_a_warning_too(full: Store, cluster_file: Path) -> None:
    hosts = Hosts()
    seal.set_passphrase(full, SECRET)
    (full.path / "copy/identity").chmod(0o644)
    copies = hosts.copies_of(full, cluster_file, cluster())
    await copies.begin()
    await copies.end(changed=True)
    assert len(copies.warnings) == 1
    assert "others can read it" in copies.warnings[0]
    assert hosts.ran == []


async def test_a_state_folder_that_is_not_the_newest_is_refused(full: Store, cluster_file: Path) -> None:
    hosts = Hosts()
    seal.set_passphrase(full, SECRET)
    await hosts.applies(full, cluster_file, cluster())

    def told(**copies: str) -> None:
        seal.check(full, cluster(), {name: HostFacts(copy=copy) for name, copy in copies.items()})

    mine = hosts.copies["m1"].strip()
    told(m1=mine, m2="", m3="c 0 ff", n1="other 9 ff")
    for strange in ("c 2 ff", "c 1 ff"):
        with pytest.raises(PlanError, match="m2 has a copy") as caught:
            told(m1=mine, m2=strange)
        assert "quorate adopt 10.0.0.2 --into" in caught.value.hint
    with pytest.raises(PlanError, match="of an unknown number"):
        seal.check(Store(full.path.parent / "lost"), cluster(), {"m1": HostFacts(copy=mine)})


def test_the_newest_copy_wins_and_contradictions_are_told(full: Store, cluster_file: Path) -> None:
    old = gather(full.path, cluster(), cluster_file, TEXT)
    new = gather(full.path, cluster(), cluster_file, TEXT + "#\n")
    first = Opened("m1", old, 4)
    assert newest(first, [Opened("m2", old, 4), Opened("m3", old, 2)]) is first
    assert newest(first, [Opened("m2", new, 5)]).host == "m2"
    with pytest.raises(QuorateError, match="m1 and m2 have different copies with the number 4"):
        newest(first, [Opened("m2", new, 4)])
    with pytest.raises(QuorateError, match="m2 has a copy of the cluster d"):
        newest(first, [Opened("m2", replace(new, cluster="d"), 5)])


async def test_real_sh_writes_it_whole_and_reads_it_back(full: Store, cluster_file: Path, tmp_path: Path) -> None:
    seal.set_passphrase(full, SECRET)
    packed = gather(full.path, cluster(), cluster_file, TEXT)
    mark = Mark("c", 1, packed.digest)
    sealed = age.seal(packed.pack(1), [age.public(seal.identity(full))])
    root = Root(tmp_path / "host")
    large = sealed + os.urandom(3_000_000)
    for content, lock in ((large, b"locked"), (sealed, seal.locked(full)), (sealed, seal.locked(full))):
        await root.via.run("h", seal.write(mark, content, lock))
        found = tree(root.state / "state")
        wanted = {"state.age": content, "identity.age": lock, "last": f"{mark}\n".encode()}
        assert found == {name: (0o600, each) for name, each in wanted.items()}
    assert stat.S_IMODE((root.state / "state").stat().st_mode) == 0o700
    question = next(each for each in facts.script(cluster(), cluster().hosts[0]).splitlines() if "state.age" in each)
    assert facts.parse(await root.via.run("h", question)).copy == str(mark)

    class Via:
        async def run(self, _host: str, script: str, **more: object) -> str:
            return await root.via.run("h", script)

    got = await fetch("m1", Via())  # type: ignore[arg-type]
    assert got == Sealed("m1", sealed, seal.locked(full))
    assert Opener(passphrase=SECRET).open(got).bundle == packed
    await root.via.run("h", seal.write(mark, sealed, None))
    assert set(tree(root.state / "state")) == {"state.age", "last"}
    (root.state / "state/state.age").unlink()
    assert await root.via.run("h", READ) == ""
    assert facts.parse(await root.via.run("h", f"set -e\n{question}")).copy == ""


async def test_a_restore_goes_on_with_an_older_state_folder_and_its_copies_are_the_newest_then(
    full: Store, cluster_file: Path
) -> None:
    hosts = Hosts()
    seal.set_passphrase(full, SECRET)
    hosts.copies = {"m1": "c 9 ff", "m2": "c 8 ee", "m3": "d 99 ff"}
    found = {name: HostFacts(copy=copy) for name, copy in hosts.copies.items()}
    with pytest.raises(PlanError, match="m1 has a copy"):
        seal.check(full, cluster(), found)
    told = list(seal.given_up(full, cluster(), found))
    assert [line.partition(",")[0] for line in told] == [
        "m1 has a copy of a newer state folder",
        "m2 has a copy of a newer state folder",
    ]
    assert "number 9" in told[0]
    from_then = Restoration("4711", "c-1", "0" * 64, 1, 1, {})
    await hosts.copies_of(full, cluster_file, cluster(), restoring=from_then).begin()
    assert {copy.split()[1] for copy in hosts.copies.values()} == {"10"}
    after = {name: HostFacts(copy=copy.strip()) for name, copy in hosts.copies.items()}
    seal.check(full, cluster(), after)
