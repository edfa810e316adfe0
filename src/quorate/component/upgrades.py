"""Upgrades that nobody watches: on all hosts at the same hour, they would restart both balancers at once.

needrestart still tells that a service of ours uses old libraries, but leaves its restart to the operator; unattended
upgrades leave the balancers' packages out, for those restart what they bring.
"""

from collections.abc import Iterator

from quorate.component.context import Context
from quorate.resource.file import Directory, File
from quorate.resource.resource import Resource
from quorate.spec import processes
from quorate.spec.cluster import Cluster, Host
from quorate.spec.layout import APT_UPGRADES, NEEDRESTART


def upgrades(context: Context, host: Host) -> Iterator[Resource]:
    """The two files, where apt installs; both are read by programs that may come later."""
    if context.of(host).package_manager != "apt":
        return
    yield Directory(host=host.name, path=NEEDRESTART.rpartition("/")[0])
    yield File(host=host.name, path=NEEDRESTART, content=needrestart())
    if names := restarting(context.cluster, host):
        yield File(host=host.name, path=APT_UPGRADES, content=left_out(names))


def restarting(c: Cluster, host: Host) -> tuple[str, ...]:
    """Packages on a host that restart, when they are upgraded, what the API is reached through."""
    kind = c.load_balancer.kind
    brought = {f"{kind}.service": kind, processes.WAY: "haproxy", processes.KEEPALIVED: "keepalived"}
    there = {process.unit for process in processes.on(c, host)}
    return tuple(dict.fromkeys(package for unit, package in brought.items() if unit in there))


def needrestart() -> str:
    """What needrestart reads as Perl: our services are not restarted by it, but still listed."""
    names = "|".join(name.removesuffix(".service") for name in processes.unit_names())
    return (
        "# quorate: services of the cluster are restarted one host after the other, never by the way.\n"
        f"$nrconf{{override_rc}}->{{qr(^(?:{names})\\.service$)}} = 0;\n"
    )


def left_out(names: tuple[str, ...]) -> str:
    """What apt reads: regular expressions for names of packages that unattended upgrades leave out, added to those
    that are there already.
    """
    patterns = {"nginx": ("nginx(-.*)?$", "libnginx-mod-.*")}
    lines = (f'  "{pattern}";\n' for name in names for pattern in patterns.get(name, (f"{name}$",)))
    return (
        "// quorate: an upgrade of these restarts the way to the Kubernetes API; do it one host after the other.\n"
        f"Unattended-Upgrade::Package-Blacklist {{\n{''.join(lines)}}};\n"
    )
