"""The journal of a unit as sh: its last words, for whoever wants to know why it does not run."""

from quorate.render.sh import quote

LINES = 10
"""Lines that are shown: an error of a Kubernetes program and what systemd says of its end have fewer."""
LOOKED_AT = 60
"""Lines among which those are: a service that ends at once is started again some times before anybody looks."""
_NOISE = (
    r" systemd\[1\]: (Start|Stop)(ing|ed|ped|ping) | systemd\[1\]: [^ ]*: (Scheduled restart job|Deactivated|Consumed)"
)
"""What systemd says of every start and every end."""


def last(unit: str) -> str:
    """sh that prints the last lines of a unit's journal under a heading; nothing where there are none."""
    read = f"journalctl -u {quote(unit)} -n {LOOKED_AT} -q --no-pager --utc -o short-iso 2>/dev/null"
    return (
        f"q_said=$({read} | grep -vE {quote(_NOISE)} | tail -n {LINES})\n"
        f'[ -z "$q_said" ] || printf \'%s\\n\' {quote(f"the last lines of {unit}:")} "$q_said"'
    )
