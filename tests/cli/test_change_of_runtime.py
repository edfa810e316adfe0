"""Another runtime in the file of a cluster that runs: the plan, what speaks against it, what the journal tells."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_hosts import FACTS, Hosts
from test_upgrade import answer

Quorate = Callable[..., tuple[int, str, str]]
WELL = {"get nodes -o": "node01 True KubeletReady\nasked", "volume ls": "container db\nasked", "digest": "asked"}


@pytest.fixture
def on_docker(quorate: Quorate, hosts: Hosts, file: Path) -> Path:
    """A cluster that was built on Docker, whose Docker has somebody's container; the file wants containerd."""
    quorate("apply", "--yes")
    (file.parent / ".quorate/tiny/operation.json").unlink()
    plain = file.read_text()
    (file.parent / ".quorate/tiny/last-applied.yaml").write_text(f"{plain}runtime: {{kind: docker}}\n")
    file.write_text(f"{plain}runtime: {{kind: containerd}}\n")

    def acts(host: str, script: str) -> str:
        if "os-release" in script:
            return f"machine_id=id-{host}\n{FACTS}{'etcd_member=yes' * (host == 'master01')}\n"
        return answer(script, WELL) if "/proc/uptime" in script else ""

    hosts.acts = acts
    return file


@pytest.mark.usefixtures("on_docker")
def test_the_plan_has_stages_and_tells_what_users_notice(quorate: Quorate) -> None:
    code, out, _ = quorate("plan", "--waive", "docker")
    said = " ".join(out.split())
    assert code == 2
    for words in ("bring containerd", "nodes to containerd", "`docker ps` shows no pods any more", "Docker goes with"):
        assert words in said


@pytest.mark.usefixtures("on_docker")
def test_what_is_somebodys_in_docker_refuses_it(quorate: Quorate) -> None:
    code, _, err = quorate("apply", "--yes")
    assert code == 4
    assert "docker@node01: would go with Docker: container db. Fix: write `runtime: {keep_docker: true}`" in err


def test_docker_stays_by_a_word(quorate: Quorate, on_docker: Path) -> None:
    on_docker.write_text(on_docker.read_text().replace("containerd}", "containerd, keep_docker: true}"))
    code, out, _ = quorate("plan")
    assert code == 2
    assert "Docker stays on its hosts as it is" in " ".join(out.split())


def test_the_record_and_the_journal_say_what_it_is(quorate: Quorate, on_docker: Path) -> None:
    quorate("apply", "--yes", "--waive", "docker")
    record = json.loads((on_docker.parent / ".quorate/tiny/operation.json").read_text())
    assert (record["kind"], record["stages"][:2]) == ("change of runtime", ["bring containerd", "nodes to containerd"])
    assert "change of runtime pods docker to containerd" in " ".join(quorate("history")[1].split())
    code, _, err = quorate("apply", "--yes")
    assert code == 4, "it is refused also where it goes on"
    assert "docker@node01" in err


def test_other_versions_come_after_it(quorate: Quorate, on_docker: Path) -> None:
    state = on_docker.parent / ".quorate/tiny/releases.json"
    state.write_text(json.dumps({"kubernetes": {"version": "1.20.1"}, "etcd": {"version": "3.4.23"}}))
    old = on_docker.parent / ".quorate/tiny/last-applied.yaml"
    old.write_text(old.read_text().replace("1.20.2", "1.20.1"))
    code, _, err = quorate("plan")
    assert code == 4
    assert "another runtime: docker -> containerd. Fix: change the runtime first" in " ".join(err.split())


def test_from_1_24_on_there_is_no_docker(quorate: Quorate, on_docker: Path) -> None:
    before = on_docker.read_text().replace("containerd}", "docker}")
    on_docker.write_text(before)
    code, _, err = quorate("upgrade", "--to", "1.24.17")
    assert code == 3
    assert "no dockershim" in err
    assert "in a cluster that runs first that alone, and `quorate apply`" in " ".join(err.split())
    assert on_docker.read_text() == before
