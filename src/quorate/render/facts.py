"""The questions to a host before anything is compiled, as one script; `execute.facts` reads the answers."""

from collections.abc import Mapping

from quorate.render import mounts
from quorate.render.etcd_disk import has_log, restored
from quorate.render.routes import PROTOCOL
from quorate.render.sh import quote
from quorate.spec import resolvers
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.layout import COPY, FIREWALL, KEEPALIVED_CONF
from quorate.spec.processes import unit_names

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


def script(cluster: Cluster, host: Host, etcd: Mapping[str, str]) -> str:
    """sh that prints `name=value` lines and never fails; `etcd` is by name sh that asks the host's member."""
    keys = " ".join(quote(key.replace(".", "/")) for key in sorted({*SYSCTLS, *cluster.os.sysctl}))
    units = " ".join(unit_names())
    files = " ".join(map(quote, dict.fromkeys((*resolvers.places(cluster), *resolvers.PLACES))))
    others = ("firewalld.service", *MANAGERS, *SSH_SOCKETS, *(f"{daemon}.service" for daemon in TIME_DAEMONS))
    asked = " ".join((*unit_names(), *others))
    told = "; ".join(f"printf '{name}='; {ask} | tr -d '\\n'; echo" for name, ask in etcd.items())
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
if running etcd; then {told}; fi
if running keepalived; then sed -n 's/^ *virtual_router_id /router_id=/p' {KEEPALIVED_CONF}; fi 2>/dev/null
for u in {units}; do if running "${{u%.service}}"; then echo "running=$u"; fi; done
exit 0
"""
