"""sh that makes the data of a restored member of etcd, exchanges the old ones for them, and asks whether all are one.

Why it is done so is told in `component.etcd_restore`. `folder` is etcd's data folder, `new` where the new data are made
in it, `restore` the restore's id.
"""

from quorate.render.etcd_disk import BEGIN, JOIN
from quorate.render.sh import quote

LOG_KB = 128 * 1024
"""Kilobytes that new data need besides the store: the log's first segment has its whole size at once."""


def make(command: str, folder: str, new: str, restore: str, size_kb: int) -> str:
    """sh that makes the new data by `command`, whole and on the disk when it succeeds; it begins anew when run again.

    `size_kb` are the kilobytes of the snapshot.
    """
    new, data, needed = quote(new), quote(folder), size_kb + LOG_KB
    return f"""\
set -eu; umask 077
rm -rf -- {new}
free=$(df -k --output=avail -- {data} | tail -n 1)
if [ "$free" -lt {needed} ]; then
  echo {data}" has $free kB free; new data beside the old ones need {needed}" >&2; exit 1
fi
ETCDCTL_API=3 nice -n 19 {command} & work=$!
while kill -0 $work 2>/dev/null; do
  kb=$(du -sk {new} 2>/dev/null) || kb=0; kb=${{kb%%[!0-9]*}}
  echo "progress ${{kb:-0}} {size_kb}"; sleep 1
done
wait $work
printf '%s\\n' {quote(restore)} >{new}/member/restored
chown -R etcd:etcd {new}; chmod 0700 {new} {new}/member
find {new} -exec sync -- {{}} +
sync -- {data}
"""


def exchange(folder: str, new: str, restore: str, *, fence: str, job: str) -> str:
    """sh that lays the old data aside and puts the new ones in their place; it fails where an etcd runs, or may start.

    `fence` is the file that keeps etcd down, `job` the folder of what has made the new data.
    """
    data, new = quote(folder), quote(new)
    return f"""\
[ "$(cat {fence} 2>/dev/null)" = {quote(restore)} ] ||
  {{ echo 'the fence that keeps etcd down is not there' >&2; exit 1; }}
case $(systemctl is-active etcd.service) in active|activating|reloading|deactivating)
  echo 'etcd runs' >&2; exit 1;; esac
[ -d {new}/member ] || {{ echo {data}' has no new data: `rm -r {job}` there, '\
'and the same command makes them again' >&2; exit 1; }}
if [ -e {data}/member ]; then mv -T -- {data}/member {data}/before-"$(date -u +%Y%m%dT%H%M%SZ)"; fi
mv -T -- {new}/member {data}/member; rmdir -- {new}
rm -f -- {BEGIN} {JOIN}; sync -- {data}"""


def is_united(ctl: str, members: int, revision: int) -> str:
    """sh that succeeds when as many members as there should be are one etcd with one leader, at `revision` or later."""
    return f"""\
said=$({ctl} --command-timeout=3s endpoint status -w fields) || exit 1
field() {{ printf '%s\\n' "$said" | sed -n "s/^\\"$1\\" : //p"; }}
one() {{ field "$1" | sort -u | wc -l; }}
[ "$(one MemberID)" = {members} ] && [ "$(one ClusterID)" = 1 ] || exit 1
[ "$(one Leader)" = 1 ] && [ "$(field Leader | sort -u)" != 0 ] || exit 1
for r in $(field Revision); do [ "$r" -ge {revision} ] || exit 1; done
list=$({ctl} member list -w simple) && [ "$(printf '%s\\n' "$list" | wc -l)" = {members} ]"""
