"""The pod network: `routed` (bridge, host-local, routes between nodes kept by us), or any CNI's manifest."""

import hashlib
import json
from collections.abc import Iterator, Mapping

from quorate.component.context import Context
from quorate.component.keeper import check_of, kept, whole
from quorate.component.service import service
from quorate.component.turns import Enough, Turns
from quorate.core import Key
from quorate.render import hostports, journal, routes
from quorate.render.sh import quote
from quorate.resource.file import DataDirectory, Directory, File
from quorate.resource.kube import Manifest
from quorate.resource.resource import Resource
from quorate.resource.system import Undo
from quorate.resource.unit import Ready
from quorate.spec.cluster import Host, Role
from quorate.spec.layout import BALANCER, CNI_BIN, CNI_CONF
from quorate.spec.nexthop import next_hop

NAME = "cni"
AFTER: tuple[str, ...] = ("system",)
MEETS: Mapping[str, Enough] = {}
TURNS = Turns.TOGETHER

CONF = f"{CNI_CONF}/10-quorate.conflist"
ROUTES = f"{BALANCER}/routes"
LIST = f"{ROUTES}.list"
"""What the script of that name reads; a worker that comes or goes changes nothing else."""
BRIDGE = "cni0"
PLUGINS = ("bridge", "host-local", "loopback", "portmap")


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """Plugins on workers; routes on workers and control-plane hosts (API servers call webhooks in pods)."""
    network = context.cluster.network
    if host.has(Role.WORKER):
        available = context.supply.parts.get("cni_plugins", PLUGINS)
        wanted = available if network.cni != "routed" else [name for name in PLUGINS if name in available]
        yield Directory(host=host.name, path=CNI_BIN, purge=True)
        yield from context.binaries(host, *wanted, folder=CNI_BIN)
        yield Directory(host=host.name, path=CNI_CONF, purge=True)
        yield DataDirectory(host=host.name, path="/var/lib/cni", mode="")
        if "portmap" in wanted:
            yield from kept(
                context,
                host,
                "quorate-hostports.service",
                what="ports of this host that lead to pods",
                script=(hostports.HOST_PORTS, hostports.script()),
                check=hostports.check(),
                every=hostports.BETWEEN_LOOKS_S,
            )
    if network.cni == "routed":
        yield from _routed(context, host)
    elif network.cni == "manifest" and host == context.api_host:
        server = f"https://{host.ip}:{context.cluster.apiserver.port}"
        text = context.texts["cni-manifest"]
        after = frozenset({Key(host.name, "manifest", "access")})
        yield Manifest(host=host.name, title="pod network", text=text, server=server, explicit=after)


def _routed(context: Context, host: Host) -> Iterator[Resource]:
    if host.has(Role.WORKER):
        text = json.dumps(conflist(context, host), indent=2) + "\n"
        yield File(host=host.name, path=CONF, content=text)
        yield Undo(host=host.name, what="pod bridge", script=f"ip link delete {BRIDGE} 2>/dev/null || :")
    if host.has(Role.WORKER) or host.has(Role.CONTROL_PLANE):
        pods = str(context.cluster.network.pod_cidr)
        script, wanted = routes.routes(pods), pairs(context, host)
        yield File(host=host.name, path=ROUTES, content=script, mode="0755")
        yield File(host=host.name, path=check_of(ROUTES), content=routes.check(pods), mode="0755")
        yield File(host=host.name, path=LIST, content="".join(f"{pair}\n" for pair in wanted))
        # Not when the service stops: a restart would leave a gap.
        yield Undo(host=host.name, what="pod routes", script=f"/bin/sh {ROUTES} leave")
        yield from service(
            context,
            host,
            "quorate-routes.service",
            description="Routes between the pods of all nodes",
            # By sh: SELinux lets init run what lies in /etc only as itself.
            exec_start=["/bin/sh", ROUTES],
            loads=[ROUTES, check_of(ROUTES), LIST],
            reload=True,
            exec_reload=["kill -HUP $MAINPID"],
            # Another script is another unit file: that restarts, and only the list is reloaded.
            extra={"X-Script": hashlib.sha256(script.encode()).hexdigest()},
        )
        found = f"ip -4 route show proto {routes.PROTOCOL} | cut -d ' ' -f 1-3 | LC_ALL=C sort"
        lines = "\n".join(wanted)
        yield Ready(
            host=host.name,
            what="pod routes",
            check=f'[ "$({found})" = {quote(lines)} ] && {whole(ROUTES)}',
            within=15,
            evidence=f"/bin/sh {check_of(ROUTES)}; ip -4 route; {journal.last('quorate-routes.service')}",
        )


def conflist(context: Context, host: Host) -> dict[str, object]:
    """CNI configuration of one node: a bridge with the node's own subnet, without masquerading of its own
    (that would hide pods from each other across nodes; `routes` masquerades only what leaves the pod network).
    """
    network = context.cluster.network
    subnet = context.facts.pod_cidrs[host.name]
    bridge: dict[str, object] = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": subnet}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    if network.mtu:
        bridge["mtu"] = network.mtu
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.3.1", "name": "quorate", "plugins": [bridge, portmap]}


def pairs(context: Context, host: Host) -> list[str]:
    """The routes that a host has to the pods of each other worker, as `CIDR via ADDRESS`, in a fixed order."""
    cidrs = context.facts.pod_cidrs
    peers = [peer for peer in context.running_workers if peer.name != host.name and peer.name in cidrs]
    return sorted(f"{cidrs[peer.name]} via {next_hop(context.cluster, host, peer)}" for peer in peers)
