"""What manages a host's links is told what there is not its own: the virtual IP, pods' routes and rules, pods' links.

systemd-networkd takes them away whenever it starts, as an upgrade of systemd makes it. The settings count from its next
start on; nothing here makes it read them sooner, for then it would set the links anew. NetworkManager knows no setting
that saves an address: its restart is left to the watch of the address (`render.address`) and to keepalived.
"""

import hashlib
from collections.abc import Iterator

from quorate.component.context import Context
from quorate.resource.file import Directory, File
from quorate.resource.resource import Resource
from quorate.resource.system import Setting
from quorate.spec import vip as place
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.facts import HostFacts
from quorate.spec.layout import STATE

_OURS = "zz-quorate.conf"
"""The drop-in whose name sorts last wins."""
NETWORKD = f"/etc/systemd/networkd.conf.d/{_OURS}"
NETWORKS = "/etc/systemd/network"
PODS = f"{NETWORKS}/00-quorate-pods.network"
"""The first file that matches a link is the one that counts."""
KEYFILE = "/etc/NetworkManager/conf.d/zz-quorate.conf"
KEYFILE_READ = f"{STATE}/networkmanager-read"
"""Digest of the file that NetworkManager was last told to read."""
_ROUTED = ("cni0", "veth*")
_OTHERS = ("cali*", "tunl*", "vxlan.calico", "wireguard.cali", "flannel*", "cilium*", "lxc*")
_SERVICES = ("kube-ipvs0", "nodelocaldns")


def links(context: Context, host: Host) -> Iterator[Resource]:
    """Files for the manager that runs on the host; none where none does."""
    facts, name = context.of(host), host.name
    pods = _pods(context.cluster) if host.has(Role.WORKER) else ()
    if facts.networkd:
        yield Directory(host=name, path=NETWORKD.rpartition("/")[0])
        yield File(host=name, path=NETWORKD, content=FOREIGN)
        for file, keep in kept(context.cluster, host, facts).items():
            folder = f"{NETWORKS}/{file.rpartition('/')[2]}.d"
            yield Directory(host=name, path=folder)
            yield File(host=name, path=f"{folder}/{_OURS}", content=f"[Network]\nKeepConfiguration={keep}\n")
        if pods:
            yield File(host=name, path=PODS, content=f"[Match]\nName={' '.join(pods)}\n\n[Link]\nUnmanaged=yes\n")
    if facts.network_manager and pods:
        text = f"[keyfile]\nunmanaged-devices+={';'.join(f'interface-name:{each}' for each in pods)}\n"
        digest = hashlib.sha256(text.encode()).hexdigest()
        yield Directory(host=name, path=KEYFILE.rpartition("/")[0])
        yield File(host=name, path=KEYFILE, content=text)
        yield Setting(
            host=name,
            what="links that NetworkManager leaves alone",
            want=(("read", digest),),
            check=f'echo "read=$(cat {KEYFILE_READ})"',
            script=f"systemctl reload NetworkManager.service\necho {digest} | settle 0600 root:root {KEYFILE_READ}",
            undo=f"rm -f -- {KEYFILE_READ}",
            note=KEYFILE_READ,
        )


FOREIGN = """\
# Routes to pods and rules of the cluster's network are not networkd's to take away.
[Network]
ManageForeignRoutes=no
ManageForeignRoutingPolicyRules=no
"""


def kept(cluster: Cluster, host: Host, facts: HostFacts) -> dict[str, str]:
    """By `.network` file of the links that carry the host's address and the virtual IP, what networkd shall keep when
    it starts: addresses and routes that it has not from DHCP, and what else the host's own files say.
    """
    wanted = {place.carrier(cluster, host, facts), place.interface(cluster, host, facts)}
    return {
        file: "yes" if keep in ("yes", "dhcp", "dhcp-on-stop") else "static"
        for link, file, keep in facts.networkd
        if link in wanted
    }


def _pods(cluster: Cluster) -> tuple[str, ...]:
    """Names of links that are of pods, of their network, or of services."""
    return (*_ROUTED, *(_OTHERS if cluster.network.cni == "manifest" else ()), *_SERVICES)
