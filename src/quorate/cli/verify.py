"""`quorate verify`: prove that the cluster works."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from quorate.cli.connect import connected, present_cluster
from quorate.cli.locked import sole_writer
from quorate.cli.output import Output, busy, print_json
from quorate.core import QuorateError, Transport, VerifyFailed
from quorate.report import findings as findings_text
from quorate.report.console import BAD, GOOD, NAME, QUIET
from quorate.report.event import Said
from quorate.report.findings import Finding, Status, as_dict
from quorate.spec.cluster import Cluster
from quorate.spec.load import load
from quorate.verify.catalog import CHECKS
from quorate.verify.runner import demand_hosts
from quorate.verify.runner import verify as run_all


@asynccontextmanager
async def _transport(
    out: Output, cluster: Cluster, file: Path, *, disruptive: bool, yes: bool, breaks: bool, json: bool
) -> AsyncIterator[Transport]:
    """The transport to the hosts; for the one writer's hand alone where services are stopped."""
    if not disruptive:
        async with connected(cluster, file, asks=not json) as via:
            yield via
        return
    question = f"This stops services of {cluster.name}, also a majority of etcd, and starts them again.  Go on?"
    if not yes and not await out.confirmed(f"{question}  Only yes does."):
        raise QuorateError("not verified", "nothing was stopped; without --disruptive nothing would be")
    async with sole_writer(out, cluster, file, "verify", breaks=breaks, yes=yes, json=json) as (via, _):
        yield via


async def run_checks(out: Output, file: Path, *, disruptive: bool, yes: bool, breaks: bool, json: bool) -> int:
    """Run the checks, with `disruptive` also those that stop services, and print what they found."""
    cluster = present_cluster(load(file), file)
    total = sum(1 for check in CHECKS if disruptive or not check.disruptive)
    finished: list[Finding] = []
    async with _transport(out, cluster, file, disruptive=disruptive, yes=yes, breaks=breaks, json=json) as via:
        await demand_hosts(cluster, via)
        with busy(None if json else out, f"{total} checks under way") as emit:

            def on_finding(finding: Finding) -> None:
                finished.append(finding)
                if not json and out.lively:
                    emit(Said(f"{len(finished)} of {total} checks, last: {finding.title}"))

            findings = await run_all(cluster, via, disruptive=disruptive, on_finding=on_finding)
    failed = [finding for finding in findings if finding.status is Status.FAILED]
    if json:
        print_json(_as_dict(cluster, findings))
    else:
        _print_findings(out, cluster, findings, disruptive=disruptive)
    return VerifyFailed.exit_code if failed else 0


def _as_dict(cluster: Cluster, findings: Sequence[Finding]) -> dict[str, object]:
    rows = [as_dict(finding) for finding in findings]
    return {"cluster": cluster.name, "ok": all(row["status"] != "failed" for row in rows), "findings": rows}


def _print_findings(out: Output, cluster: Cluster, findings: Sequence[Finding], *, disruptive: bool) -> None:
    findings_text.table(out.console, findings)
    out.console.print()
    failed = any(finding.status == "failed" for finding in findings)
    out.say((f"{cluster.name}: ", NAME), (findings_text.counts(findings), BAD if failed else f"bold {GOOD}"))
    if not disruptive:
        out.say(("Failover was not tried: --disruptive stops services and moves the virtual IP.", QUIET))
