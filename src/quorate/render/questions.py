"""The preflight's longer questions to a host; what is made of the answers is with the judges."""

from collections.abc import Iterable, Sequence

from quorate.render import mounts
from quorate.render.sh import quote, sh
from quorate.spec.layout import STATE

UNIT_FOLDERS = (
    *("/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient"),
    *("/run/systemd/generator.early", "/etc/systemd/system", "/etc/systemd/system.attached"),
    *("/run/systemd/system", "/run/systemd/system.attached", "/run/systemd/generator"),
    *("/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"),
    "/run/systemd/generator.late",
)
"""Where systemd looks (systemd.unit, "Unit File Load Path"); of files with one name the first counts."""
PATIENCE_S = 3
"""Seconds for a connection; one that is not made gets as long again."""
WRITES, LEAST, BYTES = 100, 3, 2300
"""As etcd's own advice for fio: writes of 2300 bytes, each synced (etcd.io, "Hardware recommendations").
Of a slow disk at least three: one hiccup decides nothing."""
LISTEN_S = 1.5
"""Seconds to listen for other routers: they advertise once a second unless told otherwise (RFC 9568)."""


def nearest(name: str, path: str) -> str:
    """sh that sets a variable to the folder at a path (a word of sh), or to the nearest above it that there is."""
    return f'{name}={path}; while ! [ -d "${name}" ]; do {name}=${{{name}%/*}}; {name}=${{{name}:-/}}; done'


def drop_ins(names: Iterable[Sequence[str]]) -> str:
    """sh that prints each drop-in that counts, after `in UNIT PATH`, in lines that begin with a bar; a link to nothing
    hides those of its name. `names`: a unit, and all whose drop-ins it takes.
    """
    asked = "\n".join(sh("of", *each) for each in names)
    return f"""\
echo asked
of() {{
  u=$1 seen=/; shift
  for n; do for d in {" ".join(UNIT_FOLDERS)}; do
    for f in "$d/$n.d"/*.conf; do
      [ -e "$f" ] || continue
      case $seen in */"${{f##*/}}"/*) continue;; esac; seen=$seen${{f##*/}}/
      [ -f "$f" ] || continue
      echo "in $u $f"; while IFS= read -r l || [ -n "$l" ]; do printf '| %s\\n' "$l"; done <"$f"
    done
  done; done
}}
{asked}"""


REACH = f"""\
for t in bash curl none; do command -v $t >/dev/null && break; done
try() {{
  case $t in
  bash) said=$(timeout {PATIENCE_S} bash -c ': <"/dev/tcp/$0/$1"' "$1" "$2" 2>&1);;
  *) said=$(curl -gsv --noproxy '*' -o /dev/null --connect-timeout {PATIENCE_S} --max-time {PATIENCE_S} \\
    -w '%{{time_connect}} ' "http://$1:$2/" 2>&1);;
  esac
  code=$?
  case "$t $code $said" in
  bash\\ 0\\ *) how=open;;
  bash\\ 124\\ *|curl\\ 28\\ *0.000000*) how=silent;;
  bash\\ *refused*|curl\\ 7\\ *refused*) how=refused;;
  bash\\ *|curl\\ 7\\ *) how=barred;;
  *) how=open;;
  esac
}}
tcp() {{ try "$1" "$2"; case $how in silent|barred) try "$1" "$2";; esac; echo "tcp $1 $2 $how"; }}
mtu() {{
  if ping -n -q -c 1 -W 1 -M 'do' -s "$2" "$1" >/dev/null 2>&1; then echo "mtu $1 passes"
  elif ping -n -q -c 1 -W 1 -M 'do' -s "$2" "$1" >/dev/null 2>&1; then echo "mtu $1 passes"
  elif ping -n -q -c 1 -W 1 -s 8 "$1" >/dev/null 2>&1; then echo "mtu $1 small"
  else echo "mtu $1 silent"; fi
}}
if [ $t != none ]; then echo asked tcp; else tcp() {{ :; }}; fi
if command -v ping >/dev/null; then echo asked mtu; else mtu() {{ :; }}; fi
"""
"""sh functions: `tcp ADDRESS PORT` and `mtu ADDRESS BYTES` print what becomes of a connection, or of a packet. What can
be asked is told first.
"""


def fsync(folder: str) -> str:
    """sh that prints the seconds of single synced writes near a folder, in a file without a name, for at most a second
    or three writes.
    """
    return f"""\
{nearest("d", quote(folder))}
f=$(mktemp "$d/.quorate-XXXXXXXX") || exit 0
exec 3<>"$f"; rm -f -- "$f"
dd if=/dev/zero of=/dev/fd/3 bs={BYTES} count={WRITES} conv=notrunc,fsync status=none
now() {{ read -r up rest </proc/uptime; now=${{up%.*}}${{up#*.}}; }}
now; end=$((now + 100)); n=0
while [ $n -lt {WRITES} ] && {{ [ "$now" -lt $end ] || [ $n -lt {LEAST} ]; }}; do
  dd if=/dev/zero of=/dev/fd/3 bs={BYTES} count=1 seek=$n conv=notrunc oflag=dsync 2>&1
  n=$((n + 1)); now
done | sed -n 's/.*copied, \\([0-9.e-]*\\) s,.*/\\1/p'
"""


def chosen_folder(folder: str) -> str:
    """sh that prints what is not mounted of a folder, its file system, and how much is in it that is not ours."""
    return f"""\
( {mounts.script(folder)}
{nearest("e", quote(folder))}
echo "type=$(stat -f -c %T -- "$e")"
if ! grep -qxF -e {quote(folder)} -e {quote(f"{folder}/.")} -e {quote(f"{folder}/full")} {STATE}/made 2>/dev/null; then
  echo "files=$(ls -A -I lost+found {quote(folder)} 2>/dev/null | wc -l)"
fi ) | sed {quote(f"s|^|{folder} |")}"""


def vip_holder(vip: str, interface: str) -> str:
    """sh that tells who answers at the virtual IP, by ping or at least by ARP, and which routers are heard."""
    heard = sh("tcpdump", "-i", interface, "-n", "-l", "-c", "50", "ip", "proto", "112")
    return f"""\
if command -v tcpdump >/dev/null; then
  {{
    said=$(timeout {LISTEN_S} {heard}); case $? in 0|124) echo listened;; esac
    printf '%s\\n' "$said" | grep -o 'IP [0-9.]* > [0-9.]*: .*vrid [0-9]*' | sort -u
  }} &
fi
if command -v ping >/dev/null; then
  echo asked; if ping -n -q -c 1 -W 1 {quote(vip)} >/dev/null 2>&1; then echo answers; fi
elif command -v curl >/dev/null; then
  echo asked; curl -gs --noproxy '*' -o /dev/null --connect-timeout 1 --max-time 1 {quote(f"http://{vip}:9/")}
fi
ip -4 neigh show {quote(vip)} | sed 's/^/neighbour /'
ip -4 neigh show | sed -n 's/^\\([^ ]*\\) .*lladdr 00:00:5e:00:01:\\(..\\).*/virtual MAC \\1 \\2/p'
wait"""
