"""The host's own firewall stays on: the ports of the port matrix are opened in it, for whom they are meant."""

from collections.abc import Iterator

from quorate.component.context import Context
from quorate.component.keeper import kept
from quorate.render import firewalld, iptables
from quorate.resource.resource import Resource
from quorate.resource.system import Setting
from quorate.spec.cluster import Host, Role
from quorate.spec.layout import FIREWALL, FIREWALL_UNIT
from quorate.spec.ports import openings
from quorate.spec.ssh import ssh_of

IPTABLES_LOOK_S = 1
"""Seconds between two looks at the rules in iptables, 10 ms of CPU each. While they are gone etcd's members and
balancers don't hear each other."""
FIREWALLD_LOOK_S = 10
"""firewalld keeps our rules through its reloads; only who takes them out of its configuration takes them away."""


def firewall(context: Context, host: Host) -> Iterator[Resource]:
    """`open-ports`: rules of ours, kept by a service. `off`: the firewall is stopped. `keep`: nothing."""
    choice, kind = context.cluster.os.firewall, context.of(host).firewall
    if choice == "off" and kind in ("firewalld", "ufw"):
        unit = f"{kind}.service"
        yield Setting(
            host=host.name,
            what="firewall",
            want=(("active", "no"),),
            check=f"systemctl is-active -q {unit} && echo active=yes || echo active=no",
            script=f"systemctl disable --now -q {unit}",
            undo=f"systemctl enable --now -q {unit}",
        )
    if choice != "open-ports" or kind == "none":
        return
    cluster = context.cluster
    wanted = openings(context.there, context.there.host(host.name), context.former_endpoints(host))
    named = ssh_of(cluster, host).port
    ssh = context.of(host).ssh_ports or (named,)
    if kind == "firewalld":
        pods = str(cluster.network.pod_cidr) if host.has(Role.WORKER) else ""
        text = firewalld.script(wanted, ssh, pods=pods, ssh_was=named)
        check, note = firewalld.check(wanted, ssh, pods=pods), firewalld.NOTE
    else:
        text, check, note = iptables.script(wanted, ssh), iptables.check(wanted, ssh), ""
    yield from kept(
        context,
        host,
        FIREWALL_UNIT,
        what="the cluster's ports in the firewall of this host",
        script=(FIREWALL, text),
        check=check,
        every=FIREWALLD_LOOK_S if kind == "firewalld" else IPTABLES_LOOK_S,
        after=(f"{kind}.service",) if kind in ("firewalld", "ufw") else (),
        note=note,
    )
