"""What is true of the hosts: one script per host, asked before anything is compiled."""

import asyncio
import json
from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv4Network
from itertools import pairwise

from quorate.component.cni import PROTOCOL
from quorate.component.etcd_disk import has_log, restored
from quorate.component.virtual_ip import KEEPALIVED_CONF
from quorate.core import Transport, TransportError
from quorate.execute import mounts
from quorate.pki import profiles
from quorate.render.sh import quote, sh
from quorate.spec import resolvers
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.facts import NOWHERE, Address, HostFacts, Member, Resolver, Route
from quorate.spec.layout import COPY, FIREWALL
from quorate.spec.processes import unit_names

_ARCHES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x"}

SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.all.forwarding",
    "net.ipv4.conf.all.promote_secondaries",
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

_OWN_ROUTES = "local|broadcast|multicast|anycast"
"""Kinds of routes that lead to the host itself, or to all on a wire."""
ROUTES = 1000
"""Routes that a host tells; one that speaks BGP to the world has a million."""

TIME_DAEMONS = ("chronyd", "chrony", "systemd-timesyncd", "ntpd", "ntpsec", "ntp", "openntpd")


SSH_SOCKETS = ("ssh.socket", "sshd.socket", "dropbear.socket")
MANAGERS = ("systemd-networkd.service", "NetworkManager.service")


def script(cluster: Cluster, host: Host) -> str:
    """The questions, as sh that prints `name=value` lines and never fails."""
    keys = " ".join(quote(key.replace(".", "/")) for key in sorted({*SYSCTLS, *cluster.os.sysctl}))
    units = " ".join(unit_names())
    files = " ".join(map(quote, dict.fromkeys((*resolvers.places(cluster), *resolvers.PLACES))))
    others = ("firewalld.service", *MANAGERS, *SSH_SOCKETS, *(f"{daemon}.service" for daemon in TIME_DAEMONS))
    asked = " ".join((*unit_names(), *others))
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
  echo "address=${{dev%%@*}} $cidr"
  case "$cidr" in {quote(host.ip)}/*) echo "interface=${{dev%%@*}}"; echo "prefix=${{cidr#*/}}";; esac
done
ip -4 -o route show table all 2>/dev/null | grep -vE '^({_OWN_ROUTES}) ' | grep -vw 'proto {PROTOCOL}' |
  head -n {ROUTES} | sed 's/^/route=/'
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
then echo firewall=iptables
elif [ -e {FIREWALL} ]; then
  if grep -q firewall-cmd {FIREWALL}; then echo firewall=firewalld; else echo firewall=iptables; fi
fi
if running systemd-networkd; then
  for l in /sys/class/net/*; do
    read -r i 2>/dev/null <"$l/ifindex" || continue
    f=$(sed -n 's/^NETWORK_FILE=//p' /run/systemd/netif/links/"$i" 2>/dev/null)
    [ "$f" ] || continue
    k=$(for d in "$f" /usr/lib/systemd/network /run/systemd/network /etc/systemd/network; do
      [ "$d" = "$f" ] || d="$d/${{f##*/}}.d/*.conf"
      for c in $d; do case $c in */zz-quorate.conf) ;; *) cat "$c" 2>/dev/null;; esac; done
    done | sed -n 's/^KeepConfiguration *= *//p' | tail -n 1)
    echo "networkd=${{l##*/}} $f $k"
  done
fi
if running NetworkManager; then echo network_manager=yes; fi
ss -Hltnp 2>/dev/null | grep -v -e ' 127[.]' -e ' \\[::1\\]' |
  sed -nE 's/.*:([0-9]*) .*"(sshd|dropbear)".*/ssh_port=\\1/p'
# Where systemd listens for it, sshd runs for a connection alone.
for s in ssh sshd dropbear; do
  case "$active" in *"Id=$s.socket ActiveState=active "*) systemctl show -p Listen -- $s.socket;; esac
done 2>/dev/null | sed -nE 's/.*[:=]([0-9]+) \\(Stream\\)$/ssh_port=\\1/p'
if [ -e /sys/fs/selinux/enforce ]; then
  if [ "$(cat /sys/fs/selinux/enforce)" = 1 ]; then echo selinux=enforcing; else echo selinux=permissive; fi
elif [ -e /etc/selinux/config ]; then echo selinux=disabled; fi
for d in {" ".join(TIME_DAEMONS)}; do if running $d; then echo "time_sync=$d"; break; fi; done
for r in {files}; do
  if [ -r "$r" ]; then
    echo "resolver=$(sed -n 's/^nameserver[[:blank:]]\\{{1,\\}}\\([^[:blank:]]*\\).*/\\1/p' "$r" | tr '\n' ' ')$r"
  fi
done 2>/dev/null
if {has_log(cluster.etcd.data_dir)}; then echo etcd_member=yes; fi
echo "restored=$({restored(cluster.etcd.data_dir)})"
{mounts.script(cluster.etcd.data_dir) if host.has(Role.ETCD) else ":"}
if [ -e {COPY}/state.age ] && read -r copy 2>/dev/null <{COPY}/last; then echo "copy=$copy"; fi
if running etcd; then printf 'members='; {_members(host)} | tr -d '\n'; echo; fi
if running keepalived; then sed -n 's/^ *virtual_router_id /router_id=/p' {KEEPALIVED_CONF}; fi 2>/dev/null
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


def _resolver(line: str) -> Resolver:
    """Servers and then a path, which begins at the first slash."""
    servers, slash, path = line.partition("/")
    return Resolver(f"{slash}{path}", tuple(servers.split()))


def _addresses(lines: list[str]) -> tuple[Address, ...]:
    """Interface and address of each line; nothing of one that is none."""
    found = []
    for line in lines:
        interface, _, address = line.partition(" ")
        try:
            found.append(Address(interface, IPv4Interface(address)))
        except ValueError:
            continue
    return tuple(found)


def _route(line: str) -> Route | None:
    """A line of `ip route`; None for one that is none. One that leads nowhere begins with how: `blackhole`."""
    first, *words = line.split()
    to, *words = words if (nowhere := first in NOWHERE) and words else (first, *words)
    given = dict(reversed([*pairwise(words)]))  # of several next hops the first
    try:
        net = IPv4Network("0.0.0.0/0" if to == "default" else to)
    except ValueError:
        return None
    via, dev = given.get("via", ""), given.get("dev", "")
    return Route(net, via, dev, given.get("proto", ""), given.get("table", "main"), first if nowhere else "")


def _managed(line: str) -> tuple[str, str, str]:
    """Link, file, and what it keeps."""
    link, _, rest = line.partition(" ")
    file, _, keep = rest.rpartition(" ")
    return link, file, keep


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
        "addresses": _addresses(said.get("address", [])),
        "router_id": number("router_id", 0) or None,
        "routes": tuple(route for line in said.get("route", []) if line and (route := _route(line))),
        "memory_bytes": number("memory_kib", 0) * 1024,
        "cpus": number("cpus", 1),
        "container": last("container") == "yes",
        "conntrack_writable": last("conntrack_writable") != "no",
        "oom_adjustable": last("oom_adjustable") != "no",
        "nofile_limit": int(nofile) if nofile.isdigit() else 1048576,
        "ipvs": "ip_vs" in said.get("module", []),
        "nftables": "nf_tables" in said.get("module", []),
        "firewall": last("firewall", "none"),
        "networkd": tuple(_managed(line) for line in said.get("networkd", [])),
        "network_manager": last("network_manager") == "yes",
        "ssh_ports": tuple(sorted({int(port) for port in said.get("ssh_port", []) if port.isdigit()})),
        "selinux": last("selinux", "absent"),
        "time_sync": last("time_sync"),
        "sysctls": frozenset(key.replace("/", ".") for key in said.get("sysctl", [])),
        "modules": frozenset(said.get("module", [])),
        "resolvers": tuple(_resolver(line) for line in said.get("resolver", [])),
        "etcd_member": last("etcd_member") == "yes",
        "restored": last("restored"),
        "unmounted": mounts.parse(said.get("unmounted", [])),
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
