"""`quorate apply`: make the hosts what the cluster file says."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from quorate.cli.backup import backed_up, demand_opener
from quorate.cli.graceful import drop_closed_outputs, graceful_stop
from quorate.cli.locked import sole_writer
from quorate.cli.look import Looked, host_titles, look
from quorate.cli.names import demand_known, selected_hosts
from quorate.cli.output import Output, busy
from quorate.cli.preflight import check_before, demand_passed
from quorate.cli.sink import begins, sink
from quorate.cli.verbs.options import file_flag
from quorate.core import ApplyFailed, PlanError, Postponed, QuorateError, Transport, TransportError, UsageError
from quorate.execute import upgrading
from quorate.execute.prepare import Prepared
from quorate.execute.protocol import Again, Applied, ApplyRequest, carry_out, demand
from quorate.execute.window import Window
from quorate.operation import runtimes, upgrade
from quorate.plan.fallback import known_bad
from quorate.plan.show import Sort
from quorate.plan.words import line
from quorate.report import jsonl, result
from quorate.report import plan as plan_text
from quorate.report.event import Emit, Ended, Foretold, Planned, Said
from quorate.spec.cluster import Cluster
from quorate.spec.load import load
from quorate.spec.restoring import Restoration

Preview = Callable[[Prepared, Transport], Awaitable[list[Foretold]]]
"""What else a reader has to know before the yes, of a plan and the hosts."""

LONG_PLAN_LINES = 40
"""Changes from which on the plan is shown as one row per host; `quorate plan` shows all of it."""


async def walk(
    out: Output,
    file: Path,
    replaced: frozenset[str],
    without: frozenset[str],
    waivers: tuple[str, ...],
    through: str,
    limit: tuple[str, ...],
    *,
    window: Window | None = None,
    retry: bool,
    yes: bool,
    breaks: bool,
    verbose: bool,
    json: bool,
    verb: str = "apply",
    restoring: Restoration | None = None,
    gives_up: bool = False,
    preview: Preview | None = None,
) -> int:
    """Show, ask, and walk all stages of an apply, or of a restore; a run that stopped before its end goes on.

    `preview` says what else a reader has to know; what does not end in the `window` is not begun.
    """
    cluster, text = load(file), file.read_text(encoding="utf-8")
    demand_known(cluster, tuple(sorted(replaced | without)), ())
    only_hosts = selected_hosts(cluster, limit)
    lines = jsonl.to() if json else None
    # Before anything is looked at: the plan is true until it is walked.
    lock = sole_writer(out, cluster, file, verb, breaks=breaks, yes=yes, json=json, emit=lines)
    async with lock as (via, seconds):
        with busy(None if json else out, "reading artifacts") as emit:
            on_event = emit if out.lively else lambda _event: None
            looked = await look(
                *(cluster, file, via, lines or emit),
                replaced=replaced,
                without=without,
                on_event=on_event,
                restoring=restoring,
                gives_up=gives_up,
            )
            looked = looked.limited(only_hosts)
            looked, report = await check_before(out, lines, looked, via, waivers)
        looked = looked.after("connect, lock", seconds)
        shown = looked.shown
        demand(looked.prepared)
        _demand_stage(looked, through)
        restarts = shown.count(Sort.RESTART, Sort.RELOAD)
        create, change, remove = (shown.count(sort) for sort in (Sort.CREATE, Sort.CHANGE, Sort.REMOVE))
        planned = Planned(cluster.name, create, change, remove, restarts, shown.send)
        said: list[Foretold | Said] = [*(await preview(looked.prepared, via) if preview else ())]
        if window and shown.lines:
            said.append(Said(window.told(looked.prepared.plan)))
        if lines:
            lines(planned)
            for each in said:
                lines(each)
        else:
            _print_plan(out, cluster, looked, verbose=verbose)
            for text in filter(None, (each.text for each in said)):
                out.say((line(text), "bold yellow"))
        demand_passed(out, lines, report)
        if looked.prepared.backs_up:
            demand_opener(file)
        await _demand_new_try(out, looked, retry=retry, yes=yes)
        question = "Apply this?  Only yes applies it." if restoring is None else "Restore this?  Only yes restores it."
        if shown.lines and not yes and not await out.confirmed(question):
            what = "applied" if restoring is None else "restored"
            raise QuorateError(f"not {what}: there was no yes", "nothing was changed")
        if looked.prepared.backs_up:
            await _back_up(out, lines, file)
        entry = _journal_entry(planned, looked.prepared, looked.waived)
        done = await carry_out(
            looked,
            via,
            ApplyRequest(file, text, through, bool(only_hosts), entry, verb, window),
            sink=sink(out, lines, verbose=verbose),
            again=_looker(out, looked, cluster, file, via, lines, retry=retry, restoring=restoring, gives_up=gives_up),
            emit=begins(out, lines),
            listening=graceful_stop,
        )
    drop_closed_outputs()
    ended = done.ended
    if lines:
        for warning in done.warnings:
            lines(Said(warning))
        lines(ended)
    else:
        _print_result(out, file, cluster, done)
        for name in looked.prepared.left_alone:
            out.say((f"{name} did not answer and was left as it is; the next apply goes on with it", "yellow"))
        for warning in done.warnings:
            out.say((warning, "yellow"))
    return _exit_code(ended, away=bool(looked.prepared.left_alone))


def _exit_code(ended: Ended, *, away: bool) -> int:
    if ended.ok:
        return TransportError.exit_code if away else 0
    if ended.stopped:
        return 130
    return Postponed.exit_code if ended.postponed and not ended.failed else ApplyFailed.exit_code


async def _back_up(out: Output, lines: Emit | None, file: Path) -> None:
    """Take a backup, as what leads back later. Raises QuorateError where it is not proved; nothing was changed then."""
    done = await backed_up(out, file, None, json=lines is not None)
    if not (done.taken.proof and done.taken.proof.level):
        raise QuorateError(
            f"{done.taken.path} could not be proved on {done.taken.manifest.host}, and later only it would lead back",
            "nothing was changed; make room there, as the journal says, and try again",
        )
    told = f"backed up before there is no way back by an edit: {done.taken.path}"
    if lines:
        lines(Said(told))
    else:
        out.say(told)


def _looker(
    out: Output,
    first: Looked,
    cluster: Cluster,
    file: Path,
    via: Transport,
    lines: Emit | None,
    *,
    retry: bool,
    restoring: Restoration | None = None,
    gives_up: bool = False,
) -> Again[Looked]:
    """How the hosts are looked at anew before a stage; what did not hold before is refused there, too, and a host that
    is left out and answers.
    """
    replaced, left_out = first.prepared.context.replaced, first.prepared.out

    async def look_again(stage: str) -> Looked:
        with busy(None if lines else out, "looking at the hosts") as emit:
            looked = await look(
                *(cluster, file, via, lines or emit),
                replaced=replaced,
                without=left_out,
                stage=stage,
                restoring=restoring,
                gives_up=gives_up,
            )
        await _demand_new_try(out, looked, retry=retry, yes=True)
        return looked

    return look_again


async def _demand_new_try(out: Output, looked: Looked, *, retry: bool, yes: bool) -> None:
    """Ask before something is tried that did not hold before; where nobody can be asked, that is a refusal."""
    if retry or not (failed_before := known_bad(looked.prepared.plan)):
        return
    if yes or not await out.confirmed("It did not hold then.  Only yes tries it again."):
        reasons = "\n".join(f"  {each}" for each in failed_before.values())
        raise PlanError(
            f"tried before:\n{reasons}", "mend what kept it from holding; `--retry` tries it again as it is"
        )


def _demand_stage(looked: Looked, through: str) -> None:
    """Refuse the name of a stage that this apply has not."""
    names = looked.prepared.todo
    if through and through not in names:
        raise UsageError(
            f"there is no stage {through} to end after", f"stages: {', '.join(names) or 'none, no changes'}"
        )


def _print_plan(out: Output, cluster: Cluster, looked: Looked, *, verbose: bool) -> None:
    shown, hosts = looked.shown, host_titles(looked)
    if len(shown.lines) <= LONG_PLAN_LINES or verbose:
        plan_text.lines(out.console, shown, hosts, verbose=verbose)
    else:
        plan_text.overview(out.console, shown, hosts)
    plan_text.notes(out.console, shown, verbose=verbose)
    plan_text.verdict(out.console, cluster.name, shown)
    if len(shown.lines) > LONG_PLAN_LINES and not verbose:
        out.say(("`quorate plan` shows every line.", "bright_black"))


def _journal_entry(planned: Planned, prepared: Prepared, waived: tuple[str, ...]) -> dict[str, object]:
    """What the journal tells of a run at its beginning."""
    counts = {name: value for name, value in jsonl.as_dict(planned).items() if name not in ("event", "cluster")}
    entry: dict[str, object] = {**counts, "file": hashlib.sha256(prepared.text.encode()).hexdigest()[:16]}
    if prepared.operation == upgrade.NAME:
        moves = upgrading.moves(prepared.context.releases, prepared.context.supply)
        entry |= {"operation": upgrade.NAME, "stages": prepared.todo}
        entry |= {"from": {part: was for part, (was, _) in moves.items()}}
        entry |= {"to": {part: goal for part, (_, goal) in moves.items()}}
    elif prepared.operation == runtimes.NAME:
        entry |= {"operation": runtimes.NAME, "stages": prepared.todo}
        entry |= {"from": {"pods": runtimes.former(prepared.context)}}
        entry |= {"to": {"pods": prepared.context.cluster.runtime.kind}}
    return {**entry, "waived": waived} if waived else entry


def _print_result(out: Output, file: Path, cluster: Cluster, done: Applied) -> None:
    ended, outcome, remaining = done.ended, done.outcome, done.rest
    flag = file_flag(file)
    if not outcome.changed and ended.ok:
        out.say((f"nothing had to be done, {ended.seconds:.1f} s", "bright_black"))
        return
    out.console.print()
    result.phases(out.console, ended.phases)
    result.failures(out.console, outcome.failed, outcome.skipped)
    result.left(out.console, outcome.left)
    result.totals(out.console, ended)
    if ended.ok and remaining:
        out.say(("next      ", "bright_black"), f"quorate apply{flag} goes on with the stage `{remaining[0]}`")
    elif ended.ok:
        nodes = [host.node for host in cluster.workers]
        next_commands = [
            ("kubectl", f"quorate kubeconfig{flag} -o {cluster.name}.conf; export KUBECONFIG=$PWD/{cluster.name}.conf"),
            ("proof", f"quorate verify{flag}"),
        ]
        result.ready(out.console, cluster.name, cluster.server_url, nodes, next_commands)
    else:
        if ended.postponed:
            out.say(
                ("postponed ", "yellow"),
                f"not begun, for it would not have ended in time: {', '.join(ended.postponed)}",
            )
        out.say(("next      ", "bright_black"), f"quorate apply{flag} goes on where this stopped")
