"""`preflight`, and what it means for `apply`: all findings at once, nothing changed, waivers by name and on record."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_hosts import Hosts

Quorate = Callable[..., tuple[int, str, str]]
FACTS = (
    "machine_id={}\nos_id=debian\nos_version=12\npackage_manager=apt\narch=x86_64\nkernel=6.1.0\nmemory_kib=4000000\n"
    "resolver=10.0.0.53 /etc/resolv.conf\n"
)
TAKEN = 'asked\nlistens LISTEN 0 9 0.0.0.0:{0} 0.0.0.0:* users:(("java",pid=9,fd=3))'
PORT = {"master01": 2379, "node01": 10250}


def answer(script: str, said: dict[str, str]) -> str:
    """What a host prints that gives these answers to the questions with these words in them."""
    told = "\x02script\n"
    for number, question in re.findall(r"printf '\x01(\d+)\\n'\n(.*?)(?=printf '\x01|\Z)", script, re.DOTALL):
        text = next((text for word, text in said.items() if word in question), "")
        told += f"\x01{number}\n1.00\n{text}\n1.25\n"
    return told


@pytest.fixture
def taken(hosts: Hosts) -> Hosts:
    """Two hosts on which java has a port that the cluster needs; swap is on, on one of them."""

    def acts(host: str, script: str) -> str:
        if "os-release" in script:
            return FACTS.format(f"id-{host}")
        if "/proc/uptime" in script:
            swap = "asked\nFilename\n/dev/sda2" if host == "master01" else "asked"
            return answer(script, {"ss -Hltnp": TAKEN.format(PORT[host]), "/proc/swaps": swap})
        return ""

    hosts.acts = acts
    return hosts


def changes(hosts: Hosts) -> list[str]:
    """Scripts of steps: each begins with what they share."""
    from quorate.execute.batch import BEGIN

    return [script for _, script in hosts.scripts if BEGIN in script]


def test_apply_refuses_with_all_findings_and_changes_nothing(quorate: Quorate, taken: Hosts, tmp_path: Path) -> None:
    code, out, err = quorate("apply", "--yes")
    assert code == 4
    assert "2 findings against it; nothing was changed" in err
    assert "ports@master01: 2379 (etcd) is taken by java (pid=9) at 0.0.0.0:2379. Fix: stop what listens" in err
    assert "ports@node01: 10250 (kubelet) is taken by java" in err
    assert "hint: repair it, or waive what you know better by name: --waive ports@master01" in err
    # Warnings are told, too, with what to do: of swap, and of this etcd; what is well is only counted.
    assert "etcd 3.4.23" in out
    assert "/dev/sda2" in out
    assert "swapoff -a" in out
    assert "no plan" not in out
    assert re.search(r"preflight: \d+ passed, 1 failed, 2 warned, \d+ not checked  4 scripts, \d", out)
    assert changes(taken) == []
    assert not (tmp_path / ".quorate" / "tiny" / "begun").exists()
    assert not (tmp_path / ".quorate" / "tiny" / "pki").exists()


def test_each_failure_is_waived_by_name(quorate: Quorate, taken: Hosts, tmp_path: Path) -> None:
    code, _, err = quorate("apply", "--yes", "--waive", "ports@master01")
    assert code == 4
    assert "ports@node01" in err
    assert "ports@master01:" not in err
    assert changes(taken) == []
    code, out, _ = quorate("apply", "--yes", "--waive", "ports@master01", "--waive", "ports@node01")
    assert code == 7  # such hosts do nothing that they are told
    assert "1 waived" in out
    assert changes(taken) != []
    journal = (tmp_path / ".quorate" / "tiny" / "journal.jsonl").read_text()
    waived = [entry["waived"] for entry in map(json.loads, journal.splitlines()) if entry.get("waived")]
    assert waived[-1] == [
        "ports@master01: 2379 (etcd) is taken by java (pid=9) at 0.0.0.0:2379",
        "ports@node01: 10250 (kubelet) is taken by java (pid=9) at 0.0.0.0:10250",
    ]
    runs = json.loads(quorate("history", "--json")[1])["runs"]
    assert runs[-1]["waived"] == waived[-1]
    assert "waived  ports@node01: 10250" in quorate("history", "--run", str(runs[-1]["number"]))[1]
    assert quorate("apply", "--yes", "--waive", "ports")[0] == 7


@pytest.mark.parametrize("verb", [("apply", "--yes"), ("preflight",)])
def test_a_waiver_must_name_something(quorate: Quorate, taken: Hosts, verb: tuple[str, ...]) -> None:
    for waiver, words in (("prots", "there is no check prots"), ("ports@node99", "has no host node99")):
        code, _, err = quorate(*verb, "--waive", waiver)
        assert code == 64
        assert words in err
    assert changes(taken) == []


def test_apply_tells_programs(quorate: Quorate, taken: Hosts) -> None:
    code, out, _ = quorate("apply", "--yes", "--json")
    events: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    assert code == 4
    checked = {event["id"]: event for event in events if event.get("event") == "checked"}
    assert checked["ports"]["status"] == "failed"
    assert checked["swap"]["status"] == "warned"
    assert checked["os"]["status"] == "passed"
    assert events[-1]["error"]["exit_code"] == 4
    assert not [event for event in events if str(event.get("event")).startswith("step")]


def test_a_missing_host_hides_no_finding(quorate: Quorate, taken: Hosts) -> None:
    taken.lost["node01"] = "no route"
    code, out, err = quorate("apply", "--yes")
    assert code == 6
    assert "1 of 2 hosts" in err
    assert "no route" in out
    assert "2379 (etcd) is taken by java" in " ".join(out.split())


def test_preflight_alone(quorate: Quorate, taken: Hosts, tmp_path: Path) -> None:
    code, out, _ = quorate("preflight")
    assert code == 4
    assert "10250 (kubelet) is taken" in out
    assert "debian 12" in out
    assert not (tmp_path / ".quorate").exists()
    code, out, _ = quorate("preflight", "--json")
    told = json.loads(out)
    assert code == 4
    assert not told["ok"]
    assert told["seconds"] > 0
    ports = next(finding for finding in told["findings"] if finding["id"] == "ports")
    assert {*ports} == {"id", "title", "status", "detail", "seconds", "fix", "hosts"}
    assert ports["seconds"] == 0.25
    assert [each["host"] for each in ports["hosts"]] == ["master01", "node01"]
    code, out, _ = quorate("preflight", "--json", "--waive", "ports")
    assert code == 0
    assert json.loads(out)["ok"]
    assert changes(taken) == []


def test_preflight_goes_on_where_no_plan_can_be_made(quorate: Quorate, taken: Hosts) -> None:
    """Hosts of two architectures: that is a finding among the others."""
    before = taken.acts
    taken.acts = lambda host, script: before(host, script).replace(
        "x86_64", "aarch64" if host == "node01" else "x86_64"
    )
    code, out, _ = quorate("preflight", "--json")
    told = {finding["id"]: finding["status"] for finding in json.loads(out)["findings"]}
    assert code == 4
    assert (told["plan"], told["architecture"], told["ports"]) == ("failed", "failed", "failed")
    assert told["data"] == "not checked"


def test_preflight_tells_who_does_not_answer(quorate: Quorate, taken: Hosts) -> None:
    taken.lost |= {"master01": "sudo there asks for a password", "node01": "no route"}
    code, out, _ = quorate("preflight", "--json")
    told = {finding["id"]: finding for finding in json.loads(out)["findings"]}
    assert code == 4
    assert told["sudo"]["detail"] == "master01: sudo there asks for a password"
    assert told["reachable"]["detail"] == "node01: no route"


def test_nothing_to_change_is_no_preflight(quorate: Quorate, taken: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from quorate.cli.look import Looked, look

    seen = look

    async def nothing(*words: Any, **more: Any) -> Looked:
        looked = await seen(*words, **more)
        return replace(looked, shown=replace(looked.shown, lines=()))

    def asked() -> list[str]:
        """Scripts with a question of the preflight that nothing else asks."""
        return [script for _, script in taken.scripts if "echo asked; while read -r a b" in script]

    quorate("preflight")
    assert asked()
    taken.scripts.clear()
    monkeypatch.setattr("quorate.cli.apply.look", nothing)
    quorate("apply", "--yes")
    assert taken.scripts
    assert not asked()
