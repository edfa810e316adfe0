"""The balancer's pulse: a script beside nginx or haproxy that finds within moments that it hangs, ends it, and tells
keepalived.

A process that hangs keeps its sockets: the kernel goes on accepting, and the health script, which asks through the
balancer, may be no quicker than an election of etcd and a busy host allow. The pulse asks the balancer alone.
"""

from collections.abc import Sequence

from quorate.render import token
from quorate.render.sh import quote

ASKS_PER_S = 40
"""Questions on one kept connection. For them curl and the balancer use 8 to 13 ms of CPU a second, together."""
OLD_PAUSE_S = 0.25
"""Between questions where curl is older than 7.84: a process for each costs 10 ms of CPU."""
SILENCE_S = 0.025
"""Silence that makes suspicious. An answer takes 0.1 ms; suspicion costs two processes and moves nothing."""
AGAIN_S = 0.02
"""Time for the question that is asked anew under suspicion."""
PEER_S = 0.3
"""Time for a peer's answer; a TLS handshake takes some 100 ms on a host with all CPUs busy."""
PAUSE_S = 0.2
"""After a suspicion that came to nothing, and between the questions to one that hangs."""


def script(*, unit: str, port: int, peers: Sequence[str], peer_port: int, track_file: str, ports: Sequence[int]) -> str:
    """A sh script that kills the balancer when it hangs and a peer's does not, and writes 1 to `track_file` until it
    answers again, else 0.

    `unit` is the balancer's service, which answers HTTP on `port` of loopback by itself. `peers` are the other
    balancers' addresses, `peer_port` the endpoint's, `ports` all that clients use. Silence alone proves nothing on a
    busy host. So the balancer hangs only if it does not take a new connection, of which the kernel has told it, and
    meanwhile none of its threads has run, waits for a CPU or for a disk. One that spins, or of which only one worker
    hangs, is left to the health script. As there, the address is only given up when a peer answers, at the same moment:
    any HTTP status will do.

    Its sessions are cut then: their requests are with the kernel, which has confirmed them, so clients have nothing to
    send again by which another balancer could tell them, and would wait for their own timeout. With them go its
    listeners, or the kernel would take in for it who comes again at once, and a client of Go's library waits 10 s for a
    TLS handshake. So it is of no use any more, and killed; its unit starts it again.
    Raises ValueError for what is no plain address, port, name or path.
    """
    if not peers:
        raise ValueError("without a peer there is nobody to take the address")
    sessions = " or ".join(f"sport = :{token.port(each)}" for each in ports)
    others = " ".join(f"{token.address(peer)}:{token.port(peer_port)}" for peer in peers)
    return f"""\
#!/bin/sh
# Does this host's balancer hang, while another host's answers? keepalived watches what is written here.
export LC_ALL=C
own={quote(f"http://127.0.0.1:{token.port(port)}/")}
peers={quote(others)}
file={quote(token.path(track_file))}
ask() {{
  curl -s --noproxy '*' -o /dev/null "$@" </dev/null
}}
{look(unit)}
better() {{ # whether a peer's balancer answers; the first that does is enough
  for peer in $peers; do
    ask -k --max-time {PEER_S} -w '%{{http_code}}\n' "https://$peer/livez/ping" &
  done | grep -qvx 000
}}
hangs() {{
  look || return
  before=$seen
  better &
  # A connection, and no answer: nobody took it.
  answer=$(ask --max-time {AGAIN_S} -w '%{{num_connects}}:%{{http_code}}' "$own")
  wait $! && [ "$answer" = 1:000 ] && look && [ "$seen" = "$before" ]
}}
cut() {{ # its sessions, and its listeners with their queues; a kernel without INET_DIAG_DESTROY cuts nothing
  ss -Ktn exclude time-wait {quote(f"( {sessions} )")} </dev/null >/dev/null 2>&1
}}
end() {{ # who is stopped hears nothing but this
  while read -r pid; do kill -KILL "$pid"; done <"$procs"
}} 2>/dev/null
pace= times=
# curl 7.84 and later asks in a row, on one connection; older ones are started for each question.
if curl --rate {ASKS_PER_S}/s -V </dev/null >/dev/null 2>&1; then
  pace='--rate {ASKS_PER_S}/s --fail-early' times='#[1-{3600 * ASKS_PER_S}]'
fi
echo 0 >"$file"
while :; do
  ask $pace --max-time {SILENCE_S} "$own$times"
  case $? in
  0) [ "$pace" ] || sleep {OLD_PAUSE_S} ;;
  28)
    if hangs; then
      # Only while the address is still here can clients be told.
      cut
      echo 1 >"$file"
      end
      echo 'the balancer hangs: it is killed, and starts again'
      until ask --max-time {PEER_S} "$own"; do sleep {PAUSE_S}; done
      echo 0 >"$file"
      echo 'the balancer answers again'
    else
      sleep {PAUSE_S}
    fi
    ;;
  # It has ended, as its unit tells, or will start.
  *) sleep {PAUSE_S} ;;
  esac
done
"""


def look(unit: str) -> str:
    """sh of `look`, which tells in `seen` what a service's threads have run until now. Raises ValueError."""
    return f"""\
group={quote(f"system.slice/{token.name(unit)}/cgroup.procs")}
look() {{ # what its threads have run until now; fails when one wants a CPU or a disk, or can't be seen
  seen=
  for procs in "/sys/fs/cgroup/$group" "/sys/fs/cgroup/systemd/$group" "/sys/fs/cgroup/unified/$group"; do
    [ ! -r "$procs" ] || break
  done
  while read -r pid; do
    for task in /proc/"$pid"/task/*; do
      read -r state <"$task/stat" || return
      case ${{state##*') '}} in R* | D*) return 1 ;; esac
      # Nanoseconds on a CPU, in the queue for one, and how often it got one.
      read -r ran <"$task/schedstat" || ran=
      seen="$seen$task $ran;"
    done
  done <"$procs"
  [ "$seen" ]
}} 2>/dev/null"""
