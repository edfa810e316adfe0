"""What a check is: a claim, a look that does all IO, and a pure judge of what was seen."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from quorate.core import CommandFailed, TransportError
from quorate.report.findings import Finding, Status, Verdict, failed, skipped
from quorate.spec.cluster import Cluster
from quorate.verify.env import Env

Seen = TypeVar("Seen")

NETWORK_SETTLES_S = 15.0
"""Seconds that kube-proxies have for the rules of a service that was just made (1 s between their rounds)."""
LOOK_AGAIN_AFTER_S = 1.0


class LookFailed(Exception):
    """What a look needs did not come: test pods, a healthy cluster, an answer that can be read. There is nothing to
    judge then; the text says why, in one line.

    An exception, because many looks stand on the same test pods: as part of what is seen it would be in every record.
    """


def never(_cluster: Cluster) -> str:
    """For checks that have an object in every cluster."""
    return ""


@dataclass(frozen=True)
class Check(Generic[Seen]):
    """One claim about the cluster, and how it is proved."""

    id: str
    """`1` to `16` as in the described system's catalogue, a word for the others."""
    title: str
    look: Callable[[Env], Awaitable[Seen]]
    """All IO. Gives what was seen, frozen; of a disruptive check it is the experiment, and gives what was measured."""
    judge: Callable[[Cluster, Seen], Verdict]
    """Pure: what was seen, in one line with numbers, and whether it is as claimed."""
    skip: Callable[[Cluster], str] = never
    """Pure: why there is nothing to check, as far as the cluster file tells; empty when there is."""
    disruptive: bool = False
    """It stops something, and puts it back."""
    final: bool = False
    """What it has seen wrong once is wrong: rights, keys, an address on two hosts. The others are looked at twice."""
    settles: bool = False
    """What it sees wrong may be the network's, which is still settling: it looks again and again for a while."""


async def examine(check: Check[Any], env: Env) -> Finding:
    """Do one check. Whatever the hosts do is a finding, never an exception."""
    began = time.monotonic()
    verdict = await _verdict(check, env)
    line = " ".join(verdict.detail.split())
    return Finding(check.id, check.title, Verdict(verdict.status, line), time.monotonic() - began)


async def _verdict(check: Check[Any], env: Env) -> Verdict:
    try:
        why_not = check.skip(env.cluster)
        return skipped(why_not) if why_not else await _judged(check, env)
    except LookFailed as error:
        return failed(str(error))
    except CommandFailed as error:
        tail = (error.stderr.strip() or error.stdout.strip()).splitlines()[-1:]
        return failed(f"{error.host}: exit {error.code}: {''.join(tail) or error.message}")
    except TransportError as error:
        return failed(str(error))
    except (ValueError, LookupError, TypeError) as error:  # what a host said is not what such a program says
        return failed(f"an answer that can't be read ({type(error).__name__}: {error})")


async def _judged(check: Check[Seen], env: Env) -> Verdict:
    """The verdict; where the network may be settling still, that of the last look."""
    end = time.monotonic() + NETWORK_SETTLES_S + env.extra_s
    while True:
        verdict = check.judge(env.cluster, await check.look(env))
        if verdict.status is not Status.FAILED or not check.settles or time.monotonic() > end:
            return verdict
        await asyncio.sleep(LOOK_AGAIN_AFTER_S)
