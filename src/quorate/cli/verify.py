"""`quorate verify`: prove that the cluster works."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from quorate.cli.words import DEFAULT, File, Json, Svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quorate.cli.output import Output
    from quorate.spec.cluster import Cluster
    from quorate.verify.check import Finding

Disruptive = Annotated[
    bool, Parameter(name="--disruptive", help="Also stop services and move the virtual IP.", show_default=False)
]


def verify(*, file: File = DEFAULT, disruptive: Disruptive = False, json: Json = False, svg: Svg = None) -> int:
    """Prove that the cluster works, check by check. Exit code 8 when one fails.

    Checks that stop services or move the virtual IP run only with --disruptive; they put everything back.
    """
    from quorate.cli.output import Output, run

    with Output(svg=svg, title="quorate verify") as out:
        return run(_verify(out, file, disruptive=disruptive, json=json))


async def _verify(out: "Output", file: Path, *, disruptive: bool, json: bool) -> int:
    from quorate.cli.look import busy, door
    from quorate.cli.output import dump
    from quorate.core import VerifyFailed
    from quorate.report.event import Said
    from quorate.spec.load import load
    from quorate.verify.catalog import CHECKS
    from quorate.verify.check import Status
    from quorate.verify.runner import verify as prove

    cluster = load(file)
    total = sum(1 for check in CHECKS if disruptive or not check.disruptive)
    came: list[Finding] = []
    async with door(cluster, file, asks=not json) as via:
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
    from quorate.plan.words import clean

    rows = [
        {
            "id": finding.id,
            "title": finding.title,
            "status": finding.status.value,
            "detail": clean(finding.detail),
            "seconds": round(finding.seconds, 3),
        }
        for finding in findings
    ]
    return {"cluster": cluster.name, "ok": all(row["status"] != "failed" for row in rows), "findings": rows}


def _show(out: "Output", cluster: "Cluster", findings: "Sequence[Finding]", *, disruptive: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from quorate.plan.words import clean
    from quorate.report.console import BAD, GOOD, NAME, QUIET, WARN

    looks = {"passed": ("✓", GOOD), "failed": ("✗", BAD), "skipped": ("-", WARN)}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    table.add_column("", width=1)
    table.add_column("id", style=QUIET, no_wrap=True)
    table.add_column("check and what was seen", ratio=1)
    table.add_column("s", justify="right", style=QUIET, no_wrap=True)
    for finding in findings:
        mark, style = looks[finding.status.value]
        told = Text(finding.title, "" if finding.status.value == "passed" else style)
        if finding.detail:
            told.append("\n" + clean(finding.detail), QUIET if finding.status.value != "failed" else "")
        table.add_row(Text(mark, style), finding.id, told, f"{finding.seconds:.1f}")
    out.console.print(table)
    out.console.print()
    counts = {word: sum(1 for finding in findings if finding.status.value == word) for word in looks}
    bad = counts["failed"]
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    out.say((f"{cluster.name}: ", NAME), (said, BAD if bad else f"bold {GOOD}"))
    if not disruptive:
        out.say(("Failover was not tried: --disruptive stops services and moves the virtual IP.", QUIET))
