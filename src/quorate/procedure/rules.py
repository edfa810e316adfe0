"""What is gone of the rules and routes that we keep on a host: asked of the checks that lie there."""

from quorate.spec.layout import BALANCER, CHECKS

ASK = f"""\
for f in {BALANCER}/*{CHECKS}; do
  [ ! -e "$f" ] || timeout 5 /bin/sh "$f" </dev/null || :
done 2>/dev/null"""
"""Runs every check that `apply` has put on the host; each prints a line for what is missing."""


def parse(said: str) -> tuple[str, ...]:
    """The answer to ASK."""
    return tuple(dict.fromkeys(line.strip() for line in said.splitlines() if line.strip()))


def told(missing: str) -> str:
    """One of them in a line."""
    return f"{missing}; it comes back by itself in seconds, else by `quorate apply`"
