"""sh about the disk of a member of etcd: whether there are data on it, that it is the member's, and its first start.

Why all that is asked is told in `component.etcd_disk`. `folder` is etcd's data folder.
"""

from quorate.render.sh import quote
from quorate.spec.layout import ETCD_DISK, LOADED

BEGIN = f"{LOADED}/etcd-begin"
"""Allows the first start of a member of a cluster that is being built."""
JOIN = f"{LOADED}/etcd-join.env"
"""Allows that of one that joins, and tells it of the others: only a start without data reads it."""
REMAINS = 256
"""Kilobytes: an etcd that ended at once on an empty disk leaves a database of 28. More may be somebody's data."""


def has_log(folder: str) -> str:
    """sh that succeeds when the folder has the data of a member: its log. A database alone is none's."""
    return f"ls {quote(folder)}/member/wal/*.wal >/dev/null 2>&1"


def restored(folder: str) -> str:
    """sh that prints the id of the restore that made the member's data; nothing where none did."""
    return f"cat {quote(folder)}/member/restored 2>/dev/null || :"


def _mount_of(folder: str) -> str:
    """sh that prints the mount point of the disk that the folder is on."""
    return f"stat -c %m -- {quote(folder)}/."


def own(folder: str) -> str:
    """sh that fails on a disk that is not the member's, and says so."""
    told = quote(f"{folder} is not on the disk of this member:")
    return (
        f"if ! {has_log(folder)} && ! [ -e {BEGIN} ] && ! [ -e {JOIN} ]; then "
        f"echo {told} there is no log, so the disk is not mounted, or is a new one >&2; exit 1; fi; "
        f'read -r was 2>/dev/null <{ETCD_DISK} && [ "$was" != / ] && at=$({_mount_of(folder)}) || exit 0; '
        f'case $at/ in "$was"/*) ;; *) echo {told} that was mounted at "$was", now it is "$at" >&2; exit 1;; esac'
    )


def lay_aside(folder: str) -> str:
    """sh that stops etcd, and moves its data beside where a new member begins."""
    return f"""\
systemctl stop etcd.service 2>/dev/null || :
mv -- {quote(f"{folder}/member")} {quote(folder)}/former-"$(date -u +%Y%m%dT%H%M%SZ)"
rm -f -- {BEGIN} {JOIN}"""


def is_prepared(folder: str, *, joins: bool) -> str:
    """sh that succeeds when the place of the disk is noted, and a member that is there or may begin."""
    ready = f"! [ -e {quote(f'{folder}/member')} ]" if joins else f"[ -e {BEGIN} ]"
    return f'{{ {has_log(folder)} || {ready}; }} && [ "$(cat {ETCD_DISK})" = "$({_mount_of(folder)})" ]'


def prepare(folder: str, *, blank: bool, joins: bool) -> str:
    """sh that notes the place of the disk, and allows a member without data to begin if it may be `blank`, or refuses.

    What a failed start left is taken away. One that `joins` is only stopped: it is allowed later.
    """
    member, at = quote(f"{folder}/member"), _mount_of(folder)
    stop, allow = ("systemctl stop etcd.service 2>/dev/null || :\n", ":") if joins else ("", f": >{BEGIN}")
    begin = f"""\
{stop}if [ -d {member} ]; then
  kb=$(du -sk {member}); kb=${{kb%%[!0-9]*}}
  if [ "$kb" -ge {REMAINS} ]; then
    echo {member}" has $kb kB and no log of etcd's (wal): move it away, or bring back the whole of it" >&2; exit 1
  fi
  rm -rf -- {member}
fi
{allow}"""
    refuse = f"echo {quote(folder)}' has lost the data of its member since the plan was made' >&2; exit 1"
    return f"""\
if ! {has_log(folder)}; then
{begin if blank else refuse}
fi
at=$({at}); printf '%s\\n' "$at" | settle 0600 root:root {ETCD_DISK}"""
