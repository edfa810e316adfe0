"""The script that takes a snapshot of etcd on its host, proves that it can be restored, and says what is in it.

Whoever runs it, the operator or a timer, gets four files in a private folder: `snapshot.db`, `config.tar`, `names.gz`
(of all objects, for `backup/names.py`) and `manifest.json`, the only one that is not a secret. Nothing is sealed here.
It asks this host's member alone: a save wants exactly one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quorate.render import throwaway
from quorate.render.sh import heredoc, quote

DIGESTED = ("etcd", "etcdctl", "etcdutl", "kube-apiserver")
"""Programs that a restore needs of the same version."""
VOLUMES = 2000
"""Persistent volumes of which it is kept what kind they are."""
LEFT_MINUTES = 360
"""After how long a folder of a run that was cut off is taken for left behind."""
_FIXED = ("what pods wrote to volumes, to hostPath and emptyDir", "images, logs, and what hosts have besides")


@dataclass(frozen=True)
class Taking:
    """What the script is told, for the host does not know it."""

    programs: str
    """Folder of the programs."""
    ask: str
    """etcdctl with certificates and one endpoint, this host's, as a piece of sh."""
    version: str
    """A piece of sh that prints what the member says at /version, which etcdctl does not ask."""
    restorers: Sequence[str]
    """Programs of which the first that is there restores."""
    quota: int
    """Bytes of etcd's data at most."""
    told: Mapping[str, object]
    """Fields of the manifest: cluster, host, kubernetes, versions, encryption_keys, ca."""
    config: Sequence[str]
    """Files and folders for `config.tar`; what is not there is passed over."""
    mark: str
    """File with the mark of the sealed state folder, three words."""


def take(t: Taking) -> str:
    """sh that defines `q_take FOLDER`, for an empty private folder on a disk with room.

    It prints `progress WORDS` lines. On failure it says why and exits with 1, and the folder is of no use.
    """
    return f"""\
{throwaway.functions(t.programs, t.restorers, t.quota)}
q_ask() {{ {t.ask} "$@"; }}
# openssl uses what the processor has for it, and is four times as fast.
q_sum() {{ if command -v openssl >/dev/null; then openssl dgst -sha256 -r; else sha256sum; fi; }}
q_plain() {{ tr -d '"\\\\' | tr '\\n' ' ' | cut -c1-300 | sed 's/ *$//'; }}
q_take() (
set -eu; umask 077; cd "$1"
trap q_end EXIT; trap 'exit 143' HUP INT TERM; trap 'exit 141' PIPE
{_before(t)}
{_save()}
{_config(t)}
{_proof()}
{_names()}
{_manifest(t)}
rm -rf proof restore.log etcd.log keys counts sum client:1 peer:1
)
"""


def _before(t: Taking) -> str:
    """How the member is, whether others are well, and whether there is room.

    A read that all agree on brings the member up to what anybody was promised before it.
    """
    return f"""\
said=$(q_ask --command-timeout=10s endpoint status -w json 2>&1) ||
  q_fail "etcd on this host does not answer: $(printf %s "$said" | tail -n 1 | q_plain)"
size=$(printf %s "$said" | q_pick dbSize) version=$(printf %s "$said" | q_pick version)
storage=$(printf %s "$said" | q_pick storageVersion) id=$(printf %s "$said" | q_pick cluster_id)
free=$(( $(df -Pk . | tail -n 1 | sed 's/  */ /g' | cut -d' ' -f4) * 1024 ))
[ "$free" -gt $(( size + {2**26} )) ] ||
  q_fail "no room for a backup in $(dirname "$PWD"): $(( size + {2**26} )) bytes are needed, $free are free"
taken=$(date -u +%Y-%m-%dT%H:%M:%SZ) degraded= members='[]'
if q_ask --command-timeout=10s get --limit=1 --keys-only / >/dev/null 2>&1; then
  members=$(q_ask --command-timeout=10s member list -w json 2>/dev/null |
    sed -n 's/.*"members":\\(\\[.*\\]\\).*/\\1/p' |
    sed 's/"ID":/"id":/g; s/"peerURLs":/"peer_urls":/g; s/,"clientURLs":\\[[^]]*\\]//g; s/,"isLearner":[a-z]*//g')
  all=$(printf %s "$members" | grep -o '"id":' | wc -l)
  up=$(q_ask --command-timeout=5s endpoint status --cluster -w json 2>/dev/null | grep -o '"dbSize":' | wc -l) || :
  [ "$up" -ge "$all" ] || degraded="$(( all - up )) of $all members did not answer"
  alarms=$(q_ask --command-timeout=5s alarm list 2>/dev/null | q_plain) || alarms=
  if [ -n "$alarms" ]; then degraded="${{degraded:+$degraded; }}alarm: $alarms"; fi
else
  degraded="no quorum: what other members acknowledged last may be missing"
fi
cluster=$({t.version} 2>/dev/null | q_pick etcdcluster) || cluster=
"""


def _save() -> str:
    """The snapshot, right after it what the member says of that revision, and its digest, which takes a while."""
    return """\
echo "progress saving $size bytes"
q_ask --command-timeout=$(( 60 + size / 2000000 ))s snapshot save snapshot.db >save.log 2>&1 ||
  q_fail "the snapshot was not taken: $(grep -v '"level":"info"' save.log | tail -n 1 | q_plain)"
rm -f save.log
said=$(q_utl snapshot status snapshot.db -w json 2>status.log) ||
  q_fail "the snapshot can't be read: $(tail -n 1 status.log | q_plain)"
rm -f status.log
rev=$(printf %s "$said" | q_pick revision)
said=$(q_ask --command-timeout=120s endpoint hashkv --rev="$rev" -w json 2>/dev/null) || said=
live_hash=$(printf %s "$said" | q_pick hash) live_compact=$(printf %s "$said" | q_compacted)
live_total=$(q_ask get '' --from-key --limit=1 --keys-only --consistency=s --rev="$rev" -w fields 2>/dev/null |
  sed -n 's/^"Count" : //p')
bytes=$(stat -c %s snapshot.db)
# Meanwhile it is proved.
q_sum <snapshot.db >sum & summing=$!
"""


def _config(t: Taking) -> str:
    there = " ".join(quote(path) for path in t.config)
    return f"""\
set --; for f in {there}; do if [ -e "$f" ]; then set -- "$@" "${{f#/}}"; fi; done
tar -cf config.tar -C / -- "$@" 2>tar.log || q_fail "the configuration can't be read: $(tail -n 1 tar.log | q_plain)"
rm -f tar.log
"""


def _proof() -> str:
    """Level 1: restored and counted. Not proved where there is no room for it, or the member forgot the revision."""
    return f"""\
free=$(( $(df -Pk . | tail -n 1 | sed 's/  */ /g' | cut -d' ' -f4) * 1024 ))
memory=$(( $(sed -n 's/^MemAvailable: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo) * 1024 ))
proved=null why= hash=${{live_hash:-0}} compact=${{live_compact:-0}}; : >counts; : >keys
if [ "$free" -lt $(( bytes + {2**28} )) ]; then
  why="$(( bytes + {2**28} )) bytes of disk are needed to prove it, $free are free"
elif [ "$memory" -lt $(( bytes + {2**26} )) ]; then
  why="$(( bytes + {2**26} )) bytes of memory are needed to prove it, $memory are free"
else
  echo "progress proving $bytes bytes"
  q_serve $(( 60 + bytes / 10000000 ))
  own=$(q_own endpoint status -w json | q_pick revision)
  [ "$own" = "$rev" ] || q_fail "what was restored has revision $own, the snapshot $rev"
  q_keys "$rev" q_own || q_fail "what was restored does not tell its keys"
  q_counts >counts
{throwaway.counted('"$rev"')}
  n=0; while read -r each _; do n=$(( n + each )); done <counts
  [ "$total" = "$n" ] ||
    q_fail "what was restored has $total keys, and $n when they are counted one by one"
  if [ -z "$live_hash" ] || [ -z "$live_total" ]; then
    why="etcd does not tell of revision $rev any more"
  else
    if [ "$live_compact" -gt "$compact" ]; then
      # It forgot more since then: so does the throw-away, and the two can be compared.
      q_own compaction "$live_compact" >/dev/null
{throwaway.counted('"$rev"')}
    fi
    [ "$total" = "$live_total" ] || q_fail "what was restored has $total keys, etcd $live_total"
    [ "$hash" = "$live_hash" ] || q_fail "what was restored is not what etcd has: hash $hash, not $live_hash"
    proved='{{"level":1,"at":"'$(date -u +%Y-%m-%dT%H:%M:%SZ)'"}}'
  fi
  q_end
fi
if [ -n "$why" ]; then echo "progress not proved: $why"; fi
"""


def _names() -> str:
    """The keys of all objects, and what a persistent volume is; what was not proved is asked of the member itself."""
    return f"""\
[ -s keys ] || q_keys "$rev" q_ask 2>/dev/null || : >keys
volumes=$(grep -c '^{throwaway.OBJECTS}persistentvolumes/' keys) || :
{{
  grep '^{throwaway.OBJECTS}' keys || :
  q_ask get {throwaway.OBJECTS}persistentvolumes/ --prefix --consistency=s --limit={VOLUMES} -w json 2>/dev/null |
    sed 's/{{"key":/\\n&/g' | sed -n 's/^{{"key":"\\([^"]*\\)".*"value":"\\([^"]*\\)".*/volume \\1 \\2/p'
}} | gzip -c >names.gz
"""


def _manifest(t: Taking) -> str:
    fixed = json.dumps(dict(t.told), ensure_ascii=True)[1:-1] + "\n"
    return f"""\
wait $summing; read -r sum _ <sum
number=0 digest=none; {{ read -r _ number digest <{quote(t.mark)}; }} 2>/dev/null || :
{{
printf '{{"format":1,'
cat {heredoc(fixed)}
printf ',"taken_at":"%s","degraded":"%s","proved":%s' "$taken" "$degraded" "$proved"
printf ',"etcd":{{"version":"%s","cluster_version":"%s","storage_version":"%s"' "$version" "$cluster" "$storage"
printf ',"cluster_id":%s,"members":%s,"revision":%s,"compact_revision":%s' "$id" "$members" "$rev" "$compact"
printf ',"hash":%s,"size":%s,"sha256":"%s","keys":{{' "$hash" "$bytes" "$sum"
sed 's/^\\([0-9]*\\) \\(.*\\)$/"\\2":\\1/' counts | paste -sd,
printf '}}}},"state":{{"sequence":%s,"digest":"%s"}},"binaries":{{' "$number" "$digest"
for f in {" ".join(DIGESTED)}; do
  if [ -f {quote(t.programs)}/$f ]; then sha256sum {quote(t.programs)}/$f; fi
done | sed 's|^\\([0-9a-f]*\\) .*/\\([^/]*\\)$|"\\2":"\\1"|' | paste -sd,
printf '}},"not_in_it":['
{{
  printf '%s\\n' {" ".join(map(quote, _FIXED))}
  if [ "$volumes" -gt 0 ]; then echo "persistent volumes: $volumes"; fi
}} | sed 's/.*/"&"/' | paste -sd,
printf ']}}\\n'
}} | tr -d '\\n' >manifest.json
"""


def asked(t: Taking, folder: str) -> str:
    """The script for an operator: takes one beside all else on the host, and prints `folder=PATH` in the end.

    It gets what the host's services leave of processor and disk. Folders of runs that were cut off go first.
    """
    body = f"""\
{take(t)}
main() {{
  umask 077; mkdir -p {quote(folder)} && chmod 0700 {quote(folder)} || exit 1
  find {quote(folder)} -maxdepth 1 -name '.taking-*' -mmin +{LEFT_MINUTES} -exec rm -rf {{}} +
  w=$(mktemp -d {quote(folder)}/.taking-XXXXXXXX) || exit 1
  trap 'rm -rf "$w"; exit 143' HUP INT TERM; trap 'rm -rf "$w"; exit 141' PIPE
  q_take "$w"
  # Tested by `||`, sh would not stop at what fails in it.
  if [ $? != 0 ]; then rm -rf "$w"; exit 1; fi
  echo "folder=$w"
}}
main </dev/null
"""
    return f"""\
low=
if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
  low='systemd-run --scope -q --collect -p CPUWeight=10 -p IOWeight=10'
fi
if command -v ionice >/dev/null; then low="$low ionice -c 3"; fi
$low nice -n 19 /bin/sh {heredoc(body)}
"""
