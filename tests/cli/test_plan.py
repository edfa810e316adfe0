"""`plan`: exit codes, filters, JSON, and no secret in any of its outputs."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_hosts import Hosts

from quorate.state.store import Store

Quorate = Callable[..., tuple[int, str, str]]


@pytest.mark.usefixtures("hosts")
def test_first_plan(quorate: Quorate, tmp_path: Path) -> None:
    code, out, err = quorate("plan")
    assert code == 2
    assert err == ""
    assert re.search(r"^master01  192\.0\.2\.11  control-plane, etcd  \+\d+", out, re.MULTILINE)
    assert "+ /etc/systemd/system/etcd.service" in out
    assert "+ etcd.service" in out
    assert re.search(r"^tiny: \d+ to create, .*to send$", out, re.MULTILINE)
    assert not (tmp_path / ".quorate").exists(), "a plan writes nothing"


@pytest.mark.usefixtures("hosts")
def test_json(quorate: Quorate) -> None:
    code, out, _ = quorate("plan", "--json")
    said = json.loads(out)
    assert code == said["exit_code"] == 2
    assert said["cluster"] == "tiny"
    assert said["changes"] is True
    assert said["summary"]["create"] == sum(line["action"] == "create" for line in said["lines"])
    assert {*said["lines"][0]} >= {"host", "component", "action", "kind", "name", "detail", "diff", "send_bytes"}


@pytest.mark.usefixtures("hosts")
def test_filters(quorate: Quorate) -> None:
    lines = json.loads(quorate("plan", "--only", "etcd", "--json")[1])["lines"]
    assert {line["component"] for line in lines} == {"etcd"}
    lines = json.loads(quorate("plan", "--host", "node01", "--json")[1])["lines"]
    assert {line["host"] for line in lines} == {"node01"}
    code, out, _ = quorate("plan", "--only", "etcd", "--host", "node01")
    assert code == 0
    assert "no changes" in out


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize(("words", "known"), [(("--host", "nobody"), "node01"), (("--only", "nothing"), "etcd")])
def test_unknown_names(quorate: Quorate, words: tuple[str, ...], known: str) -> None:
    code, _, err = quorate("plan", *words)
    assert code == 64
    assert known in err.splitlines()[1]


def test_unreachable_hosts_are_named_and_the_rest_is_shown(quorate: Quorate, hosts: Hosts) -> None:
    hosts.lost["node01"] = "connection refused \x1b[2J"
    code, out, _ = quorate("plan")
    assert code == 6
    assert "unreachable  node01  connection refused" in out
    assert "\x1b" not in out
    assert "etcd.service" in out
    assert "kubelet.service" not in out, "nothing is claimed about a host that said nothing"
    said = json.loads(quorate("plan", "--json")[1])
    assert said["unreachable"].keys() == {"node01"}
    assert hosts.closed


@pytest.mark.parametrize("words", [(), ("-v",), ("--json",), ("--json", "-v")])
@pytest.mark.usefixtures("hosts")
def test_no_secret_is_shown(quorate: Quorate, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Every line of every key, and every random value, against every output."""
    from datetime import UTC, datetime

    from quorate.spec.load import load

    cluster = load(tmp_path / "cluster.yaml")
    secrets = Store.beside(tmp_path / "cluster.yaml", "tiny").secrets(cluster, datetime.now(UTC), persist=True)
    _, out, err = quorate("plan", *words)
    assert "etcd.service" in out
    assert "PRIVATE KEY" not in out + err
    known = [text for name, text in secrets.random.items() if name != "etcd-token"]
    for name, pem in secrets.pems.items():
        if name.endswith(".key"):
            known += pem.decode().splitlines()[1:-1]
    assert len(known) > 20
    assert not [value for value in known if value in out + err]


@pytest.mark.parametrize("words", [("plan",), ("apply", "--yes")])
def test_a_balancer_whose_address_is_on_none_of_its_interfaces(
    quorate: Quorate, hosts: Hosts, file: Path, words: tuple[str, ...]
) -> None:
    """The made-up hosts tell of no interface at all."""
    file.write_text(
        file.read_text().replace("[control-plane, etcd]", "[control-plane, etcd, load-balancer]")
        + "endpoint: {vip: 192.0.2.100, port: 8443}\n"
    )
    code, _, err = quorate(*words)
    assert code == 4
    assert "master01 has 192.0.2.11 on none of its interfaces" in err
    assert "endpoint.interface" in err.splitlines()[1]
    code, out, _ = quorate("preflight", "--json")
    assert code == 4
    assert any("on none of its interfaces" in finding["detail"] for finding in json.loads(out)["findings"])
    assert quorate("destroy", "--yes", "tiny")[0] == 0
