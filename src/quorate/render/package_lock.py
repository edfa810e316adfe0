"""Who holds the package manager's lock, and waiting for it: unattended upgrades take it for minutes."""

from quorate.render.sh import sh

WAIT_S = 300
"""Seconds that an install waits for the lock; unattended upgrades of some packages take two or three minutes."""
TOLD_EVERY = 15
"""Seconds between two words about the wait."""

LOCKS = (
    *("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"),
    *("/usr/lib/sysimage/rpm/.rpm.lock", "/var/lib/rpm/.rpm.lock", "/run/dnf/rpmtransaction.lock"),
)
"""Files that dpkg, apt, rpm and dnf 5 lock as long as they work."""
PID_FILES = (
    *("/var/cache/dnf/metadata_lock.pid", "/var/cache/dnf/download_lock.pid", "/var/lib/dnf/rpmdb_lock.pid"),
    *("/run/yum.pid", "/run/zypp.pid"),
)
"""Files in which dnf 4, yum and zypper write who works."""


def waiting() -> str:
    """sh functions: `unlocked` waits until nobody holds the lock, telling who does, and fails when it takes too long;
    `patient COMMAND` runs a command then, and again when somebody was quicker. Neither takes the lock itself.

    The kernel tells who has locks; which files a process has open, it tells too, so no fuser is needed.
    """
    return f"""\
q_waited=0
command_of() {{ tr -c '[:print:]' ' ' <"/proc/$1/cmdline" 2>/dev/null | cut -c1-80 | sed 's/ *$//'; }}
holder() {{
  for q_lock in {sh(*PID_FILES)}; do
    if read -r q_pid 2>/dev/null <"$q_lock" && [ -n "$q_pid" ] && [ -d "/proc/$q_pid" ]; then return 0; fi
  done
  q_asked=' '
  # A line with `->` is of one who waits himself.
  while read -r q_number q_kind q_sort q_mode q_pid q_rest; do
    case $q_kind$q_mode in POSIXWRITE | FLOCKWRITE) ;; *) continue;; esac
    case $q_asked in *" $q_pid "*) continue;; esac; q_asked="$q_asked$q_pid "
    for q_fd in "/proc/$q_pid/fd"/*; do for q_lock in {sh(*LOCKS)}; do
      if [ "$q_fd" -ef "$q_lock" ] && grep -qs '^lock:.* WRITE ' "/proc/$q_pid/fdinfo/${{q_fd##*/}}"; then
        return 0
      fi
    done; done
  done </proc/locks
  return 1
}}
unlocked() {{
  q_told=
  while holder; do
    q_by="$q_lock is held by pid $q_pid ($(command_of "$q_pid"))"
    if [ $q_waited -ge {WAIT_S} ]; then
      echo "after {WAIT_S} s $q_by; wait until it is through, or end it (unattended upgrades:" \\
        "systemctl stop unattended-upgrades apt-daily.service apt-daily-upgrade.service), and apply again" >&2
      return 1
    fi
    [ $((q_waited % {TOLD_EVERY})) != 0 ] || {{ q_told=1; tell "$q_by; waiting up to $(({WAIT_S} - q_waited)) s"; }}
    sleep 1; q_waited=$((q_waited + 1))
  done
  [ -z "$q_told" ] || tell ''
}}
patient() {{
  while :; do
    unlocked || return 1
    q_code=0; "$@" || q_code=$?
    if [ $q_code = 0 ] || ! holder; then return $q_code; fi
    q_waited=$((q_waited + 10))
  done
}}
"""
