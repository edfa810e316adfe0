"""No two scripts of one step at once: one that outlived its connection ends before the next looks or acts.

A script whose connection was lost may go on, and on a host that hung it may even begin later, from bytes that sshd
has not read yet. So each holds a flock on a file of its own as long as it or a command of it runs. Whoever comes after
it waits for the lock and writes into the file; a script that finds something in its file never begins.
The files are in memory, and those of scripts that ended are gone. What `execute.lock` does between runs, this does
within one.
"""

from collections.abc import Iterable
from itertools import count
from secrets import token_hex

from quorate.core import CommandFailed, Transport
from quorate.render.bootstrap import SHELL
from quorate.render.sh import quote
from quorate.spec.layout import LOADED

BUSY = 75
"""Exit code when a script of before is still at work: EX_TEMPFAIL of sysexits.h."""
OVER = 252
"""Exit code of a script that came too late and did not begin."""
FORMER_ENDS_WITHIN_S = 20
"""Seconds in one try for the command in which the script of before is; it is never cut off in the middle."""
REMEMBERED_MINUTES = 60
"""Minutes for which a host remembers that a script must not begin any more: TCP gives up after 15 (tcp_retries2)."""


class Scripts:
    """Names for the scripts of one run."""

    def __init__(self) -> None:
        self._run, self._numbers = token_hex(4), count()

    def name(self) -> str:
        """A name that no other script has."""
        return f"{self._run}-{next(self._numbers)}"


def _file(name: str) -> str:
    return quote(f"{LOADED}/script-{name}")


def once(script: str, name: str) -> str:
    """The script under its lock. It is a subshell of its own, so that its traps and ours do not meet."""
    file = _file(name)
    return (
        f"[ -d {LOADED} ] || mkdir -p {LOADED}; exec 6>>{file}; flock -n 6 && [ ! -s {file} ] || exit {OVER}\n"
        # dash runs no EXIT trap when a signal ends it; a closed connection is SIGPIPE to who prints next.
        f"trap {quote(f'rm -f {file}')} EXIT; trap 'exit 141' PIPE; trap 'exit 143' HUP INT TERM\n"
        f"(\n{script}\n)\n"
    )


def over(names: Iterable[str]) -> str:
    """Put before what comes after these scripts: they are over for good, or it does not begin (exit code BUSY).

    A loop that waits ends here, and so does what would come next; the command that runs now ends by itself.
    """
    forget = f"mkdir -p {LOADED}; find {LOADED} -name 'script-*' -mmin +{REMEMBERED_MINUTES} -delete\n"
    return forget + "".join(
        f"exec 6>>{file}\nif ! flock -n 6; then\n"
        "  for p in /proc/[0-9]*; do\n"
        f'    if [ "$p" != "/proc/$$" ] && [ "$p/fd/6" -ef {file} ] && grep -qs {quote(SHELL)} "$p/cmdline"; then '
        'kill -TERM "${p#/proc/}" 2>/dev/null || :; fi\n'
        f"  done\n  flock -w {FORMER_ENDS_WITHIN_S} 6 || exit {BUSY}\nfi\necho over >&6; exec 6>&-\n"
        for file in map(_file, names)
    )


async def after(names: Iterable[str], via: Transport, host: str, script: str) -> str | None:
    """The output of a script that comes after others; None when they are still at work.

    Raises what `Transport.run` raises.
    """
    try:
        return await via.run(host, f"{over(names)}{script}")
    except CommandFailed as error:
        if error.code == BUSY:
            return None
        raise
