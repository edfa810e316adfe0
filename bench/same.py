"""Whether a change of the code left alone what it does on hosts: plans, scripts and texts, byte for byte.

`same.py write FILE` compiles the examples, a hundred random clusters and 121 changes of clusters, and keeps the inputs
beside what came out; `same.py check FILE` compiles the same inputs with the code of now and tells what differs.
"""

import argparse
import hashlib
import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path += [str(ROOT / "tests" / folder) for folder in ("property", "unit")]

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from past_clusters import context as former_context  # noqa: E402
from staged_world import CLUSTERS  # noqa: E402
from worlds import contexts, secrets, supply  # noqa: E402

from quorate.component.context import Context  # noqa: E402
from quorate.core import Blob  # noqa: E402
from quorate.drill import hostwatch  # noqa: E402
from quorate.execute import facts, survey  # noqa: E402
from quorate.operation import change  # noqa: E402
from quorate.plan.compile import compile_stage  # noqa: E402
from quorate.plan.show import show  # noqa: E402
from quorate.plan.staged import foreseen, later  # noqa: E402
from quorate.resource.resource import Resource  # noqa: E402
from quorate.spec.facts import Facts, HostFacts  # noqa: E402
from quorate.spec.load import load  # noqa: E402
from quorate.spec.ports import openings  # noqa: E402
from quorate.spec.processes import listeners  # noqa: E402
from quorate.spec.versions import table  # noqa: E402
from quorate.spec.whatif import cases  # noqa: E402
from quorate.state.subnets import Subnets, allocate  # noqa: E402

Inputs = Mapping[str, Context]
Digests = Mapping[str, str]
MOST = 20
"""Differences that are told."""


def inputs() -> Inputs:
    """All that is compiled, by name."""
    found: dict[str, Context] = {}
    for path in sorted((ROOT / "examples").glob("*.yaml")):
        cluster = load(path, offline=True)
        version = cluster.versions.kubernetes
        bare = Facts({host.name: HostFacts() for host in cluster.hosts}, allocate(cluster, Subnets({}, {})).given)
        texts = {"audit-policy": "rules: []\n", "cni-manifest": "kind: List\n"}
        bought = supply(version, cluster.runtime.kind, images=True)
        found[path.stem] = Context(cluster, bare, bought, secrets(cluster), table(version), texts)

    @settings(
        max_examples=100,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(contexts())
    def draw(context: Context) -> None:
        found[f"random {len(found)}"] = Context(**vars(context))

    draw()
    for (one, was), (other, now) in product(CLUSTERS.items(), repeat=2):
        found[f"{one} -> {other}"] = former_context(now, was)
    return found


def digests(given: Inputs) -> Digests:
    """What is asked, done and told of each thing of each stage, as digests by name."""
    return {name: value for cluster, context in given.items() for name, value in _digests(cluster, context)}


def _digests(cluster: str, context: Context) -> Iterator[tuple[str, str]]:
    stages = [compile_stage(stage) for stage in change.stages(context)]
    for compiled in stages:
        place = f"{cluster}: {compiled.stage}"
        for resource in compiled.resources:
            yield f"{place}: {resource.key}", _digest(repr(list(_of(resource))))
        edges = sorted((str(key), sorted(map(str, needs))) for key, needs in compiled.needs.items())
        yield f"{place}: order", _digest(repr(edges))
    plan, further = foreseen(stages[0], later(stages[0], stages[1:]), {})
    shown = [show(plan, {}, _wire, stage=stages[0].stage)]
    shown += [show(each.plan, each.texts, _wire, stage=each.name) for each in further]
    now = context.cluster
    for host in now.hosts:
        asked = (facts.script(now, host), survey.questions(now, host), hostwatch.script(now, host))
        yield f"{cluster}: asked of {host.name}", _digest(repr(asked))
        ports = (sorted(map(repr, listeners(now, host))), openings(now, host))
        yield f"{cluster}: ports of {host.name}", _digest(repr(ports))
    yield f"{cluster}: what if", _digest(repr([(each.what, each.meaning) for each in cases(now)]))
    yield f"{cluster}: told", _digest(repr([each.as_dict() for each in shown]))


def _wire(blob: Blob) -> int:
    return blob.size


def _of(resource: Resource) -> Iterator[object]:
    yield sorted(resource.desired.items())
    yield resource.probe()
    yield resource.converge({})
    yield resource.converge(resource.desired)
    yield resource.remove()
    yield sorted(map(str, resource.watches)), resource.traces, resource.brought, resource.secrets, resource.service


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(before: Digests, now: Digests) -> list[str]:
    """What is not as it was."""
    both = {name for name in before.keys() & now.keys() if before[name] != now[name]}
    return sorted(
        [f"differs: {name}" for name in both]
        + [f"gone: {name}" for name in before.keys() - now.keys()]
        + [f"new: {name}" for name in now.keys() - before.keys()]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write or check."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("verb", choices=("write", "check"))
    words.add_argument("file", type=Path)
    asked = words.parse_args(arguments)
    if asked.verb == "write":
        given = inputs()
        found = digests(given)
        asked.file.write_bytes(pickle.dumps((given, found)))
        print(f"{len(given)} clusters, {len(found)} things")
        return
    given, before = pickle.loads(asked.file.read_bytes())
    found = differences(before, digests(given))
    print("\n".join([*found[:MOST], f"{len(before)} things, {len(found)} differ"]))
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
