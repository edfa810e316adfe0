"""Which API servers nginx uses: active health checks, which the free nginx lacks, by a script beside it.

Without them a restarting API server, which accepts connections before it is ready, and a hung one, whose kernel
goes on accepting, get their share of the new connections, and each of those costs its client a timeout.
"""

from collections.abc import Sequence

from quorate.render import token
from quorate.render.sh import quote

CHECKS_PER_S = 8
"""Of each API server. With a curl that keeps its connection one costs 0.7 ms of CPU; each asks etcd for its answer."""
OLD_PAUSE_S = 0.5
"""Between checks where curl is older than 7.84: a process for each costs 15 to 20 ms of CPU."""
CONNECT_TIMEOUT_S = 0.2
"""Time to connect, TLS included, which a check does only when the connection of the one before is gone. The first half
is the server's kernel's doing, which takes microseconds on a host with all CPUs busy, too."""
ANSWER_TIMEOUT_S = 0.3
"""Time for an answer; a TLS handshake takes some 100 ms on a host with all CPUs busy."""
DOUBT_OUT = 6
"""Doubt that takes a server out, see `judge`: after two bad answers, after three silences (a hung one: 0.83 s at most,
old curl: 2 s), or after a silence and a connection that nobody answered (a lost host: 0.63 s). One that refuses
connections is out at once."""
RISE = 2
"""Good answers until it is in again; twice as many for each further fall, up to `FALLS`, until all has been well for
`CALM` answers: each change of the list leaves nginx with workers of before, as long as their sessions last."""
FALLS = 5
CALM_ANSWERS = 60 * CHECKS_PER_S
DOUBT_CUT = 16
"""Silence that cuts the sessions of a server: of a lost host after 0.83 s, of a hung process (its kernel connects, it
does not shake hands) after 1.5 s, of one that only does not answer after 2.4 s, for it may wait for etcd, as /readyz
does for 2 s. Cut too soon, sessions of a slow server would overload the others."""


def _targets(servers: Sequence[tuple[str, int]]) -> list[str]:
    if not servers:
        raise ValueError("a balancer needs at least one server")
    return [f"{token.address(ip)}:{token.port(number)}" for ip, number in servers]


def listed(servers: Sequence[tuple[str, int]], path: str) -> str:
    """sh that succeeds when the list names these servers and no others, ready or not. Raises ValueError."""
    found = f"sed -n 's/^server \\([^ ]*\\) .*/\\1/p' {quote(token.path(path))} | LC_ALL=C sort"
    return f'[ "$({found})" = {quote(chr(10).join(sorted(_targets(servers))))} ]'


def left_out(path: str) -> str:
    """sh that prints the servers that the list leaves out. Raises ValueError for what is no plain path."""
    return f"sed -n 's/^server \\([^ ]*\\) down;$/\\1/p' {quote(token.path(path))}"


def script(servers: Sequence[tuple[str, int]], path: str, *, slower: int = 1) -> str:
    """A sh script that keeps the list of upstream servers at `path`; nginx.conf includes it.

    `servers` are addresses and ports of the API servers. With `init` it only makes a list that is missing, or that
    names others than these, and ends. `slower`: how many times less often than usual it asks, once
    a second at least. Raises ValueError for what is no plain address, port, number or path.
    """
    per_s = max(1, CHECKS_PER_S // token.number(slower, 1, 10**6))
    return f"""\
#!/bin/sh
# Which API servers does nginx use? Asks each for /readyz, and keeps the list that nginx.conf includes.
# `init`, before nginx reads it, only sees to it that there is a list, and that it names these servers.
export LC_ALL=C
servers={quote(" ".join(_targets(servers)))}
list={quote(token.path(path))}
nl='
'
recall() {{ # what the list says; a server that is new in it is down until it has proved itself
  have= count=0
  if [ -e "$list" ]; then while IFS= read -r line; do have=$have$line$nl; done <"$list"; fi
  for at in $servers; do
    count=$((count + 1)) up=0
    case $have in
    '') up=1 ;;
    *"server $at "*)
      mark=${{have#*"server $at "}}
      case ${{mark%%;*}} in *down) ;; *) up=1 ;; esac
      ;;
    esac
    # `run` counts good answers in a row; `doubt` weighs the bad ones since, `late` the silences, `falls` the falls.
    eval "at_$count=\\$at up_$count=\\$up run_$count=0 doubt_$count=0 late_$count=0"
    eval "cut_$count= falls_$count=$((1 - up))"
  done
}}
compose() {{ # the list as it should be: when no server is ready, a try is better than a refusal
  ready= text= n=0
  for at in $servers; do
    n=$((n + 1))
    eval "up=\\$up_$n"
    [ "$up" = 0 ] || ready="$ready $at"
  done
  # Who is left out is decided here. nginx leaves nobody out by itself (max_fails=0): where packets get lost, all would
  # soon be out together, and every client refused (at 1 % loss, 40 % of new connections were). A connection that fails
  # is tried at the next server in any case.
  for at in $servers; do
    case "$ready " in ' ' | *" $at "*) mark=max_fails=0 ;; *) mark=down ;; esac
    text="${{text}}server $at $mark;$nl"
  done
}}
good() {{ # whether a server is ready and its last answer was good
  n=0
  for at in $servers; do
    n=$((n + 1))
    eval "up=\\$up_$n run=\\$run_$n"
    if [ "$up" = 1 ] && [ "$run" -gt 0 ]; then return 0; fi
  done
  return 1
}}
write() {{
  [ "$text" != "$have" ] || return 0
  [ -d "${{list%/*}}" ] || (umask 077 && mkdir -p "${{list%/*}}")
  printf '%s' "$text" >"$list.$$" && mv -f "$list.$$" "$list" && have=$text
}}
publish() {{ # nginx takes the list over, as it should be now
  todo=
  compose
  # An election of etcd silences all. They go and come back one after the other, and each would be a reload.
  if [ -z "$ready" ]; then
    hold=$((2 * count))
  elif [ "$hold" -gt 0 ] || ! good; then
    todo=0 hold=$((hold > 0 ? hold - 1 : 0))
    return
  fi
  [ "$text" != "$have" ] || [ "$text" != "$taken" ] || return
  # The unit's reload: it tests the configuration, and keeps the note of what nginx has loaded.
  if write && timeout 15 systemctl reload nginx.service </dev/null; then
    taken=$text
  else
    todo=$((20 * count))
  fi
}}
judge() {{ # N CODE:SECONDS:CONNECTIONS
  eval "at=\\$at_$1 up=\\$up_$1 run=\\$run_$1 doubt=\\$doubt_$1 late=\\$late_$1 cut=\\$cut_$1 falls=\\$falls_$1"
  weight=0
  case $2 in
  200:* | 401:*) run=$((run + 1)) doubt=0 late=0 cut= ;;
  # Refused, broken off, no way there: that is sure.
  000:0.0* | 000:0.1[0-4]*) why='refuses connections' run=0 doubt={DOUBT_OUT} ;;
  # The time to connect went by: was there nobody (no connection), or did the process not shake hands?
  000:0.1*:0 | 000:0.2[0-6]*:0) why='is not there' weight=8 ;;
  000:0.1* | 000:0.2[0-6]*) why='is silent' weight=3 ;;
  000:*) why='is silent' weight=2 ;;
  *) why="answers ${{2%%:*}}" run=0 doubt=$((doubt + {DOUBT_OUT} / 2)) late=0 cut= ;;
  esac
  if [ $weight != 0 ]; then run=0 doubt=$((doubt + weight)) late=$((late + weight)); fi
  if [ $run = {CALM_ANSWERS} ]; then falls=0; fi
  if [ $up = 1 ] && [ $doubt -ge {DOUBT_OUT} ]; then
    up=0 todo=0 falls=$((falls < {FALLS} ? falls + 1 : {FALLS}))
    echo "$at $why"
  elif [ $up = 0 ] && [ $run -ge $(({RISE} << falls - 1)) ]; then
    up=1 todo=0
    echo "$at is ready"
  fi
  eval "up_$1=\\$up run_$1=\\$run doubt_$1=\\$doubt late_$1=\\$late cut_$1=\\$cut falls_$1=\\$falls"
  if [ $late -ge {DOUBT_CUT} ] && [ $up = 0 ] && [ -z "$cut$todo" ]; then sever "$1" "$at"; fi
}}
sever() {{ # N ADDRESS
  # Its clients would wait until keepalive finds it dead, and those of a hung one until nginx ends its old workers;
  # now they come back at once. Not when it answers, whatever, or refuses: then it ends its sessions itself, and in
  # order. And not while no other one is good: then it is not its fault (etcd elects), or there is nobody to go to.
  # A kernel without INET_DIAG_DESTROY cuts nothing.
  good || return
  echo "the sessions of $2 are cut"
  ss -Ktn dst "$2" </dev/null >/dev/null 2>&1
  eval "cut_$1=1"
}}
check() {{ # N ADDRESS: `N CODE:SECONDS:CONNECTIONS` for each answer
  while :; do
    # HTTP/1.1: after a silence curl takes a new connection, and not one that waits for TCP's next repetition.
    curl -ks --http1.1 --noproxy '*' --connect-timeout {CONNECT_TIMEOUT_S} --max-time {ANSWER_TIMEOUT_S} $pace \\
      -o /dev/null -w "$out%{{http_code}}:%{{time_total}}:%{{num_connects}}\\n" "https://$2/readyz$times" 2>&1 |
      while read -r said; do echo "$1 $said"; done
    sleep {OLD_PAUSE_S}
  done
}}
recall
if [ "$1" = init ]; then
  compose
  write
  exit
fi
# There is nothing to choose.
[ "$count" -gt 1 ] || exec sleep infinity
pace= times= out=
# curl 7.84 and later asks in a row, on one connection; older ones are started for each check, at 25 times the cost.
# What it says on stderr is written at once.
if curl --rate {per_s}/s -V </dev/null >/dev/null 2>&1; then
  pace='--rate {per_s}/s' times='#[1-{3600 * per_s}]' out='%{{stderr}}'
fi
taken=$have todo=0 hold=0 n=0
{{
  for at in $servers; do
    n=$((n + 1))
    check "$n" "$at" &
  done
  wait
}} | while read -r n said; do
  case $said in [0-9][0-9][0-9]:[0-9]*:[0-9]) ;; *) continue ;; esac
  judge "$n" "$said"
  if [ "${{todo:-1}}" = 0 ]; then publish; elif [ "$todo" ]; then todo=$((todo - 1)); fi
done
"""
