"""What is true of the hosts: one script per host, asked before anything is compiled."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Interface, IPv4Network
from itertools import pairwise

from quorate.core import Transport, TransportError
from quorate.pki import profiles
from quorate.render import facts as questions
from quorate.render.sh import sh
from quorate.spec.cluster import Cluster, Host
from quorate.spec.facts import NOWHERE, Address, HostFacts, Member, Resolver, Route, Unmounted

_ARCHES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x"}


def script(cluster: Cluster, host: Host) -> str:
    """The questions, as sh that prints `name=value` lines and never fails."""
    etcd = {"members": _etcd(host, "cluster/member/list"), "member": _etcd(host, "maintenance/status")}
    return questions.script(cluster, host, etcd)


def _etcd(host: Host, path: str) -> str:
    """sh that prints what etcd's own gateway answers: a tenth of what etcdctl costs."""
    return sh(
        *("curl", "-gsf", "--noproxy", "*", "--max-time", "2", *profiles.ETCD_CURL, "-d", "{}"),
        f"https://{host.ip}:2379/v3/{path}",
    )


def leads(text: str) -> bool:
    """Whether a member leads, by its own answer."""
    try:
        told = json.loads(text)
        return bool(told["leader"] == told["header"]["member_id"])
    except (ValueError, LookupError, TypeError):
        return False


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


def unmounted(lines: Sequence[str]) -> Unmounted | None:
    """The first of the mounts that are not there: what others see too is told before the note."""
    path, _, told_by = next(iter(lines), "").partition(" ")
    return Unmounted(path, told_by) if path and told_by else None


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
        "unmounted": unmounted(said.get("unmounted", [])),
        "copy": last("copy"),
        "members": members(last("members")),
        "etcd_leads": leads(last("member")),
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
