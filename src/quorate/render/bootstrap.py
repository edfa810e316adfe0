"""The few words that start a script on a host: everything else travels over stdin, never in argv.

The remote command is `/bin/sh -c BOOT`. BOOT says that it lives (marker and pid on stdout), reads exactly the
script's bytes from stdin into a variable, checks that all of them came (a cut script must not run), and evals
it; what is left on stdin is the script's own. `dd iflag=fullblock` reads exactly `bs` bytes from a pipe with
GNU coreutils, uutils and busybox alike; `head -c` over-reads in busybox (measured), `bs=1` is too slow.
"""

from quorate.render.sh import PATH, quote
from quorate.spec.outward import VARIABLES

MARK = b"quorate-go "
"""What BOOT prints first, followed by its pid; all stdout before it is noise of login scripts."""

SHELL = MARK.decode().strip()
"""What only the command line of a script's shell has."""

ASK = "quorate-asks:"
"""The prompt that sudo is told to use, so that a question is recognised in any language."""

LOST = 253
"""Exit code of BOOT when the script did not arrive whole."""


def body(script: str) -> bytes:
    """The bytes to send for a script; the comment at its end keeps `$(...)` from eating newlines.

    Raises ValueError for a NUL byte, which no shell can hold.
    """
    data = script.encode("utf-8", "surrogateescape") + b"\n#"
    if b"\0" in data:
        raise ValueError("a script with a NUL byte can't be run")
    return data


def boot(size: int) -> str:
    """The bootstrap for a script of `size` bytes: one line, without quotes, backslashes or `!`.

    So it is the same text inside single quotes for every login shell (sh, bash, zsh, csh, fish). Proxies that came
    with the login are for nothing that a script asks.
    """
    return (
        f"umask 077; LC_ALL=C; HOME=/root; PATH={PATH}; export LC_ALL HOME PATH; unset {' '.join(VARIABLES)}; cd /; "
        f"echo {MARK.decode()}$$; "
        f"_q=$(dd bs={size} count=1 iflag=fullblock 2>/dev/null); "
        f"[ ${{#_q}} -eq {size} ] || exit {LOST}; "
        'eval "$_q"'
    )


def command(size: int, *, sudo: bool, password: bool) -> str:
    """The remote command line for the login shell.

    Without a password sudo may not ask (`-n`); with one it asks on stderr and reads from stdin (`-S`).
    """
    shell = f"/bin/sh -c {quote(boot(size))}"
    if not sudo:
        return f"exec {shell}"
    if password:
        return f"exec env LC_ALL=C SUDO_PROMPT={ASK} sudo -S -- {shell}"
    return f"exec env LC_ALL=C sudo -n -- {shell}"


def kill(pid: int) -> str:
    """A script that ends what the bootstrap `pid` started: TERM to its process group, KILL after 2 s.

    The group is the session's own when the bootstrap leads it or sudo does; else only `pid` is ended.
    `kill -TERM -N` is the one form that dash, bash and busybox all take (tried; `--` is not).
    """
    return (
        f"stat=$(cat /proc/{pid}/stat 2>/dev/null) || exit 0\n"
        "set -- ${stat##*)}\n"
        f'if [ "$3" -eq {pid} ] || [ "$(cat /proc/$3/comm)" = sudo ]; then target=-$3; else target={pid}; fi\n'
        'kill -TERM "$target" 2>/dev/null || exit 0\n'
        'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; kill -0 "$target" 2>/dev/null || exit 0; done\n'
        'kill -KILL "$target" 2>/dev/null || exit 0'
    )
