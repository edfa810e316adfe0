"""`quorate artifacts --export --path`: what it writes is enough for the way, on a machine that has nothing else."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from bundles import version_folder

from quorate.artifact.resolve import resolve
from quorate.cli.main import run
from quorate.execute import upgrading
from quorate.execute.carried import usual
from quorate.spec.load import load
from quorate.spec.upgrade_path import cluster_at
from quorate.spec.versions import table

FILE = """\
name: tiny
versions: {{kubernetes: "1.37.2"}}
artifacts: {{source: directory, directory: {folder}}}
hosts:
  - {{name: master01, address: 192.0.2.11, roles: [control-plane, etcd, worker]}}
"""
NOW = {"kubernetes": "1.34.4", "etcd": "3.6.16", "containerd": "2.3.7"}
Verb = Callable[..., tuple[int, str, str]]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file at a source that has more than is needed; the source is a folder, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUORATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    for kubernetes in ("1.33.13", "1.34.4", "1.35.4", "1.36.1", "1.36.3", "1.37.2"):
        version_folder(tmp_path / "source", "kubernetes", kubernetes)
        for part in ("etcd", "containerd", "runc", "cni_plugins"):
            version_folder(tmp_path / "source", part, getattr(table(kubernetes), part))
    (tmp_path / "cluster.yaml").write_text(FILE.format(folder="source"))
    return tmp_path


@pytest.fixture
def artifacts(site: Path, capsys: pytest.CaptureFixture[str]) -> Verb:
    def call(*words: str) -> tuple[int, str, str]:
        code = run(("artifacts", *words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def folders(of: Path) -> set[str]:
    return {path.name for path in of.iterdir()}


def test_a_site_without_network_goes_the_whole_way_from_it(
    site: Path, artifacts: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = artifacts("--export", "carried", "--path", "--from", "1.34.4")
    assert code == 0, err
    assert "1.34.4, then Kubernetes 1.35.4, 1.36.3, 1.37.2" in out
    assert {name for name in folders(site / "carried") if name.startswith(("kubernetes", "etcd"))} == {
        *("kubernetes-1.35.4", "kubernetes-1.36.3", "kubernetes-1.37.2"),
        # An etcd of 3.6 before 3.6.11 has to stop there.
        *("etcd-3.6.16", "etcd-3.7.3"),
    }
    monkeypatch.setenv("QUORATE_CACHE", str(site / "other-machine"))
    file = site / "inside.yaml"
    file.write_text(FILE.format(folder="carried"))
    for releases in (NOW, NOW | {"etcd": "3.6.5"}):
        asyncio.run(goes(file, releases))


async def goes(file: Path, releases: dict[str, str]) -> None:
    inside = load(file)
    upgrading.demand_source(inside, file, releases)
    goal = await resolve(inside, lambda _: None, beside=file.parent)
    stops, astray = await upgrading.find(inside, file, releases, goal, lambda _: None, "amd64")
    assert astray == ()
    assert [stop.move.version for stop in stops if stop.move.part == "control plane"] == ["1.35.4", "1.36.3", "1.37.2"]
    for stop in stops:
        assert stop.supply.versions["kubernetes"] == stop.cluster.versions.kubernetes
        assert stop.supply.versions["etcd"] == (stop.cluster.versions.etcd or goal.versions["etcd"])


def test_it_begins_at_what_runs_as_the_state_folder_knows_it(site: Path, artifacts: Verb) -> None:
    state = site / ".quorate/tiny"
    state.mkdir(parents=True)
    state.chmod(0o700)
    was = (site / "cluster.yaml").read_text().replace("1.37.2", "1.36.1")
    (state / "last-applied.yaml").write_text(was)
    noted = {"kubernetes": "1.36.1", "etcd": "3.7.3"}
    (state / "releases.json").write_text(json.dumps({part: {"version": of} for part, of in noted.items()}))
    code, out, _ = artifacts("--export", "carried", "--path", "--json")
    said = json.loads(out)
    assert code == 0
    assert (said["from"], said["kubernetes"]) == ("1.36.1", ["1.37.2"])
    assert {each["name"] for each in said["folders"]} == folders(site / "carried")
    assert {each["anew"] for each in said["folders"]} == {True}
    code, out, _ = artifacts("--export", "carried", "--path", "--json")
    assert {each["anew"] for each in json.loads(out)["folders"]} == {False}


def test_where_nothing_runs_it_is_the_one_version(site: Path, artifacts: Verb) -> None:
    code, out, _ = artifacts("--export", "carried", "--path")
    assert code == 0
    assert "no apply has noted here what runs" in out
    assert {name for name in folders(site / "carried") if name.startswith("kubernetes")} == {"kubernetes-1.37.2"}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--path",), 64, "--export"),
        (("--from", "1.34.4", "--export", "carried"), 64, "add --path"),
        (("--path", "--export", "carried", "--from", "1.34"), 64, "no whole version"),
        (("--path", "--export", "carried", "--from", "1.19.1"), 1, "1.19.1"),
        (("--path", "--export", "carried", "--from", "1.32.2"), 5, "has no etcd"),
        (("--path", "--export", "cluster.yaml", "--from", "1.36.1"), 5, "is no folder"),
    ],
)
def test_what_can_not_be_written_is_refused_and_nothing_is(
    site: Path, artifacts: Verb, words: tuple[str, ...], code: int, told: str
) -> None:
    for path in (site / "source").glob("etcd-3.5*"):
        path.rename(site / path.name)
    found, _, err = artifacts(*words)
    assert found == code, err
    assert told in err
    assert not (site / "carried").exists()


def test_a_version_that_runs_and_is_newer_leads_nowhere(site: Path, artifacts: Verb) -> None:
    file = site / "cluster.yaml"
    file.write_text(file.read_text().replace("1.37.2", "1.36.3"))
    code, _, err = artifacts("--export", "carried", "--path", "--from", "1.37.2")
    assert code == 4
    assert "API servers do not go back by a minor" in err


def test_the_start_of_a_file_that_names_its_parts(site: Path) -> None:
    cluster = load(site / "cluster.yaml")
    named = cluster_at(cluster, NOW | {"kubernetes": "1.37.2"}, pinned=True)
    assert usual(named, "1.34.4")["containerd"] == table("1.34.4").containerd
