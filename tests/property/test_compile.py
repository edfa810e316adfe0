"""What holds for every cluster: keys, order, scripts that parse, secrets that stay secret."""

import base64
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from graphlib import TopologicalSorter
from random import Random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from staging import compile_cluster
from worlds import contexts

from quorate.component import COMPONENTS
from quorate.component.context import Context
from quorate.component.turns import Turns
from quorate.core import Key
from quorate.execute import batch, observe
from quorate.plan.compile import Compiled
from quorate.plan.step import Plan, Step
from quorate.resource.file import Binary, Directory, File, Symlink
from quorate.resource.resource import Resource
from quorate.resource.unit import Unit
from quorate.spec.cluster import Cluster

# A failing cluster is small enough to read; shrinking one takes minutes.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
some = settings(max_examples=8, suppress_health_check=list(HealthCheck), deadline=None, phases=PHASES)

FOUND_ON_EVERY_HOST = {
    *("/etc", "/etc/systemd/system", "/etc/modules-load.d", "/etc/sysctl.d", "/usr/local/bin", "/root", "/var/lib"),
    "/etc/apt/apt.conf.d",  # where apt installs, and nothing is put there elsewhere
}


def text(compiled: Compiled) -> list[str]:
    """A plan for bare hosts as text."""
    plan = Plan(
        {resource.key: Step(resource, None) for resource in compiled.ordered}, compiled.needs, gates=compiled.gates
    )
    return [f"{step.key} {step.diff} {sorted(plan.needs[step.key])}" for step in plan.changes]


def ancestors(needs: Mapping[Key, Iterable[Key]]) -> dict[Key, set[Key]]:
    """All that each key needs, directly or not."""
    found: dict[Key, set[Key]] = {}
    for key in TopologicalSorter({key: set(some) for key, some in needs.items()}).static_order():
        found[key] = set(needs[key]).union(*(found[need] for need in needs[key]))
    return found


def sh_parses(script: str) -> None:
    done = subprocess.run(["/bin/sh", "-n"], input=script, text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{script}"


def shuffled(cluster: Cluster, order: list[int]) -> Cluster:
    """The hosts in another order; balancers among themselves stay, since the first one is preferred."""
    hosts = [cluster.hosts[index] for index in order]
    balancers = iter(cluster.balancers)
    names = {host.name for host in cluster.balancers}
    return cluster.model_copy(
        update={"hosts": tuple(next(balancers) if host.name in names else host for host in hosts)}
    )


@some
@given(contexts())
def test_every_need_is_there_and_comes_first(context: Context) -> None:
    compiled = compile_cluster(context)
    keys = [resource.key for resource in compiled.ordered]
    assert len(keys) == len(set(keys))
    place = {key: number for number, key in enumerate(compiled.needs)}
    assert [key for key in place if key not in compiled.gates] == keys
    assert place.keys() - compiled.gates.keys() == compiled.component_of.keys()
    for key, needs in compiled.needs.items():
        assert all(place[need] < place[key] for need in needs)
    for resource in compiled.ordered:
        assert resource.needs <= place.keys(), "an explicit need that nothing fulfils"
        assert resource.host in {host.name for host in context.cluster.hosts}


@some
@given(contexts(), st.randoms(use_true_random=False))
def test_the_order_of_hosts_in_the_file_means_nothing(context: Context, random: Random) -> None:
    order = list(range(len(context.cluster.hosts)))
    random.shuffle(order)
    other = replace(context, cluster=shuffled(context.cluster, order))
    one, two = compile_cluster(context), compile_cluster(other)
    assert one.resources == two.resources
    assert text(one) == text(two)


@some
@given(contexts())
def test_running_hosts_change_one_at_a_time_and_others_wait_for_nobody(context: Context) -> None:
    needs = ancestors(compile_cluster(context).needs)
    fresh = replace(
        context,
        facts=replace(
            context.facts,
            hosts={name: replace(facts, running=frozenset()) for name, facts in context.facts.hosts.items()},
        ),
    )
    before = compile_cluster(fresh)
    plain = ancestors(before.needs)
    own = {resource.key: before.component_of[resource.key] for resource in before.resources}
    nodes = {component.NAME for component in COMPONENTS if component.TURNS is Turns.CANARY}
    for component in COMPONENTS:
        # What a worker runs for itself changes together, and is as good as running when a part of it runs.
        lane = nodes if component.NAME in nodes else {component.NAME}
        units: dict[str, set[Key]] = {}
        for key, name in own.items():
            if name in lane and key.kind == "unit":
                units.setdefault(key.host, set()).add(key)
        runs = {host for host, mine in units.items() if {key.name for key in mine} & context.facts.of(host).running}
        for one in units:
            for two in units.keys() - {one}:
                tied = any(key in needs[other] for key in units[one] for other in units[two])
                if component.TURNS is not Turns.TOGETHER and {one, two} <= runs:
                    reverse = any(key in needs[other] for key in units[two] for other in units[one])
                    assert tied != reverse, f"{component.NAME}: {one} and {two} may change at once"
                elif two not in runs:
                    natural = any(key in plain[other] for key in units[one] for other in units[two])
                    direct = one in runs and component.TURNS is not Turns.TOGETHER and tied and not natural
                    assert not direct, f"{component.NAME}: {two} stands still and waits for {one}, which runs"


@some
@given(contexts())
def test_what_a_unit_loads_is_put_there(context: Context) -> None:
    compiled = compile_cluster(context)
    files = {(resource.host, resource.path): resource for resource in compiled.ordered if isinstance(resource, File)}
    for resource in compiled.ordered:
        if isinstance(resource, Unit):
            for path in resource.loads:
                assert (resource.host, path) in files, f"{resource.key} loads {path}, which nobody writes"
                assert files[resource.host, path].key in compiled.needs[resource.key]


@some
@given(contexts())
def test_every_file_has_a_folder(context: Context) -> None:
    compiled = compile_cluster(context)
    folders = {
        (resource.host, resource.path): resource.key for resource in compiled.ordered if isinstance(resource, Directory)
    }
    for resource in compiled.ordered:
        if isinstance(resource, File | Binary | Symlink):
            parent = resource.path.rpartition("/")[0]
            if parent not in FOUND_ON_EVERY_HOST:
                assert folders[resource.host, parent] in compiled.needs[resource.key]


@some
@given(contexts())
def test_secrets_show_only_as_digests(context: Context) -> None:
    compiled = compile_cluster(context)
    hidden = {pem.split(b"\n")[1].decode() for id, pem in context.secrets.pems.items() if id.endswith(".key")}
    hidden |= {
        base64.b64encode(pem).decode()[40:140] for id, pem in context.secrets.pems.items() if id.endswith(".key")
    }
    hidden |= {value for id, value in context.secrets.random.items() if id != "etcd-token"}
    for resource in compiled.ordered:
        shown = f"{resource!r} {resource.desired} {resource.probe()}"
        if isinstance(resource, File) and not resource.secret:
            shown += resource.content
        shown += "".join(action.script for action in resource.converge({}) if not action.secret)
        shown += "".join(action.script for action in resource.remove())
        for secret in hidden:
            assert secret not in shown, f"{resource.key} shows a secret"
        if isinstance(resource, File) and resource.secret:
            assert resource.mode in ("0600", "0400"), f"{resource.key} is readable by others"
    assert not any(secret in Context.__repr__(context) for secret in hidden)


@settings(some, max_examples=4)
@given(contexts())
def test_every_script_is_posix_sh(context: Context) -> None:
    compiled = compile_cluster(context)
    by_host: dict[str, list[Resource]] = {}
    for resource in compiled.ordered:
        by_host.setdefault(resource.host, []).append(resource)
    for resources in by_host.values():
        steps = [Step(resource, None) for resource in resources]
        sh_parses(batch.script(steps))
        sh_parses("\n".join(action.script for resource in resources for action in resource.remove()))
        sh_parses(observe.ask.script(observe.questions(resources)))


@some
@given(contexts(running=False))
def test_scripts_of_files_of_ours_are_posix_sh(context: Context) -> None:
    seen = set()
    for resource in compile_cluster(context).resources:
        if isinstance(resource, File) and resource.content.startswith("#!/bin/sh\n") and resource.content not in seen:
            seen.add(resource.content)
            sh_parses(resource.content)
