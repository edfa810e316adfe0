"""Whether VRRP passes between balancers: a keepalived that holds no address sends real adverts, and listens.

Filters that let TCP pass and drop IP protocol 112 are common (security groups, port security), and two balancers that
do not hear each other both hold the virtual IP. Each balancer advertises a router of its own and is backup of the
others': one that it does not hear it takes over, which its log tells. All run at the same time. Another instance
listens to what is multicast with the cluster's own number.
"""

from collections.abc import Mapping, Sequence

from quorate.render import token
from quorate.render.sh import quote, sh

WINDOW_S = 20
"""How long a balancer waits for the others: their scripts may begin later by what was in front of them."""
_ADVERTS_S = 0.2
"""Between two adverts; a listener gives up after three of them and its skew time, 0.8 s."""
_TICK_S = 0.5
_SURE = 3
"""Ticks after which a listener that has not taken over has heard an advert."""
_LINGER_S = 2.5
"""Who has heard all goes on as long, so that one that began last hears it, too."""
_OWNER, _LISTENER = 255, 1
"""Priorities: nobody takes over from the sender, and who hears it never stays master."""


def number(router_id: int, rank: int) -> int:
    """The router id by which the balancer of a rank is looked for: never the cluster's own."""
    return (router_id + rank) % 255 + 1


def script(
    *,
    address: str,
    interface: str,
    balancers: Sequence[str],
    router_id: int,
    listen: bool = True,
    window: int = WINDOW_S,
) -> str:
    """A sh script that prints `heard ADDRESS` or `silent ADDRESS` for each other balancer, after `window` s at most,
    and `foreign` when another router speaks with the cluster's number. Its exit code is 0.

    `listen` is False where one of the balancers speaks with that number already. `balancers` are the addresses of
    all, in the same order everywhere; `address` is the host's own, on `interface`.
    Raises ValueError for what is no plain address, number, name or path.
    """
    own = list(balancers).index(address)
    others = {rank: token.address(each) for rank, each in enumerate(balancers) if rank != own}
    blocks = [
        _instance(
            f"v{rank}", interface, number(router_id, rank), rank,
            ["state MASTER" if rank == own else "state BACKUP",
             f"priority {_OWNER if rank == own else _LISTENER}", f"advert_int {_ADVERTS_S}",
             f"unicast_src_ip {token.address(address)}", "unicast_peer {",
             *(others.values() if rank == own else [each]), "}"],
        )
        for rank, each in enumerate(balancers)
    ]  # fmt: skip
    # Never master within the window, so it sends nothing.
    quiet = ["state BACKUP", f"priority {_LISTENER}", "advert_int 40"]
    blocks += [_instance("segment", interface, router_id, len(balancers), quiet)] if listen else []
    text = "\n".join(["global_defs {", "vrrp_version 3", "vrrp_check_unicast_src", "}", *blocks, ""])
    flags = sh("--dont-fork", "--vrrp", "--dont-respawn", "--log-console", "--no-syslog", "--log-detail")
    run = f"timeout {window + 60} /usr/sbin/keepalived {flags}"
    lines = "\n".join(f"{rank} {each}" for rank, each in others.items())
    return f"""\
q_work=$(mktemp -d)
printf %s {quote(text)} >"$q_work/conf"
{run} --use-file="$q_work/conf" --pid="$q_work/pid" --vrrp_pid="$q_work/vrrp" >"$q_work/log" 2>&1 &
q_pid=$!
trap 'kill $q_pid 2>/dev/null || :; wait $q_pid 2>/dev/null || :; rm -rf "$q_work"' EXIT
q_state() {{ sed -n "s/.*(v$1) Entering \\([A-Z]*\\) STATE.*/\\1/p" "$q_work/log" | tail -n 1; }}
q_hears() {{
  # One that has been heard may have ended since: it said so with priority 0, or took this listener's place before.
  [ "$(q_state "$1")" = BACKUP ] || grep -q "(v$1) .*priority 0 adv" "$q_work/log" ||
    [ "$(grep -c "(v$1) Entering BACKUP STATE" "$q_work/log")" -gt 1 ]
}}
q_silent() {{ while read -r q_rank q_address; do
  q_hears "$q_rank" || echo "$q_address"
done <<'OTHERS'
{lines}
OTHERS
}}
q_end=$(( $(date +%s) + {window} )) q_runs=0 q_missing=all
while [ "$(date +%s)" -lt $q_end ] && kill -0 $q_pid 2>/dev/null; do
  sleep {_TICK_S}
  [ "$(q_state {own})" = MASTER ] || continue
  q_runs=$(( q_runs + 1 )); [ $q_runs -gt {_SURE} ] || continue
  q_missing=$(q_silent); [ -n "$q_missing" ] || break
done
[ -n "$q_missing" ] || sleep {_LINGER_S}
if [ $q_runs -gt {_SURE} ]; then
  while read -r q_rank q_address; do case " $(echo $q_missing) " in
    *" $q_address "*) echo "silent $q_address";; *) echo "heard $q_address";; esac
  done <<'OTHERS'
{lines}
OTHERS
else
  echo "keepalived tells nothing: $(tail -n 3 "$q_work/log" | tr '\\n' ' ')"
fi
if grep '(segment)' "$q_work/log" | grep -qv ' Entering \\| removing '; then echo foreign; fi
"""


def judged(ask: str, names: Mapping[str, str], interface: str, note: str) -> str:
    """The same as a step: fails, and says what to do, where a balancer is not heard; else `note` is sh that comes last.

    `ask` is the script; `names` are those of the balancers by address.
    """
    cases = "\n".join(f"{quote(ip)}) echo {quote(f'{name} ({ip})')};;" for ip, name in names.items())
    return f"""\
q_name() {{ case $1 in
{cases}
esac; }}
q_said=$(
{ask})
q_deaf=$(printf '%s\\n' "$q_said" | sed -n 's/^silent //p')
for q_each in $q_deaf; do
  echo "no VRRP packet of $(q_name "$q_each") arrives here on {interface}: let IP protocol 112 pass both ways between \
the addresses of the balancers (security groups, port security, firewalls; it is neither TCP nor UDP)"
done >&2
case $q_said in *'keepalived tells nothing'*) printf '%s\\n' "$q_said" >&2; exit 1;; esac
[ -z "$q_deaf" ] || exit 1
case $q_said in *foreign*) tell 'another VRRP router in this segment has the number of this cluster: another \
load_balancer.virtual_router_id keeps them apart';; esac
{note}
"""


def _instance(name: str, interface: str, router_id: int, rank: int, more: Sequence[str]) -> str:
    """An instance whose address is on loopback, where it means nothing."""
    lines = [f"vrrp_instance {name} {{", f"interface {token.interface(interface)}", *more]
    lines += [f"virtual_router_id {token.number(router_id, 1, 255)}"]
    lines += ["virtual_ipaddress {", f"127.255.254.{rank + 1}/32 dev lo scope host no_track", "}", "}"]
    return "\n".join(lines)
