"""sh functions that scripts of resources may call: keep what is replaced, write whole or not at all, tell why not."""

from quorate.spec.layout import LOADED, STATE

WRITING = f"{STATE}/writing"
"""A list of temporary names for each script that runs, under that script's lock."""

CREDENTIAL = f"{LOADED}/credential"
"""A kubeconfig in memory that lives as long as one order. What a killed order left goes with the next script."""

TOLD = "\x03told "
"""Begins a line for whoever watches the run; nothing after it is the end of that."""

PRELUDE = f"""\
set -eu
umask 077
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
# No install of ours restarts services in passing: what has to be restarted is, one host after the other.
export NEEDRESTART_SUSPEND=1
FOUND={STATE}/found MADE={STATE}/made q_note=
mkdir -p {WRITING} {LOADED}
# What each script has under temporary names is in its list, whose lock it holds: what a list without a lock names was
# left by a script that was killed, and goes now. On a full disk there may be no list.
q_list={WRITING}/$$
{{ command exec 5>>"$q_list" && flock -n 5; }} 2>/dev/null || {{ exec 5>/dev/null; q_list=; }}
leaves() {{ printf '%s\\n' "$1" >&5 || lacks "$q_list"; }}
forget() {{
  # It may be gone already: the script whose it was has ended meanwhile, and taken it away itself.
  {{ while IFS= read -r q_name; do
    case $q_name in *.quorate-new | *.part | {CREDENTIAL})
      if [ -e "$q_name" ] || [ -L "$q_name" ]; then rm -f -- "$q_name"; fi;;
    esac
  done <"$1"; }} 2>/dev/null || :
  rm -f -- "$1"
}}
trap 'if [ -e "$q_list" ]; then forget "$q_list"; fi' EXIT
# dash runs no EXIT trap when a signal ends it; who prints to a connection that is lost gets SIGPIPE.
trap 'exit 141' PIPE; trap 'exit 143' HUP INT TERM
for q_other in {WRITING}/*; do
  if [ "$q_other" != "$q_list" ] && [ -e "$q_other" ] && flock -n "$q_other" true; then forget "$q_other"; fi
done
[ ! -e {CREDENTIAL} ] || find {CREDENTIAL} -mmin +2 -delete
# lacks PATH: the error for a PATH that could not be written, with the room there is; nothing half-written stays.
lacks() {{
  df -B1 --output=avail,iavail,target -- "${{1%/*}}/" | {{ read -r q_head; read -r q_bytes q_inodes q_disk
    echo "$1: not written; $q_bytes bytes and $q_inodes inodes are free on $q_disk" >&2; }} || :
  rm -f -- "$1.quorate-new" "$1.part"
  exit 1
}}
# full: which disks have less than a megabyte left, for the error of a step that failed.
full() {{
  df -B1 --output=avail,target -- / /etc /opt /usr /var /var/log /var/lib/* 2>/dev/null | sort -u |
    while read -r q_bytes q_disk; do
      case $q_bytes in
      *[!0-9]*) ;;
      ?|??|???|????|?????|??????) echo "$q_disk is full: $q_bytes bytes are free";;
      esac
    done
}}
# keep PATH: remember once how PATH was found, so that it can be put back.
keep() {{
  if [ -e "$FOUND$1" ] || [ -L "$FOUND$1" ]; then return 0; fi
  if [ -e "$MADE" ] && grep -qxF -- "$1" "$MADE"; then return 0; fi
  if [ -e "$1" ] || [ -L "$1" ]; then
    mkdir -p "$FOUND${{1%/*}}"; leaves "$FOUND$1.part"
    {{ cp -a -- "$1" "$FOUND$1.part" && {{ [ -L "$1" ] || sync -- "$FOUND$1.part"; }}; }} || lacks "$FOUND$1"
    mv -f -- "$FOUND$1.part" "$FOUND$1"
  else
    # Synced with what comes there: else a power cut could make ours look as if it had been found.
    printf '%s\\n' "$1" >>"$MADE" || lacks "$MADE"; q_note=$MADE
  fi
}}
# label PATH: the SELinux type that the policy has for PATH; nothing where there is no SELinux.
label() {{
  if [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null; then restorecon -F -- "$1" || :; fi
}}
# place MODE OWNER PATH: stdin becomes PATH, and how PATH was found is kept.
place() {{ keep "$3"; settle "$@"; }}
# settle MODE OWNER PATH: stdin becomes PATH, whole or not at all; never in a file that others can read already.
settle() {{
  leaves "$3.quorate-new"
  [ ! -e "$3.quorate-new" ] && [ ! -L "$3.quorate-new" ] || rm -f -- "$3.quorate-new"
  {{
    cat >"$3.quorate-new" && {{ [ "$2" = root:root ] || chown -- "$2" "$3.quorate-new"; }} &&
      chmod -- "$1" "$3.quorate-new" && sync -- "$3.quorate-new" $q_note
  }} || lacks "$3"
  q_trial "$3.quorate-new" || {{ rm -f -- "$3.quorate-new"; exit 1; }}
  mv -fT -- "$3.quorate-new" "$3"; label "$3"
}}
# q_trial PATH: whether a new file may replace what it is to replace; a step that has doubts defines its own.
q_trial() {{ :; }}
# putback PATH: what was found there, or nothing; a second time, or where we never were, nothing happens.
putback() {{
  rm -f -- "$1.quorate-new"
  if [ -e "$FOUND$1" ] || [ -L "$FOUND$1" ]; then
    rm -rf -- "$1"; mv -f -- "$FOUND$1" "$1"
  elif [ -e "$MADE" ] && grep -qxF -- "$1" "$MADE"; then
    rm -f -- "$1"
    grep -vxF -- "$1" "$MADE" >"$MADE.quorate-new" || [ $? = 1 ] || lacks "$MADE"
    sync -- "$MADE.quorate-new"; mv -f -- "$MADE.quorate-new" "$MADE"
  fi
}}
# tell WORDS: for whoever watches the run; by descriptor 7 where the output is kept for the error.
tell() {{ {{ printf '\\003told %s\\n' "$*" >&7; }} 2>/dev/null || printf '\\003told %s\\n' "$*"; }}
changed() {{ printf '\\003changed\\n'; }}
"""
