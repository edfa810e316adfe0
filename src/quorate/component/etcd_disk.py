"""The disk of a member of etcd: that it never starts on another than its own.

A member that starts on an empty folder has forgotten what it promised to the others. It would be an empty cluster
beside them; or etcd notices, ends, and leaves a database without a log. So the service starts without data only where
quorate has just allowed it, by a file in memory that goes with the first start. And the host notes where the disk was
mounted, for below a mount point may lie an old copy of the data. Both are looked at before each start, and a start that
is refused is tried again every second: once the disk is mounted, the member is back by itself. (systemd's
RequiresMountsFor= would give up for good when a mount fails, and knows neither a disk that is new nor one that no unit
names.)
"""

from quorate.render.sh import quote, sh
from quorate.render.systemd import Exec
from quorate.resource.system import Setting
from quorate.spec.cluster import Host
from quorate.spec.layout import ETCD_DISK, LOADED

BEGIN = f"{LOADED}/etcd-begin"
"""Allows the first start of a member of a cluster that is being built."""
JOIN = f"{LOADED}/etcd-join.env"
"""Allows that of one that joins, and tells it of the others: only a start without data reads it."""
REMAINS = 256
"""Kilobytes: an etcd that ended at once on an empty disk leaves a database of 28. More may be somebody's data."""


def has_log(folder: str) -> str:
    """sh that succeeds when the folder has the data of a member: its log. A database alone is none's (see above)."""
    return f"ls {quote(folder)}/member/wal/*.wal >/dev/null 2>&1"


def restored(folder: str) -> str:
    """sh that prints the id of the restore that made the member's data; nothing where none did."""
    return f"cat {quote(folder)}/member/restored 2>/dev/null || :"


def _mount_of(folder: str) -> str:
    """sh that prints the mount point of the disk that the folder is on."""
    return f"stat -c %m -- {quote(folder)}/."


def own(folder: str) -> Exec:
    """The command before etcd's start that fails on a disk that is not the member's, and says so."""
    told = quote(f"{folder} is not on the disk of this member:")
    return Exec(
        (
            "/bin/sh",
            "-c",
            f"if ! {has_log(folder)} && ! [ -e {BEGIN} ] && ! [ -e {JOIN} ]; then "
            f"echo {told} there is no log, so the disk is not mounted, or is a new one >&2; exit 1; fi; "
            f'read -r was 2>/dev/null <{ETCD_DISK} && [ "$was" != / ] && at=$({_mount_of(folder)}) || exit 0; '
            f'case $at/ in "$was"/*) ;; *) echo {told} that was mounted at "$was", now it is "$at" >&2; exit 1;; esac',
        ),
        root=True,
    )


def begun() -> Exec:
    """The command after etcd's start: it has data now, and does not begin without them again."""
    return Exec(("/bin/rm", "-f", BEGIN, JOIN), root=True, optional=True)


def laid_aside(host: Host, folder: str) -> Setting:
    """The data of a member that was taken out, beside where a new one begins. Nothing of ours ever removes them."""
    member = quote(f"{folder}/member")
    return Setting(
        host=host.name,
        what="data of a former member of etcd",
        want=(("former", "aside"),),
        # Once the new one has joined, the data are its own.
        check=f"if [ -e {member} ]; then echo former=there; else echo former=aside; fi",
        script=f"""\
systemctl stop etcd.service 2>/dev/null || :
mv -- {member} {quote(folder)}/former-$(date -u +%Y%m%dT%H%M%SZ)
rm -f -- {BEGIN} {JOIN}""",
        removes=True,
    )


def prepared(host: Host, folder: str, *, blank: bool, joins: bool) -> Setting:
    """The place of the member's disk noted, and a member without data allowed to begin.

    `blank`: it may, and what a failed start left is taken away. Otherwise the data must be there: that they are gone is
    for the operator to judge. One that `joins` is allowed and started by the step that lets it in, and stays down until
    then.
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
    ready = f"! [ -e {member} ]" if joins else f"[ -e {BEGIN} ]"
    return Setting(
        host=host.name,
        what="disk of etcd",
        want=(("disk", "prepared"),),
        check=f'if {{ {has_log(folder)} || {ready}; }} && [ "$(cat {ETCD_DISK})" = "$({at})" ]; '
        "then echo disk=prepared; else echo disk=new; fi",
        script=f"""\
if ! {has_log(folder)}; then
{begin if blank else refuse}
fi
at=$({at}); printf '%s\\n' "$at" | settle 0600 root:root {ETCD_DISK}""",
        undo=sh("rm", "-f", "--", ETCD_DISK, BEGIN),
        note=ETCD_DISK,
    )
