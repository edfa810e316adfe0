"""The cluster's ports in iptables: a chain of our own, filled in one step; what else is in INPUT stays as it is.

ufw and plain rules are both opened like this. Each rule bears its purpose, so that `iptables -S QUORATE-INPUT` says
which ports go to whom, and so that a check can say what is missing.
"""

from collections.abc import Iterable, Sequence

from quorate.render.sh import PATH
from quorate.spec.ports import Opening

CHAIN = "QUORATE-INPUT"
OWN = "answers to this host"
SSH = "SSH is left to the rules of this host"


def rules(openings: Iterable[Opening], ssh: Sequence[int]) -> dict[str, tuple[str, ...]]:
    """The chain's rules, in their order, by purpose.

    New connections to the ports of `ssh` go on to the host's own rules, whatever is open to whom: an opening may hold
    them, as all that comes from pods does. Answers are let in by their direction: to let in all that is established
    would keep those connected whom the host has just shut out.
    """
    found = {SSH: [f"-p tcp --dport {port}" for port in ssh]}
    found[OWN] = ["-m conntrack --ctstate ESTABLISHED --ctdir REPLY", "-p icmp -m conntrack --ctstate RELATED"]
    for each in openings:
        origins = ["" if source == "any" else f"-s {source} " for source in each.sources]
        found.setdefault(each.purpose, []).extend(f"{origin}{what}" for origin in origins for what in _what(each))
    return {
        purpose: tuple(
            f'-A {CHAIN} {match} -m comment --comment "{purpose}" -j {"RETURN" if purpose == SSH else "ACCEPT"}'
            for match in dict.fromkeys(matches)
        )
        for purpose, matches in found.items()
        if matches
    }


def _what(opening: Opening) -> list[str]:
    if opening.protocol == "vrrp":
        return ["-p 112"]
    if opening.protocol == "all":
        return [""]
    return [f"-p {opening.protocol} --dport {port.replace('-', ':')}" for port in opening.ports]


def script(openings: Iterable[Opening], ssh: Sequence[int]) -> str:
    """sh for `fill`, `keep` and `close`; `keep` fills what the check beside it (`SCRIPT.check`) misses.

    The chain comes before all other rules, but for those that shut addresses out and stand first themselves.
    """
    words = "\n".join(rule for group in rules(openings, ssh).values() for rule in group)
    return f"""\
#!/bin/sh
# fill|keep|close: the cluster's ports, in a chain of their own.
PATH={PATH}
place() {{ # behind what bans addresses, where that stands first
  iptables -w -S INPUT | {{
    n=1
    while read -r how chain rest; do
      case "$how $rest" in
      -P*) ;;
      "-A "*"-j f2b-"* | "-A "*"-j fail2ban-"* | "-A "*"-j sshguard"* | "-A "*"-j CROWDSEC"*) n=$((n + 1)) ;;
      *) break ;;
      esac
    done
    echo "$n"
  }}
}}
fill() {{
  iptables-restore -w -n <<'RULES' || return
*filter
:{CHAIN} - [0:0]
{words}
COMMIT
RULES
  iptables -w -C INPUT -j {CHAIN} 2>/dev/null || iptables -w -I INPUT "$(place)" -j {CHAIN}
}}
case $1 in
fill) fill ;;
keep)
  gone=$(/bin/sh "$0.check")
  if [ "$gone" ]; then
    echo "$gone; it is put back"
    fill
  fi
  ;;
close)
  while iptables -w -D INPUT -j {CHAIN} 2>/dev/null; do :; done
  iptables -w -F {CHAIN} 2>/dev/null
  iptables -w -X {CHAIN} 2>/dev/null
  ;;
esac
"""


def check(openings: Sequence[Opening], ssh: Sequence[int]) -> str:
    """sh that prints a line for each purpose whose rules are not all there, and nothing when all are."""
    groups = rules(openings, ssh)
    wanted = "\n".join(f"{len(group)} {purpose}" for purpose, group in groups.items())
    return f"""\
#!/bin/sh
# What of the cluster's ports is not open in this host's firewall; says nothing when all is as it should be.
PATH={PATH}
if ! iptables -w -C INPUT -j {CHAIN} 2>/dev/null; then
  echo 'the firewall does not let the cluster in: INPUT does not lead to {CHAIN}'
  exit 0
fi
have=$(iptables -w -S {CHAIN})
count=$(printf '%s\\n' "$have" | grep -c '^-A')
[ "$count" = {sum(map(len, groups.values()))} ] && exit 0
[ "$count" -lt {sum(map(len, groups.values()))} ] || echo 'somebody has added rules to {CHAIN}'
while read -r want purpose; do
  found=$(printf '%s\\n' "$have" | grep -cE -- "--comment \\"?$purpose\\"? -j")
  [ "$found" = "$want" ] || echo "the firewall has $found of $want rules for: $purpose"
done <<'WANTED'
{wanted}
WANTED
exit 0
"""
