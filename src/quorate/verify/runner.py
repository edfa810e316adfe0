"""Run the checks: those that change nothing side by side, then those that stop something one by one."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from quorate.core import Transport, TransportError
from quorate.report.findings import Finding, Status, Verdict, failed
from quorate.spec.cluster import Cluster
from quorate.verify import pods
from quorate.verify.catalog import CHECKS
from quorate.verify.check import Check, examine
from quorate.verify.env import Env

SECOND_LOOK_AFTER_S = 5.0
"""Seconds until a check that failed, and disturbs nobody, is done once more, when all others are over: on a machine
that is busy, or just after an apply, what is only slow must not count as broken."""

SECOND_LOOK_EXTRA_S = 75.0
"""Seconds more that a second look has: after an API that was away kube-proxy may wait 60 s before it asks again
(client-go, tools/cache/reflector.go)."""


async def verify(
    cluster: Cluster,
    via: Transport,
    *,
    disruptive: bool,
    on_finding: Callable[[Finding], None],
    checks: Sequence[Check[Any]] = CHECKS,
) -> list[Finding]:
    """Prove the cluster; findings in the order of the catalogue, and told one by one as they come.

    Test objects are in a namespace of their own and are deleted at the end. With `disruptive`, checks may stop
    services; whatever happens, also Ctrl-C, they are started again, by a timer on their host at the latest.
    Without it those checks are not in the result. What fails and disturbs nobody is looked at twice.
    """
    env = Env(cluster, via, f"quorate-verify-{uuid.uuid4().hex[:6]}")
    findings: dict[str, Finding] = {}

    def report(finding: Finding) -> None:
        findings[finding.id] = finding
        on_finding(finding)

    async def first(check: Check[Any]) -> Check[Any] | None:
        """The check when it failed: a second look decides."""
        finding = await examine(check, env)
        if finding.status is not Status.FAILED or check.final:
            report(finding)
            return None
        findings[check.id] = finding
        return check

    async def second(check: Check[Any], again: Env) -> None:
        report(_of_two(findings[check.id], await examine(check, again)))

    tasks = [asyncio.create_task(first(check)) for check in checks if not check.disruptive]
    again = Env(cluster, via, env.namespace, SECOND_LOOK_EXTRA_S)
    try:
        if doubtful := [check for check in await asyncio.gather(*tasks) if check]:
            await asyncio.sleep(SECOND_LOOK_AFTER_S)
            await asyncio.gather(*(second(check, again) for check in doubtful))
        if disruptive:
            for check in checks:
                if check.disruptive:
                    report(await examine(check, env))
    finally:
        again.cancel()
        for task in tasks:
            task.cancel()
        env.cancel()
        left = await asyncio.shield(_clean(env))
        for finding in left:
            on_finding(finding)
    return [*(findings[check.id] for check in checks if check.id in findings), *left]


def _of_two(before: Finding, now: Finding) -> Finding:
    """What a second look has found; it says so when that is better than the first."""
    if now.status is Status.FAILED:
        return now
    return replace(now, verdict=Verdict(now.status, f"{now.detail} (at the second look; the first: {before.detail})"))


async def demand_hosts(cluster: Cluster, via: Transport) -> None:
    """Raise TransportError where no host answers at all: that is one cause, and no finding of every check."""

    async def why(host: str) -> str:
        try:
            await via.run(host, ":")
        except TransportError as error:
            return error.message
        return ""

    reasons = await asyncio.gather(*(why(host.name) for host in cluster.hosts))
    if all(reasons):
        why_none = "; ".join(dict.fromkeys(reasons))
        raise TransportError(f"none of {len(reasons)} hosts answers: {why_none}", "see `quorate preflight`")


async def _clean(env: Env) -> list[Finding]:
    """Put everything back; a finding when that can't be done."""
    left = await env.outages.heal()
    await pods.delete(env)
    return [Finding("restored", "what was stopped runs again", failed("; ".join(left)))] if left else []
