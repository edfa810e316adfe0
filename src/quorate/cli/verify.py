"""`quorate verify`: prove that the cluster works."""

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from quorate.cli.words import DEFAULT, BreakLock, File, Json, Svg, Yes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from quorate.cli.output import Output
    from quorate.core import Transport
    from quorate.report.findings import Finding
    from quorate.spec.cluster import Cluster

Disruptive = Annotated[
    bool, Parameter(name="--disruptive", help="Also stop services and move the virtual IP.", show_default=False)
]


def verify(
    *,
    file: File = DEFAULT,
    disruptive: Disruptive = False,
    yes: Yes = False,
    break_lock: BreakLock = False,
    json: Json = False,
    svg: Svg = None,
) -> int:
    """Prove that the cluster works, check by check. Exit code 8 when one fails.

    Checks that stop services or move the virtual IP run only with --disruptive, which asks first and holds the
    cluster's lock; they put everything back.
    """
    from quorate.cli.output import Output, demand_terminal, run

    if disruptive and not yes:
        demand_terminal("verify --disruptive", "add --yes: it stops services, also a majority of etcd")
    with Output(svg=svg, title="quorate verify") as out:
        return run(_verify(out, file, disruptive=disruptive, yes=yes, breaks=break_lock, json=json))


@asynccontextmanager
async def _way(
    out: "Output", cluster: "Cluster", file: Path, *, disruptive: bool, yes: bool, breaks: bool, json: bool
) -> "AsyncIterator[Transport]":
    """The door to the hosts; for the one writer's hand alone where services are stopped."""
    from quorate.cli.look import door
    from quorate.cli.writer import writing
    from quorate.core import QuorateError

    if not disruptive:
        async with door(cluster, file, asks=not json) as via:
            yield via
        return
    question = f"This stops services of {cluster.name}, also a majority of etcd, and starts them again.  Go on?"
    if not yes and not await out.agreed(f"{question}  Only yes does."):
        raise QuorateError("not verified", "nothing was stopped; without --disruptive nothing would be")
    async with writing(out, cluster, file, "verify", breaks=breaks, yes=yes, json=json) as (via, _):
        yield via


async def _verify(out: "Output", file: Path, *, disruptive: bool, yes: bool, breaks: bool, json: bool) -> int:
    from quorate.cli.look import busy, there
    from quorate.cli.output import dump
    from quorate.core import VerifyFailed
    from quorate.report.event import Said
    from quorate.report.findings import Status
    from quorate.spec.load import load
    from quorate.verify.catalog import CHECKS
    from quorate.verify.runner import demand_hosts
    from quorate.verify.runner import verify as prove

    cluster = there(load(file), file)
    total = sum(1 for check in CHECKS if disruptive or not check.disruptive)
    came: list[Finding] = []
    async with _way(out, cluster, file, disruptive=disruptive, yes=yes, breaks=breaks, json=json) as via:
        await demand_hosts(cluster, via)
        with busy(None if json else out, f"{total} checks under way") as emit:

            def on_finding(finding: "Finding") -> None:
                came.append(finding)
                if not json and out.lively:
                    emit(Said(f"{len(came)} of {total} checks, last: {finding.title}"))

            findings = await prove(cluster, via, disruptive=disruptive, on_finding=on_finding)
    failed = [finding for finding in findings if finding.status is Status.FAILED]
    if json:
        dump(_plain(cluster, findings))
    else:
        _show(out, cluster, findings, disruptive=disruptive)
    return VerifyFailed.exit_code if failed else 0


def _plain(cluster: "Cluster", findings: "Sequence[Finding]") -> dict[str, object]:
    from quorate.report.findings import as_dict

    rows = [as_dict(finding) for finding in findings]
    return {"cluster": cluster.name, "ok": all(row["status"] != "failed" for row in rows), "findings": rows}


def _show(out: "Output", cluster: "Cluster", findings: "Sequence[Finding]", *, disruptive: bool) -> None:
    from quorate.report import findings as text
    from quorate.report.console import BAD, GOOD, NAME, QUIET

    text.table(out.console, findings)
    out.console.print()
    bad = any(finding.status == "failed" for finding in findings)
    out.say((f"{cluster.name}: ", NAME), (text.counts(findings), BAD if bad else f"bold {GOOD}"))
    if not disruptive:
        out.say(("Failover was not tried: --disruptive stops services and moves the virtual IP.", QUIET))
