"""The cluster's ports in firewalld: rich rules of the default zone, permanent and now; a policy for what is forwarded.

What firewalld was told is noted on the host, so that what the cluster needs no more is taken back, and no rule of
somebody else's.
"""

from collections.abc import Iterable, Sequence

from quorate.render.sh import PATH
from quorate.spec.layout import LOADED, STATE
from quorate.spec.ports import Opening

NOTE = f"{STATE}/firewall.rules"
"""The rules that we have added."""
SEEN = f"{LOADED}/firewall.seen"
"""Digest of firewalld's own rules when ours were last found among them: to ask firewalld costs a Python's start."""
_PORTS = (1, 65535)


def rules(openings: Iterable[Opening], ssh: Sequence[int]) -> dict[str, str]:
    """The purpose of each rich rule, in the words in which firewalld gives it back. None of them opens a port of `ssh`:
    what lets in everything is written as its parts.
    """
    found: dict[str, str] = {}
    for each in openings:
        for source in each.sources:
            origin = "" if source == "any" else f'family="ipv4" source address="{source}" '
            found |= {f"rule {origin}{what} accept": each.purpose for what in _what(each, ssh)}
    return found


def _what(opening: Opening, ssh: Sequence[int]) -> list[str]:
    if opening.protocol == "vrrp":
        return ['protocol value="vrrp"']
    if opening.protocol == "all":
        tcp = [f'port port="{part}" protocol="tcp"' for part in _without(*_PORTS, ssh)]
        # Overlay networks: VXLAN, Geneve and WireGuard are UDP; IP in IP, GRE and IPsec are protocols of their own.
        return [*tcp, *(f'protocol value="{name}"' for name in ("udp", "icmp", "ipencap", "gre", "esp", "ah"))]
    spans = [(int(first), int(last or first)) for first, _, last in (port.partition("-") for port in opening.ports)]
    taken = ssh if opening.protocol == "tcp" else ()
    parts = [part for span in spans for part in _without(*span, taken)]
    return [f'port port="{part}" protocol="{opening.protocol}"' for part in parts]


def _without(first: int, last: int, taken: Sequence[int]) -> list[str]:
    """A range of ports without some of them, as ranges."""
    found = []
    for port in sorted({port for port in taken if first <= port <= last} | {last + 1}):
        if first < port:
            found.append(str(first) if first == port - 1 else f"{first}-{port - 1}")
        first = port + 1
    return found


def script(openings: Sequence[Opening], ssh: Sequence[int], *, pods: str = "", ssh_was: int = 22) -> str:
    """sh for `fill`, `keep` and `close`; `keep` fills what the check beside it (`SCRIPT.check`) misses.

    `pods` is the pods' network on a host that forwards to them. Before there was a note, ours let everybody in to
    `ssh_was`, and pods to all: those rules go where another one of ours shows that they were there.
    """
    words = "\n".join(rules(openings, ssh))
    all_from = [source for each in openings if each.protocol == "all" for source in each.sources]
    wide = [f'rule port port="{ssh_was}" protocol="tcp" accept']
    wide += [f'rule family="ipv4" source address="{source}" accept' for source in all_from]
    were = "\n".join(wide)
    return f"""\
#!/bin/sh
# fill|keep|close: the cluster's ports in firewalld's default zone.
PATH={PATH}
nl='
'
wanted() {{
  cat <<'RULES'
{words}
RULES
}}
change() {{ # add|remove: the rules of stdin, now and for good
  set -- "$1"
  while read -r rule; do [ ! "$rule" ] || set -- "$@" "--$1-rich-rule=$rule"; done
  [ $# -gt 1 ] || return 0
  shift
  firewall-cmd -q --permanent "$@"
  firewall-cmd -q "$@"
}}
missing() {{ # of the rules of stdin, those that are not in a list
  while read -r rule; do case "$nl$1$nl" in *"$nl$rule$nl"*) ;; *) printf '%s\\n' "$rule" ;; esac; done
}}
stale() {{ # what we have added and want no more
  if [ -e {NOTE} ]; then
    missing "$(wanted)" <{NOTE}
  elif [ "$(wanted | missing "$(firewall-cmd --permanent --list-rich-rules)")" != "$(wanted)" ]; then
    cat <<'RULES'
{were}
RULES
  fi
}}
fill() {{
  firewall-cmd -q --state 2>/dev/null || return 0
  stale | change remove
  {{
    wanted | missing "$(firewall-cmd --list-rich-rules)"
    wanted | missing "$(firewall-cmd --permanent --list-rich-rules)"
  }} | sort -u | change add
  wanted >{NOTE}
{_FILL.format(pods=pods) if pods else ""}}}
print() {{ {{ nft -s list table inet firewalld || iptables -w -S; }} 2>/dev/null | cksum; }}
case $1 in
fill) fill ;;
keep)
  now=$(print)
  [ "$now" != "$(cat {SEEN} 2>/dev/null)" ] || exit 0
  gone=$(/bin/sh "$0.check")
  if [ "$gone" ]; then
    echo "$gone; it is put back"
    fill
  else
    echo "$now" >{SEEN}
  fi
  ;;
close)
  wanted | change remove
  rm -f {NOTE} {SEEN}
{_CLOSE if pods else ""}  ;;
esac
"""


_FILL = """\
  # Zones reject what is forwarded to pods, and an accepting rule of iptables can't overrule firewalld's own nftables:
  # a policy between all zones can. New policies are loaded by a reload alone. firewalld before 0.9 has no policies,
  # and writes to iptables itself, where the chain of quorate-routes stands first.
  policy() {{ firewall-cmd -q --permanent --policy=quorate-pods "$@"; }}
  to='rule family="ipv4" destination address="{pods}" accept'
  firewall-cmd -q --policy=quorate-pods --query-rich-rule="$to" 2>/dev/null && return
  firewall-cmd -q --permanent --delete-policy=quorate-pods 2>/dev/null
  firewall-cmd -q --permanent --new-policy=quorate-pods 2>/dev/null || return 0
  policy --add-ingress-zone=ANY && policy --add-egress-zone=ANY && policy --add-rich-rule="$to" &&
    policy --add-rich-rule='rule family="ipv4" source address="{pods}" accept' && firewall-cmd -q --reload
"""
_CLOSE = """\
  firewall-cmd -q --permanent --delete-policy=quorate-pods 2>/dev/null && firewall-cmd -q --reload
"""


def check(openings: Iterable[Opening], ssh: Sequence[int], *, pods: str = "") -> str:
    """sh that prints a line for each purpose whose rules are not all there, and nothing when all are, or when firewalld
    does not run and thus shuts nobody out.
    """
    found: dict[str, list[str]] = {}
    for rule, purpose in rules(openings, ssh).items():
        found.setdefault(purpose, []).append(rule)
    words = "\n".join(f"{purpose}|{rule}" for purpose, group in found.items() for rule in group)
    policy = f"""
have=$(firewall-cmd --policy=quorate-pods --list-rich-rules 2>/dev/null)
case $have in
*'destination address="{pods}" accept'*) ;;
*) if firewall-cmd -q --get-policies 2>/dev/null; then echo 'firewalld does not let through what goes to pods'; fi ;;
esac"""
    return f"""\
#!/bin/sh
# What of the cluster's ports is not open in firewalld; says nothing when all is as it should be.
PATH={PATH}
nl='
'
have=$(firewall-cmd --list-rich-rules 2>/dev/null) || exit 0
while IFS='|' read -r purpose rule; do
  case "$nl$have$nl" in *"$nl$rule$nl"*) ;; *) echo "firewalld does not let in: $purpose" ;; esac
done <<'WANTED' | sort -u
{words}
WANTED
{policy if pods else ""}
exit 0
"""
