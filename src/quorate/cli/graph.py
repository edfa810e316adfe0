"""`quorate graph`: the components in the order in which they are built."""

from quorate.cli.words import DEFAULT, File, Json


def graph(*, file: File = DEFAULT, json: Json = False) -> int:
    """Print the components in the order in which they are built, and what each waits for.

    These are the names that `plan --only` takes. The order is the same for every cluster file.
    """
    from graphlib import TopologicalSorter

    from quorate.cli.output import Output, dump
    from quorate.component import COMPONENTS
    from quorate.report.console import NAME, QUIET

    by_name = {component.NAME: component for component in COMPONENTS}
    order = list(TopologicalSorter({name: each.AFTER for name, each in by_name.items()}).static_order())
    about = {name: ((each.__doc__ or "").splitlines() or [""])[0] for name, each in by_name.items()}
    if json:
        dump([{"name": n, "after": list(by_name[n].AFTER), "serial": by_name[n].SERIAL} for n in order])
        return 0
    out = Output()
    width = max(map(len, order))
    for name in order:
        one = by_name[name]
        after = f"after {', '.join(one.AFTER)}" if one.AFTER else "first"
        out.say((f"{name:<{width}}  ", NAME), f"{after:<44} ", (about[name].partition(": ")[2] or about[name], QUIET))
        if one.SERIAL:
            out.say(("changes one host at a time when it runs already", QUIET), indent=width + 2)
    return 0
