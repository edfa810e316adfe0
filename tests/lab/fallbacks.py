"""Programs that do not hold, on a host that runs: it is back on what it ran, whoever is left to see to it."""

import asyncio
import gzip
import hashlib
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from deployed import Deployed

from quorate.core import Blob
from quorate.execute import prepare
from quorate.execute.apply import Executor
from quorate.execute.outcome import Outcome
from quorate.plan import compile as compiler
from quorate.plan.fallback import known_bad
from quorate.plan.graph import Part
from quorate.render.fallback import PLACE
from quorate.resource.unit import Ready
from quorate.spec.load import load
from quorate.spec.supply import Supply
from quorate.transport.ssh import SshTransport

PROGRAM, UNIT = "/opt/kubernetes/bin/kube-scheduler", "kube-scheduler.service"
# Asked for a trial, and not started as a service, they answer as the one that runs.
_TRIAL = f'[ "$SYSTEMD_EXEC_PID" = $$ ] || exec {PLACE}/scheduler/was{PROGRAM} "$@"'
BAD = {
    "is no program": b"#!/bin/sh\necho I am no scheduler >&2\nexit 3\n",
    "ends at once": f"#!/bin/sh\n{_TRIAL}\necho I end >&2\nexit 3\n".encode(),
    "hangs": f"#!/bin/sh\n{_TRIAL}\nexec sleep 100000\n".encode(),
    "is never ready": f"#!/bin/sh\n{_TRIAL}\nexec openssl s_server -accept 127.0.0.1:10259 -nocert -quiet\n".encode(),
}
WITHIN = 8
"""Seconds that a change of the scheduler has here to hold; it starts within three."""


def goes_back(deployed: Deployed) -> None:
    """Each kind of program on one master after the other; afterwards it runs what it ran, and no plan stays."""
    host = deployed.cluster.masters[0].name
    _mended(deployed, host)
    real = _digest(deployed, host)
    program = deployed.run(f"head -c 1000000 {PROGRAM} | base64 -w0", host)[host]
    import base64

    for name, content in {**BAD, "is truncated": base64.b64decode(program)}.items():
        blob = _blob(deployed.file.parent, content)
        outcome, bad = asyncio.run(_apply(deployed.file, blob, host))
        assert not bad, name
        assert outcome.failed, f"{name}: it passed for a scheduler"
        told = "\n".join(outcome.failed.values())
        _is_back(deployed, host, real, name)
        if "would not start" not in told:
            assert "it did not hold, and what ran before is back" in told, told
            _, bad = asyncio.run(_apply(deployed.file, blob, host, walks=False))
            assert host in bad, f"{name}: it is not remembered"
    _killed(deployed, host, real)


def _mended(deployed: Deployed, host: str) -> None:
    """Where no service has to load anything, nothing waits to take the repair back."""
    kubeconfig, kubectl = "/etc/kubernetes/kube-scheduler.kubeconfig", "/opt/kubernetes/bin/kubectl"
    deployed.run(f"chmod 0644 {kubeconfig}; rm {kubectl}", host)
    deployed.quorate("apply", "--yes")
    deployed.quorate("plan", code=0)
    assert deployed.run(f"ls {PLACE}; stat -c %a {kubeconfig} {kubectl}", host)[host].split() == ["600", "755"]


def _killed(deployed: Deployed, host: str, real: str) -> None:
    """The operator's machine dies when the new program has been started."""
    blob = _blob(deployed.file.parent, BAD["hangs"] + b"# again\n")
    words = [sys.executable, __file__, str(deployed.file), str(blob.path), blob.sha256, str(blob.size), host]
    with subprocess.Popen(words) as operator:
        began = f"[ /run/quorate/{UNIT}.loaded -nt {PLACE}/scheduler/armed ] && echo began || :"
        end = time.monotonic() + 60
        while not deployed.run(began, host)[host]:
            assert time.monotonic() < end, "it never began"
            time.sleep(0.2)
        operator.kill()
    _is_back(deployed, host, real, "killed")


def _is_back(deployed: Deployed, host: str, real: str, name: str) -> None:
    end = time.monotonic() + 90
    while deployed.run(f"[ ! -e {PLACE}/scheduler ] && echo over || :", host)[host].strip() != "over":
        assert time.monotonic() < end, f"{name}: nobody judged it"
        time.sleep(0.5)
    assert _digest(deployed, host) == real, name
    deployed.quorate("plan", code=0)
    runs = f"sha256sum /proc/$(systemctl show -p MainPID --value {UNIT})/exe"
    assert deployed.run(runs, host)[host].split()[0] == real, name


def _digest(deployed: Deployed, host: str) -> str:
    return deployed.run(f"sha256sum {PROGRAM}", host)[host].split()[0]


def _blob(folder: Path, content: bytes) -> Blob:
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"program-{digest[:8]}.gz"
    path.write_bytes(gzip.compress(content))
    return Blob(path, digest, len(content))


async def _apply(file: Path, program: Blob, host: str, *, walks: bool = True) -> tuple[Outcome, str]:
    """Put a program in the scheduler's place on one host, and nothing else; and what is known of it to be bad."""
    resolve, fallen_back, cluster = prepare.resolve, compiler.fallen_back, load(file)

    async def other(*words: object, **more: object) -> Supply:
        supply = await resolve(*words, **more)  # type: ignore[arg-type]
        return replace(supply, binaries={**supply.binaries, "kube-scheduler": program})

    def impatient(part: Part) -> Part:
        quick = [replace(each, within=WITHIN) if isinstance(each, Ready) else each for each in part.resources]
        return fallen_back(replace(part, resources=tuple(quick)) if part.component == "scheduler" else part)

    prepare.resolve, compiler.fallen_back = other, impatient  # type: ignore[assignment]
    via = SshTransport.of(cluster)
    try:
        from quorate.plan.limit import limited

        plan = limited((await prepare.prepare(cluster, file, via, lambda _event: None)).plan, {host})
        bad = " ".join(known_bad(plan).values())
        return (await Executor(plan, via, lambda _event: None).run() if walks else Outcome()), bad
    finally:
        prepare.resolve, compiler.fallen_back = resolve, fallen_back
        await via.close()


if __name__ == "__main__":
    asyncio.run(_apply(Path(sys.argv[1]), Blob(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])), sys.argv[5]))
