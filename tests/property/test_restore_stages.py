"""The stages of a restore on hosts in memory: killed or rebooted anywhere it goes on, and there is one history."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from staged_world import SECRETS, World, at_goal, built, stopped
from worlds import blob

from quorate.component.context import Context
from quorate.component.etcd_restore import FOLDER
from quorate.component.settings.apiserver import ENCRYPTION
from quorate.core import Key, State
from quorate.operation import change, restore
from quorate.operation.stage import Stage
from quorate.pki.issue import new_key, public_pem
from quorate.plan import guard
from quorate.plan.compile import Compiled, compile_stage
from quorate.plan.step import Step
from quorate.resource.fence import Fence
from quorate.resource.file import File
from quorate.resource.job import Job
from quorate.resource.resource import Resource
from quorate.resource.system import Setting
from quorate.resource.unit import Ready, Stopped, Unit
from quorate.spec.facts import Facts, Member
from quorate.spec.fewer_hosts import cluster_without
from quorate.spec.pki_files import SA_PUB
from quorate.spec.restoring import Restoration
from quorate.spec.secrets import EncryptionKey

FROM = Restoration(
    *("4711", "c-20261130", "0" * 64, 1000, 5000, {"etcd": "3.4.45", "kubernetes": "1.20.2"}),
    tool="etcdctl",
    nodes=("n9",),
    blob=blob("snapshot"),
)
NAMES = ["three", "mixed", "mixed, each its own", "a master alone"]
OLD = "old"


@dataclass
class Restored(World):
    """Members with data of one history or another; services start by themselves after a reboot."""

    restoring: Restoration | None = FROM
    data: dict[str, str] = field(default_factory=dict)
    """Whose data lie in etcd's folder, by host; those of hosts that are not named are lost."""
    aside: list[str] = field(default_factory=list)
    up: dict[tuple[str, str], Fence] = field(default_factory=dict)
    opened: dict[tuple[str, str], str] = field(default_factory=dict)
    starts: list[tuple[str, str]] = field(default_factory=list)

    def context(self) -> Context:
        found = super().context()
        running = self.running(restore.ETCD)
        quorum = len(running) > len(self.now.members) // 2
        known = (self.established or self.now).members
        members = tuple(Member(f"{int(host.address):x}", host.name, f"https://{host.ip}:2380") for host in known)
        hosts = {
            name: replace(
                facts,
                etcd_member=name in self.data,
                members=members if quorum and name in running else (),
                restored=self.data.get(name, "").replace(OLD, ""),
                running=frozenset(unit for unit in facts.running if self.active(name, unit)),
            )
            for name, facts in found.facts.hosts.items()
        }
        return replace(found, facts=Facts(hosts, found.facts.pod_cidrs), restoring=self.restoring)

    def active(self, host: str, unit: str) -> bool:
        return self.states.get(Key(host, Unit.kind, unit), {}).get("active") == "active"

    def running(self, group: str) -> list[str]:
        unit = {"etcd": "etcd", "api": "kube-apiserver", "controllers": "kube-controller-manager"}[group]
        return [host.name for host in self.now.hosts if self.active(host.name, f"{unit}.service")]

    def stages(self) -> tuple[Stage, ...]:
        return (restore if self.restoring else change).stages(self.context())

    def look(self, resource: Resource, files: Mapping[tuple[str, str], Resource]) -> State:
        host = resource.host
        match resource:
            case Fence(up=True):
                found = self.up.get((host, resource.what))
                return found.desired if found else {"of": "nobody", "units": "0"}
            case Fence():
                return {"opened": self.opened.get((host, resource.what), "nobody"), "units": "0"}
            case Stopped():
                on = [unit for unit in resource.units if self.active(host, unit)]
                return {"running": " ".join(on) or "none"}
            case Setting(what="data of etcd"):
                return {"restored": self.data.get(host, "no")}
            case Setting(what=what) if what.endswith("of before"):
                # Of the API: whichever server was asked to do it.
                return next((state for key, state in self.states.items() if key.name == what), {})
            case Setting(what="what the restore needed"):
                return {"left": "some" if any(key.name.startswith(FOLDER) for key in self.states) else "nothing"}
            case Ready():
                return self.states.get(resource.key, {"ready": "no"})
        return super().look(resource, files)

    def _do(self, step: Step, wanted: State | None, files: Mapping[tuple[str, str], Resource]) -> None:
        resource, host = step.resource, step.resource.host
        match resource:
            case Fence(up=True):
                self.up[host, resource.what] = resource
            case Fence():
                self.up.pop((host, resource.what), None)
                self.opened[host, resource.what] = resource.id
            case Stopped():
                self._stop(host, resource.units)
            case Setting(what="data of etcd"):
                assert self.states[Key(host, Job.kind, "new data of etcd")] == {"done": FROM.id}
                assert (host, restore.ETCD) in self.up
                assert self.running(restore.ETCD) == []
                self.aside += [host] if host in self.data else []
                self.data[host] = FROM.id
            case Setting(what="what the restore needed"):
                for key in [key for key in self.states if key.host == host and key.name.startswith(FOLDER)]:
                    del self.states[key]
            case Setting(what="data of a former member of etcd"):
                self.aside.append(host)
                del self.data[host]
                super()._do(step, wanted, files)
            case Setting(what="membership in etcd"):
                assert host not in self.data
                self.data[host] = FROM.id
                super()._do(step, wanted, files)
            case Unit():
                assert not self._fenced(host, resource.unit), f"{resource.key} is started behind its fence"
                super()._do(step, wanted, files)
                self._started(host, resource.unit)
            case _:
                super()._do(step, wanted, files)
        self.holds()

    def _fenced(self, host: str, unit: str) -> bool:
        return any(unit in fence.units for (at, _), fence in self.up.items() if at == host)

    def _stop(self, host: str, units: Iterator[str] | tuple[str, ...]) -> None:
        for unit in units:
            if (key := Key(host, Unit.kind, unit)) in self.states:
                self.states[key] = {**self.states[key], "active": "inactive"}
        for key in [key for key in self.states if key.kind == Ready.kind]:
            del self.states[key]

    def _started(self, host: str, unit: str) -> None:
        if unit == "etcd.service":
            self.starts.append((host, self.data.get(host, "")))

    def reboot(self, host: str) -> None:
        """What is enabled starts, unless a fence keeps it from that; etcd without data does not."""
        units = [key.name for key in self.states if key.host == host and key.kind == Unit.kind]
        self._stop(host, tuple(units))
        for unit in units:
            if not self._fenced(host, unit) and (unit != "etcd.service" or host in self.data):
                key = Key(host, Unit.kind, unit)
                self.states[key] = {**self.states[key], "active": "active"}
                self._started(host, unit)
        self.holds()

    def holds(self) -> None:
        """One history; who writes comes after all members, who judges nodes after all of these."""
        etcds = self.running(restore.ETCD)
        histories = {self.data.get(host) for host in etcds}
        assert len(histories) <= 1
        exchanged = [host for host, data in self.data.items() if data == FROM.id]
        assert not exchanged or histories <= {FROM.id}, "an old member runs beside new data"
        if not exchanged or self.restoring is None:
            return
        if self.running(restore.API):
            assert len(exchanged) == len(self.now.members)
        if self.running(restore.CONTROLLERS):
            key = "kubelet and kube-proxy begun anew"
            assert all(Key(host.name, Setting.kind, key) in self.states for host in self.now.workers)


@cache
def _built(name: str) -> World:
    return built(name)


def living(name: str, lost: int = 0) -> Restored:
    """A cluster that was built, of whose members that many have lost their data."""
    was = deepcopy(_built(name))
    world = Restored(**{each: getattr(was, each) for each in was.__dataclass_fields__})
    world.did.clear()
    members = [host.name for host in world.now.members]
    world.data = dict.fromkeys(members[lost:], OLD)
    for host in members[:lost]:
        world._stop(host, ("etcd.service",))
    return world


def is_restored(world: Restored, kept: int) -> None:
    """All is as the file says, all members have the new data, and the old ones lie aside; nothing is fenced."""
    assert set(world.data.values()) == {FROM.id}
    assert world.data.keys() == {host.name for host in world.now.members}
    assert len(world.aside) == kept
    assert world.up == {}
    at_goal(world)
    did = len(world.did)
    world.apply()
    assert world.did[did:] == []


some = settings(
    max_examples=5,
    suppress_health_check=list(HealthCheck),
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
clusters, steps = st.sampled_from(NAMES), st.integers(0, 120)


@pytest.mark.parametrize("name", NAMES)
def test_a_restore_goes_through_its_stages(name: str) -> None:
    world = living(name)
    world.apply()
    is_restored(world, len(world.now.members))
    assert list(dict.fromkeys(stage for stage, _ in world.did)) == [
        *(restore.BRING, restore.STOP, restore.EXCHANGE, restore.STORE),
        *(restore.SERVE, restore.NODES, restore.CONTROL),
    ]
    assert {data for _, data in world.starts} == {FROM.id}


@some
@given(clusters, st.integers(0, 3), steps, steps)
def test_stopped_anywhere_it_goes_on(name: str, lost: int, first: int, second: int) -> None:
    world = living(name, lost)
    kept = len(world.data)
    for at in (first, second):
        stopped(world, at)
    world.apply()
    is_restored(world, kept)
    assert {data for _, data in world.starts} == {FROM.id}


@some
@given(clusters, st.data())
def test_a_host_that_reboots_anywhere_starts_nothing_old(name: str, data: st.DataObject) -> None:
    world = living(name)
    at, host = data.draw(steps), data.draw(st.sampled_from([host.name for host in world.now.hosts]))
    stopped(world, at)
    world.reboot(host)
    world.apply()
    is_restored(world, len(world.now.members))


@some
@given(clusters, steps)
def test_other_machines_at_other_addresses_take_the_places_of_all(name: str, at: int) -> None:
    world = living(name)
    for known in (world.states, world.loaded, world.data):
        known.clear()
    hosts = tuple(host.model_copy(update={"address": host.address + 100}) for host in world.now.hosts)
    world.now = world.now.model_copy(update={"hosts": hosts})
    moved = replace(world.context(), replaced=frozenset(host.name for host in hosts))
    assert guard.refusals(moved, {}, restore) == []
    stopped(world, at)
    world.apply()
    is_restored(world, 0)
    (job, *_) = (each for each in world.resources.values() if isinstance(each, Job))
    assert all(f"https://{member.ip}:2380" in job.script for member in world.now.members)


def test_a_member_of_before_that_comes_back_is_laid_aside_and_joins() -> None:
    world = living("three")
    whole, member = world.now, "m3"
    world.now, world.absent = cluster_without(whole, {member}), frozenset({member})
    del world.data[member]
    world._stop(member, ("etcd.service",))
    world.apply()
    assert world.data == {"m1": FROM.id, "m2": FROM.id}
    world.now, world.absent, world.restoring = whole, frozenset(), None
    world.data[member] = OLD
    assert world.context().is_ghost(whole.host(member))
    assert guard.refusals(world.context(), {}) == []
    aside = len(world.aside)
    world.apply()
    assert world.aside[aside:] == [member]
    assert world.data == dict.fromkeys(("m1", "m2", "m3"), FROM.id)
    at_goal(world)


@some
@given(clusters, st.data())
def test_until_a_member_has_the_new_data_it_can_be_given_up(name: str, data: st.DataObject) -> None:
    world = living(name)
    before = dict(world.data)
    stopped(world, data.draw(st.integers(0, 60)))
    world.restoring = replace(FROM, given_up=True, blob=None)
    told = [str(each) for each in restore.refusals(world.context())]
    if any(found == FROM.id for found in world.data.values()):
        assert "there is no way back from here" in "".join(told)
        return
    assert told == []
    stopped(world, data.draw(steps))
    world.apply()
    assert (world.data, world.aside, world.up) == (before, [], {})
    at_goal(world)


@some
@given(clusters, steps)
def test_keys_of_that_time_read_and_verify_from_the_first_api_server_on(name: str, at: int) -> None:
    world = living(name)
    masters = [host.name for host in world.now.masters]
    reads = {Key(host, File.kind, path) for host in masters for path in (ENCRYPTION, SA_PUB)}
    before = {key: world.states[key] for key in reads}
    old = EncryptionKey("key1", "B" * 43 + "=")
    pems = {**SECRETS.pems, "sa.pub": SECRETS.pem("sa.pub") + public_pem(new_key("ecdsa-p256"))}
    world.secrets = replace(SECRETS, pems=pems, old_encryption=(old,))
    stopped(world, at)
    world.apply()
    is_restored(world, len(world.now.members))
    written = {key.name: stage for stage, key in world.did if key in reads}
    assert written == {SA_PUB: restore.STORE, ENCRYPTION: restore.SERVE}, "nothing changes as long as old data serve"
    for key in reads:
        assert world.states[key] != before[key]
    for host in masters:
        file = world.resources[Key(host, File.kind, ENCRYPTION)]
        assert isinstance(file, File)
        assert file.secret
        first, second = re.findall(r'secret: "(\S+)"', file.content)
        assert (first, second) == (SECRETS.random["encryption-key"], old.secret)
        assert world.loaded[Key(host, Unit.kind, "kube-apiserver.service")][ENCRYPTION] == file.desired


def compiled(world: Restored, stage: str) -> Compiled:
    return next(compile_stage(each) for each in restore.stages(world.context()) if each.name == stage)


def needs(found: Compiled, key: Key) -> set[Key]:
    """All that comes before."""
    seen: set[Key] = set()
    waiting = [key]
    while waiting:
        for need in found.needs[waiting.pop()] - seen:
            seen.add(need)
            waiting.append(need)
    return seen


def test_who_stops_first_and_who_comes_back_last() -> None:
    world = living("three")
    stop = compiled(world, restore.STOP)
    etcd = needs(stop, Key("m1", "stopped", "etcd at rest"))
    assert {Key(host, "stopped", "api at rest") for host in ("m1", "m2", "m3")} <= etcd
    api = needs(stop, Key("m1", "stopped", "api at rest"))
    assert {Key(host, "stopped", "controllers at rest") for host in ("m1", "m2", "m3")} <= api
    assert {Key(host, "fence", "etcd") for host in ("m1", "m2", "m3")} <= needs(
        stop, Key("m3", "stopped", "controllers at rest")
    )
    swap = compiled(world, restore.EXCHANGE)
    assert {Key(host, "setting", "data of etcd") for host in ("m1", "m2", "m3")} <= needs(
        swap, Key("m1", "fence", "etcd opened")
    )
    store = compiled(world, restore.STORE)
    one = Key("m1", "ready", "one etcd of all members")
    assert {Key(host, "ready", "etcd") for host in ("m1", "m2", "m3")} <= needs(store, one)
    assert one in needs(store, Key("m3", "fence", "api opened"))
    serve = compiled(world, restore.SERVE)
    door = needs(serve, Key("b1", "fence", "endpoint opened"))
    assert {*(Key(host, "ready", "kube-apiserver") for host in ("m1", "m2", "m3"))} <= door
    assert Key("m1", "setting", "node n9 of before") in door
    nodes = compiled(world, restore.NODES)
    last = needs(nodes, Key("m2", "fence", "controllers opened"))
    assert {Key(host, "ready", "node after the restore") for host in ("n1", "n2")} <= last
    assert nodes.resources
    assert not [each for each in nodes.resources if "controller-manager" in each.name]


@some
@given(clusters, steps)
def test_new_machines_in_the_places_of_all_are_built_around_the_data(name: str, at: int) -> None:
    world = living(name)
    for known in (world.states, world.loaded, world.data):
        known.clear()
    stopped(world, at)
    world.apply()
    is_restored(world, 0)
    assert {data for _, data in world.starts} == {FROM.id}
