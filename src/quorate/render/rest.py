"""Services at rest while something is done on their host, as sh: they are started again whatever becomes of it."""

from collections.abc import Sequence

from quorate.render.sh import quote


def at_rest(units: Sequence[str], script: str) -> str:
    """sh that stops those of the units that run, does what `script` says, and starts them without waiting.

    Also when the script is ended in the middle. It takes the trap of EXIT.
    """
    return (
        'q_rest=; q_back() { for u in $q_rest; do systemctl --no-block start -- "$u" || :; done; q_rest=; }\n'
        "trap q_back EXIT; trap 'exit 141' PIPE; trap 'exit 143' HUP INT TERM\n"
        f"for u in {' '.join(map(quote, units))}; do\n"
        '  if systemctl is-active -q -- "$u"; then q_rest="$u $q_rest"; systemctl stop -- "$u" || :; fi\n'
        f"done\n{script}\nq_back"
    )
