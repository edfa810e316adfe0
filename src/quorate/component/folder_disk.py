"""The disks of folders that the file chooses for runtime and kubelet: none of them starts on another than its own.

On an unmounted disk's mount point a runtime would begin without images and containers, and fill the system's disk. So
the host notes where the disk was mounted; it is looked at before each start, and a start that is refused is tried again
every second, as etcd's is.
"""

from quorate.render.sh import quote
from quorate.render.systemd import Exec
from quorate.resource.system import Setting
from quorate.spec.cluster import Host
from quorate.spec.layout import STATE


def _note(service: str) -> str:
    return f"{STATE}/disk-of-{service}"


def _elsewhere(service: str, folder: str) -> str:
    """sh that succeeds, with words, where the folder is not on the disk that was noted, or deeper."""
    told = quote(f"{folder} is not on the disk of {service}:")
    meant = quote(f"mount it, or, if that is meant, rm {_note(service)}")
    return (
        f'read -r was 2>/dev/null <{_note(service)} && [ "$was" != / ] && at=$(stat -c %m -- {quote(folder)}/.) && '
        f'case $at/ in "$was"/*) false;; *) echo {told} that was mounted at "$was", now it is "$at": {meant} >&2;; esac'
    )


def own(service: str, folder: str) -> Exec:
    """The command before the start of a service that fails on a disk that is not the folder's."""
    return Exec(("/bin/sh", "-c", f"if {_elsewhere(service, folder)}; then exit 1; fi"), root=True)


def noted(host: Host, service: str, folder: str) -> Setting:
    """The place of the folder's disk noted; one that is away is no reason to note another."""
    note, at = _note(service), f"stat -c %m -- {quote(folder)}/."
    return Setting(
        host=host.name,
        what=f"disk of {service}",
        want=(("disk", "noted"),),
        # A folder that is not there yet is on no disk.
        check=f'at=$({at} 2>/dev/null) && [ "$(cat {note} 2>/dev/null)" = "$at" ] && echo disk=noted',
        script=f"if {_elsewhere(service, folder)}; then exit 1; fi\n"
        f"at=$({at}); printf '%s\\n' \"$at\" | settle 0600 root:root {note}",
        undo=f"rm -f -- {note}",
        note=note,
    )
