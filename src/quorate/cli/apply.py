"""`quorate apply`: make the hosts what the cluster file says."""

from pathlib import Path
from typing import TYPE_CHECKING

from quorate.cli.words import DEFAULT, BreakLock, File, Json, Replace, Svg, Verbose, Waive, Yes

if TYPE_CHECKING:
    from quorate.cli.look import Looked
    from quorate.cli.output import Output
    from quorate.cli.stop import Wishes
    from quorate.core import Transport
    from quorate.execute.apply import Outcome
    from quorate.execute.journal import Run
    from quorate.report.event import Emit, Ended, Planned
    from quorate.spec.cluster import Cluster

LONG = 40
"""Changes from which on the plan is shown as one row per host; `quorate plan` shows all of it."""


def apply(
    *,
    file: File = DEFAULT,
    yes: Yes = False,
    replace: Replace = (),
    waive: Waive = (),
    break_lock: BreakLock = False,
    verbose: Verbose = False,
    json: Json = False,
    svg: Svg = None,
) -> int:
    """Make the hosts what the cluster file says: show the plan, ask, and go.

    Interrupted or failed, the same command goes on where it stopped. Ctrl-C once lets running steps end, twice
    aborts. A host that was in the cluster and does not answer is left as it is (exit code 6 in the end); one that
    is not in the file any more leaves the cluster. Who runs it at the same time is refused (exit code 10): the lock
    is on the hosts, and free again 40 s after the last sign of life. Before the first change the hosts are checked
    (see `quorate preflight`); what fails stops it (exit code 4) unless waived. With --json each event is one line.
    """
    from quorate.cli.output import Output, demand_terminal, run

    if not yes:
        demand_terminal("apply", "add --yes, or look first with `quorate plan`")
    with Output(svg=svg, title="quorate apply") as out:
        asked = _apply(out, file, frozenset(replace), waive, yes=yes, breaks=break_lock, verbose=verbose, json=json)
        return run(asked)


async def _apply(
    out: "Output",
    file: Path,
    replaced: frozenset[str],
    waivers: tuple[str, ...],
    *,
    yes: bool,
    breaks: bool,
    verbose: bool,
    json: bool,
) -> int:
    from quorate.cli.look import busy, known, look
    from quorate.cli.preflight import before, settle
    from quorate.cli.stop import gently, silence
    from quorate.cli.writer import writing
    from quorate.core import ApplyFailed, QuorateError, TransportError
    from quorate.plan.show import Sort
    from quorate.report import jsonl
    from quorate.report.event import Planned, Said
    from quorate.spec.load import load

    cluster, text = load(file), file.read_text(encoding="utf-8")
    known(cluster, tuple(sorted(replaced)), ())
    lines = jsonl.to() if json else None
    # Before anything is looked at: the plan is true until it is walked.
    lock = writing(out, cluster, file, "apply", breaks=breaks, yes=yes, json=json, emit=lines)
    async with lock as (via, seconds):
        with busy(None if json else out, "reading artifacts") as emit:
            told = emit if out.lively else lambda _event: None
            looked = await look(cluster, file, via, lines or emit, replaced=replaced, told=told)
            looked, checked = await before(out, lines, looked, via, waivers)
        # Their code came with the plan's.
        from quorate.execute import journal
        from quorate.execute.seal import Copies

        looked = looked.after("connect, lock", seconds)
        shown = looked.shown
        _demand(looked)
        restarts = shown.count(Sort.RESTART, Sort.RELOAD)
        create, change, remove = (shown.count(sort) for sort in (Sort.CREATE, Sort.CHANGE, Sort.REMOVE))
        planned = Planned(cluster.name, create, change, remove, restarts, shown.send)
        if lines:
            lines(planned)
        else:
            _show(out, cluster, looked, verbose=verbose)
        settle(out, lines, checked)
        if shown.lines and not yes and not await out.agreed("Apply this?  Only yes applies it."):
            raise QuorateError("not applied: there was no yes", "nothing was changed")
        prepared = looked.prepared
        with journal.run(prepared.store, "apply", **_told(planned, text, looked.waived)) as run:
            prepared.store.keep()
            prepared.past.begin(text, prepared.machines)
            copies = Copies(prepared.store, prepared.context, file, text, via)
            await copies.begin()
            with gently() as wishes:
                ended, outcome = await _walk(out, looked, via, lines, wishes, run, verbose=verbose)
                _remember(looked, text, run, ended, outcome)
                await copies.end(changed=bool(outcome.changed))
    silence()
    if lines:
        for warning in copies.warnings:
            lines(Said(warning))
        lines(ended)
    else:
        _result(out, file, cluster, ended, outcome)
        for name in looked.prepared.left_alone:
            out.say((f"{name} did not answer and was left as it is; the next apply goes on with it", "yellow"))
        for warning in copies.warnings:
            out.say((warning, "yellow"))
    if not ended.ok and not ended.stopped:
        return ApplyFailed.exit_code
    return 130 if not ended.ok else TransportError.exit_code if looked.prepared.left_alone else 0


def _demand(looked: "Looked") -> None:
    """Refuse to begin when a host that never was in the cluster does not answer; one that was is left alone."""
    from quorate.core import TransportError

    known = looked.prepared.past.machines() if looked.prepared.context.established else {}
    strange = {name: why for name, why in looked.prepared.lost.items() if name not in known}
    if strange:
        raise TransportError(
            "\n".join(
                [
                    f"{len(strange)} of {len(looked.prepared.context.cluster.hosts)} hosts can't be reached; "
                    "nothing was changed",
                    *(f"  {name}: {why.removeprefix(f'{name}: ')}" for name, why in strange.items()),
                ]
            ),
            "bring them back, or take them out of the file; new hosts need `quorate trust` once",
        )


def _show(out: "Output", cluster: "Cluster", looked: "Looked", *, verbose: bool) -> None:
    from quorate.cli.look import about
    from quorate.report import plan as text

    shown, hosts = looked.shown, dict(about(cluster))
    if len(shown.lines) <= LONG or verbose:
        text.lines(out.console, shown, hosts, verbose=verbose)
    else:
        text.overview(out.console, shown, hosts)
    text.notes(out.console, shown, verbose=verbose)
    text.verdict(out.console, cluster.name, shown)
    if len(shown.lines) > LONG and not verbose:
        out.say(("`quorate plan` shows every line.", "bright_black"))


async def _walk(
    out: "Output",
    looked: "Looked",
    via: "Transport",
    lines: "Emit | None",
    wishes: "Wishes",
    run: "Run",
    *,
    verbose: bool,
) -> "tuple[Ended, Outcome]":
    """Walk the plan under the eyes of the reader; Ctrl-C stops it gently, a second one at once."""
    from quorate.cli.stop import unheard
    from quorate.execute.apply import Walk
    from quorate.execute.held import proof
    from quorate.report import lines as plain
    from quorate.report.board import Board
    from quorate.report.event import Ended, Said
    from quorate.report.live import screen

    plan, board = looked.prepared.plan, Board.of(looked.shown)
    held = proof(looked.prepared.context, via)
    if lines or not looked.shown.lines:
        walk = Walk(plan, via, run.also(unheard(lines or board.take)), held)
        wishes.stop, wishes.abort = walk.stop, walk.abort
        outcome = await walk.run()
    elif out.lively:
        with screen(out.console, board) as (drawn, emit):
            walk = Walk(plan, via, run.also(unheard(emit)), held)

            def stop() -> None:
                drawn.stopping = True
                walk.stop()

            wishes.stop, wishes.abort = stop, walk.abort
            outcome = await walk.run()
    else:
        emit = unheard(plain.to(out.console, board, verbose=verbose))
        walk = Walk(plan, via, run.also(emit), held)

        def stop_plain() -> None:
            emit(Said("stopping: running steps end, Ctrl-C again aborts"))
            walk.stop()

        wishes.stop, wishes.abort = stop_plain, walk.abort
        outcome = await walk.run()
    before = looked.phases[-1][2] if looked.phases else 0.0
    spans = [(name, first + before, last + before) for name, (first, last) in outcome.spans.items()]
    ended = Ended(
        ok=outcome.ok,
        changed=len(outcome.changed),
        unchanged=outcome.unchanged,
        failed=len(outcome.failed),
        skipped=len(outcome.skipped),
        left=len(outcome.left),
        stopped=outcome.stopped,
        seconds=before + outcome.seconds,
        phases=(*looked.phases, *sorted(spans, key=lambda span: span[1])),
        sent=tuple(sorted(outcome.sent.items())),
        touched=len({key.host for key in outcome.changed}),
        hosts=len({key.host for key in plan.steps}),
    )
    return ended, outcome


def _told(planned: "Planned", text: str, waived: tuple[str, ...]) -> dict[str, object]:
    """What the journal tells of a run at its beginning."""
    import hashlib

    from quorate.report import jsonl

    counts = {name: value for name, value in jsonl.as_dict(planned).items() if name not in ("event", "cluster")}
    told: dict[str, object] = {**counts, "file": hashlib.sha256(text.encode()).hexdigest()[:16]}
    return {**told, "waived": waived} if waived else told


def _remember(looked: "Looked", text: str, run: "Run", ended: "Ended", outcome: "Outcome") -> None:
    """After a whole run, the file as applied; in any case its end in the journal."""
    from quorate.plan.words import line
    from quorate.report import jsonl

    prepared = looked.prepared
    if ended.ok and not prepared.left_alone:
        left = [each.host.name for each in prepared.context.leaving if each.whole]
        prepared.past.finish(text, prepared.machines, left)
    told = {name: value for name, value in jsonl.as_dict(ended).items() if name != "event"}
    run.end(**told, failures={str(key): line(error, 500) for key, error in outcome.failed.items()})


def _result(out: "Output", file: Path, cluster: "Cluster", ended: "Ended", outcome: "Outcome") -> None:
    from quorate.report import result

    flag = "" if file == DEFAULT else f" -f {file}"
    if not outcome.changed and ended.ok:
        out.say((f"nothing had to be done, {ended.seconds:.1f} s", "bright_black"))
        return
    out.console.print()
    result.phases(out.console, ended.phases)
    result.failures(out.console, outcome.failed, outcome.skipped)
    result.left(out.console, outcome.left)
    result.totals(out.console, ended)
    if ended.ok:
        nodes = [host.node for host in cluster.workers]
        follow = [
            ("kubectl", f"quorate kubeconfig{flag} -o {cluster.name}.conf; export KUBECONFIG=$PWD/{cluster.name}.conf"),
            ("proof", f"quorate verify{flag}"),
        ]
        result.ready(out.console, cluster.name, cluster.server_url, nodes, follow)
    else:
        out.say(("next      ", "bright_black"), f"quorate apply{flag} goes on where this stopped")
