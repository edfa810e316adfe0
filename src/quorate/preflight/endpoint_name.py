"""Judge of the endpoint's name: on every host it leads to the endpoint, now or when apply has written it."""

from quorate.preflight.check import Question, World
from quorate.render.sh import quote
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec.cluster import Host
from quorate.spec.leaving import retiring_lines

LOOKUP_WITHIN_S = 2
"""Seconds for a name to be found."""


def _ask(world: World, host: Host) -> str:
    """Where the name leads: by /etc/hosts where that is to have it, else by all that the host asks."""
    name = world.cluster.endpoint.name
    if not name:
        return ""
    by = "-s files " if world.cluster.hosts_line else ""
    return f"""\
command -v getent >/dev/null || exit 0
echo asked; timeout {LOOKUP_WITHIN_S} getent {by}ahostsv4 {quote(name)} | cut -d' ' -f1 | sort -u"""


NAME = Question("endpoint-name", _ask)


def leads(world: World, host: Host) -> Verdict | None:
    """The name leads to the endpoint alone, or to where it is about to leave."""
    cluster = world.cluster
    name, front = cluster.endpoint.name, cluster.front
    if not name:
        return None
    said = world.answer(host, NAME.name).split()
    if said[:1] != ["asked"]:
        return unchecked("there is no getent")
    found = set(said[1:])
    old = {str(was.endpoint.vip or was.endpoint.address) for was in world.context.former}
    old |= {line.split()[0] for line in retiring_lines(cluster, world.context.former)}
    strange = ", ".join(sorted(found - old - {front}))
    if cluster.hosts_line:
        if strange:
            return failed(f"a line of /etc/hosts leads {name} to {strange}, not to {front}")
        comes = f"apply writes `{cluster.hosts_line}` into /etc/hosts"
        return passed(f"{name} is {front}" if front in found else comes)
    if not found:
        return failed(f"{name} is not found, and apply does not write it into /etc/hosts")
    if front not in found:
        return failed(f"{name} leads to {', '.join(sorted(found))}, not to {front}")
    return warned(f"{name} leads to {strange}, too") if strange else passed(f"{name} is {front}")
