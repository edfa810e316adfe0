"""The state folder: modes, refusals, what is kept and what is written when."""

import json
import os
import stat
import threading
import time
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from state_folders import OLD

from quorate import atomic
from quorate.core import QuorateError
from quorate.spec.cluster import Cluster, Host, Network, Role
from quorate.state.store import Store
from quorate.state.subnets import Subnets, allocate

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def cluster(*workers: int, pod_cidr: str = "10.244.0.0/16", node_mask: int = 24) -> Cluster:
    master = Host(name="m", address="10.0.0.1", roles=(Role.CONTROL_PLANE, Role.ETCD))
    nodes = [Host(name=f"n{i}", address=f"10.0.1.{i}", roles=(Role.WORKER,)) for i in workers]
    network = Network(pod_cidr=IPv4Network(pod_cidr), node_mask=node_mask)
    return Cluster(name="c", hosts=(master, *nodes), network=network)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.beside(tmp_path / "cluster.yaml", "c")


def tree(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_plan_writes_nothing_and_apply_writes_what_was_planned(store):
    planned = store.secrets(cluster(1), NOW, persist=False)
    subnets = store.allocations(cluster(1), persist=False)
    assert not store.path.parent.exists()
    applied = store.secrets(cluster(1), NOW, persist=True)
    assert planned == applied
    assert "ca: new" in store.changes
    assert store.allocations(cluster(1), persist=True) == subnets
    other = Store(store.path)
    assert other.secrets(cluster(1), NOW, persist=False) == applied
    assert other.allocations(cluster(1), persist=False) == subnets
    assert other.changes == []


def test_modes(store):
    old = os.umask(0)
    try:
        store.secrets(cluster(1), NOW, persist=True)
        store.allocations(cluster(1), persist=True)
        store.write(store.path / "begun" / "x.yaml", b"name: c\n")
        store.journal({"a": 1})
    finally:
        os.umask(old)
    for path in (store.path.parent, *store.path.parent.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert (store.path.parent / ".gitignore").read_text() == "*\n"
    assert not list(store.path.rglob("*.tmp"))


def test_nothing_is_removed_and_nothing_rewritten(store):
    store.secrets(cluster(1, 2), NOW, persist=True)
    before = tree(store.path)
    store.secrets(cluster(1), NOW, persist=True)
    assert tree(store.path) == before


@pytest.mark.parametrize("name", ["pki/ca.key", "pki/scheduler@m.key", "random/encryption-key"])
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_that_others_can_read_is_refused(store, name, mode):
    store.secrets(cluster(), NOW, persist=True)
    path = store.path / name
    path.chmod(mode)
    with pytest.raises(QuorateError, match="others can read it") as caught:
        Store(store.path).secrets(cluster(), NOW, persist=False)
    assert str(path) in caught.value.message
    assert f"chmod 600 {path}" in caught.value.hint


def test_a_folder_that_others_can_write_to_is_refused(store):
    store.secrets(cluster(), NOW, persist=True)
    (store.path / "pki").chmod(0o770)
    with pytest.raises(QuorateError, match="others can write to it"):
        store.secrets(cluster(), NOW, persist=False)


def test_what_can_not_be_read_or_written_is_one_line(store):
    store.secrets(cluster(), NOW, persist=True)
    (store.path / "pki" / "ca.crt").unlink()
    (store.path / "pki" / "ca.crt").mkdir()
    with pytest.raises(QuorateError, match=r"ca.crt: can't be read: Is a directory"):
        store.secrets(cluster(), NOW, persist=False)
    with pytest.raises(QuorateError, match="can't be written"):
        Store(Path("/proc/nowhere/.quorate/c")).secrets(cluster(), NOW, persist=True)


def test_damage_names_the_file(store):
    store.secrets(cluster(), NOW, persist=True)
    path = store.path / "pki" / "etcd-ca.key"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(QuorateError) as caught:
        store.secrets(cluster(), NOW, persist=False)
    assert caught.value.message == f"{path}: not a readable private key"


def test_two_first_runs_do_not_overwrite_each_other(store):
    late = Store(store.path)
    late.secrets(cluster(), NOW, persist=False)
    first = store.secrets(cluster(), NOW, persist=True)
    with pytest.raises(QuorateError, match="another run made it"):
        late.keep()
    assert late.secrets(cluster(), NOW, persist=True) == first


@pytest.mark.parametrize("limit", range(0, 30, 3))
def test_a_first_run_that_was_cut_off_goes_on(store, limit, monkeypatch):
    real, count = atomic.write, 0

    def failing(path: Path, content: bytes, **options: bool) -> None:
        nonlocal count
        count += 1
        if count > limit:
            raise OSError(28, "No space left on device", str(path))
        real(path, content, **options)

    monkeypatch.setattr(atomic, "write", failing)
    with pytest.raises(QuorateError, match="No space left"):
        store.secrets(cluster(1), NOW, persist=True)
    monkeypatch.setattr(atomic, "write", real)
    kept = {p.name: p.read_bytes() for p in store.path.rglob("*.crt")}
    fresh = Store(store.path).secrets(cluster(1), NOW, persist=True)
    assert all(fresh.pem(name) == content for name, content in kept.items())


def test_loading_is_fast(store):
    big = cluster(*range(1, 17))
    store.secrets(big, NOW, persist=True)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        store.secrets(big, NOW, persist=False)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.2


def test_the_journal_is_appended_to(store):
    store.journal({"at": NOW, "verb": "apply\n"})
    store.journal({"n": 2})
    lines = (store.path / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"at": str(NOW), "verb": "apply\n"}, {"n": 2}]


def test_writing_a_file_does_not_write_planned_keys(store):
    store.secrets(cluster(), NOW, persist=False)
    store.write(store.path / "x", b"x")
    assert not (store.path / "pki").exists()


def test_keys_of_a_host_that_left_are_laid_aside(store):
    store.secrets(cluster(1, 2), NOW, persist=True)
    key = store.path / "pki/kubelet-client@n1.key"
    old = key.read_bytes()
    store.retire(["n1"])
    assert not list((store.path / "pki").glob("*@n1.*"))
    assert list((store.path / "pki").glob("*@n2.*"))
    assert (store.path / "retired/kubelet-client@n1.key").read_bytes() == old
    Store(store.path).secrets(cluster(1, 2), NOW, persist=True)
    assert key.read_bytes() != old


@settings(deadline=None)
@given(st.lists(st.sets(st.integers(1, 12), min_size=1), min_size=1, max_size=8), st.randoms())
def test_subnets_never_move_and_never_overlap(rounds, random):
    kept, ever = Subnets({}, {}), {}
    for workers in rounds:
        order = list(workers)
        random.shuffle(order)
        kept = allocate(cluster(*order), kept)
        assert set(kept.given) == {f"n{i}" for i in workers}
        ever = {**ever, **kept.given}
        nets = [IPv4Network(cidr) for cidr in ever.values()]
        assert not any(a.overlaps(b) for i, a in enumerate(nets) for b in nets[:i])
        assert all(ever[name] == cidr for name, cidr in (*kept.given.items(), *kept.left.items()))
        assert all(net.subnet_of(IPv4Network("10.244.0.0/16")) for net in nets)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sets(st.integers(1, 9), min_size=1, max_size=4), st.integers(24, 26)), min_size=1))
def test_subnets_of_mixed_size_never_overlap_even_when_space_is_short(rounds):
    kept = Subnets({}, {})
    for workers, mask in rounds:
        try:
            kept = allocate(cluster(*workers, pod_cidr="10.244.0.0/22", node_mask=mask), kept)
        except QuorateError:
            continue
        nets = [IPv4Network(cidr) for cidr in kept.given.values()]
        assert not any(a.overlaps(b) for i, a in enumerate(nets) for b in nets[:i])


def test_the_subnet_of_the_longest_gone_is_given_again_only_when_all_are_taken(store):
    def run(*workers: int) -> dict[str, str]:
        return dict(Store(store.path).allocations(cluster(*workers, pod_cidr="10.9.0.0/22"), persist=True))

    assert run(1, 2, 3) == {"n1": "10.9.0.0/24", "n2": "10.9.1.0/24", "n3": "10.9.2.0/24"}
    run(1, 3)
    run(3)
    assert run(3, 4)["n4"] == "10.9.3.0/24"
    assert run(3, 4, 5)["n5"] == "10.9.1.0/24"
    assert run(1, 3, 4, 5)["n1"] == "10.9.0.0/24"
    with pytest.raises(QuorateError, match="no /24 is left for n6"):
        run(1, 3, 4, 5, 6)


def test_a_pod_network_can_grow_but_not_move(store):
    store.allocations(cluster(1, pod_cidr="10.244.0.0/17"), persist=True)
    assert store.allocations(cluster(1), persist=True) == {"n1": "10.244.0.0/24"}
    with pytest.raises(QuorateError, match=r"n1 already has 10.244.0.0/24"):
        store.allocations(cluster(1, pod_cidr="10.9.0.0/16"), persist=False)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"given": {"a": "x"}, "left": {}}', '{"given": []}'])
def test_damaged_allocations_are_refused(store, text):
    store.allocations(cluster(1), persist=True)
    (store.path / "allocations.json").write_text(text)
    with pytest.raises(QuorateError, match=r"allocations.json: is damaged"):
        Store(store.path).allocations(cluster(1), persist=False)


def test_atomic_writes_are_seen_whole(tmp_path):
    path, stop = tmp_path / "f", threading.Event()
    contents = {bytes([65 + i]) * 50_000 for i in range(4)}
    atomic.write(path, min(contents))

    def writer(content: bytes) -> None:
        while not stop.is_set():
            atomic.write(path, content)

    threads = [threading.Thread(target=writer, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    try:
        assert all(path.read_bytes() in contents for _ in range(300))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_an_atomic_write_that_fails_leaves_nothing(tmp_path):
    path = tmp_path / "f"
    atomic.write(path, b"old")
    with pytest.raises(FileExistsError):
        atomic.write(path, b"new", new=True)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_keys_of_before_are_kept_beside_those_in_use_whatever_comes(store):
    now = store.secrets(cluster(1), NOW, persist=True)
    there = tree(store.path)
    planned = store.secrets(cluster(1), NOW, persist=False, old=OLD)
    assert tree(store.path) == there, "a plan keeps nothing"
    assert store.secrets(cluster(1), NOW, persist=False) == planned, "and is of what the apply will keep"
    store.keep()
    new = {name: content for name, content in tree(store.path).items() if name not in there}
    assert {name: content for name, content in tree(store.path).items() if name in there} == there
    assert sorted(new.values()) == sorted([OLD.encryption[0].secret.encode(), *OLD.service_accounts])
    again = Store(store.path)
    assert again.secrets(cluster(1), NOW, persist=True) == planned
    assert again.secrets(cluster(1), NOW, persist=True, old=OLD) == planned
    assert again.changes == []
    assert planned.pem("sa.pub") == now.pem("sa.pub") + OLD.service_accounts[0]
    assert planned.encryption_keys == (*now.encryption_keys, *OLD.encryption)
    assert OLD.encryption[0].secret in set(again.confidential()), "what must be in no report"
    (path,) = (store.path / "random").glob("encryption-key.*")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(QuorateError, match="others can read it"):
        Store(store.path).secrets(cluster(1), NOW, persist=False)
    path.chmod(0o600)
    path.write_text("A" * 43 + "=")
    with pytest.raises(QuorateError, match=rf"{path.name}: is damaged"):
        Store(store.path).secrets(cluster(1), NOW, persist=False)
