"""`quorate plan`: what apply would change, and of an upgrade what speaks against it."""

from pathlib import Path

from quorate.cli.connect import connected
from quorate.cli.look import host_titles, look
from quorate.cli.names import demand_known, selected_hosts
from quorate.cli.output import Output, busy, print_json
from quorate.cli.preflight import check_before, demand_passed
from quorate.core import PlanError, TransportError
from quorate.operation import runtimes, upgrade
from quorate.preflight.report import Report
from quorate.report import findings
from quorate.report import plan as plan_text
from quorate.report.findings import Status
from quorate.spec.load import load

EXIT_CHANGES = 2
"""Exit code when there is something to change."""


async def show_plan(
    out: Output,
    file: Path,
    only: tuple[str, ...],
    host: tuple[str, ...],
    limit: tuple[str, ...],
    replaced: frozenset[str],
    without: frozenset[str],
    waivers: tuple[str, ...] = (),
    *,
    verbose: bool,
    json: bool,
) -> int:
    """Print the difference between the file and the hosts, all or a part of it.

    Raises PlanError where the preflight of an upgrade has found what is not waived.
    """
    cluster = load(file)
    demand_known(cluster, (*host, *sorted(replaced | without)), only)
    only_hosts = selected_hosts(cluster, limit)
    async with connected(cluster, file, asks=not json) as via:
        with busy(None if json else out, "reading artifacts") as emit:
            on_event = emit if out.lively else lambda _event: None
            looked = await look(
                *(cluster, file, via, emit), replaced=replaced, without=without, on_event=on_event, fetches=False
            )
            report = Report()
            if looked.prepared.operation in (runtimes.NAME, upgrade.NAME):
                looked, report = await check_before(out, None, looked, via, waivers)
    looked = looked.limited(only_hosts)
    shown = looked.shown.only(only, host)
    code = TransportError.exit_code if shown.unreachable else EXIT_CHANGES if shown.lines else 0
    if json:
        refused = bool(report.of(Status.FAILED))
        code = PlanError.exit_code if refused else code
        told = {"preflight": [findings.as_dict(each) for each in report.findings]} if report.findings else {}
        print_json({"cluster": cluster.name, "exit_code": code, **shown.as_dict(), **told})
        return code
    plan_text.lines(out.console, shown, host_titles(looked), verbose=verbose)
    plan_text.notes(out.console, shown, verbose=verbose)
    plan_text.verdict(out.console, cluster.name, shown)
    demand_passed(out, None, report)
    return code
