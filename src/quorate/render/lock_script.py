"""What hosts do for the lock, in sh: take, look, refuse a stranger's script, release.

```
/run/quorate-lock/          itself flocked while somebody takes or releases
/run/quorate-lock/holder    first line: token and record of the holder; then a line for each sign of life
/run/quorate-lock/running   flocked, shared, by each script of the holder as long as it or a child of it runs
/run/quorate-writer         who took the lock last; stays when it is given back
```

A sign of life is the host's uptime in seconds: clocks may jump. Lines are appended, and `holder` comes into place
by a rename, so it can always be read, and a script that is killed at any point leaves nothing that has to be mended.
"""

from collections.abc import Mapping

from quorate.render.bootstrap import SHELL
from quorate.render.sh import quote
from quorate.spec.layout import LOCK, WRITER

SAYS = "\x03lock "
"""What an answer begins with."""
REFUSED = 251
"""Exit code of a script that did not begin, because the lock there is not its run's."""
GRACE = 10
"""Seconds that scripts of the run before get to end by themselves."""
PROGRAMS_END_WITHIN_S = 120
"""Seconds to wait for the programs that they started, as apt-get, which are never cut off."""

_READ = f"""\
q_token= q_who= q_first= q_last=
if [ -e {LOCK}/holder ]; then
  {{ read -r q_token q_who; while read -r q_up; do q_first=${{q_first:-$q_up}} q_last=$q_up; done; }} <{LOCK}/holder
fi
read -r q_now q_rest </proc/uptime; q_now=${{q_now%.*}}
"""
_TELL = f"""printf '\\n{SAYS}held %s %s %s %s\\n' $((q_now - q_last)) $((q_now - q_first)) "$q_token" "$q_who\""""
_TAKEN = f"printf '\\n{SAYS}taken\\n'"
_MINE = f"printf '\\n{SAYS}taken already\\n'"
_ALONE = f"{{ command exec 8<{LOCK} && flock -w 20 8 && [ {LOCK} -ef /proc/self/fd/8 ]; }} 2>/dev/null"
"""Alone with the folder that is there now: another may have been removed while we waited for it."""

_PASSED = f"""\
q_token= q_who=; if [ -e {WRITER} ]; then {{ read -r q_token q_who || :; }} <{WRITER}; fi
"""

LOOK = f'{_READ}if [ -n "$q_token" ]; then {_TELL}; fi\n'
"""Tell who holds it, if anybody does."""


def fence(token: str) -> str:
    """Put before a script: it begins only when the lock is this run's, and counts as running until it has ended.

    One process, flock(1), and a sign of life. The order matters: who takes the lock over first writes its name and
    then waits for what is running, so a script either sees the name or is waited for.
    """
    return f"""\
if [ -e {LOCK}/running ] && {{ command exec 9>>{LOCK}/running; }} 2>/dev/null && flock -s -w 60 9 &&
  {{ read -r q_token q_who <{LOCK}/holder; }} 2>/dev/null && [ "$q_token" = {quote(token)} ]
then read -r q_now q_rest </proc/uptime; echo "${{q_now%.*}}" >>{LOCK}/holder
else
{_READ}if [ -n "$q_token" ]; then {_TELL}; else printf '\\n{SAYS}free\\n'; fi
exit {REFUSED}; fi
"""


def take(token: str, record: str, over: Mapping[str, int], *, again: bool = False) -> str:
    """Take the lock, and wait until nothing of the run before is at work; or tell who holds it.

    `over`: from these tokens it is taken when they gave no sign of life for so many seconds. `again`: only where
    nobody else had it since; a host that has rebooted knows of nobody.
    """
    mine = quote(token)
    passed = (
        f"""{_PASSED}case "$q_token" in
    '' | {mine}) ;;
    *) rmdir {LOCK} 2>/dev/null; printf '\\n{SAYS}passed %s %s\\n' "$q_token" "$q_who"; exit 0;;
    esac"""
        if again
        else ""
    )
    yields = "".join(
        f"  {quote(old)}) [ $((q_now - q_last)) -ge {idle} ] || {{ {_TELL}; exit 0; }};;\n"
        for old, idle in over.items()
    )
    return f"""\
q_n=0
until mkdir -p {LOCK} && {_ALONE}; do
  q_n=$((q_n + 1)); [ $q_n -lt 5 ] || {{ echo "can't lock {LOCK}" >&2; exit 1; }}
done
{_READ}case "$q_token" in
  '') {passed};;
  {mine}) {_MINE}; exit 0;;
{yields}  *) {_TELL}; exit 0;;
esac
{{ printf '%s\\n' {quote(record)} >{LOCK}/writer && mv -f {LOCK}/writer {WRITER}; }} || exit 1
{{ printf '%s\\n' {quote(record)} "$q_now" >{LOCK}/holder.new && mv -f {LOCK}/holder.new {LOCK}/holder; }} || exit 1
exec 8<&- 7>>{LOCK}/running
q_each() {{
  for q_p in /proc/[0-9]*; do if [ "$q_p/fd/9" -ef {LOCK}/running ]; then "$@"; fi; done
}}
q_name() {{ {{ read -r q_c <"$q_p/comm"; }} 2>/dev/null && printf ' %s (%s)' "$q_c" "${{q_p#/proc/}}"; }}
q_shell() {{
  if grep -qs {quote(SHELL)} "$q_p/cmdline"; then kill -TERM "${{q_p#/proc/}}" 2>/dev/null; fi
}}
flock -w {GRACE} 7 || {{
  # Waiting loops and what would come next end here; the command that a shell was in ends by itself.
  q_n=0
  until q_each q_shell; flock -w 5 7; do
    q_n=$((q_n + 5)); printf '\\n{SAYS}waits%s\\n' "$(q_each q_name)"
    if [ $q_n -ge {PROGRAMS_END_WITHIN_S} ]; then
{release(token)}
      exit 0
    fi
  done
}}
exec 7>&-
{_TAKEN}
"""


def release(token: str) -> str:
    """Remove the lock if it is this run's, and the folder when nothing runs that somebody would have to wait for."""
    return f"""\
if [ -e {LOCK}/holder ] && {_ALONE}; then
  q_token=; {{ read -r q_token q_who <{LOCK}/holder; }} 2>/dev/null
  if [ "$q_token" = {quote(token)} ]; then
    rm -f {LOCK}/holder; exec 7>>{LOCK}/running
    if flock -n 7; then rm -rf {LOCK}; fi
  fi
fi
"""
