"""Every script that the program can send to a host or run here, room by room, with those that travel inside others.

Each by a name and as a host runs it, without the prelude.
"""

import asyncio
import json
import re
import selectors
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from unittest.mock import patch

import backup_sets
from hypothesis import HealthCheck, Phase, given, settings
from past_clusters import THREE, cluster, context, member
from preflight_world import upgrading, world
from ruamel.yaml import YAML
from staged_world import MIXED
from verify_door import Door
from verify_door import cluster as verified
from verify_model import Model
from worlds import blob
from worlds import contexts as any_context

from quorate.artifact import image
from quorate.artifact.root import USER
from quorate.artifact.test_images import PACKAGES
from quorate.backup import objects, prove
from quorate.backup.archive import OpenedSet, Whole
from quorate.backup.objects import Selection
from quorate.backup.preview import live
from quorate.component.context import Context
from quorate.component.settings.backup import taking
from quorate.core import Action, CommandFailed
from quorate.drill import hostwatch
from quorate.drill.catalog import FAULTS
from quorate.drill.pods import stays
from quorate.drill.scene import ELECTED, Scene, Skip
from quorate.execute import batch, facts, fetch, held, once, survey
from quorate.execute.outage import Injection, break_script, heal_script
from quorate.lab import machine
from quorate.lab.record import LabInfo, Machine
from quorate.operation import change, restore, runtimes
from quorate.operation.stage import Operation
from quorate.plan.compile import compile_stage
from quorate.plan.step import Plan, Step
from quorate.preflight import runner as preflight
from quorate.preflight.catalog import QUESTIONS
from quorate.preflight.check import World
from quorate.procedure import adopt, support
from quorate.procedure.status import status
from quorate.render import backup, debian, defrag, lock_script, snapshot
from quorate.render.bootstrap import boot, kill
from quorate.render.containers import PLAIN_RUNC
from quorate.render.lab_host import GUARD
from quorate.render.prelude import PRELUDE
from quorate.render.sh import heredoc
from quorate.resource import ask
from quorate.resource.drain import Drained, Uncordoned
from quorate.resource.fence import Fence
from quorate.resource.job import Job
from quorate.resource.package import Packages
from quorate.resource.removal import script as removal
from quorate.resource.resource import Resource
from quorate.resource.unit import Ready, Unit
from quorate.spec.cluster import RUNTIMES, Cluster, Endpoint, Host, LoadBalancer, Rollout, Runtime
from quorate.spec.restoring import WEEK, Restoration
from quorate.spec.sections import Backup
from quorate.spec.supply import PackageFile
from quorate.state.seal import Mark, write
from quorate.verify import runner as verify
from quorate.verify import traffic

T = TypeVar("T")
Scripts = Iterator[tuple[str, str]]
FROM = Restoration(
    *("4711", "c-1", "0" * 64, 1000, 5000, {}), tool="etcdctl", bump=WEEK, nodes=("n9",), blob=blob("snapshot")
)
_SSH = {"host": "h", "user": "u", "path": "/srv/backups", "key": "/k", "known_hosts": "/h"}
_S3 = {"endpoint": "https://s3.example", "bucket": "backups", "prefix": "a/b", "login_file": "/l", "ca_file": "/c"}
BACKUP = Backup.model_validate({"schedule": "daily", "places": [{"ssh": _SSH}, {"s3": _S3}]})
DRAWN = 15
"""Clusters drawn at random: with these, all that a component can do has been chosen by one of them."""


def sent() -> dict[str, str]:
    """All of them: a name by text."""
    found: dict[str, str] = {}
    for name, text in chain(resources(), kinds(), asked(), stores(), locks(), drills(), at_once(talk()), here()):
        if text not in found:
            found |= {text: name} | dict.fromkeys(inside(text), f"{name}, in it")
    return found


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run it in a loop whose clock goes on only where somebody waits, and then by all that he waits for."""
    clock = [0.0]

    class Selector(selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> Any:
            clock[0] += timeout or 0
            return super().select(0)

    class Loop(asyncio.SelectorEventLoop):
        def time(self) -> float:
            return clock[0]

    with asyncio.Runner(loop_factory=lambda: Loop(Selector())) as run:
        return run.run(work)


def running(given: Context) -> Context:
    """The same, where kubelets run as well."""
    hosts = {
        name: replace(facts, running=facts.running | {"kubelet.service"}) for name, facts in given.facts.hosts.items()
    }
    return replace(given, facts=replace(given.facts, hosts=hosts))


def contexts() -> Iterator[Context]:
    """First builds and changes, with everything that has scripts of its own; then any."""
    programs = {when: f"/usr/local/bin/{when}" for when in ("before", "before_uncordon", "after")}
    around = Rollout(drain=True, pause_seconds=1, **programs)
    haproxy = LoadBalancer(kind="haproxy")
    yield running(context(cluster(THREE, rollout=around), cluster({**THREE, "n3": THREE["n1"]})))
    yield context(cluster(MIXED, endpoint=Endpoint(local=True), load_balancer=haproxy), cluster(MIXED))
    yield context(cluster({name: roles for name, roles in THREE.items() if name != "m3"}), cluster(THREE))
    yield context(cluster(THREE), empty=frozenset({"m2"}), replaced=frozenset({"n1"}))
    yield context(cluster(THREE), listed=(member("m1"), member("m3")))
    managed = context(cluster(THREE))
    hosts = {name: replace(each, network_manager=True) for name, each in managed.facts.hosts.items()}
    yield replace(managed, facts=replace(managed.facts, hosts=hosts))
    scheduled = context(cluster(THREE, backup=BACKUP))
    programs = {**scheduled.supply.binaries, "age": blob("age")}
    yield replace(scheduled, supply=replace(scheduled.supply, binaries=programs), recipients=("age1first",))
    yield from _drawn()


def _drawn() -> list[Context]:
    found: list[Context] = []

    @settings(
        max_examples=DRAWN,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(any_context())
    def draw(each: Context) -> None:
        found.append(Context(**vars(each)))

    draw()
    return found


def resources() -> Scripts:
    """What components want: how it is asked for, done and undone, alone and together."""
    yield from _of_stages(restore, replace(context(cluster(THREE)), restoring=FROM))
    docker, containerd = (cluster(THREE, runtime=Runtime(kind=kind)) for kind in RUNTIMES)
    for goes in (context(docker, containerd), context(containerd, docker)):
        yield from _of_stages(runtimes, goes)
        yield from _of_preflight(World(goes))
    for given_ in contexts():
        yield from _of_stages(change, given_)
        first = compile_stage(change.stages(given_)[0])
        steps = {resource.key: Step(resource, {}) for resource in first.resources}
        yield from _of_preflight(World(given_, plan=Plan(steps, {})))
        yield from looks(given_.cluster)


def _of_stages(operation: Operation, given_: Context) -> Scripts:
    for stage in operation.stages(given_):
        for resource in compile_stage(stage).resources:
            yield from _of(resource)


def _of(resource: Resource) -> Scripts:
    name, probe = str(resource.key), resource.probe()
    yield name, ask.script({probe.tool: [probe.question]})
    acts = (*resource.converge({}), *resource.converge(resource.desired), *resource.remove())
    yield from ((name, act.script) for act in acts)
    if isinstance(resource, Ready):
        yield from ((name, each) for each in (resource.evidence, *(text for _, text in resource.witnesses)))
    if isinstance(resource, Job):
        yield f"{name} itself", resource.script
    if isinstance(resource, Unit) and resource.fallback:
        yield name, f"(\n{resource.fallback}\n) 2>&1 || :"


def kinds() -> Scripts:
    """Resources in forms that no cluster above has."""
    files = tuple(PackageFile(name, "1", f"{name}_1.deb", blob(name)) for name in ("one", "two"))
    common: dict[str, Any] = {"host": "h", "purpose": "x", "packages": ("one",), "leavings": ("/var/lib/x",)}
    made: list[Resource] = [
        Packages(**common, manager=manager, files=each, alone=alone, proxy=(("https_proxy", "http://p:1"),))
        for manager in ("apt", "dnf", "yum", "zypper", "none")
        for each in ((), files)
        for alone in (False, True)
    ]
    made += [Job(host="h", what="a job", id="1", script="echo progress 1 1\n", rate=1)]
    run = "kubectl --kubeconfig=/etc/admin.kubeconfig"
    made += [Drained(host="h", node="n", run=run, seconds=9), Uncordoned(host="h", node="n", run=run)]
    made += [Fence(host="h", what="etcd", id="1", units=("kubelet.service",), up=up) for up in (True, False)]
    for resource in made:
        yield from _of(resource)
    yield "a file without an end of line", f"cat {heredoc('x')}"
    steps = [Step(resource, {}) for resource in made[-3:]]
    yield "a batch", batch.script(steps)
    yield "an upload", batch.upload(Action("cat >/dev/null", blob=blob("x")))
    yield "a removal", removal(made[-3:], whole=True)
    yield "once", once.once(once.over(["a-1", "a-2"]), "a-3")


def looks(now: Cluster) -> Scripts:
    """What hosts are asked, besides."""
    for host in now.hosts:
        yield f"facts {host.name}", facts.script(now, host)
        yield f"watch {host.name}", hostwatch.script(now, host)
        yield from ((f"survey {name} {host.name}", each) for name, each in survey.questions(now, host).items())


def _of_preflight(given_: World) -> Scripts:
    for host in given_.cluster.hosts:
        for question in QUESTIONS:
            yield f"preflight {question.name} {host.name}", question.sh(given_, host)


def asked() -> Scripts:
    """What other verbs ask."""
    for given_ in (world(), world(established=True), upgrading(), upgrading("1.24.17", "1.25.16")):
        yield from _of_preflight(given_)
    yield "preflight", preflight.script(world(), world().cluster.hosts[0])[0]
    for name, question in support.questions(datetime.now(UTC)).items():
        yield f"support {name}", question
    yield "adopt", adopt.READ


def stores() -> Scripts:
    """Backups that are taken on a host, by a timer and for an operator, and read here; and etcd's space."""
    yield "compact", defrag.compacted("etcdctl", 7)
    yield "defrag", defrag.defragmented("etcdctl", "http://127.0.0.1/health", rests=("a.service",), ready="curl a")
    yield "hand on", defrag.handed_on("etcdctl", "a1b2")
    yield "disarm", defrag.disarmed("etcdctl")
    given_ = world()
    of_host = taking(given_.cluster, given_.cluster.members[0], given_.context.secrets)
    yield "status of backups", backup.asked(BACKUP.folder)
    yield "backup for an operator", snapshot.asked(of_host, BACKUP.folder)
    now, content, scratch = given_.cluster, backup_sets.bundle(), Path("/scratch")
    manifest = backup_sets.manifest(content)
    for level in (1, 2):
        yield f"proof to level {level}", prove.script(manifest, now, scratch, level)
    opened = OpenedSet(Whole(Path("/set"), "d", manifest, ()), content, 1, ())
    yield "objects of a backup", objects.script(opened, now, scratch, [Selection.read("shop:secrets/web")])


def locks() -> Scripts:
    """What stands around scripts."""
    yield "lock", lock_script.take("t0ken", "record", {})
    yield "lock again", lock_script.take("t0ken", "record", {"m1": 1}, again=True)
    yield "release", lock_script.release("t0ken")
    yield "fence", lock_script.fence("t0ken")
    yield "look", lock_script.LOOK
    yield "prelude", PRELUDE
    yield "boot", boot(100)
    yield "kill", kill(100)
    yield "copy", write(Mark("c", 1, "d"), b"sealed", b"locked")


def drills() -> Scripts:
    """All faults, on clusters whose balancers are apart or on each node, and their pods."""
    for now in (cluster(THREE), cluster(MIXED, endpoint=Endpoint(local=True))):
        leases = dict.fromkeys(ELECTED, now.masters[0])
        scene = Scene(now, now.balancers[0] if now.endpoint.vip else None, now.members[0], leases)
        yield from (("pods that stay", each) for each in _of_pods(stays(now)))
        for fault in FAULTS:
            try:
                injections: tuple[Injection, ...] = tuple(fault.select(scene, Random(1)).injections)
            except Skip:
                continue
            for each in injections:
                yield f"{fault.name} breaks", break_script(each, "guard", 60)
                yield f"{fault.name} heals", heal_script(each, "guard")


async def talk() -> list[tuple[str, str]]:
    """What is asked as answers come: by checks on a cluster that is well, some of which stop something; and by others
    that speak with hosts.
    """
    doors = []
    for now in (verified(), cluster(THREE), cluster(MIXED, endpoint=Endpoint(local=True))):
        doors.append(door := Door(Hurt(now)))
        with patch.object(traffic, "_from_here", nobody):
            await verify.verify(now, door, disruptive=True, on_finding=lambda _finding: None)
        await status(now, door)
    doors.append(door := Door(lambda _host, _script: "asked\n inet 10.0.9.100/32\n"))
    await live(cluster(THREE), door)
    doors.append(answers := Door(lambda _host, _script: '"Revision" : 7\n'))
    await live(cluster(THREE), answers)
    await held.proof(context(cluster(THREE)), door)()
    with suppress(CommandFailed):
        await fetch.fetch(door, "h", "/a", Path("a"))
    return [("talk", text) for door in doors for _, text in door.scripts]


async def nobody(_env: object, _urls: list[str]) -> None:
    """Nothing is asked from this machine."""


class Hurt(Model):
    """The healthy cluster, in which every write is done, and soon."""

    def _talk(self, host: Host, script: str) -> str:
        if "create --raw" in script:
            return "310"
        if "configmap" in script:
            return "acked with-majority before"
        if "endpoint status -w json" in script:
            return json.dumps([{"Status": {"leader": 1, "header": {"member_id": 1}}}])
        return super()._talk(host, script)


def here() -> Scripts:
    """What runs on this machine: the lab, and what is made inside a Debian root."""
    lab = LabInfo("lab", Path("c.yaml"), Path("/lab"), ("10.0.0.254/24",), ())
    one = Machine("m1", "10.0.0.1", 24, "10.0.0.254", "02:00:00:00:00:01", "cable1", Path("/lab/m1"))
    yield "lab boots", machine.boot_script(lab, one, [Path("/cgroup/m1")], [Path("/cgroup/m1.loop")], True)
    yield "debs", debian.TAKE_APART
    yield "kubernetes", debian.KUBERNETES
    yield "root", debian.finish(USER)
    yield "layer", debian.layer(PACKAGES)
    yield "pause", image.PAUSE
    yield "busybox", debian.BUSYBOX
    yield "shell of busybox", debian.SHELL
    yield "plain runc", PLAIN_RUNC
    yield from (("guard", each) for each in inside(GUARD))


HEREDOC = re.compile(r"<<'(\w+)'\n(.*?\n)\1$", re.DOTALL | re.MULTILINE)
STARTED = re.compile(r"""/bin/sh (?:\\\n *)?-e?c (?:\\\n *)?(?:"((?:[^"\\]|\\.)*)"|'([^']*)')""")
"""A script in a unit file."""


def inside(text: str) -> Iterator[str]:
    """Scripts in the files that a script writes, in commands of units, and in those of pods."""
    for body in (text, *(found[2] for found in HEREDOC.finditer(text))):
        if body.startswith(("#!/bin/sh", "PATH=")) and body is not text:
            yield body
        elif body.startswith("[Unit]"):
            for found in STARTED.finditer(body):
                words = re.sub(r"\\(.)", r"\1", found[1]) if found[1] else found[2]
                yield words.replace("$$", "$").replace("%%", "%")
        elif body.startswith(('{"', "apiVersion:")):
            yield from (each for given_ in YAML(typ="safe").load_all(body) for each in _of_pods(given_))


def _of_pods(given_: Any) -> Iterator[str]:
    match given_:
        case ["sh", "-c", command]:
            yield command
        case dict():
            yield from (each for value in given_.values() for each in _of_pods(value))
        case list():
            yield from (each for value in given_ for each in _of_pods(value))
