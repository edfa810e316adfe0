"""`quorate graph`: the components in the order in which they are built."""

from graphlib import TopologicalSorter

from quorate.cli.output import Output, print_json
from quorate.component import COMPONENTS
from quorate.component.context import Component
from quorate.component.turns import Enough, Turns
from quorate.report.console import NAME, QUIET


def show_components(*, json: bool) -> int:
    """Print the components in order, and what each waits for."""
    components = {component.NAME: component for component in COMPONENTS}
    needs = {name: {*each.AFTER, *each.MEETS} for name, each in components.items()}
    order = list(TopologicalSorter({name: sorted(needs[name]) for name in components}).static_order())
    titles = {name: ((each.__doc__ or "").splitlines() or [""])[0] for name, each in components.items()}
    if json:
        print_json([_as_dict(components[name]) for name in order])
        return 0
    out = Output()
    width = max(map(len, order))
    for name in order:
        component = components[name]
        out.say((f"{name:<{width}}  ", NAME), (titles[name].partition(": ")[2] or titles[name], QUIET))
        if component.AFTER:
            out.say(f"after {', '.join(component.AFTER)} of its host", indent=width + 2)
        for enough in Enough:
            if met := [each for each, asked in component.MEETS.items() if asked is enough]:
                out.say(f"after {', '.join(met)} {enough.value}", indent=width + 2)
        if component.TURNS is not Turns.TOGETHER:
            out.say((f"where it runs: {component.TURNS.value}", QUIET), indent=width + 2)
    return 0


def _as_dict(component: Component) -> dict[str, object]:
    """A component for programs."""
    return {
        "name": component.NAME,
        "after": list(component.AFTER),
        "meets": {name: enough.name.lower() for name, enough in component.MEETS.items()},
        "turns": component.TURNS.name.lower(),
    }
