"""Faults of a network as sh for the host itself: packets are dropped or delayed there, but for the operator's SSH.

nft is used where it works, else iptables. Our rules come before all others (priority -300, that of `raw`), so that
they also meet what is forwarded to pods, and what the host's firewall or a connection's history would let through.
Each script may be repeated. Those that heal have no `$`: systemd would expand it in a timer's command line.
"""

from dataclasses import dataclass

from quorate.render import token
from quorate.render.sh import quote

TABLE = "quorate_drill"
CHAIN = "QUORATE-DRILL"
HANDLE = "7d1:"
"""Of our queueing discipline, so that nobody else's is taken away."""
CANNOT = 77
"""Exit code of a script for a host where such a fault can't be made; the last line of stderr says why."""

SSH = f"""\
q_p=$$ q_ssh=${{SSH_CONNECTION:-}}
# sudo takes the variable away from what it starts, not from itself.
while [ -z "$q_ssh" ] && [ "${{q_p:-0}}" -gt 1 ]; do
  q_ssh=$(tr '\\0' '\\n' <"/proc/$q_p/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p')
  q_s=$(cat "/proc/$q_p/stat"); set -- ${{q_s##*)}}; q_p=$2
done
set -- $q_ssh
if [ $# -ne 4 ]; then
  echo 'it can not be seen by which SSH connection we come, and that one must stay' >&2; exit {CANNOT}
fi
q_client=${{1%%%*}} q_server=${{3%%%*}} q_port=$4
case $q_client$q_server in
  *[!0-9a-fA-F.:]*) echo "no addresses: $q_ssh" >&2; exit {CANNOT};;
  *:*) q_ip=ip6;;
  *) q_ip=ip;;
esac
"""
"""sh that finds the operator's address, and address and port of sshd here."""


@dataclass(frozen=True)
class Drop:
    """Which packets of a host are dropped."""

    peers: tuple[str, ...] = ()
    """IPv4 addresses of those whose packets are meant; none: everybody's."""
    percent: int = 100
    """How many of them, at random."""
    out: bool = True
    """Also those that leave, not only those that come."""

    def __post_init__(self) -> None:
        if not 1 <= self.percent <= 100:
            raise ValueError(f"not a share: {self.percent} %")
        for peer in self.peers:
            token.address(peer)

    @property
    def all(self) -> bool:
        """Whether nothing gets through."""
        return not self.peers and self.percent == 100 and self.out


def drop(what: Drop) -> tuple[str, str]:
    """sh that prepares, and sh that then does it."""
    prepare = f"{SSH}nft list tables >/dev/null 2>&1 || command -v iptables >/dev/null || {_cannot()}\n"
    begin = f"if nft list tables >/dev/null 2>&1; then\n{_nft(what)}else\n{_iptables(what)}fi"
    return prepare, begin


def _cannot() -> str:
    return f"{{ echo 'neither nft nor iptables is there' >&2; exit {CANNOT}; }}"


def _nft(what: Drop) -> str:
    share = f"numgen random mod 100 < {what.percent} " if what.percent < 100 else ""
    peers = ", ".join(what.peers)

    def chain(hook: str, side: str, port: str, link: str, drops: bool) -> str:
        whose = f"ip {side} {{ {peers} }} " if peers else ""
        rule = f"    {whose}{share}drop\n" if drops else ""
        return (
            f"  chain {hook} {{\n    type filter hook {hook} priority -300; policy accept;\n    {link} lo accept\n"
            f"    $q_ip {side} $q_client tcp {port} $q_port accept\n{rule}  }}\n"
        )

    rules = chain("prerouting", "saddr", "dport", "iif", True) + chain("output", "daddr", "sport", "oif", what.out)
    text = f"table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{rules}}}\n"
    load = f"  nft -f - <<EOF || exit 1\n{text}EOF\n"
    return load + (_silent() if what.all else "")


def _silent() -> str:
    """sh that keeps the host from telling by ARP that it has a virtual IP, asked or not.

    Of itself it must tell, for the SSH above. keepalived sends past the output of ARP, but not past a device's egress
    (Linux 5.16); an old nft knows neither of the words.
    """
    asked = (
        "  chain input {\n    type filter hook input priority -300;\n    arp daddr ip != $q_server drop\n  }\n"
        "  chain output {\n    type filter hook output priority -300;\n    arp saddr ip != $q_server drop\n  }\n"
    )
    unasked = (
        "  chain egress {\n    type filter hook egress devices = { $q_devices } priority -300;\n"
        "    arp saddr ip != $q_server drop\n  }\n"
    )
    lines = ['  if [ "$q_ip" = ip ]; then']
    lines.append("  q_devices=$(ip -4 -o addr | sed -n 's/^[0-9]*: \\([^ @]*\\).*/\\1/p' | sort -u | grep -vx lo)")
    lines.append("  q_devices=$(echo $q_devices | sed 's/ /, /g')")
    for family, chains in (("arp", asked), ("netdev", unasked)):
        whole = f"table {family} {TABLE}"
        lines.append(f"  nft -f - 2>/dev/null <<EOF || :\n{whole}\ndelete {whole}\n{whole} {{\n{chains}}}\nEOF")
    return "\n".join([*lines, "  fi", ""])


def _iptables(what: Drop) -> str:
    share = f" -m statistic --mode random --probability {what.percent / 100:.2f}" if what.percent < 100 else ""
    lines = []
    for tool, family in (("iptables", "ip"), ("ip6tables", "ip6")):
        run = f"{tool} -w -t raw"
        for way, hook, side, port, link, drops in (
            ("IN", "PREROUTING", "-s", "--dport", "-i", True),
            ("OUT", "OUTPUT", "-d", "--sport", "-o", what.out),
        ):
            chain = f"{CHAIN}-{way}"
            mine = [
                f"{run} -N {chain} 2>/dev/null || {run} -F {chain}",
                f"{run} -A {chain} {link} lo -j ACCEPT",
                f'[ "$q_ip" != {family} ] || {run} -A {chain} {side} "$q_client" -p tcp {port} "$q_port" -j ACCEPT',
            ]
            whose = [f" {side} {peer}" for peer in what.peers] or [""]
            mine += [f"{run} -A {chain}{each}{share} -j DROP" for each in whose] if drops else []
            mine += [f"{run} -C {hook} -j {chain} 2>/dev/null || {run} -I {hook} -j {chain}"]
            if tool == "iptables":
                lines += [f"  {each} || exit 1\n" for each in mine]
            elif not what.peers:
                # Where IPv6 is off there is nothing to drop.
                lines += [f"  {{ {' && '.join(f'{{ {each}; }}' for each in mine)}; }} 2>/dev/null || :\n"]
    return "".join(lines)


def _restore() -> str:
    lines = [
        "if nft list tables >/dev/null 2>&1; then",
        # What it has to tell by ARP when it is back must not meet the last of the rules.
        *(f"  nft delete table {family} {TABLE} 2>/dev/null" for family in ("netdev", "arp", "inet")),
        f"  ! nft list table inet {TABLE} >/dev/null 2>&1 || exit 1",
        "else",
    ]
    for tool in ("iptables", "ip6tables"):
        run = f"{tool} -w -t raw"
        lines.append(f"  if {run} -L -n >/dev/null 2>&1; then")
        for hook, chain in (("PREROUTING", f"{CHAIN}-IN"), ("OUTPUT", f"{CHAIN}-OUT")):
            lines.append(f"    while {run} -D {hook} -j {chain} 2>/dev/null; do :; done")
            lines += [f"    {run} {act} {chain} 2>/dev/null" for act in ("-F", "-X")]
            lines.append(f"    ! {run} -L {chain} -n >/dev/null 2>&1 || exit 1")
        lines.append("  fi")
    return "\n".join([*lines, "fi"])


RESTORE = _restore()
"""sh that takes the rules of `drop` away; fails when they are still there."""


def delay(milliseconds: int, address: str, jitter: int = 0) -> tuple[str, str]:
    """sh that prepares, and sh that delays what leaves by the interface of an address, by up to `jitter` more or less.

    The kernel may lack netem, or a discipline of somebody else's may be there: then it is left alone.
    """
    mine = quote(f" inet {token.address(address)}/")
    find = f'q_dev=$(ip -4 -o addr show | grep -F {mine} | {{ read -r q_n q_dev q_more; echo "$q_dev"; }})\n'
    late = f"{int(milliseconds)}ms" + (f" {int(jitter)}ms" if jitter else "")
    try_it = (
        f'q_said=$(tc qdisc add dev "$q_dev" root handle {HANDLE} netem delay {late} 2>&1) || '
        f"{{ echo \"no delay can be made: $q_said\" | tr '\\n' ' ' >&2; exit {CANNOT}; }}"
    )
    return find, try_it


HASTEN = f"""\
tc qdisc show 2>/dev/null |
  sed -n 's/^qdisc netem {HANDLE} dev \\([^ ]*\\) root.*/tc qdisc del dev \\1 root/p' | sh"""
"""sh that takes the delay away."""
