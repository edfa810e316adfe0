"""The script by which etcd hosts take backups by themselves, at the times of a timer that all of them have.

One acts: who gets a lock of etcd's. Its lease ends with its holder, so when that one dies or is cut off another acts,
half a minute later; when it hangs, its time ends. Who gets the lock next reads, through its own member, until when the
last backup is enough. That read is linearizable: a member that answers it has applied every write acknowledged before,
so none is missing in its snapshot.
"""

import re

from quorate.render import backup_places, retention, snapshot
from quorate.render.sh import quote
from quorate.render.snapshot import Taking
from quorate.spec.layout import BACKUP, BACKUP_TIMER, BACKUP_UNIT, BIN, COPY, UNITS
from quorate.spec.sections import Backup

LOCK = "quorate/backup/lock"
UNTIL = "quorate/backup/until"
"""Of etcd: seconds since 1970 until which no further backup is due."""
LEASE_S = 30
"""After so many seconds a holder of the lock that is silent has lost it."""
LIMIT_S = 4 * 3600
"""Seconds that a backup may take, its way to all places included: 8 GiB at 6 Mbit/s."""
MEMBERS = ("manifest.json", "identity.age", "state.age", "config.age", "names.age")
"""What comes before the snapshot in a set."""
SENT = "sent"
"""In the folder of backups: the last set that each place got, as `LABEL SECONDS NAME`."""


def left(folder: str) -> str:
    """sh that takes away what the script has in its folder besides backups."""
    return f"rm -rf -- {quote(folder)}/.scheduled {quote(folder)}/.*.scheduled {quote(folder)}/{SENT}"


def is_set(name: str, cluster: str) -> bool:
    """Whether a name is that of a set of the cluster, without its suffix."""
    return re.fullmatch(rf"{re.escape(cluster)}-\d{{8}}T\d{{6}}Z-[0-9a-f]{{8}}", name) is not None


def asked(folder: str) -> str:
    """sh that tells how a host's backups stand: lines of `set NAME BYTES DIGEST`, `proof NAME JSON`, `sent LABEL
    SECONDS NAME`, `since SECONDS`, and `failed WORDS`.
    """
    return f"""\
cd {quote(folder)} || exit 0
for f in *.backup; do
  if [ -f "$f" ]; then
    sum=$(tar -xOf "$f" SHA256SUMS 2>/dev/null | sha256sum)
    echo "set ${{f%.backup}} $(stat -c %s -- "$f") ${{sum%% *}}"
  fi
done
for f in *.proof.json; do
  if [ -f "$f" ]; then printf 'proof %s ' "${{f%.proof.json}}"; tr -d '\\n' <"$f"; echo; fi
done
if [ -f {SENT} ]; then sed 's/^/sent /' {SENT}; fi
stat -c 'since %Y' {UNITS}/{BACKUP_TIMER}
if systemctl is-failed -q {BACKUP_UNIT}; then
  echo "failed $(journalctl -q -n 20 -o cat --no-pager -t sh -u {BACKUP_UNIT} |
    grep -vE '^(progress |Error: +exit status)' | tail -n 1)"
fi"""


def mark(folder: str) -> str:
    """Where the mark of the sealed state folder lies that goes into a set of that folder, while it is made."""
    return f"{folder}/.scheduled/last"


def script(cluster: str, host: str, backup: Backup, etcdctl: str, taking: Taking) -> str:
    """The script for one host; `etcdctl` is a piece of sh that asks the host's own member."""
    places = backup_places.remote(backup.places)
    bring = "".join(
        f"  bring put_{index} list_{index} drop_{index} {quote(backup_places.label(place))} || lost=1\n"
        for index, place in places
    )
    return f"""\
#!/bin/sh
# Takes a backup of the cluster, unless another etcd host has just done it.
set -eu
umask 077
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin ETCDCTL_API=3
cluster={quote(cluster)} host={quote(host)} folder={quote(backup.folder)} calendar={quote(backup.schedule)}
work=$folder/.scheduled
ctl() {{ {etcdctl} "$@"; }}
{retention.functions(cluster, backup.keep)}{backup_places.functions(backup.places)}{snapshot.take(taking)}{_TAKE}
send() {{
  lost=0
{bring}  return "$lost"
}}
if [ "${{1-}}" != chosen ]; then
  # A follower has less to do: the leader lets it come first.
  if ctl endpoint status -w fields | sed -n 's/^"\\(Leader\\|MemberID\\)" : //p' | uniq -d | grep -q .; then sleep 3; fi
  exec env {etcdctl} lock --ttl={LEASE_S} -- {LOCK} timeout -k 60 {LIMIT_S} /bin/sh "$0" chosen
fi
tidy
until=$(ctl get --print-value-only {UNTIL})
if [ "${{until:-0}}" -gt "$(date +%s)" ]; then
  echo "another host has taken the backup: the next is due on $(date -d "@$until")"
  exit 0
fi
take
ok=0
send || ok=1
ctl put {UNTIL} -- "$(due)" >/dev/null
exit "$ok"
"""


_TAKE = rf"""# tidy: what killed runs have left goes, and what need not stay.
tidy() {{
  [ -d "$folder" ] || {{ echo "$folder is not there: is its disk mounted?" >&2; exit 1; }}
  rm -rf -- "$work"
  mkdir -- "$work" "$work/set"
  trap 'rm -rf -- "$work"; rm -f -- "$folder"/.*.scheduled' EXIT
  trap 'exit 143' HUP INT TERM
  rm -f -- "$folder"/.*.scheduled
  for set in $(cd "$folder" && find . -maxdepth 1 -type f | sed 's|^\./||' | spare); do
    rm -f -- "$folder/$set.proof.json" "$folder/$set.backup"
    echo "$set need not stay"
  done
}}
# due: when the timer's next time comes, in seconds since 1970; now, where systemd can't tell.
due() {{
  next=$(systemd-analyze calendar -- "$calendar" | sed -n 's/^ *\(Next elapse\|(in UTC)\): //p' | tail -n 1)
  date -d "$next" +%s 2>/dev/null || date +%s
}}
seal() {{ {BIN}/age -R {BACKUP}/recipients "$@"; }}
header() {{
  tar -c -f - -C "$work/set" --owner=0 --group=0 --numeric-owner --mode=0600 --mtime=@0 -- "$1" | head -c 512
}}
padded() {{ head -c "$(((512 - $(stat -c %s -- "$part") % 512) % 512))" /dev/zero >>"$part"; }}
# member NAME: a file of the work folder becomes the next one of the set.
member() {{
  {{ header "$1"; cat -- "$work/set/$1"; }} >>"$part"
  padded
  (cd "$work/set" && sha256sum -- "$1") >>"$work/SHA256SUMS"
}}
# streamed NAME COMMAND...: what a command prints becomes the next one; it is written once, and its header last.
streamed() {{
  at=$(stat -c %s -- "$part") name=$1
  shift
  head -c 512 /dev/zero >>"$part"
  {{ "$@" || echo "$1: $?" >"$work/failed"; }} | {{ tee -a -- "$part" || : >"$work/failed"; }} | sha256sum >"$work/sum"
  [ ! -e "$work/failed" ] || {{ cat "$work/failed" >&2; exit 1; }}
  truncate -s "$(($(stat -c %s -- "$part") - at - 512))" -- "$work/set/$name"
  padded
  header "$name" | dd of="$part" bs=512 seek="$((at / 512))" conv=notrunc status=none
  rm -f -- "$work/set/$name"
  read -r sum _ <"$work/sum"
  printf '%s  %s\n' "$sum" "$name" >>"$work/SHA256SUMS"
}}
# copied: the sealed state folder and its mark, as they belong together: an apply writes the mark last.
copied() {{
  for q_n in 1 2 3 4 5 6; do
    cp -- {COPY}/last "$work/last"
    cp -- {COPY}/state.age "$work/set/state.age"
    [ ! -s {COPY}/identity.age ] || cp -- {COPY}/identity.age "$work/set/identity.age"
    if cmp -s {COPY}/last "$work/last" && ! [ {COPY}/state.age -nt {COPY}/last ]; then return; fi
    sleep 5
  done
  echo "the copy of the state folder is not whole: \`quorate apply\` writes it anew" >&2
  exit 1
}}
take() {{
  [ -s {COPY}/state.age ] || {{
    echo "no sealed copy of the state folder lies here, and without its keys a backup is of no use:" \
      "\`quorate apply\` brings one, once there is a passphrase or a recipient" >&2
    exit 1
  }}
  set=$cluster-$(date -u +%Y%m%dT%H%M%SZ)-$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')
  part=$folder/.$set.backup.scheduled
  copied
  q_take "$work/set"
  seal -o "$work/set/config.age" "$work/set/config.tar"
  seal -o "$work/set/names.age" "$work/set/names.gz"
  rm -f -- "$work/set/config.tar" "$work/set/names.gz"
  : >"$part"
  for one in {" ".join(MEMBERS)}; do
    if [ -e "$work/set/$one" ]; then member "$one"; fi
  done
  streamed snapshot.age seal "$work/set/snapshot.db"
  rm -f -- "$work/set/snapshot.db"
  mv -- "$work/SHA256SUMS" "$work/set"
  {{ header SHA256SUMS; cat -- "$work/set/SHA256SUMS"; }} >>"$part"
  padded
  head -c 1024 /dev/zero >>"$part"
  sync -- "$part"
  mv -T -- "$part" "$folder/$set.backup"
  sync -- "$folder"
  echo "$set is whole, $(stat -c %s -- "$folder/$set.backup") bytes"
  proof
}}
told() {{ q_pick "$1" <"$work/set/manifest.json"; }}
# proof: beside the set, what was proved of it before it was sealed.
proof() {{
  at=$(sed -n 's/.*"proved":{{"level":1,"at":"\([^"]*\)"}}.*/\1/p' "$work/set/manifest.json")
  [ -n "$at" ] || return 0
  sum=$(sha256sum <"$work/set/SHA256SUMS") keys=0
  for one in $(sed -n 's/.*"keys":{{\([^}}]*\)}}.*/\1/p' "$work/set/manifest.json" | tr , '\n' | sed 's/.*://'); do
    keys=$((keys + one))
  done
  printf '{{"set":"%s","level":1,"at":"%s","where":"%s","evidence":{{"revision":%s,"hash":%s,"keys":%s}}}}\n' \
    "${{sum%% *}}" "$at" "$host" "$(told revision)" "$(told hash)" "$keys" >"$folder/.$set.proof.scheduled"
  sync -- "$folder/.$set.proof.scheduled"
  mv -T -- "$folder/.$set.proof.scheduled" "$folder/$set.proof.json"
  sync -- "$folder"
}}
# sent LABEL: a note of what a place has got.
sent() {{
  {{
    while read -r label rest; do [ "$label" = "$1" ] || printf '%s %s\n' "$label" "$rest"; done <"$folder/{SENT}"
    printf '%s %s %s\n' "$1" "$(date +%s)" "$set"
  }} >"$work/sent" 2>/dev/null
  mv -- "$work/sent" "$folder/{SENT}"
}}
# bring PUT LIST DROP LABEL: the set and its proof to a place, where others need not stay then.
bring() {{
  for one in "$set.backup" "$set.proof.json"; do
    [ ! -e "$folder/$one" ] || "$1" "$folder/$one" "$one" || {{ echo "$4 did not get $one" >&2; return 1; }}
  done
  sent "$4"
  "$2" >"$work/there" || {{ echo "$4 tells no names" >&2; return 1; }}
  for one in $(spare <"$work/there"); do
    # Without its set a proof is of no use; a set without it is looked at again.
    if grep -qxF -- "$one.proof.json" "$work/there"; then "$3" "$one.proof.json"; fi
    "$3" "$one.backup"
  done
  for one in $(stale <"$work/there"); do "$3" "$one"; done
}}"""
