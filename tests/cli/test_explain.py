"""`explain` and the outlook of `status`: what the console and programs are told."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_hosts import Hosts

Quorate = Callable[..., tuple[int, str, str]]
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("described", "described survives the loss of any one host"),
        ("three-masters", "three-masters survives the loss of any one host"),
        ("smallest", "smallest: losing node01 would take the API away"),
    ],
)
def test_the_examples(quorate: Quorate, hosts: Hosts, name: str, head: str) -> None:
    code, out, err = quorate("explain", "-f", str(EXAMPLES / f"{name}.yaml"))
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == head
    assert hosts.scripts == [], "no host is touched"


def test_console(quorate: Quorate) -> None:
    out = quorate("explain", "-f", str(EXAMPLES / "described.yaml"))[1]
    flat = " ".join(out.split())
    assert "nginx01 or nginx02 yes yes yes yes 1 of 2 balancers goes on" in flat
    assert "may fail 1 of 3 etcd members, 1 of 2 masters, 1 of 2 balancers, 1 of 2 workers" in flat
    assert "two hosts at once 10 of 15 pairs are survived not master01 with master02" in flat
    assert "! two masters: while one is away or restarts, the other must not fail" in flat
    small = " ".join(quorate("explain", "-f", str(EXAMPLES / "smallest.yaml"))[1].split())
    assert "etcd on node01 memory no no yes" in small
    assert "two hosts at once" not in small


def test_json(quorate: Quorate) -> None:
    code, out, _ = quorate("explain", "--json", "-f", str(EXAMPLES / "described.yaml"))
    said = json.loads(out)
    assert code == 0
    assert said["survives"]["may_fail"] == 1
    assert said["may_fail"]["etcd"] == {"any": 1, "of": 3}
    assert said["cases"][2] == {
        "what": "node01 or node02",
        "hosts": ["node01", "node02"],
        "process": "",
        "survives": True,
        "api": "yes",
        "writes": True,
        "control_loops": True,
        "pods": True,
        "meaning": "etcd keeps 2 of 3 members, no further one may fail; its pods start again on 1 other worker",
    }
    assert said["pairs"]["all"] == 15
    assert ["nginx01", "nginx02"] in said["pairs"]["not_survived"]
    assert said["pairs"]["survived"] + len(said["pairs"]["not_survived"]) == 15


def test_a_picture(quorate: Quorate, tmp_path: Path) -> None:
    quorate("explain", "--svg", "picture.svg")
    assert "quorate&#160;explain" in (tmp_path / "picture.svg").read_text()


def test_a_wrong_file_is_told(quorate: Quorate, file: Path) -> None:
    file.write_text(file.read_text().replace("[worker]", "[wroker]"))
    assert quorate("explain")[0] == 3


@pytest.mark.usefixtures("hosts")
def test_status_tells_it_too(quorate: Quorate) -> None:
    quorate("apply", "--yes")
    out = quorate("status")[1]
    assert "\noutlook             not all works: etcd has 0 of 1 members and needs 1" in out
    said = json.loads(quorate("status", "--json")[1])
    assert said["survives"]["ok"] is False
    assert not any("outlook" in problem for problem in said["problems"])
