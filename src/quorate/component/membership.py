"""The way into etcd's quorum and out of it: join as a learner, be promoted, be taken out; each guarded by a count.

A learner has no vote, so one that never comes up costs no quorum (etcd's runtime reconfiguration guide, 3.4+). A
member is taken out only while those that stay are enough without it.
"""

from dataclasses import dataclass

from quorate.component.context import Context, address
from quorate.component.etcd_disk import JOIN, has_log
from quorate.core import Key
from quorate.pki import profiles
from quorate.render import journal
from quorate.render.sh import quote, sh
from quorate.resource.system import Setting
from quorate.spec.cluster import Host
from quorate.spec.facts import Member
from quorate.spec.layout import BIN

PATIENCE = 300
"""Seconds for a learner to catch up: a store at its quota of 8 GiB takes about 80 s at 1 Gbit/s."""

SETTLING = 60
"""Seconds in which members may find each other; etcd lets nobody in before all have been connected for 5."""


def voters(context: Context, host: Host) -> tuple[Host, ...]:
    """The other hosts of the file whose etcd answers and has data: those that can be asked on a running cluster."""
    if context.established is None:
        return ()
    hosts = context.cluster.members
    return tuple(other for other in hosts if other != host and context.of(other).members and context.has_data(other))


def etcd_host(context: Context) -> Host | None:
    """The host through which members are taken out: the first whose etcd answers."""
    hosts = (host for host in context.cluster.members if host.name not in context.absent)
    return next((host for host in hosts if context.of(host).members), None)


def learns(context: Context, host: Host) -> bool:
    """Whether the host's member is a learner still."""
    return any(member.learner and address(member) == host.ip for member in context.facts.members)


@dataclass(frozen=True)
class Ctl:
    """etcdctl on a host of the cluster, asking the members of certain hosts."""

    on: Host
    asks: tuple[Host, ...]

    @property
    def bare(self) -> str:
        """A piece of sh that still needs `--endpoints`."""
        return "ETCDCTL_API=3 " + sh(
            f"{BIN}/etcdctl",
            f"--cacert={profiles.ETCD_CA}",
            f"--cert={profiles.ETCD_CLIENT}",
            f"--key={profiles.ETCD_CLIENT_KEY}",
        )

    def __str__(self) -> str:
        return f"{self.bare} " + sh("--endpoints=" + ",".join(f"https://{host.ip}:2379" for host in self.asks))


def _healthy(ctl: Ctl, member: str) -> str:
    """sh that sets `up` to the healthy voters other than `member` (its peer URL or id), `all` to all voters."""
    return (
        f"list=$({ctl} member list -w simple) || exit 1\n"
        # id, status, name, peer URLs, client URLs, learner
        "all=$(printf '%s\\n' \"$list\" | grep -c ', false$') || :\n"
        f"ask=$(printf '%s\\n' \"$list\" | grep ', false$' | grep -vF -- {quote(member)} | cut -d, -f5 | tr -d ' ')\n"
        "up=0; for one in $ask; do\n"
        f'  if {ctl.bare} --endpoints="$one" --command-timeout=3s endpoint health >/dev/null 2>&1; '
        "then up=$(( up + 1 )); fi\ndone\n"
    )


def quorum_without(ctl: Ctl) -> str:
    """sh that succeeds when the others keep the quorum while the member on this host is stopped.

    A cluster of one or two has none to keep: there the stop is as short as it can be.
    """
    return f'{_healthy(ctl, f"https://{ctl.on.ip}:2380")}[ "$all" -le 2 ] || [ "$up" -gt $(( all / 2 )) ]'


def joined(ctl: Ctl, data: str) -> Setting:
    """The host's member added as a learner, and started on its empty folder."""
    host = ctl.on
    me = f"https://{host.ip}:2380"
    return Setting(
        host=host.name,
        what="membership in etcd",
        want=(("joined", "yes"),),
        check=f"if {has_log(data)}; then echo joined=yes; else echo joined=no; fi",
        script=f"""\
systemctl daemon-reload; systemctl stop etcd.service 2>/dev/null || :
list=$({ctl} member list -w simple)
end=$(( $(date +%s) + {SETTLING} ))
until printf '%s\\n' "$list" | grep -qF -- {quote(f" {me},")}; do
  said=$({ctl} member add {quote(host.name)} --learner --peer-urls={quote(me)} 2>&1) ||
    [ "$(date +%s)" -lt "$end" ] || {{ printf '%s\\n' "$said" >&2; exit 1; }}
  list=$({ctl} member list -w simple)
  sleep 0.5
done
peers=$(printf '%s\\n' "$list" | while IFS=, read -r id status name url rest; do
  url=${{url# }} name=${{name# }}
  if [ "$url" = {quote(me)} ]; then name={quote(host.name)}; fi
  printf '%s=%s,' "$name" "$url"
done)
printf 'ETCD_INITIAL_CLUSTER=%s\\nETCD_INITIAL_CLUSTER_STATE=existing\\n' "${{peers%,}}" >{JOIN}
systemctl start --no-block etcd.service
n=0; until {has_log(data)}; do
  n=$(( n + 1 )); [ $n -lt 150 ] || {{ {journal.last("etcd.service")}
    exit 1; }}; sleep 0.2
done""",
    )


def promoted(ctl: Ctl, data: str) -> Setting:
    """The host's member with a vote, as soon as it has caught up.

    Without data on the host, the voter in the list is the one before it, at the same address.
    """
    me = quote(f" https://{ctl.on.ip}:2380,")
    find = f"{ctl} member list -w simple | grep -F -- {me}"
    return Setting(
        host=ctl.on.name,
        what="vote in etcd",
        want=(("voter", "yes"),),
        check=f"case $({has_log(data)} && {find}) in *', false') echo voter=yes;; *) echo voter=no;; esac",
        script=f"""\
end=$(( $(date +%s) + {PATIENCE} ))
until case $({find}) in *', false') :;; *) false;; esac; do
  line=$({find}) || {{ echo 'the member is not in the list' >&2; exit 1; }}
  if said=$({ctl} member promote "${{line%%,*}}" 2>&1); then break; fi
  [ "$(date +%s)" -lt "$end" ] || {{ printf '%s\\n' "$said" >&2; exit 1; }}
  sleep 0.5
done
rm -f {JOIN}""",
    )


def taken_out(ctl: Ctl, member: Member, *, after: frozenset[Key] = frozenset()) -> Setting:
    """A member removed from the list, through the members that `ctl` asks; refused when those that stay are too few."""
    return Setting(
        host=ctl.on.name,
        what=f"etcd member {member.name or address(member)} ({member.id})",
        want=(("member", "gone"),),
        check=f"list=$({ctl} member list -w simple) || exit 0\n"
        f'case "$list" in *{member.id},*) echo member=there;; *) echo member=gone;; esac',
        script=f"""\
{_healthy(ctl, member.id)}
case "$list" in *{member.id},*) ;; *) exit 0;; esac
voter=1; case $(printf '%s\\n' "$list" | grep -F {member.id}) in *', true') voter=0;; esac
left=$(( all - voter ))
if [ "$up" -le $(( left / 2 )) ]; then
  echo "only $up of the $left members that would stay are healthy, $(( left / 2 + 1 )) are needed" >&2; exit 1
fi
{_hand_over(ctl, member)}
{ctl} member remove {member.id} >/dev/null""",
        explicit=after,
        removes=True,
    )


def _hand_over(ctl: Ctl, member: Member) -> str:
    """sh that moves the leadership away from a member that leads, so that writes do not wait for an election."""
    status = f"{ctl.bare} --command-timeout=3s endpoint status -w fields"
    return (
        f'for one in $ask; do if [ "$({status} --endpoints="$one" 2>/dev/null | '
        f'sed -n \'s/^"Leader" : //p\')" = {int(member.id, 16)} ]; then\n'
        f"  at=$(printf '%s\\n' \"$list\" | grep -F {member.id} | cut -d, -f5 | tr -d ' ')\n"
        f'  to=$(printf \'%s\\n\' "$list" | grep -F -- "$one" | cut -d, -f1)\n'
        f'  {ctl.bare} --endpoints="$at" --command-timeout=5s move-leader "$to" >/dev/null 2>&1 || :\n'
        "  break; fi; done"
    )
