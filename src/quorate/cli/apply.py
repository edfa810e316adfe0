"""`quorate apply`: make the hosts what the cluster file says."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from quorate.cli.words import DEFAULT, File, Json, Replace, Svg, Verbose, Yes

if TYPE_CHECKING:
    from quorate.cli.look import Looked
    from quorate.cli.output import Output
    from quorate.core import Transport
    from quorate.execute.apply import Outcome
    from quorate.report.event import Emit, Ended
    from quorate.spec.cluster import Cluster

LONG = 40
"""Changes from which on the plan is shown as one row per host; `quorate plan` shows all of it."""


def apply(
    *,
    file: File = DEFAULT,
    yes: Yes = False,
    replace: Replace = (),
    verbose: Verbose = False,
    json: Json = False,
    svg: Svg = None,
) -> int:
    """Make the hosts what the cluster file says: show the plan, ask, and go.

    Interrupted or failed, the same command goes on where it stopped. Ctrl-C once lets running steps end, twice
    aborts. A host that was in the cluster and does not answer is left as it is (exit code 6 in the end); one that
    is not in the file any more leaves the cluster. With --json each event is one line.
    """
    from quorate.cli.output import Output, demand_terminal, run

    if not yes:
        demand_terminal("apply", "add --yes, or look first with `quorate plan`")
    with Output(svg=svg, title="quorate apply") as out:
        return run(_apply(out, file, frozenset(replace), yes=yes, verbose=verbose, json=json))


async def _apply(out: "Output", file: Path, replaced: frozenset[str], *, yes: bool, verbose: bool, json: bool) -> int:
    from quorate.cli.look import busy, door, known, look
    from quorate.core import ApplyFailed, QuorateError, TransportError
    from quorate.plan.show import Sort
    from quorate.report import jsonl
    from quorate.report.event import Planned
    from quorate.spec.load import load

    cluster, text = load(file), file.read_text(encoding="utf-8")
    known(cluster, tuple(sorted(replaced)), ())
    lines = jsonl.to() if json else None
    async with door(cluster, file, asks=not json) as via:
        with busy(None if json else out, "reading artifacts") as emit:
            told = emit if out.lively else lambda _event: None
            looked = await look(cluster, file, via, lines or emit, replaced=replaced, told=told)
        shown = looked.shown
        _demand(looked)
        if lines:
            restarts = shown.count(Sort.RESTART, Sort.RELOAD)
            create, change, remove = (shown.count(sort) for sort in (Sort.CREATE, Sort.CHANGE, Sort.REMOVE))
            lines(Planned(cluster.name, create, change, remove, restarts, shown.send))
        else:
            _show(out, cluster, looked, verbose=verbose)
        if shown.lines and not yes and out.ask("Apply this?  Only yes applies it.").lower() not in ("yes", "y"):
            raise QuorateError("not applied: there was no yes", "nothing was changed")
        looked.prepared.store.keep()
        looked.prepared.past.begin(text, looked.prepared.machines)
        ended, outcome = await _walk(out, cluster, looked, via, lines, verbose=verbose)
    _remember(looked, text, ended, outcome)
    if lines:
        lines(ended)
    else:
        _result(out, file, cluster, ended, outcome)
        for name in looked.prepared.left_alone:
            out.say((f"{name} did not answer and was left as it is; the next apply goes on with it", "yellow"))
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
    out: "Output", cluster: "Cluster", looked: "Looked", via: "Transport", lines: "Emit | None", *, verbose: bool
) -> "tuple[Ended, Outcome]":
    """Walk the plan under the eyes of the reader; Ctrl-C stops it gently, a second one at once."""
    from quorate.cli.stop import gently
    from quorate.execute.apply import Walk
    from quorate.report import lines as plain
    from quorate.report.board import Board
    from quorate.report.event import Ended
    from quorate.report.live import screen

    plan, board = looked.prepared.plan, Board.of(looked.shown)
    if lines or not looked.shown.lines:
        walk = Walk(plan, via, lines or board.take)
        with gently(walk.stop):
            outcome = await walk.run()
    elif out.lively:
        with screen(out.console, board) as (drawn, emit):
            walk = Walk(plan, via, emit)

            def stop() -> None:
                drawn.stopping = True
                walk.stop()

            with gently(stop):
                outcome = await walk.run()
    else:
        walk = Walk(plan, via, plain.to(out.console, board, verbose=verbose))

        def stop_plain() -> None:
            out.say("stopping: running steps end, Ctrl-C again aborts")
            walk.stop()

        with gently(stop_plain):
            outcome = await walk.run()
    before = looked.phases[-1][2] if looked.phases else 0.0
    spans = [(name, first + before, last + before) for name, (first, last) in outcome.spans.items()]
    ended = Ended(
        ok=outcome.ok,
        changed=len(outcome.changed),
        unchanged=outcome.unchanged,
        failed=len(outcome.failed),
        skipped=len(outcome.skipped),
        stopped=outcome.stopped,
        seconds=before + outcome.seconds,
        phases=(*looked.phases, *sorted(spans, key=lambda span: span[1])),
        sent=tuple(sorted(outcome.sent.items())),
        touched=len({key.host for key in outcome.changed}),
        hosts=len({key.host for key in plan.steps}),
    )
    return ended, outcome


def _remember(looked: "Looked", text: str, ended: "Ended", outcome: "Outcome") -> None:
    """Journal the run; after a whole one, the file as applied."""
    from datetime import UTC, datetime

    from quorate.plan.words import line
    from quorate.report import jsonl

    entry: Mapping[str, object] = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "verb": "apply",
        **jsonl.as_dict(ended),
        "changes": [str(key) for key in outcome.changed],
        "failures": {str(key): line(error, 500) for key, error in outcome.failed.items()},
    }
    prepared = looked.prepared
    prepared.store.journal({name: value for name, value in entry.items() if name != "event"})
    if ended.ok and not prepared.left_alone:
        left = [each.host.name for each in prepared.context.leaving if each.whole]
        prepared.past.finish(text, prepared.machines, left)


def _result(out: "Output", file: Path, cluster: "Cluster", ended: "Ended", outcome: "Outcome") -> None:
    from quorate.report import result

    flag = "" if file == DEFAULT else f" -f {file}"
    if not outcome.changed and ended.ok:
        out.say((f"nothing had to be done, {ended.seconds:.1f} s", "bright_black"))
        return
    out.console.print()
    result.phases(out.console, ended.phases)
    result.failures(out.console, outcome.failed, outcome.skipped)
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
