"""The control experiment's parts that need no host: others' settings, how they come and go, tables."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import control
import drill
import pytest
import stand
import table
from drill_world import cluster
from drilled_samples import drilled
from own_root import Root
from peer_conf import FOLDER, Spot
from peers import LOCAL_PORT, PEERS, UNITS, Peer

from quorate.component.balancer import HAPROXY_CONF, NGINX_CONF
from quorate.core import QuorateError
from quorate.drill.catalog import FAULTS, named
from quorate.report.drill.report import DrillReport
from quorate.spec.facts import HostFacts
from quorate.spec.layout import KEEPALIVED_CONF
from quorate.spec.load import load

ALL = [pytest.param(kind, peer, id=f"{kind}-{peer.name}") for kind, peers in PEERS.items() for peer in peers]


def spot(number: int = 0, nofile: int = 65536) -> Spot:
    c = cluster()
    return control.spot(c, c.balancers[number], HostFacts(interface="eth7", nofile_limit=nofile))


def test_a_spot_is_what_the_cluster_file_says() -> None:
    assert spot() == Spot(
        "10.0.9.21", "eth7", ("10.0.9.22",), True, "10.0.9.100", 6443, 120,
        {"m1": "10.0.9.1:6443", "m2": "10.0.9.2:6443", "m3": "10.0.9.3:6443"},
    )  # fmt: skip
    assert not spot(1).first


@pytest.mark.parametrize(("kind", "peer"), ALL)
def test_settings_name_faults_that_exist(kind: str, peer: Peer) -> None:
    assert [fault.name for fault in named(peer.faults)] == list(peer.faults)
    own = {fault.name: fault.seconds for fault in FAULTS}
    assert all(seconds > own[name] for name, seconds in peer.seconds.items())
    assert set(peer.seconds) <= set(peer.faults)
    # Reports are kept by this name.
    assert re.fullmatch("[a-z]+", peer.name)


PROGRAMS = {
    "nginx.conf": ["nginx", "-t", "-q", "-c"],
    "haproxy.cfg": ["haproxy", "-c", "-q", "-f"],
    "keepalived.conf": ["keepalived", "--config-test", "-f"],
}


@pytest.mark.parametrize(("kind", "peer"), ALL)
@pytest.mark.parametrize("nofile", [65536, 4096])
def test_programs_take_the_settings(kind: str, peer: Peer, nofile: int, tmp_path: Path) -> None:
    interface = "eth0"
    for path, text in peer.files(replace(spot(nofile=nofile), interface=interface)).items():
        argv = PROGRAMS.get(Path(path).name)
        if argv is None or not shutil.which(argv[0]):
            continue
        if argv[0] == "keepalived" and not Path("/sys/class/net", interface).exists():
            continue
        file = tmp_path / Path(path).name
        file.write_text(re.sub(r"(/run/nginx|/run/quorate-peer/nginx)\.pid", str(tmp_path / "pid"), text))
        done = subprocess.run([*argv, str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{path}\n{done.stdout}{done.stderr}"


def test_weighted_tracking_yields_and_takes_over_again() -> None:
    for peers in PEERS.values():
        for peer in peers:
            texts = [peer.files(spot(number)).get(KEEPALIVED_CONF, "") for number in (0, 1)]
            if not any(texts):
                continue
            first, second = (int(re.search(r"priority (\d+)", text)[1]) for text in texts)  # type: ignore[index]
            weight = int(re.search(r"weight (-\d+)", texts[0])[1])  # type: ignore[index]
            assert first + weight < second < first
            assert "state MASTER" in texts[0]
            assert "state BACKUP" in texts[1]


@pytest.mark.parametrize(("kind", "peer"), ALL)
async def test_settings_come_and_leave_nothing_that_apply_would_not_see(kind: str, peer: Peer, tmp_path: Path) -> None:
    seen = ("etc/quorate", FOLDER[1:], "run/systemd/system")
    root, files = Root(tmp_path, seen), peer.files(spot())
    (tmp_path / "etc/quorate/log").write_text("")
    systemctl = 'systemctl() { echo "$*" >>/etc/quorate/log; [ "$1" != stop ]; }\n'
    await root.via.run("h", systemctl + control.begin_script(files))
    for path, text in files.items():
        assert (tmp_path / path[1:]).read_text() == text
    for _ in range(2):
        await root.via.run("h", systemctl + control.end_script(files))
    left = {f"/{path.relative_to(tmp_path)}" for path in tmp_path.rglob("*") if path.is_file()}
    assert {path for path in left if path.startswith("/run/")} == set()
    assert not any((tmp_path / "run/systemd/system").iterdir())
    assert {path for path in files if path.startswith("/etc/")} <= left
    calls = (tmp_path / "etc/quorate/log").read_text().splitlines()
    units = control.units(files)
    assert units, "somebody must read them"
    first = ["daemon-reload", *(f"restart {unit}" for unit in units)]
    assert calls[: len(first)] == first
    assert calls[len(first) :] == [f"stop {' '.join(units)}", "daemon-reload"] * 2


def test_services_without_health_checks_have_a_stand_in() -> None:
    for peer in PEERS["nginx"]:
        files = peer.files(spot())
        # What makes the list of API servers would reload an nginx that does not read it.
        assert (NGINX_CONF in files) == ("quorate-upstreams.service" in control.units(files))
    assert all(NGINX_CONF not in peer.files(spot()) for peer in PEERS["haproxy"])
    assert all(HAPROXY_CONF not in peer.files(spot()) for peer in PEERS["nginx"])


def test_the_balancer_beside_ours_listens_elsewhere_and_is_the_only_change() -> None:
    for peers in PEERS.values():
        (local,) = (peer for peer in peers if peer.port)
        files = local.files(spot())
        assert set(files) & set(UNITS) == {"/run/systemd/system/quorate-peer.service"}
        assert any(f"0.0.0.0:{LOCAL_PORT}" in text for text in files.values())


@pytest.fixture
def reports() -> list[DrillReport]:
    ours, theirs = drilled(30), drilled(10, slow=12.0, settings="kubeasz")
    return [replace(each, about={**each.about, "runs": str(n)}) for each, n in ((theirs, 10), (ours, 30))]


def test_tables_put_settings_side_by_side(reports: list[DrillReport]) -> None:
    text = table.markdown(reports, [])
    assert "| fault | quorate | kubeasz |" in text
    (row, *_) = [line for line in text.splitlines() if line.startswith("| balancer process killed ")]
    ours, theirs = re.findall(r"([\d.]+) / ([\d.]+)", row)
    assert float(theirs[1]) > 5 * float(ours[1])
    assert re.search(r"\(×\d+\) \|$", row)
    assert "runs" not in row
    assert "Bad weather" not in text


def test_a_fault_that_was_not_tried_with_some_settings_has_no_number(reports: list[DrillReport]) -> None:
    theirs, ours = reports
    less = replace(theirs, faults=[replace(fault, runs=fault.runs[:4]) for fault in theirs.faults[:2]])
    rows = table.markdown([less, ours], []).splitlines()
    assert any(re.fullmatch(r"\| balancer process killed \| [^|]+ \| [^|]+, 4 runs \|", row) for row in rows)
    assert any(re.fullmatch(r"\| worker lost \| [^|]+ \| - \|", row) for row in rows)


def test_time_is_estimated() -> None:
    given = drill.parse(["--runs", "30"])
    assert given.peer_runs == drill.MOST
    alone = drill.estimate(drill.parse(["--runs", "30", "--no-control"]), "nginx")
    assert 3600 < alone < drill.estimate(given, "nginx") < 4 * 3600
    few = drill.estimate(drill.parse(["--runs", "3", "--only", "balancer-lost", "--minutes", "1"]), "haproxy")
    assert few < 10 * 60
    with pytest.raises(QuorateError, match="there is no fault earthquake"):
        drill.parse(["--only", "earthquake"])


def test_a_lab_beside_the_examples() -> None:
    for example in stand.EXAMPLES:
        text = stand.own(example.read_text())
        assert not re.search(r"192\.168\.1[01]", text)
        assert f"\nname: drill-{example.stem}\n" in text


class Made(stand.Stand):
    said: list[str]

    def quorate(self, *words: str) -> None:
        self.said.append(" ".join(words))


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A stand without hosts, whose drills find what the samples say."""
    file = tmp_path / "cluster.yaml"
    file.write_text(stand.own(stand.EXAMPLES[0].read_text()))
    found = Made("described", file)
    object.__setattr__(found, "said", [])

    @contextmanager
    def fake(_example: Path) -> Iterator[Made]:
        yield found

    async def ours(_made: Made, names: Any, runs: int) -> DrillReport:
        found.said.append(f"quorate {runs}")
        sample = drilled(2)
        return replace(sample, cluster="described", about={**sample.about, "runs": str(runs)})

    async def theirs(_made: Made, peer: Peer, names: Any, runs: int) -> DrillReport:
        found.said.append(f"{peer.name} {runs} {' '.join(names)}")
        if peer.name == "defaults":
            raise QuorateError("not well after 180 s: nginx on nginx01 is silent")
        return replace(drilled(2, settings=peer.name), cluster="described")

    for name, value in (("stand", fake), ("ours", ours), ("theirs", theirs)):
        monkeypatch.setattr(drill, name, value)
    return found


def test_ours_are_put_back_after_each_of_theirs(made: Made, tmp_path: Path) -> None:
    assert load(made.file).load_balancer.kind == "nginx"
    given = drill.parse(["--runs", "2", "--only", "apiserver-killed", "--out", str(tmp_path / "results")])
    wrong = drill.one(stand.EXAMPLES[0], given)
    back = ["apply --yes", "plan"]
    tried = [f"{name} 2 apiserver-killed" for name in ("kubeasz", "defaults", "local")]
    assert made.said == ["quorate 2", *(said for one in tried for said in (one, *back))]
    assert wrong == ["described, settings defaults: not well after 180 s: nginx on nginx01 is silent"]
    names = {path.name for path in (tmp_path / "results").iterdir()}
    assert names == {
        "drill.md",
        *(f"drill-described{peer}.{kind}" for peer in ("", "-kubeasz", "-local") for kind in ("json.gz", "html")),
    }
    assert "| fault | quorate | kubeasz | local |" in (tmp_path / "results/drill.md").read_text()


def test_what_was_measured_is_not_measured_again(made: Made, tmp_path: Path) -> None:
    words = ["--runs", "2", "--only", "apiserver-killed", "--out", str(tmp_path / "results")]
    drill.one(stand.EXAMPLES[0], drill.parse(words))
    made.said.clear()
    drill.one(stand.EXAMPLES[0], drill.parse([*words, "--go-on"]))
    assert made.said == ["defaults 2 apiserver-killed", "apply --yes", "plan"], "it had failed"
    drill.one(stand.EXAMPLES[0], drill.parse(words))
    assert "quorate 2" in made.said


def test_faults_that_are_measured_again_take_the_others_place(made: Made, tmp_path: Path) -> None:
    old = drilled(2)
    name = old.faults[1].name
    new = replace(old, began="2024-05-17T09:12:44+00:00", faults=[old.faults[1]])
    found = drill.renewed(old, new)
    assert [fault.name for fault in found.faults] == [fault.name for fault in old.faults]
    assert [run.at for run in found.faults[1].runs] == [run.at + 3600 for run in old.faults[1].runs]
    assert (found.faults[0], found.began) == (old.faults[0], old.began)
    assert found.about["measured again"] == f"{name}: {new.began}"
    with pytest.raises(QuorateError, match="machine was 2 cores"):
        drill.renewed(old, replace(new, about={**old.about, "machine": "64 cores"}))

    words = ["--runs", "2", "--no-control", "--out", str(tmp_path)]
    drill.one(stand.EXAMPLES[0], drill.parse(words))
    drill.one(stand.EXAMPLES[0], drill.parse([*words, "--again", "--only", "apiserver-killed"]))
    assert made.said == ["quorate 2", "quorate 2"]
    kept = drill.unpacked(tmp_path / "drill-described.json.gz")
    assert "measured again" in kept.about
    with pytest.raises(QuorateError, match="2 runs of each fault, not 3"):
        drill.one(stand.EXAMPLES[0], drill.parse([*words, "--again", "--only", "apiserver-killed", "--runs", "3"]))
    assert len(made.said) == 2
    with pytest.raises(SystemExit):
        drill.parse(["--again"])
