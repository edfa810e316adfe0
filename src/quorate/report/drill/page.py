"""A drill as one HTML page that needs nothing else: opened from a disk, sent by mail, printed."""

from collections.abc import Mapping, Sequence

from quorate.plan.words import many
from quorate.report.document import document
from quorate.report.drill import sections
from quorate.report.drill.report import DrillReport, Fault, Run
from quorate.report.drill.strip import strips
from quorate.report.drill.style import STYLE
from quorate.report.drill.sums import goals, told, total, verdict, wrong
from quorate.report.drill.timeline import narrowed, timeline
from quorate.report.markup import Html, tag


def page(drilled: DrillReport, before: DrillReport | None) -> str:
    """The whole document; with an earlier report, each longest gap has its change against it."""
    title = f"Drill of {drilled.cluster}"
    return document(title, STYLE, _top(drilled, before, title), tag("main", *_parts(drilled, before)))


def _top(drilled: DrillReport, before: DrillReport | None, title: str) -> Html:
    facts = {
        "settings": drilled.settings,
        "began": _when(drilled),
        "lasted": _lasted(drilled.seconds),
        "quorate": drilled.version,
        **drilled.about,
    }
    past = [_past(drilled, before)] if before else []
    return tag("header", tag("p", "quorate drill", class_="brand"), tag("h1", title), _list(facts, "facts"), *past)


def _past(drilled: DrillReport, before: DrillReport) -> Html:
    """What is compared with what: other machines or paces make other numbers."""
    keys = dict.fromkeys([*drilled.about, *before.about])
    other = [
        f"{key} {before.about.get(key, 'not told')} (now {drilled.about.get(key, 'not told')})"
        for key in keys
        if before.about.get(key) != drilled.about.get(key)
    ]
    said = f"Compared with {before.cluster}, settings {before.settings}, {_when(before)}, quorate {before.version}."
    unlike = f" Not alike: {'; '.join(other)}." if other else ""
    return tag("p", said, unlike, class_="past")


def _parts(drilled: DrillReport, before: DrillReport | None) -> Sequence[Html]:
    shown = [fault for fault in drilled.faults if fault.runs]
    parts = [_verdict(drilled)]
    if drilled.faults:
        parts.append(_section("What a client felt", _GAPS if shown else "", sections.gaps(drilled, before)))
    if shown:
        parts.append(_section("What happened inside", _INSIDE, sections.inside(drilled)))
    if heard := sections.kubelets(drilled):
        parts.append(_section("When kubelets heard the API again", _KUBELETS, heard))
    if drilled.survival:
        parts.append(_section("What the topology survives", sections.survival(drilled)))
    if drilled.calm:
        parts.append(_section("Without any fault", _CALM, sections.calm(drilled)))
    if shown:
        parts.append(_section("Fault by fault", _legend(), *(_fault(fault) for fault in shown)))
    return parts


_GAPS = (
    "The longest time without a success in all runs of a fault, in seconds, seen from outside the cluster through its "
    "endpoint and rounded up to 10 ms. A goal holds for every run; “0 failed” allows no failed request at all."
)
_INSIDE = (
    "The worst of all runs. Seconds until one balancer held the virtual IP and somebody led count from the fault, "
    "those until all was healthy from its healing."
)
_KUBELETS = (
    "From the fault until the kubelet's connections received something again, and were never silent for longer than is "
    "usual from then on. An undisturbed kubelet hears the API every few seconds: what is shorter than that tells of no "
    "disturbance. Kubelets of hosts that were cut off themselves are not told of."
)
_CALM = "No number of this report can be finer than these."


def _section(title: str, *inside: str) -> Html:
    content = (each if isinstance(each, Html) else tag("p", each, class_="note") for each in inside if each)
    return tag("section", tag("h2", title), *content)


def _verdict(drilled: DrillReport) -> Html:
    reached, tried = goals(drilled)
    sums = [total(fault) for fault in drilled.faults]
    good = drilled.ok and reached == tried
    tiles = (
        ("goals reached", f"{reached} of {tried}", reached == tried),
        ("faults tried", str(sum(bool(fault.runs) for fault in drilled.faults)), True),
        ("runs", str(sum(len(fault.counted) for fault in drilled.faults)), True),
        ("runs that do not count", str(void := sum(len(each.problems) for each in sums)), not void),
        ("writes lost", str(lost := sum(each.lost for each in sums)), not lost),
        ("answers out of order", str(order := sum(each.disorder for each in sums)), not order),
        ("pods moved", str(moved := sum(len(each.moved) for each in sums)), not moved),
        ("runs not healed in time", str(sick := sum(each.sick for each in sums)), not sick),
    )
    shown = [
        tag("div", tag("dt", name), tag("dd", value), class_=None if fine else "bad") for name, value, fine in tiles
    ]
    wrongs = [
        tag("li", tag("b", fault.title), f": {why}") for fault in drilled.faults if (why := "; ".join(wrong(fault)))
    ]
    return tag(
        "section",
        tag("p", tag("span", "✓ " if good else "! ", aria_hidden="true"), verdict(drilled), class_="sentence"),
        tag("dl", *shown, class_="tiles"),
        *([tag("ul", *wrongs, class_="wrongs")] if wrongs else []),
        class_="verdict" if good else "verdict flawed",
        aria_label="Verdict",
    )


def _legend() -> Html:
    keys = (
        ("tick", "success"),
        ("fail", "failure"),
        ("gap", "longest time without a success"),
        ("thin", "service as it should be"),
        ("block", "service that is not"),
        ("narrow", "stretch drawn narrower"),
    )
    items = (tag("li", tag("span", class_=f"key {key}", aria_hidden="true"), words) for key, words in keys)
    return tag("ul", *items, class_="legend")


def _fault(fault: Fault) -> Html:
    name, worst = sections.anchor(fault), fault.worst
    targets = ", ".join(sorted({run.target for run in fault.runs}))
    lead = tag("p", f"{many(len(fault.counted), 'run')} on {targets}", class_="note")
    parts = [lead]
    if worst and (worst.ticks or worst.spans):
        parts.append(_figure(worst, fault.goals, name))
    if worst:
        parts.append(strips(fault, f"{name}-strip"))
    return tag("article", tag("h3", fault.title), *parts, sections.runs(fault), id=name)


def _figure(run: Run, goals: Mapping[str, float], name: str) -> Html:
    times = narrowed(run)
    scale = f" Tinted stretches are drawn {times:.0f} times narrower." if times > 1 else ""
    said = f"Run {run.number}, the one with the longest gap, on {run.target}. Seconds from the fault.{scale}"
    picture = tag("div", timeline(run, goals, name), class_="scroll wide", role="region", aria_label=said, tabindex=0)
    return tag("figure", picture, tag("figcaption", said))


def _list(facts: Mapping[str, str], class_: str) -> Html:
    return tag("dl", *(tag("div", tag("dt", key), tag("dd", value)) for key, value in facts.items()), class_=class_)


def _when(drilled: DrillReport) -> str:
    return drilled.began.replace("T", " ")


def _lasted(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{told(seconds)} s"
