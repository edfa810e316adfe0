"""sh for the way into etcd's quorum and out of it: join as a learner, be promoted, be taken out.

`ctl` is sh that asks the members, `bare` the same without `--endpoints`; `peer` is the peer URL of the host's own
member, `id` a member's hexadecimal one.
"""

from quorate.render import journal
from quorate.render.etcd_disk import JOIN, has_log
from quorate.render.sh import quote

LEARNER_WITHIN_S = 300
"""Seconds for a learner to catch up: a store at its quota of 8 GiB takes about 80 s at 1 Gbit/s."""

SETTLING = 60
"""Seconds in which members may find each other; etcd lets nobody in before all have been connected for 5."""


def _healthy(ctl: str, bare: str, member: str) -> str:
    """sh that sets `up` to the healthy voters other than `member` (its peer URL or id), `all` to all voters."""
    return (
        f"list=$({ctl} member list -w simple) || exit 1\n"
        # id, status, name, peer URLs, client URLs, learner
        "all=$(printf '%s\\n' \"$list\" | grep -c ', false$') || :\n"
        f"ask=$(printf '%s\\n' \"$list\" | grep ', false$' | grep -vF -- {quote(member)} | cut -d, -f5 | tr -d ' ')\n"
        "up=0; for one in $ask; do\n"
        f'  if {bare} --endpoints="$one" --command-timeout=3s endpoint health >/dev/null 2>&1; '
        "then up=$(( up + 1 )); fi\ndone\n"
    )


def quorum_without(ctl: str, bare: str, peer: str) -> str:
    """sh that succeeds when the others keep the quorum while the member is stopped, or when there is none to keep."""
    return f'{_healthy(ctl, bare, peer)}[ "$all" -le 2 ] || [ "$up" -gt $(( all / 2 )) ]'


def join(ctl: str, name: str, peer: str, data: str) -> str:
    """sh that adds the host's member as a learner, and starts it on its empty folder `data`."""
    return f"""\
systemctl daemon-reload; systemctl stop etcd.service 2>/dev/null || :
list=$({ctl} member list -w simple)
end=$(( $(date +%s) + {SETTLING} ))
until printf '%s\\n' "$list" | grep -qF -- {quote(f" {peer},")}; do
  said=$({ctl} member add {quote(name)} --learner --peer-urls={quote(peer)} 2>&1) ||
    [ "$(date +%s)" -lt "$end" ] || {{ printf '%s\\n' "$said" >&2; exit 1; }}
  list=$({ctl} member list -w simple)
  sleep 0.5
done
peers=$(printf '%s\\n' "$list" | while IFS=, read -r id status name url rest; do
  url=${{url# }} name=${{name# }}
  if [ "$url" = {quote(peer)} ]; then name={quote(name)}; fi
  printf '%s=%s,' "$name" "$url"
done)
printf 'ETCD_INITIAL_CLUSTER=%s\\nETCD_INITIAL_CLUSTER_STATE=existing\\n' "${{peers%,}}" >{JOIN}
systemctl start --no-block etcd.service
n=0; until {has_log(data)}; do
  n=$(( n + 1 )); [ $n -lt 150 ] || {{ {journal.last("etcd.service")}
    exit 1; }}; sleep 0.2
done"""


def _find(ctl: str, peer: str) -> str:
    """sh that prints the member's line in the list."""
    return f"{ctl} member list -w simple | grep -F -- {quote(f' {peer},')}"


def votes(ctl: str, peer: str, data: str) -> str:
    """sh that tells whether the member has a vote.

    Without data on the host, the voter in the list is the one before it, at the same address.
    """
    return f"case $({has_log(data)} && {_find(ctl, peer)}) in *', false') echo voter=yes;; *) echo voter=no;; esac"


def promote(ctl: str, peer: str) -> str:
    """sh that gives the member a vote, as soon as it has caught up."""
    find = _find(ctl, peer)
    return f"""\
end=$(( $(date +%s) + {LEARNER_WITHIN_S} ))
until case $({find}) in *', false') :;; *) false;; esac; do
  line=$({find}) || {{ echo 'the member is not in the list' >&2; exit 1; }}
  if said=$({ctl} member promote "${{line%%,*}}" 2>&1); then break; fi
  [ "$(date +%s)" -lt "$end" ] || {{ printf '%s\\n' "$said" >&2; exit 1; }}
  sleep 0.5
done
rm -f {JOIN}"""


def take_out(ctl: str, bare: str, id: str) -> str:
    """sh that removes a member from the list; refuses when those that stay are too few."""
    return f"""\
{_healthy(ctl, bare, id)}
case "$list" in *{id},*) ;; *) exit 0;; esac
voter=1; case $(printf '%s\\n' "$list" | grep -F {id}) in *', true') voter=0;; esac
left=$(( all - voter ))
if [ "$up" -le $(( left / 2 )) ]; then
  echo "only $up of the $left members that would stay are healthy, $(( left / 2 + 1 )) are needed" >&2; exit 1
fi
{_hand_over(bare, id)}
{ctl} member remove {id} >/dev/null"""


def _hand_over(bare: str, id: str) -> str:
    """sh that moves the leadership away from a member that leads, so that writes do not wait for an election."""
    status = f"{bare} --command-timeout=3s endpoint status -w fields"
    return (
        f'for one in $ask; do if [ "$({status} --endpoints="$one" 2>/dev/null | '
        f'sed -n \'s/^"Leader" : //p\')" = {int(id, 16)} ]; then\n'
        f"  at=$(printf '%s\\n' \"$list\" | grep -F {id} | cut -d, -f5 | tr -d ' ')\n"
        f'  to=$(printf \'%s\\n\' "$list" | grep -F -- "$one" | cut -d, -f1)\n'
        f'  {bare} --endpoints="$at" --command-timeout=5s move-leader "$to" >/dev/null 2>&1 || :\n'
        "  break; fi; done"
    )
