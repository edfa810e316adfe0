"""The operating system: names, kernel, packages, time, firewall; nothing is turned off unless the file says so."""

from collections.abc import Iterator, Mapping

from quorate.component.clock import clock
from quorate.component.context import Context
from quorate.component.firewall import firewall
from quorate.component.links import links
from quorate.component.turns import Enough, Turns
from quorate.component.upgrades import upgrades
from quorate.render.sh import quote
from quorate.resource.block import Block
from quorate.resource.file import DataDirectory, Directory, File
from quorate.resource.resource import Resource
from quorate.resource.system import Setting, leftovers, module, sysctl
from quorate.spec.cluster import Host, Role
from quorate.spec.layout import BALANCER, BIN, STATE, SYSCTLS

NAME = "system"
AFTER: tuple[str, ...] = ()
MEETS: Mapping[str, Enough] = {}
TURNS = Turns.TOGETHER


BREAKS = {
    "net.ipv4.ip_forward": "pods reach nothing beyond their own node",
    "net.bridge.bridge-nf-call-iptables": "pods do not reach services that lead back to their own node",
    "net.bridge.bridge-nf-call-ip6tables": "pods do not reach IPv6 services that lead back to their own node",
    "net.ipv4.conf.all.promote_secondaries": "the virtual IP may take the host's own address away when it leaves",
    "fs.inotify.max_user_instances": "containers do not start once they are used up",
    "fs.inotify.max_user_watches": "programs that watch files fail once they are used up",
}
"""What a wrong value of a kernel setting of ours does."""


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """Names, packages, kernel, swap, time, SELinux, firewall."""
    c, facts, name = context.cluster, context.of(host), host.name
    yield leftovers(name)
    if c.os.hostname:
        yield _hostname(host)
    if c.os.hosts_file:
        yield Block(host=name, path="/etc/hosts", title=c.name, lines=context.names)
    yield Directory(host=name, path=BIN.rpartition("/")[0], purge=True)
    yield Directory(host=name, path=BIN, purge=True)
    yield Directory(host=name, path=BALANCER, purge=True)
    if host.has(Role.CONTROL_PLANE) or host.has(Role.WORKER):
        # controller-manager and kubelet make it, for volume plugins.
        yield DataDirectory(host=name, path="/usr/libexec/kubernetes", mode="")
    # curl asks for health, iptables lets pods pass; hosts usually have both.
    yield from context.packages(host, "basics", *_basics(host))
    yield from _kernel(context, host)
    if c.os.swap == "off" and host.has(Role.WORKER):
        yield _swap(name)
    yield from clock(context, host)
    if c.os.selinux == "permissive" and facts.selinux == "enforcing":
        yield Setting(
            host=name,
            what="SELinux",
            want=(("mode", "Permissive"),),
            check='echo "mode=$(getenforce)"',
            script="keep /etc/selinux/config; setenforce 0; "
            "sed -i 's/^SELINUX=enforcing/SELINUX=permissive/' /etc/selinux/config",
            undo="setenforce 1 || :; putback /etc/selinux/config",
        )
    yield from links(context, host)
    yield from firewall(context, host)
    yield from upgrades(context, host)


def _basics(host: Host) -> tuple[str, ...]:
    if host.has(Role.CONTROL_PLANE) or host.has(Role.WORKER):
        return ("curl", "iptables")
    return ("curl",) if host.has(Role.LOAD_BALANCER) else ()


def _kernel(context: Context, host: Host) -> Iterator[Resource]:
    """Modules and settings, as far as this host has them and lets us set them."""
    facts, name = context.of(host), host.name
    modules: list[str] = []
    if host.has(Role.WORKER):
        modules = ["overlay", "br_netfilter", "nf_conntrack"]
        if context.cluster.network.proxy_mode == "ipvs":
            modules += ["ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh"]
    modules = [each for each in modules if each in facts.modules]
    if modules:
        text = "".join(f"{each}\n" for each in modules)
        yield File(host=name, path="/etc/modules-load.d/90-quorate.conf", content=text)
        for each in modules:
            yield module(name, each)
    can = sysctls(context, host)
    if can:
        text = "".join(f"{key} = {value}\n" for key, value in sorted(can.items()))
        yield File(host=name, path=SYSCTLS, content=text)
        for key, value in sorted(can.items()):
            yield sysctl(name, key, value)


def sysctls(context: Context, host: Host) -> dict[str, str]:
    """The kernel settings that the host gets, by key."""
    facts = context.of(host)
    wanted: dict[str, str] = {}
    if host.has(Role.WORKER) or host.has(Role.CONTROL_PLANE):
        wanted["net.ipv4.ip_forward"] = "1"
    if host.has(Role.WORKER):
        wanted |= {
            "net.bridge.bridge-nf-call-iptables": "1",
            "net.bridge.bridge-nf-call-ip6tables": "1",
            # Each container's runtime and log watcher takes some; 128 and 8192 are soon used up.
            "fs.inotify.max_user_instances": "8192",
            "fs.inotify.max_user_watches": "524288",
        }
    if host.has(Role.LOAD_BALANCER) and context.cluster.endpoint.vip:
        # Else the kernel takes the host's own address away with a virtual IP of its network that was there before it.
        wanted["net.ipv4.conf.all.promote_secondaries"] = "1"
    wanted |= context.cluster.os.sysctl
    # The bridge's keys appear with its module, after the facts were asked.
    late = "net.bridge." if "br_netfilter" in facts.modules else "\0"
    can = {key: value for key, value in wanted.items() if key in facts.sysctls or key.startswith(late)}
    if facts.container:
        # Only the network settings are the host's own; the others belong to a kernel that it shares.
        can = {key: value for key, value in can.items() if key.startswith("net.")}
    return can


def _hostname(host: Host) -> Resource:
    old = f"{STATE}/hostname"
    return Setting(
        host=host.name,
        what="host name",
        want=(("name", host.name),),
        check='echo name="$(cat /proc/sys/kernel/hostname)"',
        script=f"[ -e {old} ] || settle 0600 root:root {old} </proc/sys/kernel/hostname; keep /etc/hostname\n"
        f"printf '%s\\n' {quote(host.name)} >/etc/hostname\n"
        f"hostnamectl set-hostname {quote(host.name)} 2>/dev/null || "
        f"printf '%s' {quote(host.name)} >/proc/sys/kernel/hostname",
        undo=f"if [ -e {old} ]; then cat {old} >/proc/sys/kernel/hostname; putback /etc/hostname; rm -f {old}; fi",
    )


def _swap(host: str) -> Resource:
    return Setting(
        host=host,
        what="swap",
        want=(("swap", "off"), ("fstab", "off")),
        check='if [ "$(wc -l </proc/swaps)" -le 1 ]; then echo swap=off; else echo swap=on; fi\n'
        "if grep -qsE '^[^#].*[[:space:]]swap[[:space:]]' /etc/fstab; then echo fstab=on; else echo fstab=off; fi",
        script="swapoff -a\nif grep -qsE '^[^#].*[[:space:]]swap[[:space:]]' /etc/fstab; then keep /etc/fstab; "
        "sed -i -E 's/^([^#].*[[:space:]]swap[[:space:]])/# \\1/' /etc/fstab; fi",
        undo='if [ -e "$FOUND/etc/fstab" ]; then putback /etc/fstab; swapon -a || :; fi',
    )
