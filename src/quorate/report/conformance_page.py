"""A run of the conformance tests as one HTML page that needs nothing else."""

from collections.abc import Mapping, Sequence

from quorate.plan.words import many
from quorate.report.document import document
from quorate.report.drill.style import STYLE
from quorate.report.markup import Html, tag

_LOGS = "pre{overflow-x:auto;background:var(--panel);padding:12px;font-size:12.5px;white-space:pre-wrap}"
Row = tuple[str, float, str, str]
"""Name, seconds, reason, log."""


def page(
    cluster: str, facts: Mapping[str, str], failed: Sequence[Row], left: Sequence[Row], passed: Sequence[Row]
) -> str:
    """The whole document: what failed with its log, what was not run with the reason, what passed."""
    title = f"Conformance tests of {cluster}"
    pairs = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    said = f"{len(passed)} passed, {len(failed)} failed, {len(left)} not run."
    verdict = tag("section", tag("p", said, class_="sentence"), class_="verdict flawed" if failed else "verdict")
    top = tag("header", tag("p", "quorate conformance", class_="brand"), tag("h1", title))
    parts = [verdict, tag("h2", "About this run"), tag("dl", *pairs, class_="facts")]
    if failed:
        parts += [tag("h2", f"Failed: {many(len(failed), 'test')}"), *map(_failure, failed)]
    if left:
        parts += [tag("h2", f"Not run: {many(len(left), 'test')}"), _table(left, "reason")]
    if again := [row for row in passed if row[2]]:
        parts += [tag("h2", f"Passed at the second try: {many(len(again), 'test')}"), _table(again, "reason")]
    parts += [tag("h2", f"Passed: {many(len(passed), 'test')}"), _table(passed, "")]
    return document(title, Html(STYLE + _LOGS), top, tag("main", *parts))


def _failure(row: Row) -> Html:
    name, seconds, reason, log = row
    return tag(
        "section",
        tag("h3", name),
        tag("p", f"after {seconds:.0f} s: {reason}", class_="bad"),
        tag("details", tag("summary", "log"), tag("pre", log)) if log else Html(""),
    )


def _table(rows: Sequence[Row], reason: str) -> Html:
    titles = ["test", "s", *([reason] if reason else [])]
    head = tag("thead", tag("tr", *(tag("th", title) for title in titles)))
    body = [
        tag("tr", tag("td", name), tag("td", f"{seconds:.0f}", class_="n"), *([tag("td", why)] if reason else []))
        for name, seconds, why, _ in rows
    ]
    return tag("div", tag("table", head, tag("tbody", *body)), class_="scroll")
