"""The pod network: `routed` (bridge, host-local, routes between nodes kept by us), or any CNI's manifest."""

import json
from collections.abc import Iterator

from quorate.component.context import Context
from quorate.component.service import service
from quorate.core import Key
from quorate.resource.brick import Brick
from quorate.resource.file import DataDirectory, Directory, File
from quorate.resource.kube import Manifest
from quorate.resource.system import Setting
from quorate.resource.unit import Ready
from quorate.spec.cluster import Host, Role
from quorate.spec.layout import BALANCER, CNI_BIN, CNI_CONF

NAME = "cni"
AFTER: tuple[str, ...] = ("system",)
SERIAL = False

CONF = f"{CNI_CONF}/10-quorate.conflist"
ROUTES = f"{BALANCER}/routes"
BRIDGE = "cni0"
PLUGINS = ("bridge", "host-local", "loopback", "portmap")


def resources(context: Context, host: Host) -> Iterator[Brick]:
    """Plugins on workers; routes on workers and control-plane hosts (API servers call webhooks in pods)."""
    network = context.cluster.network
    if host.has(Role.WORKER):
        available = context.supply.parts.get("cni_plugins", PLUGINS)
        wanted = available if network.cni != "routed" else [name for name in PLUGINS if name in available]
        yield Directory(host=host.name, path=CNI_BIN, purge=True)
        yield from context.binaries(host, *wanted, folder=CNI_BIN)
        yield Directory(host=host.name, path=CNI_CONF, purge=True)
        yield DataDirectory(host=host.name, path="/var/lib/cni", mode="")
    if network.cni == "routed":
        yield from _routed(context, host)
    elif network.cni == "manifest" and host == context.spokesman:
        server = f"https://{host.ip}:{context.cluster.apiserver.port}"
        text = context.texts["cni-manifest"]
        after = frozenset({Key(host.name, "manifest", "access")})
        yield Manifest(host=host.name, title="pod network", text=text, server=server, explicit=after)


def _routed(context: Context, host: Host) -> Iterator[Brick]:
    if host.has(Role.WORKER):
        text = json.dumps(conflist(context, host), indent=2) + "\n"
        yield File(host=host.name, path=CONF, content=text)
        yield Setting(
            host=host.name, what="pod bridge", want=(), check=":", order=":",
            undo=f"ip link delete {BRIDGE} 2>/dev/null || :",
        )  # fmt: skip
    if host.has(Role.WORKER) or host.has(Role.CONTROL_PLANE):
        yield File(host=host.name, path=ROUTES, content=routes(context, host), mode="0755")
        yield from service(
            context,
            host,
            "quorate-routes.service",
            description="Routes between the pods of all nodes",
            # By sh: SELinux lets init run what lies in /etc only as itself.
            exec_start=["/bin/sh", ROUTES],
            loads=[ROUTES],
            exec_stop_post=[["/bin/sh", ROUTES, "leave"]],
        )
        nets = [cidr for name, cidr in context.facts.pod_cidrs.items() if name != host.name]
        look = " && ".join(f"ip route show {cidr} | grep -q via" for cidr in nets) or ":"
        yield Ready(host=host.name, what="pod routes", check=look, within=15)


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


def routes(context: Context, host: Host) -> str:
    """A script that keeps the routes, and lets pod traffic through the host's own firewall chains.

    It asserts them every 10 s, so that a network manager, a firewall's reload or a human undoes nothing for
    long. Chains are filled in one step by iptables-restore.
    """
    c = context.cluster
    pods = str(c.network.pod_cidr)
    peers = [peer for peer in c.workers if peer.name != host.name and peer.name in context.facts.pod_cidrs]
    wanted = [f"{context.facts.pod_cidrs[peer.name]} {peer.ip}" for peer in peers]
    lines = "\n".join(f"  ip route replace {pair.split()[0]} via {pair.split()[1]}" for pair in wanted)
    drops = "\n".join(f"  ip route delete {pair.split()[0]} via {pair.split()[1]} 2>/dev/null" for pair in wanted)
    return f"""\
#!/bin/sh
# Routes to the pods of the other nodes, and the rules that let pod traffic pass.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
jump() {{ # jump TABLE CHAIN OURS
  iptables -w -t "$1" -C "$2" -j "$3" 2>/dev/null || iptables -w -t "$1" -I "$2" 1 -j "$3"
}}
unjump() {{
  while iptables -w -t "$1" -D "$2" -j "$3" 2>/dev/null; do :; done
  iptables -w -t "$1" -F "$3" 2>/dev/null; iptables -w -t "$1" -X "$3" 2>/dev/null
}}
keep() {{
{lines or "  :"}
}}
leave() {{
{drops or "  :"}
  unjump filter FORWARD QUORATE-PODS
  unjump nat POSTROUTING QUORATE-MASQUERADE
}}
if [ "$1" = leave ]; then leave; exit 0; fi
iptables-restore -w -n <<'RULES'
*filter
:QUORATE-PODS - [0:0]
-A QUORATE-PODS -s {pods} -j ACCEPT
-A QUORATE-PODS -d {pods} -j ACCEPT
COMMIT
*nat
:QUORATE-MASQUERADE - [0:0]
-A QUORATE-MASQUERADE -s {pods} -d {pods} -j RETURN
-A QUORATE-MASQUERADE -s {pods} -d 224.0.0.0/4 -j RETURN
-A QUORATE-MASQUERADE -s {pods} -j MASQUERADE
COMMIT
RULES
while :; do
  keep
  jump filter FORWARD QUORATE-PODS
  jump nat POSTROUTING QUORATE-MASQUERADE
  sleep 10
done
"""
