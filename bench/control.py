"""Puts another tool's settings in place on a lab's balancers, and takes away what quorate itself would not."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from peer_conf import DROP_INS, Spot
from peers import UNITS, Files, Peer

from quorate.core import QuorateError, Transport
from quorate.execute.facts import gather
from quorate.execute.health import owners, trouble
from quorate.execute.survey import survey
from quorate.render.sh import quote, sh
from quorate.spec import vip
from quorate.spec.cluster import Cluster, Host
from quorate.spec.facts import HostFacts

SETTLE = 180.0
"""Seconds for all to be well with other settings; some take half a minute to find a virtual IP's owner."""
PAUSE = 1.0
SCRIPT = 90.0
"""Seconds for a script; a unit may need 15 to be started again."""


def spot(cluster: Cluster, host: Host, facts: HostFacts) -> Spot:
    """A balancer, as files of settings need to know it."""
    return Spot(
        address=host.ip,
        interface=vip.carrier(cluster, host, facts),
        others=tuple(other.ip for other in cluster.balancers if other != host),
        first=host == cluster.balancers[0],
        vip=str(cluster.endpoint.vip),
        port=cluster.endpoint.port,
        router=vip.router_id(cluster, {host.name: facts}),
        servers={master.name: f"{master.ip}:{cluster.apiserver.port}" for master in cluster.masters},
        nofile=facts.nofile_limit,
    )


def units(files: Files) -> Sequence[str]:
    """The services that read these files, in the order in which they are started."""
    return [unit for path, unit in UNITS.items() if path in files]


def begin_script(files: Files) -> str:
    """sh that writes the files, and restarts who reads them."""
    lines = ["set -e; umask 022"]
    for path, text in files.items():
        lines += [sh("mkdir", "-p", path.rpartition("/")[0]), f"printf %s {quote(text)} >{quote(path)}"]
    return "\n".join([*lines, "systemctl daemon-reload", *(sh("systemctl", "restart", unit) for unit in units(files))])


def end_script(files: Files) -> str:
    """sh that stops who reads the files, and takes away those that no component of ours has.

    The others stay as they are: that they are not ours is for `quorate apply` to see.
    """
    away = [path for path in files if path.startswith("/run/")]
    drop_ins = [path.rpartition("/")[0] for path in away if path.startswith(f"{DROP_INS}/") and ".d/" in path]
    # One that never came to be is not there to be stopped.
    lines = [f"{sh('systemctl', 'stop', *units(files))} || :"]
    lines += [sh("rm", "-f", "--", *away)] if away else []
    lines += [f"{sh('rmdir', folder)} 2>/dev/null || :" for folder in drop_ins]
    return "\n".join(["set -e", *lines, "systemctl daemon-reload"])


async def owner(cluster: Cluster, via: Transport) -> Host:
    """The balancer that holds the virtual IP. Raises QuorateError when it is not one."""
    views, _ = await survey(cluster, via, only=("addresses",))
    found = owners(cluster, views)
    if len(found) != 1:
        raise QuorateError(f"{len(found)} hosts hold the virtual IP")
    return found[0]


async def files_of(cluster: Cluster, via: Transport, peer: Peer) -> Mapping[str, Files]:
    """What lies where, by host."""
    facts, _ = await gather(cluster, via)
    hosts = [await owner(cluster, via)] if peer.port else list(cluster.balancers)
    return {host.name: peer.files(spot(cluster, host, facts[host.name])) for host in hosts}


async def begin(cluster: Cluster, via: Transport, files: Mapping[str, Files]) -> None:
    """Put files in place, and wait until all is well. Raises QuorateError when it is not in time."""
    await asyncio.gather(*(via.run(host, begin_script(mine), timeout=SCRIPT) for host, mine in files.items()))
    end = time.monotonic() + SETTLE
    while wrong := await trouble(cluster, via):
        if time.monotonic() > end:
            raise QuorateError(f"not well after {SETTLE:.0f} s: {wrong}")
        await asyncio.sleep(PAUSE)


async def end(via: Transport, files: Mapping[str, Files]) -> None:
    """Take them away, as far as `quorate apply` would not."""
    await asyncio.gather(*(via.run(host, end_script(mine), timeout=SCRIPT) for host, mine in files.items()))
