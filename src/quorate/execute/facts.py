"""What is true of the hosts: one script per host, asked before anything is compiled."""

import asyncio
import json
from collections.abc import Mapping

from quorate.core import Transport, TransportError
from quorate.pki import profiles
from quorate.render.sh import quote, sh
from quorate.spec.cluster import Cluster, Host
from quorate.spec.facts import HostFacts, Member
from quorate.spec.layout import COPY, UNIT_NAMES

_ARCHES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x"}

SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.all.forwarding",
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
    "vm.overcommit_memory",
    "kernel.panic",
)
"""Keys that components may want; only those that a host has, and lets us write, are set there."""

MODULES = (
    "overlay",
    "br_netfilter",
    "nf_conntrack",
    "ip_vs",
    "ip_vs_rr",
    "ip_vs_wrr",
    "ip_vs_sh",
    "nf_tables",
)

TIME_DAEMONS = ("chronyd", "chrony", "systemd-timesyncd", "ntpd", "ntpsec", "ntp", "openntpd")


def script(cluster: Cluster, host: Host) -> str:
    """The questions, as sh that prints `name=value` lines and never fails."""
    keys = " ".join(quote(key.replace(".", "/")) for key in sorted({*SYSCTLS, *cluster.os.sysctl}))
    units = " ".join(UNIT_NAMES)
    asked = " ".join((*UNIT_NAMES, "firewalld.service", *(f"{daemon}.service" for daemon in TIME_DAEMONS)))
    return f"""\
if [ -r /etc/os-release ]; then . /etc/os-release; fi
read -r id 2>/dev/null </etc/machine-id && echo "machine_id=$id"
echo "os_id=$ID"; echo "os_like=$ID_LIKE"; echo "os_version=$VERSION_ID"
for m in apt-get dnf yum zypper; do
  if command -v $m >/dev/null 2>&1; then echo "package_manager=${{m%-get}}"; break; fi
done
echo "arch=$(uname -m)"; echo "kernel=$(uname -r)"
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo cgroup=v2; else echo cgroup=v1; fi
ip -4 -o addr show 2>/dev/null | while read -r n dev fam cidr rest; do
  case "$cidr" in {quote(host.ip)}/*) echo "interface=${{dev%%@*}}"; echo "prefix=${{cidr#*/}}";; esac
done
while read -r k v u; do case "$k" in MemTotal:) echo "memory_kib=$v";; esac; done </proc/meminfo
echo "cpus=$(nproc)"
if systemd-detect-virt -c -q 2>/dev/null; then echo container=yes; fi
if ! ( : >>/proc/sys/net/netfilter/nf_conntrack_max ) 2>/dev/null; then
  if [ -e /proc/sys/net/netfilter/nf_conntrack_max ]; then echo conntrack_writable=no; fi
fi
if ! ( echo -500 >/proc/self/oom_score_adj ) 2>/dev/null; then echo oom_adjustable=no; fi
for n in 1048576 524288 65536; do
  if ( ulimit -n $n ) 2>/dev/null; then echo "nofile_limit=$n"; break; fi
done || :
echo "nofile_hard=$(ulimit -H -n)"
listed=$(cat /lib/modules/"$(uname -r)"/modules.dep /lib/modules/"$(uname -r)"/modules.builtin 2>/dev/null |
  grep -oE '/({"|".join(MODULES)})[.]ko' | tr '\n' ' ')
for m in {" ".join(MODULES)}; do
  case "$listed" in *"/$m.ko "*) echo "module=$m"; continue;; esac
  if [ -d /sys/module/$m ]; then echo "module=$m"; fi
done
for k in {keys}; do
  {{ v=$(cat "/proc/sys/$k") && printf '%s\\n' "$v" >"/proc/sys/$k" && echo "sysctl=$k"; }} 2>/dev/null
done
active=$(systemctl show -p Id -p ActiveState -- {asked} 2>/dev/null | sed 's/=reloading$/=active/' | tr '\n' ' ')
running() {{ case "$active" in *"Id=$1.service ActiveState=active "*) return 0;; *) return 1;; esac; }}
if running firewalld; then echo firewall=firewalld
elif command -v ufw >/dev/null && ufw status 2>/dev/null | grep -q '^Status: active'; then echo firewall=ufw
elif iptables -S INPUT 2>/dev/null | grep -v QUORATE | grep -qE '^-P INPUT (DROP|REJECT)|-j (DROP|REJECT)'
then echo firewall=iptables; fi
if [ -e /sys/fs/selinux/enforce ]; then
  if [ "$(cat /sys/fs/selinux/enforce)" = 1 ]; then echo selinux=enforcing; else echo selinux=permissive; fi
elif [ -e /etc/selinux/config ]; then echo selinux=disabled; fi
for d in {" ".join(TIME_DAEMONS)}; do if running $d; then echo "time_sync=$d"; break; fi; done
r=/etc/resolv.conf
if [ -s /run/systemd/resolve/resolv.conf ]; then r=/run/systemd/resolve/resolv.conf; echo "resolv_conf=$r"; fi
sed -n 's/^nameserver[[:blank:]]\\{{1,\\}}\\([^[:blank:]]*\\).*/nameserver=\\1/p' "$r" 2>/dev/null
if [ -d {quote(cluster.etcd.data_dir)}/member ]; then echo etcd_member=yes; fi
if [ -e {COPY}/state.age ] && read -r copy 2>/dev/null <{COPY}/last; then echo "copy=$copy"; fi
if running etcd; then printf 'members='; {_members(host)} | tr -d '\n'; echo; fi
for u in {units}; do if running "${{u%.service}}"; then echo "running=$u"; fi; done
exit 0
"""


def _members(host: Host) -> str:
    """sh that prints the member list as etcd's own gateway tells it: a tenth of what etcdctl costs."""
    return sh(
        *("curl", "-gsf", "--noproxy", "*", "--max-time", "2", "--cacert", profiles.ETCD_CA),
        *("--cert", profiles.ETCD_CLIENT, "--key", profiles.ETCD_CLIENT_KEY, "-d", "{}"),
        f"https://{host.ip}:2379/v3/cluster/member/list",
    )


def members(text: str) -> tuple[Member, ...]:
    """The members in etcd's answer; none in one that is not as it should be (no quorum, say)."""
    try:
        told = json.loads(text)["members"]
        return tuple(
            Member(f"{int(one['ID']):x}", one.get("name", ""), one["peerURLs"][0], bool(one.get("isLearner")))
            for one in told
        )
    except (ValueError, LookupError, TypeError):
        return ()


def parse(output: str) -> HostFacts:
    """The answers as facts; what a host did not say keeps its default."""
    said: dict[str, list[str]] = {}
    for line in output.splitlines():
        name, _, value = line.partition("=")
        said.setdefault(name, []).append(value)

    def last(name: str, default: str = "") -> str:
        return said.get(name, [default])[-1]

    def number(name: str, default: int) -> int:
        text = last(name)
        return int(text) if text.isdigit() else default

    nofile = last("nofile_limit") or last("nofile_hard")
    values: dict[str, object] = {
        "machine_id": last("machine_id"),
        "os_id": last("os_id"),
        "os_like": tuple(last("os_like").split()),
        "os_version": last("os_version"),
        "package_manager": said.get("package_manager", ["none"])[0],
        "arch": _ARCHES.get(last("arch"), last("arch")),
        "kernel": last("kernel"),
        "cgroup": last("cgroup", "v2"),
        "interface": last("interface"),
        "prefix": number("prefix", 24),
        "memory_bytes": number("memory_kib", 0) * 1024,
        "cpus": number("cpus", 1),
        "container": last("container") == "yes",
        "conntrack_writable": last("conntrack_writable") != "no",
        "oom_adjustable": last("oom_adjustable") != "no",
        "nofile_limit": int(nofile) if nofile.isdigit() else 1048576,
        "ipvs": "ip_vs" in said.get("module", []),
        "nftables": "nf_tables" in said.get("module", []),
        "firewall": last("firewall", "none"),
        "selinux": last("selinux", "absent"),
        "time_sync": last("time_sync"),
        "sysctls": frozenset(key.replace("/", ".") for key in said.get("sysctl", [])),
        "modules": frozenset(said.get("module", [])),
        "resolv_conf": last("resolv_conf", "/etc/resolv.conf"),
        "nameservers": tuple(said.get("nameserver", [])),
        "etcd_member": last("etcd_member") == "yes",
        "copy": last("copy"),
        "members": members(last("members")),
        "running": frozenset(said.get("running", [])),
    }
    return HostFacts(**values)  # type: ignore[arg-type]


Found = tuple[Mapping[str, HostFacts], dict[str, TransportError]]
"""The facts of every host that answered, and why the others did not."""


async def gather(cluster: Cluster, via: Transport) -> Found:
    """The facts of every host that answers, and why the others do not."""
    found: dict[str, HostFacts] = {}
    lost: dict[str, TransportError] = {}

    async def one(host: Host) -> None:
        try:
            found[host.name] = parse(await via.run(host.name, script(cluster, host)))
        except TransportError as error:
            lost[host.name] = error

    await asyncio.gather(*(one(host) for host in cluster.hosts))
    return found, lost
