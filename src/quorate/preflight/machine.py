"""Judges of the machine itself: system, kernel, memory, clock, and whether it is one machine at all."""

import re
from statistics import median

from quorate.pki.issue import SKEW
from quorate.plan.words import size
from quorate.preflight.check import Question, World
from quorate.preflight.links import addresses, hardware
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.resource.package import Packages
from quorate.spec.cluster import Host, Role
from quorate.spec.versions import parts

ARCHES = ("amd64", "arm64", "ppc64le", "s390x")
"""Those for which Kubernetes, etcd and containerd publish builds."""
SYSTEMS = {"debian", "ubuntu", "rhel", "centos", "rocky", "almalinux", "ol", "fedora", "sles", "suse", "opensuse"}
"""IDs of /etc/os-release (also in ID_LIKE) whose package names quorate knows."""

KERNEL, KERNEL_V2, KERNEL_NFTABLES = (3, 10), (4, 15), (5, 13)
"""The oldest kernel for Kubernetes (kubeadm's system verification), for cgroup v2 and for kube-proxy's nftables
mode (kubernetes.io, "Kernel Version Requirements")."""
SYSTEMD, SYSTEMD_V2 = 231, 244
"""`ExecStartPre=+` came with 231 (its NEWS), cpuset for cgroup v2 with 244."""
STABLE_V2 = (1, 25)
"""cgroup v2 is stable in Kubernetes from here on (kubernetes.io, "About cgroup v2")."""
CONTROLLERS = {"v1": ("cpu", "cpuacct", "cpuset", "memory"), "v2": ("cpu", "memory")}
"""Without these kubelet does not start (v1: validateSystemRequirements of its container manager) or no pod does."""
WISHED = ("cpuset", "pids")
"""What kubeadm's system verification asks for besides."""
MEMORY = {Role.CONTROL_PLANE: 1_700_000_000, Role.WORKER: 1_000_000_000, Role.ETCD: 1_000_000_000}
"""Bytes by role: kubeadm's own limit for a control plane, with a member of etcd; the others by its rule of thumb
that less than 2 GB leave little room for pods."""
DRIFT, FAR = 1.0, 30.0
"""Seconds: etcd itself warns of a difference between members above 1 s (its rafthttp probes); API servers take tokens
of one another that are up to a minute early (go-jose's DefaultLeeway): half of it is left for what drifts."""
BEARS = SKEW.total_seconds()
"""Seconds that a host may be behind this machine and still take certificates that are made now."""


CLOCK = Question("clock", lambda world, host: "date '+clock %s.%N'")
KERNEL_HAS = Question(
    "kernel",
    lambda world, host: (
        """\
while read -r a b; do case "$a$b" in overlay|nodevoverlay) echo overlay=yes;; esac; done </proc/filesystems
echo asked=yes
if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then echo bridge=yes; fi
for m in overlay br_netfilter nf_tables ip_tables; do
  if [ -d /sys/module/$m ] || modprobe -n -q $m 2>/dev/null; then echo module=$m; fi
done
if command -v iptables >/dev/null; then
  if said=$(iptables -w -t nat -S 2>&1); then echo nat=yes; else printf 'nat=%s\\n' "$said" | head -n 1; fi
fi"""
    ),
)
CGROUPS = Question(
    "cgroups",
    lambda world, host: (
        "if [ -e /sys/fs/cgroup/cgroup.controllers ]; then cat /sys/fs/cgroup/cgroup.controllers\n"
        "else cut -d: -f2 /proc/self/cgroup | tr '\\n,' '  '; fi"
    ),
)
SYSTEMD_IS = Question(
    "systemd",
    lambda world, host: "if [ -d /run/systemd/system ]; then systemctl --version | head -n 1; else echo none; fi",
)
IDENTITY = Question("identity", lambda world, host: "cat /sys/class/dmi/id/product_uuid")
SWAPS = Question("swap", lambda world, host: 'echo asked; while read -r a b; do echo "$a"; done </proc/swaps')


def arch(world: World, host: Host) -> Verdict | None:
    """One that there are builds for, and the same everywhere."""
    mine = world.facts(host).arch
    if not mine:
        return unchecked()
    if mine not in ARCHES:
        return failed(f"{mine}: there are no builds of Kubernetes for it")
    others = [other.name for other in world.there if world.facts(other).arch not in ("", mine)]
    return failed(f"{mine}, {', '.join(others[:3])} not") if others else passed(mine)


def system(world: World, host: Host) -> Verdict | None:
    """A distribution whose packages have names that quorate knows."""
    facts = world.facts(host)
    name = f"{facts.os_id} {facts.os_version}".strip()
    if not name:
        return unchecked()
    steps = world.plan.changes if world.plan else ()
    wants = [p for step in steps if isinstance(p := step.resource, Packages) and p.host == host.name and not p.files]
    if facts.package_manager == "none" and wants:
        names = ", ".join(name for each in wants for name in each.packages)
        return failed(f"{name} has no package manager that quorate knows, and needs {names}")
    if not {facts.os_id, *facts.os_like} & SYSTEMS and not facts.os_id.startswith("opensuse"):
        return warned(f"{name} is not a distribution that quorate knows")
    return passed(name)


def kernel(world: World, host: Host) -> Verdict | None:
    """New enough for Kubernetes, and for what the file chooses."""
    release = world.facts(host).kernel
    if not (found := re.match(r"(\d+)\.(\d+)", release)):
        return unchecked()
    version, mode = (int(found[1]), int(found[2])), world.cluster.network.proxy_mode
    if version < KERNEL:
        return failed(f"{release}, Kubernetes needs {_dotted(KERNEL)}")
    if host.has(Role.WORKER) and mode == "nftables" and version < KERNEL_NFTABLES:
        return failed(f"{release}, kube-proxy's nftables mode needs {_dotted(KERNEL_NFTABLES)}")
    if world.facts(host).cgroup == "v2" and version < KERNEL_V2:
        return warned(f"{release}, cgroup v2 needs {_dotted(KERNEL_V2)}")
    return passed(release)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def features(world: World, host: Host) -> Verdict | None:
    """What pods need of the kernel is there or can be loaded; the feature counts, not the module."""
    said = world.answer(host, KERNEL_HAS.name).splitlines()
    if not host.has(Role.WORKER):
        return None
    if "asked=yes" not in said:
        return unchecked()
    modules = {line.removeprefix("module=") for line in said if line.startswith("module=")}
    modules |= world.facts(host).modules
    if "overlay=yes" not in said and "overlay" not in modules:
        return failed("no overlay file system: containers can't be unpacked")
    nat = next((line.removeprefix("nat=") for line in said if line.startswith("nat=")), None)
    if nat not in (None, "yes"):
        return failed(f"iptables has no nat table: {nat}")
    if nat is None and not modules & {"nf_tables", "ip_tables"}:
        return warned("neither nf_tables nor ip_tables is seen: services may not work")
    if "bridge=yes" not in said and "br_netfilter" not in modules:
        return warned("no br_netfilter: pods may not reach services on their own node")
    return passed("overlay, nat, br_netfilter")


def cgroups(world: World, host: Host) -> Verdict | None:
    """Control groups that this version's kubelet takes, with the controllers that it needs."""
    said, kind = set(world.answer(host, CGROUPS.name).split()), world.facts(host).cgroup
    if not host.has(Role.WORKER):
        return None
    if not said:
        return unchecked()
    if missing := [each for each in CONTROLLERS[kind] if each not in said]:
        return failed(f"cgroup {kind} without {', '.join(missing)}: no pod starts")
    if missing := [each for each in WISHED if each not in said]:
        return warned(f"cgroup {kind} without {', '.join(missing)}")
    minor = world.context.minor
    if kind == "v1" and minor.fail_cgroup_v1_field and world.cluster.kubelet.config.get("failCgroupV1"):
        return failed("cgroup v1, on which kubelet does not start by your kubelet.config.failCgroupV1")
    if kind == "v1" and minor.fail_cgroup_v1_default:
        return warned(
            f"cgroup v1, on which kubelet {minor.kubernetes} starts only as quorate writes failCgroupV1: false"
        )
    if kind == "v1" and minor.fail_cgroup_v1_field:
        return warned(f"cgroup v1, which Kubernetes {minor.kubernetes} runs on but does not develop any more")
    if kind == "v2" and parts(minor.kubernetes) < STABLE_V2:
        return warned(f"cgroup v2, which is stable from Kubernetes {_dotted(STABLE_V2)} on")
    return passed(kind)


def systemd(world: World, host: Host) -> Verdict | None:
    """systemd runs the host, and understands our units."""
    said = world.answer(host, SYSTEMD_IS.name).strip()
    if said == "none":
        return failed("systemd does not run this host")
    if not (found := re.match(r"systemd (\d+)", said)):
        return unchecked()
    version = int(found[1])
    if version < SYSTEMD:
        return failed(f"systemd {version}, the units need {SYSTEMD}")
    if host.has(Role.WORKER) and world.facts(host).cgroup == "v2" and version < SYSTEMD_V2:
        return warned(f"systemd {version} on cgroup v2, kubelet needs {SYSTEMD_V2} for cpuset")
    return passed(str(version))


def memory(world: World, host: Host) -> Verdict | None:
    """Enough for the roles."""
    found = world.facts(host).memory_bytes
    if not found:
        return unchecked()
    role, need = max(((role, MEMORY.get(Role(role), 0)) for role in host.roles), key=lambda pair: pair[1])
    return warned(f"{size(found)}, {role} should have {size(need)}") if found < need else passed(size(found))


def clock(world: World, host: Host) -> Verdict | None:
    """Within a second of the other hosts, and near enough to ours, by which certificates are made."""
    if (mine := world.clocks.get(host.name)) is None:
        return unchecked()
    all_ = [each.offset for each in world.clocks.values()]
    # Of two hosts that differ, the one that agrees with us is right.
    apart = mine.offset - median(all_ if len(all_) % 2 else [*all_, 0.0])
    ours, measured = f"{mine.offset:+.3f} s from this machine", f"measured to {mine.doubt:.3f} s"
    if (late := -mine.offset - mine.doubt - BEARS) > 0:
        return failed(f"{ours}, {measured}: certificates made here are not valid there for another {late:.0f} s")
    if mine.offset - mine.doubt > BEARS:
        return failed(f"{ours}, {measured}: certificates made here would be renewed that much too late")
    text, sure = f"{apart:+.3f} s from the hosts' median, {measured}", abs(apart) - mine.doubt
    if sure > FAR:
        return failed(text)
    if abs(mine.offset) - mine.doubt > FAR:
        return warned(f"{ours}, {measured}; certificates made here bear {BEARS:.0f} s")
    return warned(text) if sure > DRIFT else passed(text)


def swap(world: World, host: Host) -> Verdict | None:
    """Off, where it slows etcd or hides from kubelet how much memory there is."""
    said = world.answer(host, SWAPS.name).splitlines()
    if not said:
        return unchecked()
    on = [line for line in said if line not in ("asked", "Filename")]
    if not on:
        return passed("off")
    where = ", ".join(on)
    if world.cluster.os.swap == "off" and host.has(Role.WORKER):
        return passed(f"on ({where}); apply switches it off")
    return warned(f"on ({where}), and stays: what is swapped out answers late")


def one_machine(world: World, host: Host) -> Verdict | None:
    """No other name of the file leads to this machine, and it is nobody's clone."""
    mine = world.facts(host)
    uuid, macs = world.answer(host, IDENTITY.name).strip(), hardware(world, host)
    clones = []
    for other in world.there:
        if other.name == host.name:
            continue
        if other.ip in (str(address.ip) for _, address in addresses(world, host)):
            return failed(f"has the address of {other.name}, too: {other.ip}")
        theirs = world.facts(other)
        same_id = bool(mine.machine_id) and mine.machine_id == theirs.machine_id
        both = macs & hardware(world, other)
        if both and same_id:
            return failed(f"is the same machine as {other.name}: machine-id {mine.machine_id}, MAC {min(both)}")
        if both:
            clones.append(f"MAC {min(both)} is also that of {other.name}")
        elif same_id:
            clones.append(f"machine-id {mine.machine_id} is also that of {other.name}")
        elif uuid and not mine.container and uuid == world.answer(other, IDENTITY.name).strip():
            clones.append(f"product_uuid is also that of {other.name}")
    if clones:
        return warned("; ".join(clones[:3]))
    return passed() if mine.machine_id or macs else unchecked()
