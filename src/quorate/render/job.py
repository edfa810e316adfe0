"""Scripts of a job, long work that goes on without us: what starts it and tells what it tells, and what runs it.

In its folder `place` are `script`, `run`, `cursor` (where it is), `log`, and at its end `code` and `done`.
"""

from quorate.render.sh import heredoc, quote
from quorate.spec.outward import VARIABLES

SILENT_S = 600
"""Seconds without a word of progress after which whoever watches gives up; the job itself goes on."""


def start(place: str, unit: str, *, what: str, id: str, script: str, rate: int) -> str:
    """sh that starts a job if it neither runs nor has ended, and tells how far it is until it has.

    `what` is its name for people; another `id` is another job, which begins anew.
    """
    silent = quote(f"{what}: no progress for {SILENT_S} s; it goes on")
    return f"""\
mkdir -p {place}; if [ "$(cat {place}/id 2>/dev/null)" != {quote(id)} ]; then
  systemctl stop {unit} 2>/dev/null || :
  rm -f {place}/cursor {place}/done {place}/log {place}/code
  printf '%s\\n' {quote(id)} >{place}/id
fi
if [ -e {place}/code ] || ! systemctl is-active -q {unit}; then
  systemctl stop {unit} 2>/dev/null || :
  settle 0600 root:root {place}/script {heredoc(script)}
  settle 0600 root:root {place}/run {heredoc(_run(place, id))}
  rm -f {place}/code; : >{place}/log
  systemd-run -q --collect --unit={unit} --setenv=RATE={rate} /bin/sh {place}/run
fi
said= quiet=0; until [ -e {place}/code ]; do
  now=$(sed -n 's/^progress //p' {place}/log | tail -n 1)
  if [ "$now" != "$said" ]; then said=$now quiet=0; tell "${{said% *}} of ${{said#* }}"; fi
  quiet=$(( quiet + 1 )); if [ $quiet -ge {SILENT_S} ]; then
    echo {silent} >&2; exit 1; fi
  systemctl is-active -q {unit} || [ -e {place}/code ] || sleep 1; sleep 1
  systemctl is-active -q {unit} || [ -e {place}/code ] || {{ echo 'it was ended' >&2; exit 1; }}
done
[ "$(cat {place}/code)" = 0 ] || {{ grep -v ^progress {place}/log | tail -n 5 >&2; exit 1; }}"""


def _run(place: str, id: str) -> str:
    """What the service runs, without what systemd gives all services: the job, and a note of how it ended."""
    return f"""\
unset {" ".join(VARIABLES)}
rm -f {place}/code; /bin/sh {place}/script {place}/cursor >>{place}/log 2>&1; c=$?
[ $c != 0 ] || printf '%s\\n' {quote(id)} >{place}/done; echo $c >{place}/code
"""
