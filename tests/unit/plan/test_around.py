"""What stands around the change of a worker: once a host, in the right order, and only where something changes."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from past_clusters import ancestors
from staging import compile_cluster
from test_who_waits import change, first_build, in_waves, walked, workers

from quorate.component.context import Context
from quorate.core import Key, State
from quorate.plan.limit import limited
from quorate.plan.staged import foreseen
from quorate.plan.step import Plan
from quorate.render.drain import MARK
from quorate.resource.drain import Drained, Uncordoned
from quorate.resource.system import Hook
from quorate.resource.unit import Ready, Unit
from quorate.spec.cluster import Rollout

ALL = {"drain": True, "before": "/usr/local/sbin/out", "after": "/usr/local/sbin/in", "pause_seconds": 5}
KUBELET = Key("n2", "unit", "kubelet.service")


def around(key: Key) -> bool:
    return key.kind in (Drained.kind, Uncordoned.kind, Hook.kind)


def plan(given: Context, differs: Callable[[Key], bool], **found: State) -> Plan:
    compiled = compile_cluster(given)
    asked = (Drained.kind, Hook.kind)
    states: dict[Key, State | None] = {
        resource.key: {} if differs(resource.key) or resource.kind in asked else resource.desired
        for resource in compiled.resources
    }
    for name, state in found.items():
        states[Key("m1", Uncordoned.kind, name)] = state
    return foreseen(compiled, (), states)[0]


def test_once_a_host_in_this_order() -> None:
    """The site's program, the drain, the change with its proofs, the node, the program, the pause; then the next."""
    compiled = compile_cluster(workers(3, **ALL))
    chain = [
        *(Key("n2", "hook", "before the change"), Key("m1", "drained", "n2"), KUBELET, Key("n2", "ready", "node")),
        *(Key("m1", "uncordoned", "n2"), Key("n2", "hook", "after the change"), Key("n2", "hook", "pause")),
        Key("n3", "hook", "before the change"),
    ]
    for earlier, later in pairwise(chain):
        assert earlier in ancestors(compiled, later), f"{earlier}, then {later}"
    for unit in ("containerd.service", "kubelet.service", "kube-proxy.service"):
        assert Key("m1", "drained", "n2") in ancestors(compiled, Key("n2", "unit", unit))
        assert Key("n2", "unit", unit) in ancestors(compiled, Key("m1", "uncordoned", "n2"))
    assert len([key for key in compiled.needs if key.kind == "drained"]) == 3
    binary = Key("n2", "binary", "/opt/kubernetes/bin/kubelet")
    assert Key("m1", "drained", "n2") in ancestors(compiled, binary), "files wait as well"


def test_without_wishes_there_is_nothing_of_it_nor_on_workers_that_come() -> None:
    assert not [key for key in compile_cluster(change()).needs if around(key)]
    new = replace(first_build(), cluster=first_build().cluster.model_copy(update={"rollout": Rollout(**ALL)}))
    assert not [key for key in compile_cluster(new).needs if around(key)]


@pytest.mark.parametrize(
    "what",
    [
        *(Key("n2", "file", "/etc/systemd/system/kubelet.service"), Key("n2", "binary", "/opt/kubernetes/bin/kubelet")),
        *(Key("n2", "file", "/etc/containerd/config.toml"), Key("n2", "file", "/etc/kubernetes/kube-proxy.kubeconfig")),
        *(KUBELET, Key("n2", "file", "/etc/kubernetes/pki/ca.crt")),
    ],
)
def test_a_node_is_drained_when_something_changes_that_its_pods_may_feel(what: Key) -> None:
    given = workers(3, drain=True)
    assert what in compile_cluster(given).component_of
    changes = {step.key for step in plan(given, lambda key: key == what).changes}
    assert {key for key in changes if around(key)} == {Key("m1", "drained", "n2"), Key("m1", "uncordoned", "n2")}


def test_nothing_is_drained_for_a_look_or_for_what_no_pod_feels() -> None:
    given = workers(3, **ALL)
    for what in (
        Key("n2", "ready", "node"),
        Key("n2", "block", "/etc/hosts:c"),
        Key("n1", "file", "/etc/quorate/routes"),
    ):
        assert not [step.key for step in plan(given, lambda key, what=what: key == what).changes if around(step.key)]
    assert plan(given, lambda key: False).changes == ()


def test_one_that_we_cordoned_in_a_run_that_was_cut_off_takes_pods_again() -> None:
    given = workers(3, drain=True)
    changes = [step.key for step in plan(given, lambda key: False, n2={"cordon": "ours"}).changes]
    assert changes == [Key("m1", "uncordoned", "n2")]
    assert plan(given, lambda key: False, n2={"cordon": "none of ours"}).changes == ()


def test_a_hook_that_fails_leaves_its_worker_untouched_and_it_is_the_canary() -> None:
    given = workers(4, **ALL)
    _, waits = walked(compile_cluster(given), lambda key: key == Key("n2", "hook", "before the change"))
    skipped = {key.host for key in waits if key.kind == Unit.kind and key.name == "kubelet.service"}
    assert skipped == {"n2"}
    _, waits = walked(compile_cluster(given), lambda key: key == Key("m1", "drained", "n1"))
    assert {key.host for key in waits if key.name == "kubelet.service"} == {"n1", "n2", "n3", "n4"}
    failed, waits = walked(compile_cluster(given), lambda key: key == Key("n2", "ready", "node"))
    assert failed
    assert Key("m1", "uncordoned", "n2") in waits, "a node that is not proven takes no pods"


CHECKED = {"drain": True, "before_uncordon": "/usr/local/sbin/check"}
CHECK, BACK = Key("n2", "hook", "before it takes pods again"), Key("m1", "uncordoned", "n2")


def test_the_sites_word_is_asked_for_before_a_node_takes_pods_again() -> None:
    compiled = compile_cluster(workers(3, **CHECKED))
    for earlier, later in pairwise([Key("n2", "ready", "node"), CHECK, BACK, Key("m1", "drained", "n3")]):
        assert earlier in ancestors(compiled, later), f"{earlier}, then {later}"
    undrained = compile_cluster(workers(3, before_uncordon="/usr/local/sbin/check"))
    assert not [key for key in undrained.needs if around(key)], "nobody was cordoned"


def test_a_node_that_it_does_not_let_go_stays_cordoned_and_the_others_go_on() -> None:
    given = workers(4, **CHECKED)
    _, waits = walked(compile_cluster(given), lambda key: key == CHECK)
    assert BACK in waits
    assert {key.host for key in waits if key.name == "kubelet.service"} == set()
    canary = Key("n1", CHECK.kind, CHECK.name)
    _, waits = walked(compile_cluster(given), lambda key: key == canary)
    assert {key.host for key in waits if key.name == "kubelet.service"} == {"n2", "n3", "n4"}


def test_the_next_apply_asks_again_and_uncordons_what_it_lets_go() -> None:
    given = workers(3, **CHECKED)
    again = plan(given, lambda key: False, n2={"cordon": "ours"})
    assert [step.key for step in again.changes] == [CHECK, BACK]
    assert CHECK in again.needs[BACK]
    assert plan(given, lambda key: False, n2={"cordon": "none of ours"}).changes == ()
    assert {step.key for step in limited(again, {"n2"}).changes} == {CHECK, BACK}
    assert limited(again, {"m1"}).changes == ()


def test_what_it_said_is_told_with_what_became_of_the_node(tmp_path: Path) -> None:
    program = tmp_path / "check"
    compiled = compile_cluster(workers(3, drain=True, before_uncordon=str(program)))
    script = next(each for each in compiled.ordered if each.key == CHECK).converge({})[0].script
    for code in (0, 7):
        program.write_text(f"#!/bin/sh\necho 'the disk is not there'\nexit {code}\n")
        program.chmod(0o755)
        done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=False)
        assert done.returncode == code
        told = f"{program} failed (exit 7): node n2 stays cordoned until an apply in which it succeeds"
        assert done.stdout.splitlines() == ["the disk is not there", *([told] if code else [])]


def test_it_goes_with_the_width() -> None:
    assert [len(wave) for wave in in_waves(workers(7, **ALL, max_unavailable="3"))] == [1, 3, 3]


KUBECTL = r"""#!/bin/sh
# One node: whether it takes pods, and its marks, are files.
here=$(dirname "$0")
echo "$*" >>"$here/asked"
case "$*" in
*"get node gone"*) ;;
*"get poddisruptionbudgets"*) echo "shop db app=db,";;
*"get pods -n shop -l app=db "*) printf '%s\n' 'on n1 db-0' 'on n2 db-1';;
*"-o name"*) echo node/n2;;
*unschedulable*) [ ! -e "$here/cordoned" ] || printf true;;
*annotations*) [ ! -e "$here/mark" ] || printf yes;;
"annotate node n2 quorate.io/cordoned=yes"*) touch "$here/mark";;
"annotate node n2 quorate.io/cordoned-"*) rm "$here/mark";;
"drain n2"*) touch "$here/cordoned"; [ ! -e "$here/full" ] || { seq 9; echo 'error: timeout' >&2; exit 1; };;
"uncordon n2") rm "$here/cordoned";;
*) echo "what is $*" >&2; exit 9;;
esac
"""


class Node:
    """A node and its resources, with a kubectl that is made up."""

    def __init__(self, folder: Path) -> None:
        self.folder, path = folder, folder / "kubectl"
        path.write_text(KUBECTL)
        path.chmod(0o755)
        self.drained = Drained(host="m1", node="n2", run=str(path), seconds=9)
        self.back = Uncordoned(host="m1", node="n2", run=str(path))

    def state(self, resource: Drained | Uncordoned) -> State:
        return resource.parse(self._sh(resource.probe().question)) or {}

    def act(self, resource: Drained | Uncordoned) -> str:
        return self._sh(resource.converge({})[0].script)

    def _sh(self, script: str) -> str:
        done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True)
        return done.stdout

    def __getitem__(self, name: str) -> bool:
        return (self.folder / name).exists()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_what_we_cordon_we_uncordon(node: Node) -> None:
    assert (node.state(node.drained), node.state(node.back)) == ({"drained": "no"}, {"cordon": "none of ours"})
    node.act(node.drained)
    assert (node["cordoned"], node["mark"]) == (True, True)
    assert (node.state(node.drained), node.state(node.back)) == ({"drained": "yes"}, {"cordon": "ours"})
    node.act(node.back)
    assert (node["cordoned"], node["mark"]) == (False, False)
    assert MARK == "quorate.io/cordoned"


def test_what_somebody_else_has_cordoned_stays_so(node: Node) -> None:
    (node.folder / "cordoned").touch()
    node.act(node.drained)
    assert node.state(node.back) == {"cordon": "none of ours"}
    node.act(node.back)
    assert (node["cordoned"], node["mark"]) == (True, False)


def test_a_node_that_does_not_empty_is_named_with_what_holds_it_and_takes_pods_again(node: Node) -> None:
    (node.folder / "full").touch()
    with pytest.raises(subprocess.CalledProcessError) as failed:
        node.act(node.drained)
    assert failed.value.stdout.splitlines() == [
        *("7", "8", "9", "error: timeout"),
        "held: pod shop/db-1, by the PodDisruptionBudget shop/db that allows none to go",
        "node n2 was not empty within 9 s: it takes pods again, and is as it was",
    ]
    assert (node["cordoned"], node["mark"]) == (False, False)
    (node.folder / "full").unlink()
    node.act(node.drained)
    assert (node["cordoned"], node["mark"]) == (True, True)


def test_one_that_somebody_else_had_cordoned_stays_so_when_it_does_not_empty(node: Node) -> None:
    for name in ("full", "cordoned"):
        (node.folder / name).touch()
    with pytest.raises(subprocess.CalledProcessError) as failed:
        node.act(node.drained)
    assert failed.value.stdout.endswith("node n2 was not empty within 9 s; it stays cordoned, as it was found\n")
    assert (node["cordoned"], node["mark"]) == (True, False)


def test_a_worker_that_does_not_empty_is_skipped_and_the_others_go_on() -> None:
    _, waits = walked(compile_cluster(workers(4, drain=True)), lambda key: key == Key("m1", "drained", "n2"))
    assert {key.host for key in waits if key.name in ("kubelet.service", "containerd.service")} == {"n2"}
    assert {key for key in waits if key.kind == Uncordoned.kind} == {BACK}


def test_a_node_that_is_not_there_is_no_obstacle(node: Node) -> None:
    gone = replace(node.drained, node="gone"), replace(node.back, node="gone")
    assert node.state(gone[0]) == gone[0].desired
    node.act(gone[0])
    assert node.state(gone[1]) == gone[1].desired
    node.act(gone[1])
    assert isinstance(gone[0], Drained)
    assert not issubclass(Drained, Ready)
