"""Judges of one host's place in the network: its address, its ports, its firewall, its names."""

import re

from quorate.preflight.check import Question, World
from quorate.preflight.links import addresses, links
from quorate.render.sh import quote
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec.cluster import Host
from quorate.spec.ports import Listener
from quorate.spec.processes import listeners, unit_names

LOOKUP_WITHIN_S = 2
"""Seconds for a name to be found."""


def _ask_ports(world: World, host: Host) -> str:
    """Who listens on our ports, and which unit each of those processes belongs to."""
    if world.settled(host):
        return ""
    ports = sorted({listener.port for listener in listeners(world.cluster, host) if listener.field != "ssh.port"})
    which = " or ".join(f"sport = :{port}" for port in ports) or "sport = :0"
    return f"""\
command -v ss >/dev/null || exit 0
echo asked
said=$(ss -Hltnp '( {which} )') || exit 0
printf '%s\\n' "$said" | sed 's/^/listens /'
for pid in $(printf '%s\\n' "$said" | grep -o 'pid=[0-9]*' | sort -u); do
  sed -n "s|.*/\\([^/]*[.]service\\).*|unit $pid \\1|p" "/proc/${{pid#pid=}}/cgroup" | sort -u | tail -n 1
done"""


PORTS = Question("ports", _ask_ports)


def _ask_names(world: World, host: Host) -> str:
    """Addresses of names, each looked up beside the others."""
    if world.settled(host):
        return ""
    endpoint = _outside(world)
    names = ["localhost", *([endpoint] if endpoint and not _is_address(endpoint) else [])]
    names += [] if world.cluster.os.hosts_file else [other.name for other in world.cluster.hosts]
    words = " ".join(quote(name) for name in dict.fromkeys(names))
    wait = LOOKUP_WITHIN_S
    return f"""\
command -v getent >/dev/null || exit 0
own=$(cat /proc/sys/kernel/hostname); echo "own $own"
for n in "$own" {words}; do
  {{ found=$(timeout {wait} getent ahostsv4 "$n" | cut -d' ' -f1 | sort -u | tr '\\n' ' '); echo "name $n $found"; }} &
done
wait"""


NAMES = Question("names", _ask_names)


def address(world: World, host: Host) -> Verdict | None:
    """The address of the file is on an interface of the host, on the one that the file names if it does."""
    found = addresses(world, host)
    if not found:
        return unchecked()
    mine = [name for name, address in found if str(address.ip) == host.ip]
    if not mine:
        others = ", ".join(f"{address} on {name}" for name, address in found if not address.is_loopback)
        return failed(f"{host.ip} is on none of its interfaces, it has {others or 'no address'}")
    if host.interface and host.interface not in links(world, host):
        return failed(f"there is no interface {host.interface}")
    if host.interface and host.interface not in mine:
        return warned(f"{host.ip} is on {mine[0]}, not on {host.interface}")
    return passed(f"{host.ip} on {mine[0]}")


def ports(world: World, host: Host) -> Verdict | None:
    """The cluster's ports are free, or taken by the cluster's own services."""
    if world.settled(host):
        return None
    lines = world.answer(host, PORTS.name).splitlines()
    if "asked" not in lines:
        return unchecked("there is no ss")
    units = {words[1]: words[2] for line in lines if (words := line.split())[:1] == ["unit"] and len(words) == 3}
    wanted = {listener.port: listener for listener in listeners(world.cluster, host) if listener.field != "ssh.port"}
    clashes: list[str] = []
    doubts: list[str] = []
    ours = 0
    for line in lines:
        words = line.split(None, 6)
        if words[:1] != ["listens"] or len(words) < 6:
            continue
        at, _, port = words[4].rpartition(":")
        who = words[6] if len(words) > 6 else ""
        if not port.isdigit() or (wants := wanted.get(int(port))) is None:
            continue
        owners = {units.get(pid, "") for pid in re.findall(r"pid=\d+", who)}
        if owners & set(unit_names()):
            ours += 1
            continue
        named = re.findall(r'\("([^"]*)",(pid=\d+)', who)
        taker = ", ".join(f"{name} ({units.get(pid) or pid})" for name, pid in named[:2]) or "a process"
        text = f"{port} ({wants.field}) is taken by {taker} at {words[4]}"
        (clashes if _meets(at, host, wants) else doubts).append(text)
    if clashes:
        return failed("; ".join(dict.fromkeys([*clashes, *doubts])))
    if doubts:
        return warned("; ".join(dict.fromkeys(doubts)))
    return passed(f"{len(wanted)} ports free" if not ours else f"{len(wanted)} ports free or ours")


def _meets(at: str, host: Host, wants: Listener) -> bool:
    """Whether a listener at an address is in the way of one of ours; the balancer takes all addresses."""
    bare = at.strip("[]").partition("%")[0].removeprefix("::ffff:")
    inner = bare.startswith("127.") or bare == "::1"
    if bare in ("*", "0.0.0.0", "::") or wants.field == "endpoint.port":
        return True
    return inner if wants.local else bare == host.ip or (inner and wants.field == "etcd")


def firewall(world: World, host: Host) -> Verdict | None:
    """What filters on the host, and who opens the cluster's ports in it."""
    facts, choice = world.facts(host), world.cluster.os.firewall
    if not facts.kernel:
        return unchecked()
    if facts.firewall == "none":
        return passed("none")
    if choice == "open-ports":
        return passed(f"{facts.firewall}; apply opens the cluster's ports in it")
    if choice == "off" and facts.firewall != "iptables":
        return passed(f"{facts.firewall}; apply stops it")
    return warned(f"{facts.firewall} filters, and os.firewall is {choice}: opening the ports is left to you")


def names(world: World, host: Host) -> Verdict | None:
    """The host's own name and those that the cluster uses lead where they should."""
    if world.settled(host):
        return None
    lines = [line.split() for line in world.answer(host, NAMES.name).splitlines()]
    own = next((words[1] for words in lines if words[:1] == ["own"] and len(words) > 1), "")
    if not own:
        return unchecked("there is no getent")
    found = {words[1]: set(words[2:]) for words in lines if words[:1] == ["name"] and len(words) > 1}
    endpoint = _outside(world)
    if endpoint in found and not found[endpoint]:
        return failed(f"endpoint.address {endpoint} is not found")
    right = {other.name: {other.ip} for other in world.cluster.hosts} | {"localhost": set()}
    mine = {str(address.ip) for _, address in addresses(world, host)} | {host.ip}
    right |= {own: mine, host.name: mine}
    odd = []
    for name, to in found.items():
        # Debian gives a host's own name an address of loopback.
        inner = {each for each in to if each.startswith("127.") and name in (own, host.name, "localhost")}
        if name in right and (strange := to - right[name] - inner):
            odd.append(f"{name} leads to {', '.join(sorted(strange))}")
    if "localhost" in found and not found["localhost"]:
        odd.append("localhost leads nowhere")
    return warned("; ".join(odd)) if odd else passed(own)


def _outside(world: World) -> str | None:
    """The existing endpoint, where hosts use it."""
    endpoint = world.cluster.endpoint
    return None if endpoint.local else endpoint.address


def _is_address(text: str) -> bool:
    return re.fullmatch(r"[0-9.]+", text) is not None
