"""The end of an apply: seconds per phase as a small chart, what failed and why, and what to do next."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from quorate.core import Key
from quorate.plan.words import clean, line, many, size
from quorate.report.console import BAD, GOOD, NAME, QUIET, WARN, say
from quorate.report.event import Ended

Phase = tuple[str, float, float]
_LINES = 12
"""Last lines of a failed step's output that are shown: the journal's of a service that did not come up, and why."""


def phases(console: Console, spans: Sequence[Phase]) -> None:
    """One row per phase: when it ran, and for how long; they overlap, so the chart says more than the sum."""
    if not spans:
        return
    end = max(last for _, _, last in spans) or 1.0
    room = max(10, min(60, console.width - 46))
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style=QUIET)
    table.add_column("phase", no_wrap=True)
    for title in ("from", "to", "seconds"):
        table.add_column(title, justify="right", no_wrap=True, style=NAME if title == "seconds" else QUIET)
    table.add_column("", no_wrap=True)
    for name, first, last in sorted(spans, key=lambda span: (span[1], span[2])):
        left = min(room - 1, int(first / end * room))
        length = max(1, min(room - left, round((last - first) / end * room)))
        chart = Text("·" * left, "bright_black") + Text("━" * length, "cyan")
        chart.append("·" * (room - left - length), "bright_black")
        table.add_row(name, f"{first:.1f}", f"{last:.1f}", f"{last - first:.1f}", chart)
    console.print(table)
    console.print()


def failures(console: Console, failed: dict[Key, str], skipped: dict[Key, Key]) -> None:
    """Each failed step with the end of what it said, and how much was left out for its sake."""
    blocked = Counter(skipped.values())
    for key, error in failed.items():
        say(console, ("failed  ", BAD), (str(key), NAME))
        said = [each for each in clean(error).splitlines() if each.strip()]
        for each in said[-_LINES:]:
            say(console, (line(each, 300), QUIET), indent=8)
        if blocked[key]:
            say(console, (f"{many(blocked[key], 'step')} skipped, because of it", WARN), indent=8)
    if failed:
        console.print()


def left(console: Console, keys: Sequence[Key]) -> None:
    """What a stopped run did not do, by host."""
    for host, count in sorted(Counter(key.host for key in keys).items()):
        what = Counter(key.kind for key in keys if key.host == host)
        kinds = ", ".join(many(each, kind) for kind, each in what.most_common(4))
        say(console, ("not done  ", WARN), (host, NAME), f"  {many(count, 'step')}: {kinds}{', ...' * (len(what) > 4)}")
    if keys:
        console.print()


def totals(console: Console, ended: Ended) -> None:
    """All in one line."""
    sent = sum(count for _, count in ended.sent)
    parts = [f"{ended.changed} changed", f"{ended.unchanged} unchanged"]
    parts += [f"{ended.failed} failed"] * bool(ended.failed) + [f"{ended.skipped} skipped"] * bool(ended.skipped)
    parts += [f"{ended.left} not done"] * bool(ended.left)
    parts += [f"{ended.touched} of {many(ended.hosts, 'host')} touched"] * bool(ended.changed)
    parts += [f"{size(sent)} sent"] * bool(sent) + [f"{ended.seconds:.1f} s"]
    word = ended.word
    style = {"done": f"bold {GOOD}", "failed": BAD}.get(word, WARN)
    say(console, (word, style), "  ", ", ".join(parts))


def ready(console: Console, name: str, url: str, nodes: Sequence[str], follow: Sequence[tuple[str, str]]) -> None:
    """What stands now, and how to use it; `follow` are commands with what they do."""
    console.print()
    say(console, (f"{'cluster':<10}", QUIET), (name, NAME))
    say(console, (f"{'endpoint':<10}", QUIET), (url, NAME))
    if nodes:
        say(console, (f"{'nodes':<10}", QUIET), ", ".join(nodes))
    for what, command in follow:
        say(console, (f"{what:<10}", QUIET), command)
