"""What shellcheck says of every script that is sent to hosts: nothing, but for what POSIX leaves out and hosts have."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from past_clusters import THREE, cluster, context
from preflight_world import world
from staged_world import MIXED
from worlds import blob

from quorate.component.context import Context
from quorate.component.settings.backup import taking
from quorate.drill import hostwatch, injections
from quorate.execute import facts, survey
from quorate.execute.outage import Injection, break_script, heal_script
from quorate.operation import change, restore
from quorate.operation.stage import Operation
from quorate.plan.compile import compile_stage
from quorate.preflight.catalog import QUESTIONS
from quorate.procedure import support
from quorate.render import backup, defrag, lock_script
from quorate.render.prelude import PRELUDE
from quorate.resource.job import Job
from quorate.spec.cluster import Cluster, Endpoint, LoadBalancer, Rollout
from quorate.spec.restoring import WEEK, Restoration
from quorate.spec.sections import Backup

FROM = Restoration(
    *("4711", "c-1", "0" * 64, 1000, 5000, {}), tool="etcdctl", bump=WEEK, nodes=("n9",), blob=blob("snapshot")
)
EXCLUDED = {
    "SC1007": "`name= other=`: two empty values",
    "SC2034": "a field that `read` needs a name for, and that nobody uses",
    "SC2043": "a loop over a list that has one entry here, and may have more",
    "SC2194": "a list that is made here, looked through for a word",
    "SC2154": "set by a function of the prelude",
    "SC3013": "-nt and -ef: dash, bash and busybox have them",
    "SC3045": "ulimit -n and -H: likewise",
}
"""Warnings that are none here, and why."""


def contexts() -> Iterator[Context]:
    """First builds and changes, with everything that has scripts of its own."""
    around = Rollout(drain=True, before="/usr/local/bin/before", after="/usr/local/bin/after", pause_seconds=1)
    haproxy = LoadBalancer(kind="haproxy")
    yield context(cluster(THREE, rollout=around), cluster({**THREE, "n3": THREE["n1"]}))
    yield context(cluster(MIXED, endpoint=Endpoint(local=True), load_balancer=haproxy), cluster(MIXED))
    yield context(cluster({name: roles for name, roles in THREE.items() if name != "m3"}), cluster(THREE))


def scripts() -> Iterator[tuple[str, str]]:
    """By name, each as a host runs it, without the prelude."""
    restoring = replace(context(cluster(THREE)), restoring=FROM)
    walked: list[tuple[Operation, Context]] = [*((change, each) for each in contexts()), (restore, restoring)]
    for number, (operation, given) in enumerate(walked):
        for stage in operation.stages(given):
            for resource in compile_stage(stage).resources:
                if isinstance(resource, Job):
                    yield f"{resource.key} itself", resource.script
                probe = resource.probe()
                found = [probe.question] if probe.tool == "script" else []
                acts = (*resource.converge({}), *resource.converge(resource.desired), *resource.remove())
                yield from ((str(resource.key), each) for each in (*found, *(act.script for act in acts)))
        yield from looks(number, given.cluster)


def looks(number: int, now: Cluster) -> Iterator[tuple[str, str]]:
    """What hosts are asked, besides."""
    for host in now.hosts:
        yield f"facts {number} {host.name}", facts.script(now, host)
        yield f"watch {number} {host.name}", hostwatch.script(now, host)
        for name, question in survey.questions(now, host).items():
            yield f"status {name} {number} {host.name}", question
    for name, question in support.questions(datetime.now(UTC)).items():
        yield f"support {name}", question


SSH = {"host": "h", "user": "u", "path": "/srv/backups", "key": "/k", "known_hosts": "/h"}
S3 = {"endpoint": "https://s3.example", "bucket": "backups", "prefix": "a/b", "login_file": "/l", "ca_file": "/c"}


def others() -> Iterator[tuple[str, str]]:
    """Locks, the preflight, what drills break."""
    yield "lock", lock_script.take("t0ken", "record", {})
    yield "lock again", lock_script.take("t0ken", "record", {"m1": 1}, again=True)
    yield "release", lock_script.release("t0ken")
    yield "look", lock_script.LOOK
    yield "prelude", PRELUDE
    yield "compact", defrag.compacted("etcdctl", 7)
    yield "defrag", defrag.defragmented("etcdctl", "http://127.0.0.1/health", rests=("a.service",), ready="curl a")
    yield "hand on", defrag.handed_on("etcdctl", "a1b2")
    yield "disarm", defrag.disarmed("etcdctl")
    given = world()
    for question in QUESTIONS:
        for host in given.cluster.hosts:
            yield f"preflight {question.name} {host.name}", question.sh(given, host)
    spec = Backup.model_validate({"schedule": "daily", "places": [{"ssh": SSH}, {"s3": S3}]})
    told = taking(given.cluster, given.cluster.members[0], given.context.secrets)
    yield "scheduled backup", backup.script("c", "m1", spec, "etcdctl", told)
    yield "status of backups", backup.asked(spec.folder)
    one, other = given.cluster.hosts[0], given.cluster.hosts[1]
    faults: list[Injection] = [
        make(one, "kubelet.service") for make in (injections.killed, injections.hung, injections.stopped)
    ]
    faults += [
        injections.cut(one),
        injections.apart(one, [other]),
        injections.lossy(one, 5),
        injections.slow(one, 100, 10),
    ]
    for fault in faults:
        yield f"break {fault.label}", break_script(fault, "guard", 60)
        yield f"heal {fault.label}", heal_script(fault, "guard")


def test_shellcheck_has_nothing_to_say(tmp_path: Path) -> None:
    seen: dict[str, str] = {}
    for name, text in (*scripts(), *others()):
        seen.setdefault(text, name)
    assert len(seen) > 300
    for number, (text, name) in enumerate(seen.items()):
        (tmp_path / f"{number:04}.sh").write_text(f"#!/bin/sh\n# {' '.join(name.split())}\n{text}\n")
    argv = ["shellcheck", "-s", "sh", "-S", "warning", "-f", "gcc", f"--exclude={','.join(EXCLUDED)}"]
    done = subprocess.run([*argv, *sorted(tmp_path.glob("*.sh"))], capture_output=True, text=True, check=False)
    told = []
    for line in done.stdout.splitlines():
        place, number_of_line, *_ = line.split(":")
        text = Path(place).read_text().splitlines()
        told.append(f"{text[1]}: {line.partition(': ')[2]}: {text[int(number_of_line) - 1][:160]}")
    assert not told, "\n".join(told)
    assert done.returncode == 0, done.stderr


def test_what_is_excluded_would_be_told(tmp_path: Path) -> None:
    """And shellcheck finds what it should."""
    path = tmp_path / "x.sh"
    path.write_text("#!/bin/sh\nrm -r $(cat /a)\nunused=1\n")
    argv = ["shellcheck", "-S", "warning", "-f", "gcc", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "SC2046" in done.stdout
    assert "SC2034" in done.stdout
