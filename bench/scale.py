"""What compiling costs on many hosts: CPU seconds of one process, and the memory that it adds, by number of hosts.

`bench/scale.py [HOSTS ...]`, 107 and 307 by default: a first build of three masters, two balancers and so many workers
that it is that many hosts, from the inputs to every thing in the order in which it may be touched; and the same for a
cluster of which nothing has to be done, where no order is made. Kept in bench/results/scale.json.
"""

import json
import math
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "tests/property"), str(ROOT / "tests/unit")]

from worlds import secrets, supply

from quorate.component.context import Context
from quorate.operation import change
from quorate.plan.compile import Compiled, compile_stage
from quorate.plan.staged import foreseen
from quorate.spec.cluster import Cluster, Endpoint, Host, Network, Role, Versions
from quorate.spec.facts import Facts, HostFacts
from quorate.spec.versions import table
from quorate.state.subnets import Subnets, allocate

VERSION = "1.37.2"


def cluster(count: int) -> Cluster:
    """Three masters with etcd, two balancers, workers."""
    roles = [(f"m{n}", (Role.CONTROL_PLANE, Role.ETCD)) for n in range(3)]
    found: list[tuple[str, tuple[Role, ...]]] = [*roles, *((f"b{n}", (Role.LOAD_BALANCER,)) for n in range(2))]
    found += [(f"n{n:05}", (Role.WORKER,)) for n in range(count - len(found))]
    first = IPv4Address("10.0.1.0")
    hosts = tuple(Host(name=name, address=first + n, roles=has) for n, (name, has) in enumerate(found))
    network = Network(pod_cidr=IPv4Network("10.128.0.0/9"))
    endpoint = Endpoint(vip=IPv4Address("10.0.0.100"))
    return Cluster(name="c", versions=Versions(kubernetes=VERSION), hosts=hosts, endpoint=endpoint, network=network)


def inputs(count: int) -> Context:
    """Bare hosts."""
    made = cluster(count)
    facts = Facts(
        {host.name: HostFacts(machine_id=host.name) for host in made.hosts}, allocate(made, Subnets({}, {})).given
    )
    return Context(made, facts, supply(VERSION, "containerd", images=False), secrets(made), table(VERSION))


def first_build(given: Context) -> Compiled:
    """Everything, in its order."""
    compiled = compile_stage(change.stages(given)[0])
    assert compiled.ordered
    return compiled


def nothing_to_do(given: Context) -> Compiled:
    """Everything, found as it is wanted."""
    running = frozenset({"kubelet.service", "kube-proxy.service", "containerd.service", "etcd.service"})
    hosts = {name: replace(facts, running=running) for name, facts in given.facts.hosts.items()}
    given = replace(given, facts=replace(given.facts, hosts=hosts), established=given.cluster, former=(given.cluster,))
    compiled = compile_stage(change.stages(given)[0])
    plan, _ = foreseen(compiled, (), {resource.key: resource.desired for resource in compiled.resources})
    assert not plan.changes
    return compiled


def measured(what: Callable[[Context], Compiled], count: int) -> dict[str, float]:
    """CPU seconds, and what is held in the end in MB."""
    given = inputs(count)
    began = time.process_time()
    things = len(what(given).resources)
    seconds = time.process_time() - began
    given = inputs(count)
    tracemalloc.start()
    kept = what(given)
    megabytes = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    assert len(kept.resources) == things
    return {"things": things, "cpu_s": round(seconds, 2), "added_mb": round(megabytes, 1)}


def main(counts: list[int]) -> None:
    """Measure, tell, keep."""
    first_build(inputs(7))  # Code is read once.
    found: dict[str, dict[str, dict[str, float]]] = {}
    for what in (first_build, nothing_to_do):
        for count in counts:
            one = found.setdefault(what.__name__, {})[str(count)] = measured(what, count)
            print(f"{what.__name__.replace('_', ' ')}, {count} hosts: {one}", flush=True)
    document: dict[str, object] = {"date": date.today().isoformat(), "kubernetes": VERSION, **found}
    if len(counts) > 1:
        low, high = sorted(counts)[-2:]
        document["exponents"] = {
            name: round(math.log(rows[str(high)]["cpu_s"] / rows[str(low)]["cpu_s"]) / math.log(high / low), 2)
            for name, rows in found.items()
        }
        print(document["exponents"])
    (ROOT / "bench/results/scale.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [107, 307])
