"""`plan` and `upgrade` of a cluster that is not well: all of it is told, nothing is written, waivers by name."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_hosts import FACTS, Hosts

from quorate.execute.batch import BEGIN
from quorate.execute.prepare import Prepared
from quorate.spec.versions import table

Quorate = Callable[..., tuple[int, str, str]]
RELEASES = {"kubernetes": "1.20.1", "etcd": "3.4.23"}
ILL = {
    "get nodes -o": "node01 False KubeletNotReady\nasked",
    "get apiservices -o": "v1beta1.metrics.k8s.io MissingEndpoints\nasked",
}


def answer(script: str, said: dict[str, str]) -> str:
    """What a host prints that gives these answers to the questions with these words in them."""
    told = "\x02script\n"
    for number, question in re.findall(r"printf '\x01(\d+)\\n'\n(.*?)(?=printf '\x01|\Z)", script, re.DOTALL):
        text = next((text for word, text in said.items() if word in question), "")
        told += f"\x01{number}\n1.00\n{text}\n1.25\n"
    return told


@pytest.fixture
def ill(quorate: Quorate, hosts: Hosts, file: Path) -> Hosts:
    """A cluster of the patch before, with a node and an extension that are down."""
    state = file.parent / ".quorate/tiny"
    quorate("apply", "--yes")
    (state / "operation.json").unlink()
    shutil.copy(file, state / "last-applied.yaml")
    (state / "releases.json").write_text(json.dumps({part: {"version": of} for part, of in RELEASES.items()}))

    def acts(host: str, script: str) -> str:
        if "os-release" in script:
            return f"machine_id=id-{host}\n{FACTS}{'etcd_member=yes' * (host == 'master01')}\n"
        return answer(script, ILL) if "/proc/uptime" in script else ""

    hosts.acts = acts
    return hosts


WAIVED = ("--waive", "nodes", "--waive", "api-services@master01")


@pytest.mark.usefixtures("ill")
def test_a_plan_tells_all_that_speaks_against_an_upgrade(quorate: Quorate) -> None:
    code, out, err = quorate("plan")
    assert code == 4
    assert "control plane 1.20.2" in out
    assert "nodes@master01: not Ready: node01 (KubeletNotReady). Fix: `kubectl describe node" in err
    assert "api-services@master01: not Available: v1beta1.metrics.k8s.io (MissingEndpoints)" in err
    assert "waive what you know better by name: --waive nodes@master01" in err
    assert quorate("plan", *WAIVED)[0] == 2


@pytest.mark.usefixtures("ill")
def test_programs_get_the_findings_with_the_plan(quorate: Quorate) -> None:
    code, out, _ = quorate("plan", "--json")
    said = json.loads(out)
    assert code == said["exit_code"] == 4
    failed = {each["id"] for each in said["preflight"] if each["status"] == "failed"}
    assert failed == {"nodes", "api-services"}
    assert said["changes"] is True
    code, out, _ = quorate("plan", "--json", *WAIVED)
    assert code == json.loads(out)["exit_code"] == 2


@pytest.mark.usefixtures("ill")
def test_a_wish_that_is_refused_is_not_written(quorate: Quorate, file: Path) -> None:
    before = file.read_text().replace("1.20.2", "1.20.1")
    file.write_text(before)
    for words in ((), ("--json",)):
        assert quorate("upgrade", "--to", "1.20.2", *words)[0] == 4
        assert file.read_text() == before
        assert [path.name for path in file.parent.iterdir() if "upgrade" in path.name] == []
    code, out, _ = quorate("upgrade", "--to", "1.20.2", *WAIVED)
    assert code == 2
    assert "asks for Kubernetes 1.20.2 now, before for 1.20.1" in out
    assert '"1.20.2"' in file.read_text()


def test_an_apply_refuses_too_and_ends_what_has_begun(quorate: Quorate, ill: Hosts, file: Path) -> None:
    ill.scripts.clear()
    code, _, err = quorate("apply", "--yes")
    assert code == 4
    assert "2 findings against it; nothing was changed" in err
    assert not any(BEGIN in script for _, script in ill.scripts)
    record = file.parent / ".quorate/tiny/operation.json"
    assert not record.exists()
    quorate("apply", "--yes", *WAIVED)
    assert any(BEGIN in script for _, script in ill.scripts)
    assert json.loads(record.read_text())["kind"] == "upgrade"
    code, out, _ = quorate("plan")
    assert code == 2
    assert "not Ready: node01" in " ".join(out.split())


def test_the_file_keeps_its_rights_and_its_place(quorate: Quorate, ill: Hosts, file: Path) -> None:
    text = file.read_text().replace("1.20.2", "1.20.1")
    place = file.parent / "kept/tiny.yaml"
    place.parent.mkdir()
    place.write_text(text)
    place.chmod(0o664)
    file.unlink()
    file.symlink_to(place)
    assert quorate("upgrade", "--to", "1.20.2", *WAIVED)[0] == 2
    assert file.is_symlink()
    assert '"1.20.2"' in place.read_text()
    assert place.stat().st_mode & 0o777 == 0o664


def test_what_somebody_else_writes_meanwhile_is_not_lost(quorate: Quorate, ill: Hosts, file: Path) -> None:
    file.write_text(file.read_text().replace("1.20.2", "1.20.1"))
    acts, theirs = ill.acts, file.read_text() + "# of another editor\n"

    def edited(host: str, script: str) -> str | None:
        file.write_text(theirs)
        return acts(host, script)

    ill.acts = edited
    code, _, err = quorate("upgrade", "--to", "1.20.2", *WAIVED)
    assert code == 1
    assert "was changed while the plan was made" in err
    assert file.read_text() == theirs


@pytest.mark.parametrize("level", [0, 1])
def test_where_no_edit_leads_back_a_proved_backup_comes_first(
    quorate: Quorate, ill: Hosts, file: Path, monkeypatch: pytest.MonkeyPatch, level: int
) -> None:
    asked = []

    async def backed_up(*_: object, **__: object) -> object:
        asked.append([script for _, script in ill.scripts if BEGIN in script])
        proof = SimpleNamespace(level=level) if level else None
        return SimpleNamespace(taken=SimpleNamespace(path="a.backup", proof=proof, manifest=SimpleNamespace(host="m")))

    monkeypatch.setattr(Prepared, "backs_up", property(lambda _: True))
    monkeypatch.setattr("quorate.cli.apply.demand_opener", lambda _: None)
    monkeypatch.setattr("quorate.cli.apply.backed_up", backed_up)
    ill.scripts.clear()
    code, out, err = quorate("apply", "--yes", *WAIVED)
    assert asked == [[]], "before anything is changed"
    if level:
        assert "backed up before there is no way back by an edit: a.backup" in out
        assert any(BEGIN in script for _, script in ill.scripts)
    else:
        assert code == 1
        assert "could not be proved" in err
        assert not any(BEGIN in script for _, script in ill.scripts)


@pytest.mark.usefixtures("ill")
def test_of_a_minor_the_newest_release_that_the_source_has(quorate: Quorate, file: Path) -> None:
    for version in ("1.20.1", "1.20.2", "1.21.1"):
        (file.parent / f"bundle/kubernetes-{version}").mkdir(parents=True)
        (file.parent / f"bundle/kubernetes-{version}/SHA256SUMS").touch()
    minor = table("1.20.2")
    for part in ("etcd", "containerd", "runc", "cni_plugins"):
        (file.parent / f"bundle/{part}-{getattr(minor, part)}").mkdir()
        (file.parent / f"bundle/{part}-{getattr(minor, part)}/SHA256SUMS").touch()
    file.write_text(
        file.read_text().replace("1.20.2", "1.20.1") + "artifacts: {source: directory, directory: bundle}\n"
    )
    before = file.read_text()
    code, out, _ = quorate("upgrade", "--to", "1.20", *WAIVED)
    assert code == 2
    assert "1.20 is 1.20.2: the newest release of it that the folder" in " ".join(out.split())
    assert '"1.20.2"' in file.read_text()
    file.write_text(before)
    for wish, told in (
        ("1.22", "has no release of it; it has 1.20.1, 1.20.2, 1.21.1"),
        ("1.22.1", "control plane 1.22.1: "),
        ("1.20.9", "has no kubernetes 1.20.9; it has kubernetes 1.20.1 and 1.20.2 and 1.21.1"),
    ):
        code, _, err = quorate("upgrade", "--to", wish, *WAIVED)
        assert code in (5, 64)
        assert told in " ".join(err.split())
        assert file.read_text() == before


@pytest.mark.usefixtures("ill")
def test_the_journal_says_from_which_version_to_which(quorate: Quorate) -> None:
    quorate("apply", "--yes", *WAIVED)
    run = json.loads(quorate("history", "--json")[1])["runs"][-1]
    assert (run["operation"], run["from"], run["to"]) == ("upgrade", {"kubernetes": "1.20.1"}, {"kubernetes": "1.20.2"})
    assert "control plane 1.20.2" in run["ways"]
    assert "upgrade kubernetes 1.20.1 to 1.20.2" in " ".join(quorate("history")[1].split())
