"""`quorate graph`: the components in the order in which they are built."""

from graphlib import TopologicalSorter

from quorate.cli.output import Output, dump
from quorate.component import COMPONENTS
from quorate.component.context import Component
from quorate.component.turns import Enough, Turns
from quorate.report.console import NAME, QUIET


def show_components(*, json: bool) -> int:
    """Print the components in order, and what each waits for."""
    by_name = {component.NAME: component for component in COMPONENTS}
    needs = {name: {*each.AFTER, *each.MEETS} for name, each in by_name.items()}
    order = list(TopologicalSorter({name: sorted(needs[name]) for name in by_name}).static_order())
    about = {name: ((each.__doc__ or "").splitlines() or [""])[0] for name, each in by_name.items()}
    if json:
        dump([_told(by_name[name]) for name in order])
        return 0
    out = Output()
    width = max(map(len, order))
    for name in order:
        one = by_name[name]
        out.say((f"{name:<{width}}  ", NAME), (about[name].partition(": ")[2] or about[name], QUIET))
        if one.AFTER:
            out.say(f"after {', '.join(one.AFTER)} of its host", indent=width + 2)
        for enough in Enough:
            if met := [each for each, asked in one.MEETS.items() if asked is enough]:
                out.say(f"after {', '.join(met)} {enough.value}", indent=width + 2)
        if one.TURNS is not Turns.TOGETHER:
            out.say((f"where it runs: {one.TURNS.value}", QUIET), indent=width + 2)
    return 0


def _told(one: Component) -> dict[str, object]:
    """A component for programs."""
    return {
        "name": one.NAME,
        "after": list(one.AFTER),
        "meets": {name: enough.name.lower() for name, enough in one.MEETS.items()},
        "turns": one.TURNS.name.lower(),
    }
