"""Conformance tests: which are run, how shards are made, what is read from the suite's files, and how a run goes on."""

import errno
import json
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from quorate.conformance import leftovers, runner, session, tests, whole
from quorate.conformance.program import Program
from quorate.conformance.result import Outcome, Result, junit, of_junit
from quorate.conformance.tests import QUICK, Case, Choice, alone, choose, focus, listed, shards
from quorate.core import ArtifactError, LockHeld, QuorateError
from quorate.report.conformance_page import page

AREAS = ("api-machinery", "apps", "auth", "cli", "network", "node", "scheduling", "storage")
PLAIN = Case("[sig-apps] A should work [Conformance]")
SERIAL = Case("[sig-apps] B should change all [Serial] [Conformance]")
DISRUPTIVE = Case("[sig-node] C should reboot [Disruptive] [Conformance]")
FEATURE = Case("[sig-network] NodePort (D) should answer a+b|c [Slow]")
ALL = (PLAIN, SERIAL, DISRUPTIVE, FEATURE)


def test_the_list_of_the_suite_is_read() -> None:
    text = "The following spec names can be used:\n" + "".join(
        f"    k8s.io/kubernetes@v1.37.2/test/e2e/x.go:{number}: {test.name}\n" for number, test in enumerate(ALL)
    )
    assert listed(text + "\n") == tuple(sorted(ALL))


def test_a_full_run_takes_conformance_tests_and_tells_what_it_leaves_out() -> None:
    chosen = choose(ALL, Choice(full=True))
    assert chosen.tests == (PLAIN,)
    assert {name: reason.partition(":")[0] for name, reason in chosen.left} == {
        SERIAL.name: "serial",
        DISRUPTIVE.name: "disruptive",
    }
    assert choose(ALL, Choice(full=True, serial=True)).tests == (PLAIN, SERIAL)
    assert choose(ALL, Choice(full=True, disruptive=True)).tests == (PLAIN, SERIAL, DISRUPTIVE)


def test_what_quorate_sets_up_is_tried_by_a_full_run_too() -> None:
    node = Case("[sig-auth] [Feature:NodeAuthorizer] A node shouldn't be able to delete another node")
    assert choose((PLAIN, node), Choice(full=True)).tests == (PLAIN, node)


def test_what_is_to_be_skipped_is_told() -> None:
    chosen = choose((PLAIN, SERIAL), Choice(full=True, serial=True, skip=re.escape(SERIAL.name)))
    assert chosen.tests == (PLAIN,)
    assert chosen.left == ((SERIAL.name, "left out by --skip"),)
    assert Choice(full=True, skip="a b").words() == "--full --skip 'a b'"
    with pytest.raises(QuorateError, match=r"--skip \(: "):
        choose((PLAIN,), Choice(full=True, skip="("))


def test_the_quick_run_tells_what_this_version_lacks() -> None:
    there = Case(f"{QUICK[0]} and more [Conformance]")
    chosen = choose((there, Case(QUICK[1])), Choice())
    assert chosen.tests == (there,)
    assert len(chosen.left) == len(QUICK) - 1, "a test of that name that is no conformance test does not count"


def test_the_quick_run_has_20_to_30_tests_over_all_areas() -> None:
    assert 20 <= len(set(QUICK)) == len(QUICK) <= 30
    areas = {name.partition("]")[0][1:] for name in QUICK}
    assert areas == {f"sig-{area}" for area in AREAS}


@pytest.mark.parametrize("expression", ["(", "no such test", "reboot"])
def test_what_leaves_nothing_to_run_is_refused(expression: str) -> None:
    with pytest.raises(QuorateError) as raised:
        choose(ALL, Choice(focus=expression))
    assert raised.value.hint


def test_shards_end_with_those_that_bear_nothing_beside_them() -> None:
    many = [Case(f"t{number}") for number in range(5)]
    made = shards([SERIAL, *many, DISRUPTIVE], 2)
    assert [len(shard) for shard in made] == [2, 2, 1, 1, 1]
    assert [alone(shard[0]) for shard in made] == [False, False, False, True, True]


def test_the_focus_means_these_tests_and_no_others() -> None:
    pattern = re.compile(focus([FEATURE, PLAIN]))
    assert [bool(pattern.search(f"Kubernetes e2e suite {test.name}")) for test in ALL] == [True, False, False, True]
    assert not pattern.search(f"Kubernetes e2e suite {FEATURE.name} and more")


CASES = f"""<?xml version="1.0" encoding="UTF-8"?>
<testsuites><testsuite name="e2e">
<testcase name="[It] {PLAIN.name}" status="passed" time="1.5"></testcase>
<testcase name="[It] {SERIAL.name}" status="failed" time="20">
<failure message="timed out" type="failed">x.go:12</failure><system-err>the log</system-err></testcase>
<testcase name="[It] {DISRUPTIVE.name}" status="skipped" time="0"><skipped message="skipped - no such node"/></testcase>
<testcase name="[It] another" status="skipped" time="0"><skipped message="skipped"/></testcase>
<testcase name="[SynchronizedBeforeSuite]" status="passed" time="0.1"></testcase>
</testsuite></testsuites>"""


def test_results_are_read_from_the_suites_file() -> None:
    found = of_junit(CASES, [test.name for test in ALL])
    assert found == [
        Result(PLAIN.name, Outcome.PASSED, 1.5),
        Result(SERIAL.name, Outcome.FAILED, 20.0, "timed out", "x.go:12\nthe log"),
        Result(DISRUPTIVE.name, Outcome.LEFT, 0.0, "no such node"),
    ]
    with pytest.raises(ValueError, match="no JUnit file"):
        of_junit("<half", [])


def test_our_file_is_read_by_the_same_rules_and_the_page_is_xml() -> None:
    results = of_junit(CASES, [test.name for test in ALL])
    assert [(each.name, each.outcome) for each in of_junit(junit("c", results), [test.name for test in ALL])] == [
        (each.name, each.outcome) for each in results
    ]
    rows = [(each.name, each.seconds, each.reason, "<script>alert(1)</script>") for each in results]
    text = page("c", {"Kubernetes": "1.37.2"}, rows[1:2], rows[2:], rows[:1])
    body = ET.fromstring(text.removeprefix("<!DOCTYPE html>\n"))
    assert "1 passed, 1 failed, 1 not run." in "".join(body.itertext())
    assert "<script" not in text
    assert "certified" not in text.lower(), "images are self-made: nobody is certified by them"


E2E = """#!/bin/sh
# Plays the suite: knows three tests, fails those of FAIL, ends half way at HALT.
case "$1" in
--version) echo v1.37.2; exit;;
--help) echo "  --ginkgo.no-color"; [ ! -e "$(dirname "$0")/new" ] || echo "  --ginkgo.silence-skips"; exit;;
--list-tests)
  for name in one two three; do echo "    x.go:1: [sig-apps] $name [Conformance]"; done
  exit;;
esac
for word; do
  case "$word" in
  --report-dir=*) place=${word#*=};;
  --non-blocking-taints=*) echo "${word#*=}" >> "$(dirname "$0")/taints";;
  --ginkgo.focus=*) focus=${word#*=};;
  --ginkgo.silence-skips) [ -e "$(dirname "$0")/new" ] || { echo "flag provided but not defined" >&2; exit 2; };;
  esac
done
echo "focus $focus"
echo 'I1129 1 e2e.go:109] Starting e2e run "abc" on Ginkgo node 1'
here=$(dirname "$0")
again=$(grep -cxF -- "$focus" "$here/ran" 2>/dev/null)
echo "$focus" >> "$here/ran"
[ "${again:-0}" -lt 1 ] || rm -f "$here"/slow-*
[ ! -e "$here/halt" ] || exit 3
{
  echo "<testsuites><testsuite>"
  for name in one two three; do
    case "$focus" in *$name*)
      echo "<testcase name=\\"[It] [sig-apps] $name [Conformance]\\" time=\\"1\\">"
      [ ! -e "$here/slow-$name" ] || echo "<failure message=\\"late\\">slow</failure>"
      [ ! -e "$here/fail-$name" ] || echo "<failure message=\\"no\\">log of $name</failure>"
      echo "</testcase>";;
    esac
  done
  echo "</testsuite></testsuites>"
} > "$place/junit_01.xml"
"""
KUBECTL = """#!/bin/sh
# Plays the API: a namespace of somebody else's tests, and one of ours in the file `left`, until it is deleted.
here=$(dirname "$0")
echo "$*" >> "$here/asked"
space() { printf '{"metadata": {"name": "%s", "labels": {"e2e-run": "%s"}}}' "$1" "$2"; }
case "$*" in
*"--kubeconfig=/far"*) echo "cannot connect" >&2; exit 1;;
*"get --raw /apis") echo '{"groups": [{"versions": [{"groupVersion": "apps/v1"}, {"groupVersion": "metrics/v1"}]}]}';;
*"--kubeconfig=/bad"*"get --raw /apis/metrics"*) echo "the server is currently unable" >&2; exit 1;;
*"get --raw /version"*) echo '{"gitVersion": "v1.37.2"}';;
*"get nodes"*) cat "$here/nodes" 2>/dev/null || echo '{"items": []}';;
*"get namespaces --selector"*)
  printf '{"items": [%s' "$(space others 0)"; [ ! -e "$here/left" ] || printf ', %s' "$(space e2e-1 abc)"; echo ']}';;
*"get namespaces"*) printf 'namespace/default\\nnamespace/others\\n'; [ ! -e "$here/left" ] || echo namespace/e2e-1;;
*"get validating"*) cat "$here/hooks" 2>/dev/null || echo '{"items": []}';;
*"delete namespace e2e-1"*) rm -f "$here/left";;
esac
"""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The suite and kubectl, played by scripts."""
    place = tmp_path / "bin"
    place.mkdir()
    for name, text in (("e2e.test", E2E), ("kubectl", KUBECTL)):
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    return Program(place / "e2e.test", place / "kubectl", tmp_path / "kubeconfig")


async def conform(
    program: Program, *, choice: Choice | None = None, go_on: bool = False, servers: Mapping[str, Path] | None = None
) -> whole.Whole:
    folder = program.kubeconfig.with_name("conformance")
    with whole.alone(folder):
        return await whole.conform(
            program,
            folder,
            choice or Choice(full=True),
            servers=servers or {},
            go_on=go_on,
            jobs=2,
            say=lambda _text: None,
        )


def ran(program: Program) -> list[str]:
    return (program.path.parent / "ran").read_text().splitlines()


@pytest.mark.parametrize("new", [False, True])
async def test_all_chosen_tests_are_run_and_told(program: Program, new: bool) -> None:
    """Also by the suite of a version that has not all flags of today's."""
    if new:
        (program.path.parent / "new").touch()
    assert ("--ginkgo.silence-skips" in program._words(program.tests(), program.path.parent)) is new
    (program.path.parent / "fail-two").touch()
    found = await conform(program)
    assert {each.name.split()[1]: each.outcome for each in found.results} == {
        "one": Outcome.PASSED,
        "three": Outcome.PASSED,
        "two": Outcome.FAILED,
    }
    (bad,) = found.of(Outcome.FAILED)
    assert (bad.reason, bad.log) == ("no", "log of two")


def node(name: str, *taints: str, ready: bool = True, cordoned: bool = False) -> dict[str, object]:
    keys = [*taints, *(["node.kubernetes.io/unschedulable"] if cordoned else [])]
    spec = {"taints": [{"key": key, "effect": "NoSchedule"} for key in keys], "unschedulable": cordoned}
    return {
        "metadata": {"name": name},
        "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (node("w1", "node.kubernetes.io/disk-pressure"), "w1 has the taint node.kubernetes.io/disk-pressure"),
        (node("w1", cordoned=True), "w1 is cordoned"),
        (node("w1", ready=False), "w1 is not Ready"),
    ],
)
async def test_a_node_that_takes_no_pods_is_named_before_anything_runs(
    program: Program, bad: dict[str, object], reason: str
) -> None:
    """The suite itself waits half an hour for it, and says nothing."""
    (program.path.parent / "nodes").write_text(json.dumps({"items": [node("w0"), bad]}))
    with pytest.raises(QuorateError, match=f"the tests need every node: {re.escape(reason)}$"):
        await conform(program)
    assert not (program.path.parent / "ran").exists()


async def test_taints_that_somebody_chose_stop_nothing(program: Program) -> None:
    nodes = [node("w0"), node("w1", "example.com/gpu"), node("m1", "node-role.kubernetes.io/control-plane")]
    (program.path.parent / "nodes").write_text(json.dumps({"items": nodes}))
    assert (await conform(program)).good
    keys = (program.path.parent / "taints").read_text().split()
    assert set(keys) == {"node-role.kubernetes.io/control-plane,example.com/gpu"}


async def test_the_quick_run_asks_each_api_server_for_every_group(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tests, "QUICK", ("[sig-apps] one",))
    servers = {name: Path(f"/{name}") for name in ("good", "bad", "far")}
    found = await conform(program, choice=Choice(), servers=servers)
    asked = {each.name.split()[5]: each for each in found.results if each.name.startswith("[quorate]")}
    assert {name: each.outcome for name, each in asked.items()} == {
        "good": Outcome.PASSED,
        "bad": Outcome.FAILED,
        "far": Outcome.LEFT,
    }
    assert asked["bad"].reason == "metrics/v1: kubectl get --raw /apis/metrics/v1: the server is currently unable"
    assert "cannot connect" in asked["far"].reason
    assert [each.name for each in found.results if not each.name.startswith("[quorate]")] == [
        "[sig-apps] one [Conformance]"
    ]


async def test_few_failures_get_a_second_try_that_is_told(program: Program) -> None:
    (program.path.parent / "slow-two").touch()
    found = await conform(program)
    assert {each.outcome for each in found.results} == {Outcome.PASSED}
    (late,) = (each for each in found.results if each.reason)
    assert (late.name.split()[1], late.reason) == ("two", "at the second try; the first: late")
    assert "at the second try" in junit("c", found.results)


async def test_who_fails_twice_tells_both_reasons(program: Program) -> None:
    for what in ("slow-two", "fail-two"):
        (program.path.parent / what).touch()
    (bad,) = (await conform(program)).of(Outcome.FAILED)
    assert bad.reason == "no; at the first try: late"


async def test_many_failures_get_none(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "FEW", 0)
    (program.path.parent / "fail-two").touch()
    await conform(program)
    assert len(ran(program)) == 3


async def test_who_has_waited_for_minutes_gets_none(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a quick run: a full one takes the time."""
    monkeypatch.setattr(runner, "PATIENT", 1.0)
    monkeypatch.setattr(tests, "QUICK", ("[sig-apps] one", "[sig-apps] two"))
    (program.path.parent / "slow-two").touch()
    found = await conform(program, choice=Choice())
    assert [each.outcome for each in found.results if "two" in each.name] == [Outcome.FAILED]
    found = await conform(program)
    assert {each.outcome for each in found.results} == {Outcome.PASSED}


async def test_a_suite_that_ends_half_way_is_no_success(program: Program) -> None:
    (program.path.parent / "halt").touch()
    found = await conform(program)
    assert {each.outcome for each in found.results} == {Outcome.FAILED}
    assert found.results[0].reason == "the suite ended with code 3 and said nothing of it"
    assert "focus" in found.results[0].log


async def test_a_stopped_run_goes_on_with_what_has_no_result(program: Program) -> None:
    found = await conform(program)
    before = len(ran(program))
    results = found.session.folder / "results"
    lost = next(path for path in results.glob("*.json") if "two" in path.read_text())
    lost.unlink()
    again = await conform(program, go_on=True)
    assert len(again.results) == 3
    assert len(ran(program)) == before + 1
    assert "two" in ran(program)[-1]


async def test_there_must_be_a_run_to_go_on_with(program: Program) -> None:
    with pytest.raises(QuorateError, match="no run to go on with"):
        await conform(program, go_on=True)


async def test_a_suite_of_another_version_is_refused_before_it_runs(program: Program) -> None:
    program.path.write_text(E2E.replace("echo v1.37.2", "echo v1.36.3"))
    with pytest.raises(QuorateError, match=r"the suite is of Kubernetes 1\.36\.3, the API server of 1\.37\.2"):
        await conform(program)
    assert not (program.path.parent / "ran").exists()


async def test_what_our_runs_left_goes_and_what_others_have_stays(program: Program) -> None:
    """Ours are told by the ids in our logs, whenever those of others came."""
    await conform(program)
    (program.path.parent / "left").touch()
    await conform(program, choice=Choice(focus="one"))
    asked = (program.path.parent / "asked").read_text()
    assert "delete namespace e2e-1 --ignore-not-found" in asked
    assert "delete namespace others" not in asked
    assert not (program.path.parent / "left").exists()


def test_webhooks_of_ours_go_and_those_of_others_stay(program: Program) -> None:
    def hook(name: str, namespace: str, **labels: str) -> dict[str, object]:
        service = {"namespace": namespace, "name": "s"}
        metadata = {"name": name, "labels": labels}
        webhooks = [{"clientConfig": {"service": service}}]
        return {"kind": "ValidatingWebhookConfiguration", "metadata": metadata, "webhooks": webhooks}

    mark = {"e2e-list-test-uuid": "x"}
    items = [hook("ours", "e2e-1", **mark), hook("orphan", "e2e-0", **mark), hook("own", "gone")]
    items += [hook("their-tests", "others", **mark), hook("theirs", "default", **mark)]
    by_url = hook("by-url", "x") | {"webhooks": [{"clientConfig": {"url": "https://hook.example"}}]}
    (program.path.parent / "left").touch()
    (program.path.parent / "hooks").write_text(json.dumps({"items": [*items, by_url]}))
    found = leftovers.Api(program.kubectl, program.kubeconfig).hooks({"e2e-1"})
    assert [name.partition("/")[2] for name in found] == ["ours", "orphan"]


async def test_a_run_goes_on_with_its_own_choice_alone(program: Program) -> None:
    """So that nobody runs what is disruptive without having said so."""
    await conform(program)
    with pytest.raises(QuorateError, match="another choice") as raised:
        await conform(program, choice=Choice(focus="one two"), go_on=True)
    assert "say the same again, --full," in raised.value.hint
    assert Choice(focus="one two", serial=True).words() == "--serial --focus 'one two'"


async def test_a_full_disk_is_an_error_of_the_disk(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(session.Session, "keep", full)
    with pytest.raises(OSError, match="No space left"):
        await conform(program)


def test_the_suite_ends_with_us(program: Program, tmp_path: Path) -> None:
    """Killed with no chance to do anything: the suite is told, and cleans up."""
    ready, told = tmp_path / "ready", tmp_path / "told"
    program.path.write_text(
        f"#!/bin/sh\n[ \"$1\" != --help ] || exit 0\ntrap 'touch {told}; exit' INT\ntouch {ready}\n"
        "while :; do sleep 0.1; done\n"
    )
    code = (
        "import asyncio; from pathlib import Path; from quorate.conformance.program import Program; "
        "from quorate.conformance.tests import Case; "
        f"asyncio.run(Program(*map(Path, {[str(program.path)] * 3})).run([Case('x')], Path({str(tmp_path / 'run')!r})))"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        until(ready)
        parent.kill()
    until(told)


def until(path: Path) -> None:
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.05)


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    with whole.alone(tmp_path), pytest.raises(LockHeld), whole.alone(tmp_path):
        pass


def test_a_program_that_is_no_suite_is_told(program: Program) -> None:
    program.path.write_text("#!/bin/sh\necho hello\n")
    with pytest.raises(ArtifactError, match="tells no version"):
        program.version()
    with pytest.raises(ArtifactError, match="lists no tests"):
        program.tests()


def test_a_record_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"version": "1.37.2"}')
    with pytest.raises(QuorateError, match="no record of a run"):
        session.found(tmp_path)


def test_progress_tells_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 30.0, 60.0])
    monkeypatch.setattr(runner.time, "monotonic", lambda: next(clock))
    said: list[str] = []
    progress = runner.Progress(10, [Result("before", Outcome.PASSED)], said.append)
    results: Sequence[Result] = [Result("a", Outcome.PASSED), Result("b", Outcome.FAILED)]
    progress.told(results[:1])
    progress.told(results[1:])
    assert said == ["2 of 10 tests, about 4 min left", "3 of 10 tests, 1 failed, about 4 min left"]
