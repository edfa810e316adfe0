"""The pod network: `routed` (bridge, host-local, routes between nodes kept by us), or any CNI's manifest."""

import hashlib
import json
from collections.abc import Iterator, Mapping

from quorate.component import hostports
from quorate.component.context import Context
from quorate.component.keeper import check_of, kept, whole
from quorate.component.service import service
from quorate.component.turns import Enough, Turns
from quorate.core import Key
from quorate.render import journal
from quorate.render.sh import quote
from quorate.resource.brick import Brick
from quorate.resource.file import DataDirectory, Directory, File
from quorate.resource.kube import Manifest
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
PROTOCOL = 109
"""Marks routes as ours (`ip route ... proto`). To the kernel, numbers from RTPROT_STATIC (4) up mean nothing, it hands
them back as given; 109 is free in its rtnetlink.h and in iproute2's rt_protos, where routing daemons have theirs.
"""
BRIDGE = "cni0"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
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
        if "portmap" in wanted:
            yield from kept(
                context,
                host,
                "quorate-hostports.service",
                what="ports of this host that lead to pods",
                script=(hostports.HOST_PORTS, hostports.script()),
                check=hostports.check(),
                every=hostports.EVERY,
            )
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
        yield Undo(host=host.name, what="pod bridge", order=f"ip link delete {BRIDGE} 2>/dev/null || :")
    if host.has(Role.WORKER) or host.has(Role.CONTROL_PLANE):
        script, wanted = routes(context), pairs(context, host)
        yield File(host=host.name, path=ROUTES, content=script, mode="0755")
        yield File(host=host.name, path=check_of(ROUTES), content=check(context), mode="0755")
        yield File(host=host.name, path=LIST, content="".join(f"{pair}\n" for pair in wanted))
        # Not when the service stops: a restart would leave a gap.
        yield Undo(host=host.name, what="pod routes", order=f"/bin/sh {ROUTES} leave")
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
        found, lines = f"ip -4 route show proto {PROTOCOL} | cut -d ' ' -f 1-3 | LC_ALL=C sort", "\n".join(wanted)
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


def routes(context: Context) -> str:
    """A script that keeps the routes, and lets pod traffic through the host's own firewall chains.

    It asserts them every 10 s, so that a network manager, a firewall's reload or a human undoes nothing for
    long, and at once on SIGHUP. The text is the same whoever is in the cluster: routes are those of the list
    beside it, and one that stays in the list is never absent. Chains are filled in one step by iptables-restore.
    """
    pods = str(context.cluster.network.pod_cidr)
    return f"""\
#!/bin/sh
# Routes to the pods of the other nodes, and the rules that let pod traffic pass.
# Lines of $0.list are `CIDR via ADDRESS`. All routes of protocol {PROTOCOL} are ours.
hup() {{ # the list is read at once; a script other than this one, which somebody edited and started, begins anew
  kill $! 2>/dev/null
  now=$(cat "$0") && [ "$now" != "$self" ] && exec /bin/sh "$0"
}}
trap hup HUP
self=$(cat "$0")
{_PATH}
nl='
'
unjump() {{
  while iptables -w -t "$1" -D "$2" -j "$3" 2>/dev/null; do :; done
  iptables -w -t "$1" -F "$3" 2>/dev/null; iptables -w -t "$1" -X "$3" 2>/dev/null
}}
keep() {{
  # Without a list nothing is known to be wrong.
  want=$(cat "$0.list") || return
  have=$(ip -4 route show proto {PROTOCOL})
  printf '%s\\n' "$want" | while read -r net via to _; do
    case $net in [0-9]*) ;; *) continue ;; esac
    # Another way to the same pods takes the old one's place in one step.
    case "$nl$have" in
    *"$nl$net $via $to "*) ;;
    *) ip route replace "$net" "$via" "$to" proto {PROTOCOL} ;;
    esac
  done
  ip -4 route show proto {PROTOCOL} | while read -r net via to _; do
    case "$nl$want$nl" in
    *"$nl$net $via $to$nl"*) ;;
    *) ip route delete "$net" "$via" "$to" proto {PROTOCOL} ;;
    esac
  done
}}
fill() {{
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
  jump filter FORWARD QUORATE-PODS
  jump nat POSTROUTING QUORATE-MASQUERADE
}}
jump() {{
  iptables -w -t "$1" -C "$2" -j "$3" 2>/dev/null || iptables -w -t "$1" -I "$2" 1 -j "$3"
}}
leave() {{
  ip -4 route flush proto {PROTOCOL}
  unjump filter FORWARD QUORATE-PODS
  unjump nat POSTROUTING QUORATE-MASQUERADE
}}
if [ "$1" = leave ]; then leave; exit 0; fi
fill
while :; do
  # Begun before the list is read: whenever SIGHUP comes from now on, it ends this wait.
  sleep 10 &
  keep
  [ -z "$(/bin/sh "$0.check")" ] || fill
  wait $! || wait $!
done
"""


def check(context: Context) -> str:
    """A script that says which of the routes, and of the rules that let pod traffic pass, are not there."""
    pods = context.cluster.network.pod_cidr
    return f"""\
#!/bin/sh
# What pods need of this host's routes and firewall and is not there; says nothing when all is as it should be.
{_PATH}
rules() {{ # TABLE CHAIN OURS COUNT WORDS
  iptables -w -t "$1" -C "$2" -j "$3" 2>/dev/null || {{ echo "$5: $2 does not lead to $3"; return; }}
  found=$(iptables -w -t "$1" -S "$3" | grep -c -- '^-A .*-s {pods} ')
  [ "$found" = "$4" ] || echo "$5: $3 has $found of $4 rules"
}}
rules filter FORWARD QUORATE-PODS 1 'the firewall does not let through what goes to pods and comes from them'
rules nat POSTROUTING QUORATE-MASQUERADE 3 'pods are not masqueraded on their way out'
have=$(ip -4 route show proto {PROTOCOL})
while read -r net via to _; do
  case $net in [0-9]*) ;; *) continue ;; esac
  case "
$have" in *"
$net $via $to "*) ;; *) echo "there is no route to the pods in $net $via $to" ;; esac
done <"${{0%.check}}.list"
"""
