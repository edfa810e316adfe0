"""How soon API servers write again when etcd is back: all members away for a while, on a cluster that runs.

    python bench/away.py cluster.yaml RUNS SECONDS [NAME]

Each run stops all members for so many seconds, starts them, and counts from etcd's first answer to the first write
through each API server. Results go to bench/results/away-NAME.json.
"""

import asyncio
import json
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from run import machine

from quorate.spec.load import load
from quorate.transport.ssh import SshTransport
from quorate.verify import members, pods
from quorate.verify.env import Env
from quorate.verify.outage import healthy, recovered, stop

RESULTS = Path(__file__).with_name("results")


async def one(env: Env, seconds: float) -> dict[str, Any]:
    """One run: seconds until each API server writes, and until all is well."""
    await healthy(env)
    await asyncio.gather(*(stop(env, host, ["etcd.service"]) for host in env.cluster.members))
    await asyncio.sleep(seconds)
    back = await members.returned(env, env.cluster.members)
    recovery = await recovered(env)
    if recovery.fault:
        sys.exit(recovery.fault)
    return {"writes_after": back, "all_well_after": round(recovery.seconds, 1)}


async def measured(file: Path, runs: int, seconds: float) -> list[dict[str, Any]]:
    """All runs; whatever happens, what was stopped is started again."""
    cluster = load(file)
    via = SshTransport.of(cluster)
    env = Env(cluster, via, f"quorate-bench-{uuid.uuid4().hex[:6]}")
    try:
        await env.admin(f"{env.kubectl()} create namespace {env.namespace}")
        return [await one(env, seconds) for _ in range(runs)]
    finally:
        await env.outages.heal()
        await pods.delete(env)
        await via.close()


def main() -> None:
    """Measure, print and keep."""
    file, runs, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    cluster = load(file)
    name = sys.argv[4] if len(sys.argv) > 4 else cluster.name
    found = {
        "command": f"python bench/away.py {file.name} {runs} {seconds:g}",
        "at": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "kubernetes": cluster.versions.kubernetes,
        "masters": len(cluster.masters),
        "members": len(cluster.members),
        "away_seconds": seconds,
        "runs": asyncio.run(measured(file, runs, seconds)),
    }
    text = json.dumps(found, indent=1)
    print(text)
    (RESULTS / f"away-{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
