"""`apply`, `destroy`, `kubeconfig` without a real host: refusals, failures, the journal, JSON lines."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_hosts import Hosts

from quorate.core import ArtifactError
from quorate.execute import prepare

Quorate = Callable[..., tuple[int, str, str]]


def test_apply_never_goes_on_without_a_yes(quorate: Quorate, hosts: Hosts, tmp_path: Path) -> None:
    code, _, err = quorate("apply")
    assert code == 1
    assert "hint: add --yes" in err
    assert hosts.scripts == []
    assert not (tmp_path / ".quorate").exists()


def test_unreachable_hosts_stop_it_before_anything(quorate: Quorate, hosts: Hosts, tmp_path: Path) -> None:
    hosts.lost |= {"master01": "no route", "node01": "host key unknown"}
    code, _, err = quorate("apply", "--yes")
    assert code == 6
    assert "2 of 2 hosts" in err
    assert "master01: no route" in err
    assert "node01: host key unknown" in err
    assert not (tmp_path / ".quorate").exists()


def test_a_worker_that_comes_and_does_not_answer_keeps_nobody_waiting(
    quorate: Quorate, hosts: Hosts, file: Path, tmp_path: Path
) -> None:
    """The others go on; a member that comes is needed, as everybody is in a first build."""
    state = tmp_path / ".quorate" / "tiny"
    quorate("apply", "--yes")
    (state / "last-applied.yaml").write_bytes(file.read_bytes())
    text = file.read_text()
    hosts.facts = {"master01": "etcd_member=yes\n", "node01": ""}
    file.write_text(text + "  - {name: node02, address: 192.0.2.13, roles: [worker]}\n")
    hosts.lost["node02"] = "no route"
    plan = quorate("plan")[1]
    assert "node02 does not answer: it is left as it is, and the next apply goes on with it" in plan
    _, out, err = quorate("apply", "--yes")
    assert "can't be reached" not in out + err
    file.write_text(text + "  - {name: node02, address: 192.0.2.13, roles: [etcd]}\n")
    code, _, err = quorate("apply", "--yes")
    assert code == 6
    assert "1 of 3 hosts can't be reached; nothing was changed" in err


def test_failure_is_told_journaled_and_ends_with_7(quorate: Quorate, hosts: Hosts, tmp_path: Path) -> None:
    code, out, _ = quorate("apply", "--yes")
    assert code == 7
    assert "failed" in out
    assert "skipped" in out
    assert "quorate apply goes on where this stopped" in out
    state = tmp_path / ".quorate" / "tiny"
    entry = json.loads((state / "journal.jsonl").read_text().splitlines()[-1])
    assert entry["verb"] == "apply"
    assert entry["ok"] is False
    assert entry["failures"]
    assert not (state / "last-applied.yaml").exists()
    assert "PRIVATE KEY" not in out + (state / "journal.jsonl").read_text()


@pytest.mark.usefixtures("hosts")
def test_keys_on_disk_are_those_of_the_plan(quorate: Quorate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from quorate.execute import prepare

    made: list[prepare.Prepared] = []
    before = prepare.prepare

    async def kept(*words: Any, **more: Any) -> prepare.Prepared:
        made.append(await before(*words, **more))
        return made[-1]

    monkeypatch.setattr("quorate.cli.look.prepare", kept)
    quorate("apply", "--yes")
    pki = tmp_path / ".quorate" / "tiny" / "pki"
    assert {path.name: path.read_bytes() for path in pki.iterdir()} == made[0].context.secrets.pems


def test_json_lines(quorate: Quorate, hosts: Hosts) -> None:
    code, out, err = quorate("apply", "--yes", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 7
    assert err == ""
    assert events[0]["event"] == "planned"
    assert events[0]["create"] > 50
    assert events[-1]["event"] == "ended"
    assert events[-1]["ok"] is False
    assert {phase["name"] for phase in events[-1]["phases"]} >= {"artifacts", "connect, facts", "look"}
    failed = next(event for event in events if event["event"] == "step-failed")
    assert {*failed} >= {"at", "host", "kind", "name", "component", "error", "seconds"}


def test_destroy_wants_the_name(quorate: Quorate, hosts: Hosts) -> None:
    assert quorate("destroy")[0] == 1
    code, _, err = quorate("destroy", "--yes", "other")
    assert code == 1
    assert "not the cluster's name" in err
    assert hosts.scripts == []
    code, out, _ = quorate("destroy", "--yes", "tiny")
    assert code == 0
    assert "2 hosts as found" in out


def test_where_nothing_was_built_a_dead_host_is_in_nobodys_way(quorate: Quorate, hosts: Hosts) -> None:
    hosts.lost["node01"] = "gone"
    code, out, _ = quorate("destroy", "--yes", "tiny", "--json")
    assert code == 0
    assert json.loads(out)["forgotten"].keys() == {"node01"}
    hosts.lost.clear()
    assert quorate("plan")[0] == 2, "no destroy has begun"


def test_a_host_that_is_dead_for_good_is_forgotten(quorate: Quorate, hosts: Hosts, file: Path, tmp_path: Path) -> None:
    """Also one that is in the file no more; what answers is cleaned all the same."""
    quorate("apply", "--yes")
    file.write_text(
        file.read_text().replace("  - {name: node01", "  # - {name: node01").replace("etcd]", "etcd, worker]")
    )
    hosts.lost["node01"] = "gone"
    code, out, _ = quorate("destroy", "--yes", "tiny")
    assert code == 6
    assert "quorate destroy --forget node01" in out
    code, _, err = quorate("destroy", "--yes", "tiny", "--forget", "node09")
    assert code == 64
    assert "no host node09" in err
    code, out, _ = quorate("destroy", "--yes", "tiny", "--forget", "node01")
    assert code == 0
    assert "forgotten" in out
    assert quorate("plan")[0] == 2


def test_what_is_taken_away_need_not_be_had(quorate: Quorate, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, an empty cache: the same places are cleaned."""
    quorate("apply", "--yes")
    hosts.scripts.clear()

    async def nothing(*_words: object, **_more: object) -> None:
        raise ArtifactError("no source has it")

    monkeypatch.setattr(prepare, "resolve", nothing)
    assert quorate("plan")[0] == ArtifactError.exit_code
    assert quorate("destroy", "--yes", "tiny")[0] == 0
    worker = "\n".join(script for host, script in hosts.scripts if host == "node01")
    assert "/opt/kubernetes/bin/kubelet" in worker
    assert "/opt/cni/bin/bridge" in worker


def test_after_a_destroy_comes_a_first_build_and_before_its_end_none(
    quorate: Quorate, hosts: Hosts, file: Path, tmp_path: Path
) -> None:
    """Hosts that were cleaned have no data; that must not look like data that was lost."""
    state = tmp_path / ".quorate" / "tiny"
    quorate("apply", "--yes")
    (state / "last-applied.yaml").write_bytes(file.read_bytes())
    keys = {path.name: path.read_bytes() for path in (state / "pki").iterdir()}
    code, _, err = quorate("plan")
    assert code == 4
    assert "etcd has lost its quorum" in err
    hosts.lost["node01"] = "gone"
    assert quorate("destroy", "--yes", "tiny")[0] == 6
    hosts.lost.clear()
    for verb in (("plan",), ("apply", "--yes")):
        code, _, err = quorate(*verb)
        assert code == 4
        assert "a destroy has begun and not ended" in err
        assert "`quorate destroy` again" in err
    assert quorate("destroy", "--yes", "tiny")[0] == 0
    assert quorate("plan")[0] == 2
    assert not (state / "last-applied.yaml").exists()
    assert not (state / "machines.json").exists()
    assert {path.name: path.read_bytes() for path in (state / "pki").iterdir()} == keys


def test_kubeconfig(quorate: Quorate, hosts: Hosts, tmp_path: Path) -> None:
    code, _, err = quorate("kubeconfig")
    assert code == 1
    assert "quorate apply" in err
    quorate("apply", "--yes")
    code, out, _ = quorate("kubeconfig")
    assert code == 0
    assert "https://192.0.2.11:6443" in out
    code, said, _ = quorate("kubeconfig", "-o", "admin.conf")
    assert code == 0
    assert "PRIVATE" not in said
    assert stat.S_IMODE((tmp_path / "admin.conf").stat().st_mode) == 0o600
    assert (tmp_path / "admin.conf").read_text() == out


def test_status_of_a_cluster_that_is_not_there(quorate: Quorate, hosts: Hosts) -> None:
    code, out, _ = quorate("status")
    assert code == 1
    assert out.splitlines() == ["tiny was never built: nothing of it runs on its hosts. `quorate apply` builds it."]
    quorate("apply", "--yes")
    code, out, _ = quorate("status")
    assert code == 1
    assert "etcd has no leader" in out
    code, out, _ = quorate("status", "--json")
    assert json.loads(out)["ok"] is False
    hosts.lost |= {"master01": "no route", "node01": "no route"}
    assert quorate("status")[0] == 6


def test_verify_where_no_host_answers_has_one_cause(quorate: Quorate, hosts: Hosts) -> None:
    hosts.lost |= {"master01": "no route", "node01": "no route"}
    code, out, err = quorate("verify")
    assert code == 6
    assert err.splitlines()[0] == "error: none of 2 hosts answers: no route"
    assert out == ""


def test_no_room_for_the_state_folder_is_told_before_anything_begins(
    quorate: Quorate, hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from quorate.execute import batch

    real = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result((*real[:2], 1000, 3, 3, *real[5:], 0)))
    code, _, err = quorate("apply", "--yes")
    assert code == 1
    assert f"{tmp_path}/.quorate/tiny: No space left on device: " in err
    assert f"bytes are needed, {3 * real.f_frsize} are free" in err
    assert "hint: make room there" in err
    assert not [script for _, script in hosts.scripts if batch.BEGIN in script]
    assert not (tmp_path / ".quorate/tiny/pki").exists()


def test_only_some_hosts_where_nothing_else_must_come_first(quorate: Quorate, hosts: Hosts) -> None:
    code, _, err = quorate("apply", "--yes", "--limit", "node09")
    assert code == 64
    assert "tiny has no host or role node09" in err
    assert "hosts: master01, node01; roles: control-plane, etcd, worker, load-balancer" in err
    for verb in (("plan",), ("apply", "--yes")):
        code, _, err = quorate(*verb, "--limit", "worker")
        assert code == 4
        assert "these hosts alone can't be changed:" in err
        assert "waits for master01/" in err
        assert "apply without --limit, or name master01 as well" in err
    assert not [script for _, script in hosts.scripts if "sh_step" in script], "nothing was begun"
    plan = json.loads(quorate("plan", "--limit", "etcd", "--limit", "worker", "--json")[1])
    assert {line["host"] for line in plan["lines"]} == {"master01", "node01"}


def test_only_stages_that_there_are(quorate: Quorate, hosts: Hosts) -> None:
    code, _, err = quorate("apply", "--yes", "--through", "leave")
    assert code == 64
    assert "there is no stage leave to end after" in err
    assert "stages: join" in err
    assert not [script for _, script in hosts.scripts if "sh_step" in script]


def test_what_did_not_hold_is_not_tried_again_unasked(
    quorate: Quorate, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    from quorate.core import Key

    told = {Key("node01", "fallback", "kubelet"): "node01: this change of kubelet was tried at noon: no; it is back"}
    for module in ("look", "apply"):
        monkeypatch.setattr(f"quorate.cli.{module}.known_bad", lambda _plan: told)
    assert "this change of kubelet was tried at noon" in quorate("plan")[1]
    code, _, err = quorate("apply", "--yes")
    assert code == 4
    assert "tried before:\n  node01: this change of kubelet was tried at noon" in err
    assert "--retry" in err
    assert not [script for _, script in hosts.scripts if "sh_step" in script]
    assert quorate("apply", "--yes", "--retry")[0] == 7
    assert [script for _, script in hosts.scripts if "sh_step" in script]


def test_a_dead_host_is_left_out(quorate: Quorate, hosts: Hosts, file: Path, tmp_path: Path) -> None:
    """It is named, or was at the last apply; who answers, or is no host, is refused."""
    state = tmp_path / ".quorate" / "tiny"
    file.write_text(file.read_text() + "  - {name: node02, address: 192.0.2.13, roles: [worker]}\n")
    assert "was not built yet" in quorate("plan", "--without", "node01")[2]
    quorate("apply", "--yes")
    (state / "last-applied.yaml").write_bytes(file.read_bytes())
    hosts.facts = {"master01": "etcd_member=yes\n", "node01": "", "node02": ""}
    assert quorate("plan", "--without", "nobody")[0] == 64
    code, _, err = quorate("plan", "--without", "node01")
    assert (code, "node01 answers: --without is for hosts that do not" in err) == (4, True)
    assert not (state / "without").exists()
    hosts.lost["node01"] = "no route"
    told = "node01 does not answer and is left out of the cluster"
    code, out, _ = quorate("plan", "--without", "node01")
    assert (code, told in " ".join(out.split())) == (2, True)
    assert quorate("apply", "--yes", "--without", "node01")[0] == 7, "hosts that do nothing"
    assert (state / "without").read_text() == "node01\n"
    assert told in " ".join(quorate("plan")[1].split())
    assert "node01 is left out" in quorate("status")[1]
    del hosts.lost["node01"]
    assert "node01 answers again: it comes in as a new host" in " ".join(quorate("plan")[1].split())
    quorate("apply", "--yes")
    assert (state / "without").read_text() == ""


def test_destroy_cleans_some_workers_and_leaves_the_cluster(
    quorate: Quorate, hosts: Hosts, file: Path, tmp_path: Path
) -> None:
    state = tmp_path / ".quorate" / "tiny"
    quorate("apply", "--yes")
    (state / "last-applied.yaml").write_bytes(file.read_bytes())
    hosts.scripts.clear()
    for named in ("master01", "etcd"):
        code, _, err = quorate("destroy", "--yes", "tiny", "--limit", named)
        assert (code, "master01: is more than a worker" in err) == (64, True)
    assert hosts.scripts == []
    code, out, _ = quorate("destroy", "--yes", "tiny", "--limit", "worker")
    assert (code, "1 host as found" in out) == (0, True)
    assert {host for host, script in hosts.scripts if "rm " in script and "/etc/kubernetes" in script} == {"node01"}
    assert (state / "last-applied.yaml").exists()
    assert not (state / "destroying").exists()
