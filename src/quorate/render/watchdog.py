"""The watchdog of a host's own balancer: a script beside nginx or haproxy that ends one that hangs, so that its unit
starts it again. Nobody else would: no other host takes its place, and the kernel goes on accepting for it.
"""

from quorate.render import token
from quorate.render.pulse import look
from quorate.render.sh import quote

ASKS_PER_S = 2
"""Questions on one kept connection; a hundredth of what the pulse's cost."""
PAUSE_S = 1
"""Until it is asked again after it refused; and between questions where curl is older than 7.84: a process for each
costs 10 ms of CPU."""
SILENCE_S = 1
"""Silence that makes suspicious, and time for each further question. An answer takes 0.1 ms."""
LOOKS = 2
"""Further questions, all in vain: with the first silence 3 s in which it does nothing. Kubelets ask for a sign of life
after 5 s without a word, and wait 3 s for it: they come again by connections that this has ended."""


def script(*, unit: str, port: int) -> str:
    """A sh script that kills all processes of `unit`, which answers HTTP on `port` of loopback, when it hangs.

    As for the pulse, silence alone proves nothing on a busy host: it hangs only if again and again it does not take a
    new connection, of which the kernel has told it, and meanwhile none of its threads has run, waits for a CPU or for
    a disk. So one that spins is left alone. SIGKILL, for who is stopped does not hear anything else. Raises ValueError
    for what is no plain name or port.
    """
    return f"""\
#!/bin/sh
# Does this host's own balancer hang? Then it is killed, and its unit starts it again.
export LC_ALL=C
own={quote(f"http://127.0.0.1:{token.port(port)}/")}
ask() {{
  curl -s --noproxy '*' -o /dev/null --max-time {SILENCE_S} "$@" </dev/null
}}
{look(unit)}
hangs() {{
  look || return
  before=$seen n=0
  while [ $n -lt {LOOKS} ]; do
    # A connection, and no answer: nobody took it.
    answer=$(ask -w '%{{num_connects}}:%{{http_code}}' "$own")
    [ $? = 28 ] && [ "$answer" = 1:000 ] && look && [ "$seen" = "$before" ] || return 1
    n=$((n + 1))
  done
}}
pace= times=
# curl 7.84 and later asks in a row, on one connection; older ones are started for each question.
if curl --rate {ASKS_PER_S}/s -V </dev/null >/dev/null 2>&1; then
  pace='--rate {ASKS_PER_S}/s --fail-early' times='#[1-{3600 * ASKS_PER_S}]'
fi
while :; do
  ask $pace "$own$times"
  case $? in
  0) [ "$pace" ] || sleep {PAUSE_S} ;;
  28)
    if hangs; then
      echo 'the balancer hangs: it is killed'
      timeout 15 systemctl kill -s KILL {quote(token.name(unit))} </dev/null
    fi
    ;;
  # It has ended, as its unit tells, or will start.
  *) sleep {PAUSE_S} ;;
  esac
done
"""
