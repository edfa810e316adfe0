"""What keeps etcd's stores small, each as sh on a member's host: history dropped, a store written anew, the lead handed
on, alarms cleared. `ctl` is etcdctl for this host's member alone, as sh.
"""

from collections.abc import Sequence

from quorate.render import token
from quorate.render.rest import at_rest
from quorate.render.sh import quote

ONE_MEMBER_WITHIN_S = 1800
"""Seconds for one member: 500 s were seen with a large store on a slow disk (Kubernetes issue 93280). etcdctl gives up
after 5 s by itself, while the member goes on."""
ANSWER_WITHIN_S = 120
"""Seconds for a member to answer again when its store is written, and for an API server to be ready after its rest."""


def compacted(ctl: str, revision: int) -> str:
    """Drop all history before a revision, and wait until this member has done so on its disk."""
    compact = f"{ctl} --command-timeout={ONE_MEMBER_WITHIN_S}s compact --physical {token.number(revision, 1, 2**63)}"
    return (
        f"said=$({compact} 2>&1) || case $said in *'has been compacted'*) ;;\n"
        "  *) printf '%s\\n' \"$said\" >&2; exit 1;; esac"
    )


def defragmented(ctl: str, health: str, *, rests: Sequence[str] = (), ready: str = ":") -> str:
    """Write the member's store anew, with services of its host at rest; print the milliseconds of that.

    It ends when the URL `health` says that the member commits again, and `ready` succeeds, which tells that who
    rested answers. A store at its quota, whose member refuses writes, is fine.
    """
    anew = (
        "began=$(date +%s%N)\nsaid=$("
        f"{ctl} --command-timeout={ONE_MEMBER_WITHIN_S}s defrag 2>&1) || {{ printf '%s\\n' \"$said\" >&2; exit 1; }}\n"
        "took=$(( ($(date +%s%N) - began) / 1000000 ))\n"
        + _until(
            f"curl -gsf --noproxy '*' --max-time 3 {quote(f'{health}?exclude=NOSPACE')} | grep -q '\"health\":\"true\"'"
        )
    )
    return f"{at_rest(rests, anew)}\n{_until(ready)}\necho $took" if rests else f"{anew}\necho $took"


def _until(check: str) -> str:
    """sh that waits for a check."""
    return (
        f"end=$(( $(date +%s) + {ANSWER_WITHIN_S} )); until ( {check} ) >/dev/null 2>&1; do\n"
        f'  [ "$(date +%s)" -lt $end ] || {{ echo "no answer {ANSWER_WITHIN_S} s after it" >&2; exit 1; }}; '
        "sleep 0.2; done"
    )


def handed_on(ctl: str, member: str) -> str:
    """Hand the lead to another member, by its id; this host's leads."""
    return f"{ctl} --command-timeout=5s move-leader {token.name(member)} >/dev/null"


def disarmed(ctl: str) -> str:
    """Clear the alarms, and look whether they stay away. etcd clears all kinds at once: never that of damaged data."""
    raised = f"said=$({ctl} alarm list) || exit 1; said=$(printf '%s' \"$said\" | tr '\\n' ' ')"
    return f"""\
{raised}
case $said in *CORRUPT*) echo "not cleared: $said" >&2; exit 1;; esac
{ctl} alarm disarm >/dev/null || exit 1
sleep 1
{raised}
[ -z "$said" ] || {{ echo "raised again at once: $said" >&2; exit 1; }}"""
