"""Upgrades that nobody watches: on all hosts at the same hour, they would restart both balancers at once.

needrestart still tells that a service of ours uses old libraries, but leaves its restart to the operator; unattended
upgrades leave the balancers' packages out, for those restart what they bring. While somebody changes the cluster, no
upgrade begins by itself at all.
"""

from collections.abc import Iterator, Mapping

from quorate.component.context import Context
from quorate.resource.file import Directory, File
from quorate.resource.resource import Resource
from quorate.resource.system import Setting
from quorate.spec import processes
from quorate.spec.cluster import Cluster, Host
from quorate.spec.layout import APT_UPGRADES, LOCK, NEEDRESTART, UNITS, UPGRADES_WAIT

AUTOMATIC: Mapping[str, tuple[str, ...]] = {
    "apt": ("apt-daily-upgrade.service",),
    "dnf": ("dnf-automatic.service", "dnf-automatic-install.service"),
}
"""Units in which distributions upgrade packages by themselves, by their package manager."""
GONE_S = 60
"""Seconds without a sign of life after which nobody waits for a holder of the lock; it gives one every 10."""


def upgrades(context: Context, host: Host) -> Iterator[Resource]:
    """What upgrades wait for; and two files, where apt installs. All are read by programs that may come later."""
    manager = context.of(host).package_manager
    if units := AUTOMATIC.get(manager):
        yield from _waiting(units, host)
    if manager != "apt":
        return
    yield Directory(host=host.name, path=NEEDRESTART.rpartition("/")[0])
    yield File(host=host.name, path=NEEDRESTART, content=needrestart())
    if names := restarting(context.cluster, host):
        yield File(host=host.name, path=APT_UPGRADES, content=left_out(names))


def _waiting(units: tuple[str, ...], host: Host) -> Iterator[Resource]:
    files = [File(host=host.name, path=UPGRADES_WAIT, content=wait())]
    for unit in units:
        yield Directory(host=host.name, path=f"{UNITS}/{unit}.d")
        files.append(File(host=host.name, path=f"{UNITS}/{unit}.d/50-quorate.conf", content=waits()))
    yield from files
    told = " ".join(units)
    yield Setting(
        host=host.name,
        what="automatic upgrades",
        want=(("read", "yes"),),
        check=f"q_r=yes; for u in {told}; do "
        '[ "$(systemctl show -p NeedDaemonReload --value -- "$u")" != yes ] || q_r=no; done; echo read=$q_r',
        script="systemctl daemon-reload",
        explicit=frozenset(file.key for file in files),
        watches=frozenset(file.key for file in files),
    )


def wait() -> str:
    """A sh script that ends when nobody works on this host's part of the cluster: while the holder of the lock gives
    signs of life, which are uptimes in its last line.
    """
    return f"""\
#!/bin/sh
# Waits until nobody changes the cluster on this host.
while read -r up _ </proc/uptime && last=$(tail -n 1 {LOCK}/holder 2>/dev/null) &&
  [ $((${{up%.*}} - ${{last##* }})) -lt {GONE_S} ] 2>/dev/null; do
  sleep 5
done
exit 0
"""


def waits() -> str:
    """A drop-in for a service that upgrades packages by itself."""
    return (
        "# quorate: packages restart what they bring; not while the cluster is changed.\n"
        f"[Service]\nExecStartPre=/bin/sh {UPGRADES_WAIT}\n"
    )


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
