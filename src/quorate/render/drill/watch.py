"""sh by which a host tells what it sees while a drill lasts, a line for each change, for `drill.hostwatch`.

Services are looked at without a process for each look, by the process that is first in their cgroup. What goes on
beside the rest is added to `q_all`.
"""

from collections.abc import Sequence

from quorate.render.sh import quote, sh

BETWEEN_LOOKS_S = 0.25
"""Seconds between two looks at the services."""
ETCD_LOOKS = 5
"""Questions a second to an etcd member on one connection; each costs it about 1 ms of CPU."""
OLD_PAUSE = 0.5
"""Seconds between them where curl is older than 7.84, and each is a process."""
BETWEEN_SOCKET_LOOKS_S = 0.5
"""Seconds between two looks at what kubelet hears. The kernel tells when that was; the last of two is seen."""
GRAIN = 5
"""Hundredths of a second."""

PROCESSES = """\
q_processes() { # the file that lists a service's processes, the main one first
  q_at=$(systemctl show -p ControlGroup "$1")
  q_at=${q_at#ControlGroup=} q_file=
  for q_root in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    if [ -e "$q_root/system.slice/cgroup.procs" ]; then
      q_file=$q_root${q_at:-/system.slice/$1}/cgroup.procs; break
    fi
  done
}"""
"""sh function that finds out who belongs to a service."""


def kubelet(unit: str, kubeconfig: str, pods: str) -> str:
    """sh that tells when kubelet last heard the API: of its connections, the one that was silent for longest.

    A connection that hangs is still established, and hears nothing. Times are hundredths of seconds since boot.
    Connections by which kubelet looks at pods' own ports are not meant.
    """
    port = f"sed -n 's/^ *\"*server.*:\\([0-9][0-9]*\\)[^0-9]*$/\\1/p' {quote(kubeconfig)} | head -n 1"
    return f"""\
(
  q_processes {unit}
  q_port=$({port}) q_was=0
  while sleep {BETWEEN_SOCKET_LOOKS_S}; do
    read -r q_pid <"$q_file" || continue
    q_own=$(ls -l "/proc/$q_pid/fd" | sed -n 's/.*socket:\\[\\([0-9]*\\)\\].*/ \\1 /p')
    # Before ss, which may have to wait for a CPU: what was heard must never seem to be later than it was.
    read -r q_up q_x </proc/uptime
    q_said=$(ss -tineH state established "( dport = :$q_port ) and not dst {pods}")
    q_now=${{q_up%.*}}${{q_up#*.}} q_ago= q_mine=
    while read -r q_line; do
      case $q_line in *ino:*)
        q_ino=${{q_line#*ino:}} q_mine=
        case $q_own in *" ${{q_ino%% *}} "*) q_mine=yes;; esac
        continue;;
      esac
      if [ -z "$q_mine" ]; then continue; fi
      # A connection on which nothing came yet is one that the API did not answer yet.
      case $q_line in *bytes_received:*) ;; *) q_ago=; break;; esac
      q_ms=0
      case $q_line in *lastrcv:*) q_ms=${{q_line#*lastrcv:}} q_ms=${{q_ms%% *}};; esac
      if [ "$q_ms" -ge "${{q_ago:-0}}" ]; then q_ago=$q_ms; fi
    done <<EOF
$q_said
EOF
    if [ -z "$q_ago" ]; then continue; fi
    q_heard=$((q_now - q_ago / 10))
    if [ $((q_heard - q_was)) -gt {GRAIN} ]; then echo "heard $q_heard"; q_was=$q_heard; fi
  done
) &
q_all="$q_all $!\""""


def address(vip: str) -> str:
    """sh that tells whether the host has an address, by the kernel's events."""
    there = quote(f" inet {vip}/")
    return f"""\
{_with_end("ip -o -4 monitor address")}while IFS= read -r q_line; do
  case $q_line in
    [Dd]eleted*{there}*) echo 'vip no';;
    *{there}*) echo 'vip yes';;
  esac
done; }} &
q_all="$q_all $!"
# Events are awaited before the look, so that none is missed.
sleep 0.2
if ip -4 -o addr show | grep -qF {there}; then echo 'vip yes'; else echo 'vip no'; fi"""


def member(tls: Sequence[str]) -> str:
    """sh that tells a member of etcd's id and its leader's; `tls` are words for curl."""
    ask = sh(
        *("curl", "-s", "--fail-early", "--noproxy", "*", "--max-time", "1", "-w", "-\\n"),
        *tls,
        *("-d", "{}"),
    )
    asking = f"""\
while :; do
  {ask} $q_pace "https://127.0.0.1:2379/v3/maintenance/status$q_times" </dev/null
  sleep {OLD_PAUSE}; echo || exit
done"""
    return f"""\
q_pace= q_times=
if curl --rate {ETCD_LOOKS}/s -V >/dev/null </dev/null; then
  q_pace='--rate {ETCD_LOOKS}/s' q_times='?[1-{3600 * ETCD_LOOKS}]'
fi
{_with_end(asking)}  q_was=
  while IFS= read -r q_line; do
    case $q_line in
      '') continue;;
      *'"member_id":"'*)
        q_me=${{q_line#*'"member_id":"'}} q_led=0
        case $q_line in *'"leader":"'*) q_led=${{q_line#*'"leader":"'}};; esac
        q_is="etcd ${{q_me%%\\"*}} ${{q_led%%\\"*}}" ;;
      *) q_is='etcd - -' ;;
    esac
    if [ "$q_is" != "$q_was" ]; then echo "$q_is"; q_was=$q_is; fi
  done
}} &
q_all="$q_all $!\""""


def _with_end(command: str) -> str:
    """The beginning of a pipeline in which a command ends when its reader does."""
    return f"""\
{{ {command} &
echo "$!"; wait; }} | {{ read -r q_pid; trap 'kill "$q_pid"' EXIT; trap exit HUP INT TERM PIPE
"""


def left_out(servers: str) -> str:
    """sh that tells which servers nginx does not use, by the file with its list of them."""
    return f"""
  q_is=
  while read -r q_x q_at q_state; do
    case $q_state in 'down;') q_is="$q_is $q_at";; esac
  done <{quote(servers)}
  if [ "$q_is" != "$q_out" ]; then q_out=$q_is; echo "left out$q_is"; fi"""


def services(watched: Sequence[str], more: str) -> str:
    """sh that looks at services, and does something `more`, again and again."""
    names = " ".join(quote(unit) for unit in watched)
    return f"""\
q_n=0
for q_unit in {names}; do
  q_n=$((q_n + 1))
  q_processes "$q_unit"
  eval "q_file_$q_n=\\$q_file q_unit_$q_n=\\$q_unit q_was_$q_n="
done
q_all_units=$q_n q_beat=0 q_out=
while :; do
  q_n=0
  while [ $q_n -lt $q_all_units ]; do
    q_n=$((q_n + 1))
    eval "q_file=\\$q_file_$q_n q_was=\\$q_was_$q_n"
    q_is=down
    if [ -r "$q_file" ] && read -r q_pid <"$q_file" && [ -r "/proc/$q_pid/stat" ] &&
      read -r q_x q_name q_state q_rest <"/proc/$q_pid/stat"; then
      case $q_state in T) q_is="hung $q_pid";; Z|X) ;; *) q_is="running $q_pid";; esac
    fi
    if [ "$q_is" != "$q_was" ]; then
      eval "q_was_$q_n=\\$q_is; echo \\"unit \\$q_unit_$q_n \\$q_is\\""
    fi
  done{more}
  q_beat=$((q_beat + 1))
  if [ $((q_beat % {round(1 / BETWEEN_LOOKS_S)})) -eq 1 ]; then
    read -r q_up q_x </proc/uptime; echo alive "${{q_up%.*}}${{q_up#*.}}"
  fi
  sleep {BETWEEN_LOOKS_S}
done"""
