"""The disk of a member of etcd: that it never starts on another than its own.

A member that starts on an empty folder has forgotten what it promised to the others. It would be an empty cluster
beside them; or etcd notices, ends, and leaves a database without a log. So the service starts without data only where
quorate has just allowed it, by a file in memory that goes with the first start. And the host notes where the disk was
mounted, for below a mount point may lie an old copy of the data. Both are looked at before each start, and a start that
is refused is tried again every second: once the disk is mounted, the member is back by itself. (systemd's
RequiresMountsFor= would give up for good when a mount fails, and knows neither a disk that is new nor one that no unit
names.)
"""

from quorate.render import etcd_disk as scripts
from quorate.render.sh import quote, sh
from quorate.render.systemd import Exec
from quorate.resource.system import Setting
from quorate.spec.cluster import Host
from quorate.spec.layout import ETCD_DISK


def own(folder: str) -> Exec:
    """The command before etcd's start that fails on a disk that is not the member's, and says so."""
    return Exec(("/bin/sh", "-c", scripts.own(folder)), root=True)


def begun() -> Exec:
    """The command after etcd's start: it has data now, and does not begin without them again."""
    return Exec(("/bin/rm", "-f", scripts.BEGIN, scripts.JOIN), root=True, optional=True)


def laid_aside(host: Host, folder: str) -> Setting:
    """The data of a member that was taken out, beside where a new one begins. Nothing of ours ever removes them."""
    return Setting(
        host=host.name,
        what="data of a former member of etcd",
        want=(("former", "aside"),),
        # Once the new one has joined, the data are its own.
        check=f"if [ -e {quote(f'{folder}/member')} ]; then echo former=there; else echo former=aside; fi",
        script=scripts.lay_aside(folder),
        removes=True,
    )


def prepared(host: Host, folder: str, *, blank: bool, joins: bool) -> Setting:
    """The place of the member's disk noted, and a member without data allowed to begin.

    `blank`: it may, and what a failed start left is taken away. Otherwise the data must be there: that they are gone is
    for the operator to judge. One that `joins` is allowed and started by the step that lets it in, and stays down until
    then.
    """
    return Setting(
        host=host.name,
        what="disk of etcd",
        want=(("disk", "prepared"),),
        check=f"if {scripts.is_prepared(folder, joins=joins)}; then echo disk=prepared; else echo disk=new; fi",
        script=scripts.prepare(folder, blank=blank, joins=joins),
        undo=sh("rm", "-f", "--", ETCD_DISK, scripts.BEGIN),
        note=ETCD_DISK,
    )
