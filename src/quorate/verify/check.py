"""What a check is: an id, a title, and a function that says in one line what it saw."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from quorate.core import CommandFailed, TransportError
from quorate.report.findings import Finding, Status, Verdict
from quorate.verify.env import Env


class Wrong(Exception):
    """The check failed; the text says what was seen, in one line."""


class Skip(Exception):
    """The check has no object in this cluster; the text says why."""


Run = Callable[[Env], Awaitable[str]]
"""Returns the detail of a passed check; raises Wrong or Skip."""


@dataclass(frozen=True)
class Check:
    """One claim about the cluster, and how it is proved."""

    id: str
    """`1` to `16` as in the described system's catalogue, a word for the others."""
    title: str
    run: Run
    disruptive: bool = False
    """It stops something, and puts it back."""
    final: bool = False
    """What it has seen wrong once is wrong: rights, keys, an address on two hosts. The others are looked at twice."""


async def examine(check: Check, env: Env) -> Finding:
    """Run one check. Whatever the hosts do is a finding, never an exception."""
    began = time.monotonic()

    def found(status: Status, detail: str) -> Finding:
        return Finding(check.id, check.title, Verdict(status, " ".join(detail.split())), time.monotonic() - began)

    try:
        return found(Status.PASSED, await check.run(env))
    except Wrong as wrong:
        return found(Status.FAILED, str(wrong))
    except Skip as skip:
        return found(Status.SKIPPED, str(skip))
    except CommandFailed as error:
        tail = (error.stderr.strip() or error.stdout.strip()).splitlines()[-1:]
        return found(Status.FAILED, f"{error.host}: exit {error.code}: {''.join(tail) or error.message}")
    except TransportError as error:
        return found(Status.FAILED, str(error))
    except (ValueError, LookupError, TypeError) as error:  # what a host said is not what such a program says
        return found(Status.FAILED, f"an answer that can't be read ({type(error).__name__}: {error})")


def demand(good: bool, otherwise: str) -> None:
    """Raise Wrong unless it is so."""
    if not good:
        raise Wrong(otherwise)
