"""What rests while a service of its host restarts: stopped before, started whatever became of it, proven after."""

import os
import subprocess
from pathlib import Path

import pytest
from past_clusters import THREE, E, M, W, ancestors, cluster, context, resource

from quorate.core import Key
from quorate.operation import change
from quorate.plan.compile import Compiled, compile_stage
from quorate.plan.staged import foreseen
from quorate.resource.unit import Ready, Unit
from quorate.spec.cluster import Endpoint

AFTER_ETCD = "kube-apiserver after etcd"


def compiled(*masters: str) -> Compiled:
    roles = {**dict.fromkeys(masters, (M, E)), "n1": (W,)}
    endpoint = Endpoint() if len(masters) == 1 else Endpoint(local=True)
    return compile_stage(change.stages(context(cluster(roles, endpoint=endpoint)))[0])


def etcd(compiled: Compiled, host: str) -> Unit:
    found = resource(compiled, Key(host, "unit", "etcd.service"))
    assert isinstance(found, Unit)
    return found


def proof(host: str) -> Key:
    return Key(host, "ready", AFTER_ETCD)


def test_an_api_server_rests_while_its_member_restarts_and_the_next_one_waits_for_it() -> None:
    made = compiled("m1", "m2", "m3")
    for host in ("m1", "m2", "m3"):
        assert etcd(made, host).dependants == ("kube-apiserver.service",)
    turns = sorted(("m1", "m2", "m3"), key=lambda host: len(ancestors(made, etcd(made, host).key)))
    assert proof(turns[0]) in ancestors(made, etcd(made, turns[1]).key)
    assert proof(turns[1]) in ancestors(made, etcd(made, turns[2]).key)
    # Its own change waits for etcd, and not for its answer after etcd's restart.
    unit = Key(turns[0], "unit", "kube-apiserver.service")
    assert Key(turns[0], "ready", "etcd") in ancestors(made, unit)
    assert unit not in ancestors(made, proof(turns[0]))


def test_the_only_one_does_not_rest() -> None:
    made = compiled("m1")
    assert etcd(made, "m1").dependants == ()
    assert proof("m1") not in made.needs
    new = compile_stage(change.stages(context(cluster(THREE), replaced=frozenset({"m2"})))[0])
    assert etcd(new, "m1").dependants == ("kube-apiserver.service",)
    assert etcd(new, "m2").dependants == (), "what does not run yet lets nobody rest"


def test_it_is_asked_only_when_its_member_changes() -> None:
    made = compiled("m1", "m2", "m3")
    wanted = {each.key: each.desired for each in made.resources}
    calm, _ = foreseen(made, (), {key: state for key, state in wanted.items() if key != proof("m1")})
    assert not calm.changes
    file = Key("m1", "file", "/etc/systemd/system/etcd.service")
    plan, _ = foreseen(made, (), {**wanted, file: {**wanted[file], "sha256": "another"}})
    assert {step.key for step in plan.changes if isinstance(step.resource, Ready)} == {proof("m1")}


SYSTEMCTL = """#!/bin/sh
echo "$*" >>"$LOG"
case "$*" in
"is-active -q -- kube-apiserver.service") exit "$RUNS";;
"--no-block restart etcd.service") [ "$ETCD" = TERM ] || exit "$ETCD"; kill -TERM $PPID;;
"is-active etcd.service") echo active;;
esac
"""


@pytest.mark.parametrize(("runs", "etcd_ends", "code"), [(0, "0", 0), (0, "1", 1), (0, "TERM", 143), (3, "0", 0)])
def test_the_script(tmp_path: Path, runs: int, etcd_ends: str, code: int) -> None:
    """Who rests is started whatever became of the restart, or of the script; who did not run does not start."""
    (tmp_path / "multi-user.target.wants").mkdir()
    program = tmp_path / "systemctl"
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    unit = Unit(host="m1", unit="etcd.service", loads=("/x",), block=False, dependants=("kube-apiserver.service",))
    script = unit.converge({})[0].script.replace("/etc/systemd/system", str(tmp_path))
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(tmp_path / "log")}
    env |= {"RUNS": str(runs), "ETCD": etcd_ends}
    shell = f"set -eu; changed() {{ :; }}\n{script}"
    assert subprocess.run(["sh", "-c", shell], env=env, check=False).returncode == code
    did = [
        line for line in (tmp_path / "log").read_text().splitlines() if "kube-apiserver" in line or "restart" in line
    ]
    rest = ["stop -- kube-apiserver.service"] if runs == 0 else []
    start = ["--no-block start -- kube-apiserver.service"] if runs == 0 else []
    asked = ["is-active -q -- kube-apiserver.service"]
    assert did == [*asked, *rest, "--no-block restart etcd.service", *start]
