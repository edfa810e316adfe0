"""Benchmarks on simulated hosts of this machine: how long, how many bytes, how much memory, and how near the floor.

`make bench` deploys the described topology on bare hosts with artifacts cached, and compares in one run: the
deployment, the floor (everything in place, all units stopped and started at once until all nodes are Ready), and
the time that copying the same bytes to the same hosts takes. Results go to bench/results/.
"""

import asyncio
import contextlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from quorate.artifact.resolve import resolve
from quorate.core import Blob
from quorate.execute.facts import gather
from quorate.execute.prepare import build
from quorate.lab.record import LabError
from quorate.lab.up import down, up
from quorate.operation.stage import Stage
from quorate.plan.compile import compile_stage
from quorate.resource.file import Binary
from quorate.resource.kube import Image
from quorate.resource.package import Packages
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts
from quorate.spec.processes import unit_names
from quorate.spec.load import load
from quorate.state.past import Past
from quorate.state.store import Store
from quorate.transport.ssh import SshTransport

ROOT = Path(__file__).parents[1]
REPEATS = 5


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory[1]) / 2**20, 1) if memory else None,
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def run(file: Path, *words: str, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """Run the tool as a process: wall and CPU seconds, peak memory, and what it printed."""
    argv = [sys.executable, "-m", "quorate", *words, "-f", str(file)]
    with tempfile.TemporaryFile("w+") as out:
        began = time.monotonic()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        code = process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    if code not in codes:
        raise SystemExit(f"{words}: exit {code}\n{text[-4000:]}")
    return {
        "seconds": round(wall, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
        "text": text,
    }


def repeat(file: Path, *words: str) -> dict[str, Any]:
    """Minimum, median and maximum of several runs."""
    runs = [run(file, *words) for _ in range(REPEATS)]
    walls = sorted(each["seconds"] for each in runs)
    return {
        "runs": len(walls),
        "seconds_min": walls[0],
        "seconds_median": statistics.median(walls),
        "seconds_max": walls[-1],
        "peak_mib": max(each["peak_mib"] for each in runs),
    }


async def floor(cluster: Cluster) -> float:
    """Everything in place: stop all units, start all at once; seconds until all nodes are Ready anew."""
    via = SshTransport.of(cluster)
    master = cluster.masters[0].name
    kubectl = f"kubectl --server=https://{cluster.masters[0].ip}:{cluster.apiserver.port}"
    names = [host.name for host in cluster.hosts]
    units = " ".join(reversed(unit_names()))
    present = f"for u in {units}; do [ ! -e /etc/systemd/system/$u ] || echo $u; done"
    try:
        await asyncio.gather(*(via.run(host.name, "systemctl stop kubelet kube-proxy") for host in cluster.workers))
        await via.run(master, f"{kubectl} delete node --all")
        await asyncio.gather(*(via.run(name, f"systemctl stop $({present})") for name in names))
        began = time.monotonic()
        await asyncio.gather(*(via.run(name, f"systemctl start --no-block $({present})") for name in names))
        ready = f"{kubectl} get nodes --no-headers 2>/dev/null | grep -c ' Ready ' || :"
        await via.run(master, f'until [ "$({ready})" = {len(cluster.workers)} ]; do sleep 0.2; done', timeout=300)
        return time.monotonic() - began
    finally:
        await via.close()


async def copy(cluster: Cluster, file: Path) -> tuple[float, dict[str, int]]:
    """Seconds to bring the same bytes to the same hosts, side by side, unpacked into nothing; bytes by host."""
    supply = await resolve(cluster, lambda _text: None)
    via = SshTransport.of(cluster)
    try:
        facts, _ = await gather(cluster, via)
        store = Store.beside(file, cluster.name)
        given = build(cluster, store, Past(store, file, cluster), supply, Facts(hosts=facts))
        compiled = compile_stage(Stage("as it is", given))
        blobs: dict[str, list[Blob]] = {}
        for resource in compiled.ordered:
            if isinstance(resource, Binary | Image):
                blobs.setdefault(resource.host, []).append(resource.blob)
            elif isinstance(resource, Packages):
                blobs.setdefault(resource.host, []).extend(each.blob for each in resource.files)

        async def one(host: str, mine: list[Blob]) -> None:
            whole = Blob(mine[0].path, mine[0].sha256, mine[0].size, tuple(mine[1:]))
            await via.run(host, "gzip -dc >/dev/null", blob=whole)

        await asyncio.gather(*(via.run(host, ":") for host in blobs))
        began = time.monotonic()
        await asyncio.gather(*(one(host, mine) for host, mine in blobs.items()))
        seconds = time.monotonic() - began
    finally:
        await via.close()
    return seconds, {host: sum(blob.path.stat().st_size for blob in mine) for host, mine in blobs.items()}


def main() -> None:
    """Measure, print, keep."""
    name = sys.argv[1] if len(sys.argv) > 1 else "described"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cluster.yaml"
        text = re.sub(r"^name: .*", "name: bench", (ROOT / f"examples/{name}.yaml").read_text(), flags=re.M)
        file.write_text(text.replace("192.168.109.", "192.168.129.").replace("192.168.110.", "192.168.130."))
        cluster = load(file)
        asyncio.run(resolve(cluster, print))
        with contextlib.suppress(LabError):
            down("bench", print)
        up(cluster, file, print)
        try:
            result = measure(load(file), file)  # anew: the lab has written how its hosts are reached
        finally:
            down("bench", print)
    result = {"topology": name, "machine": machine(), **result}
    target = ROOT / "bench" / "results" / f"{name}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def measure(cluster: Cluster, file: Path) -> dict[str, Any]:
    """All figures of one run, in the order in which they are taken."""
    copying, sent = asyncio.run(copy(cluster, file))
    cold = run(file, "apply", "--yes", "--json")
    events = [json.loads(line) for line in cold.pop("text").splitlines() if line.startswith("{")]
    noop_plan, noop_apply = repeat(file, "plan"), repeat(file, "apply", "--yes")
    floors = [asyncio.run(floor(cluster)) for _ in range(3)]
    lowest = statistics.median(floors)
    return {
        "cold_deploy": cold,
        "phases": next((event for event in reversed(events) if "phases" in event), {}).get("phases"),
        "noop_plan": noop_plan,
        "noop_apply": noop_apply,
        "bytes_by_host": sent,
        "copy_seconds": round(copying, 2),
        "floor_seconds": [round(each, 2) for each in floors],
        "ratio_to_floor_and_copy": round(cold["seconds"] / (2 * lowest + copying), 2),
        "ratio_means": "cold deploy / (2 x median floor + copying); 1.0 or less is the goal",
    }


if __name__ == "__main__":
    main()
