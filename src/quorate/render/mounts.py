"""sh that finds mount points that a folder should lie on, or has below it, and where nothing is mounted."""

import re
from pathlib import PurePosixPath

from quorate.render.sh import quote
from quorate.spec.layout import ETCD_DISK

FSTAB = "/etc/fstab"


def unit(path: str) -> str:
    """systemd's name for the mount unit of a path (systemd.unit(5), "String escaping")."""
    words = (re.sub(r"^\.|[^A-Za-z0-9:_.]", lambda bad: f"\\x{ord(bad[0]):02x}", word) for word in path.split("/")[1:])
    return f"{'-'.join(words)}.mount"


def script(folder: str) -> str:
    """sh that prints `unmounted=PATH TOLD_BY` lines, and nothing when all is mounted.

    JournalRun by the note of the host, by /etc/fstab (`noauto` too), or by a unit that systemd has loaded.
    """
    above = [folder, *(str(each) for each in PurePosixPath(folder).parents if str(each) != "/")]
    units = {each: unit(each) for each in above}
    names = " ".join(quote(each) for each in units.values())
    asks = "\n".join(
        f'case "$mounts" in *{quote(f"Id={name} LoadState=loaded ")}*) needs {quote(path)} {quote(name)};; esac'
        for path, name in units.items()
    )
    return f"""\
folder=$(readlink -f -- {quote(folder)} 2>/dev/null) || folder={quote(folder)}
mounted() {{ while read -r dev at rest; do [ "$at" != "$1" ] || return 0; done </proc/self/mounts; return 1; }}
needs() {{
  case $folder/ in "$1"/*) ;; *) case $1/ in "$folder"/*) ;; *) return 0;; esac;; esac
  mounted "$1" || printf 'unmounted=%s %s\\n' "$1" "$2"
}}
if [ -r {FSTAB} ]; then
  while read -r dev at rest; do case "$dev$at" in \\#*) ;; */*) needs "${{at%/}}" {FSTAB};; esac; done <{FSTAB}
fi
mounts=$(systemctl show -p Id -p LoadState -- {names} 2>/dev/null | tr '\\n' ' ')
{asks}
if read -r was 2>/dev/null <{ETCD_DISK} && [ "$was" != / ]; then needs "$was" {ETCD_DISK}; fi"""
