"""`quorate status`: the cluster on one screen."""

from pathlib import Path

from rich.table import Table
from rich.text import Text

from quorate.cli.connect import connected
from quorate.cli.output import Output, busy, dump
from quorate.core import TransportError
from quorate.procedure.status import Status
from quorate.procedure.status import status as ask
from quorate.report.console import BAD, GOOD, NAME, QUIET, WARN
from quorate.spec.cluster import Cluster, Host
from quorate.spec.load import load
from quorate.state.past import Past, fingerprint
from quorate.state.store import Store

WRONG = 1
"""Exit code when something is not as it should be."""


async def show_status(out: Output, file: Path, *, json: bool) -> int:
    """Ask every host and print how the cluster is."""
    whole = load(file)
    past = Past(Store.beside(file, whole.name), file, whole)
    cluster, away = past.there, sorted(past.out)
    async with connected(cluster, file, asks=not json) as via:
        with busy(None if json else out, "asking every host"):
            found = await ask(cluster, via)
    known = past.record
    told = known.told(fingerprint(past.text.encode())) if known else ""
    if json:
        more = {"operation": told, "left_out": away}
        dump({**found.as_dict(), **{name: value for name, value in more.items() if value}})
    elif not found.anything and not past.former:
        out.say((cluster.name, NAME), " was never built: nothing of it runs on its hosts. `quorate apply` builds it.")
    else:
        if told:
            out.say((told, WARN))
        for name in away:
            out.say((f"{name} is left out of the cluster; `quorate apply` takes it in when it answers again", WARN))
        show(out, cluster, found)
    if len(found.unreachable) == len(cluster.hosts):
        return TransportError.exit_code
    return 0 if found.ok else WRONG


def show(out: Output, cluster: Cluster, found: Status) -> None:
    """Print it on one screen."""
    state = (" is well", f"bold {GOOD}") if found.ok else (f": {len(found.problems)} problems", BAD)
    if len(found.problems) == 1:
        state = (": 1 problem", BAD)
    out.say((found.cluster, NAME), state, "   ", (found.endpoint, QUIET))
    out.console.print()
    out.console.print(_hosts(cluster, found))
    out.console.print()
    for member in found.members:
        if member.leader:
            fine = sum(1 for each in found.members if each.healthy)
            version = f"version {member.version}" if member.version else ""
            said = (f"{fine} of {len(found.members)} members, leader {member.host}", member.size, version)
            alarm = f", alarm {', '.join(each.kind for each in found.alarms)}" if found.alarms else ""
            out.say((f"{'etcd':<20}", QUIET), ", ".join(filter(None, said)), (alarm, BAD))
    for what, holder in found.leases.items():
        out.say((f"{what.removeprefix('kube-'):<20}", QUIET), f"leader {holder}")
    if found.vip:
        out.say((f"{'virtual IP':<20}", QUIET), f"{found.vip} on {', '.join(found.vip_owners) or 'nobody'}")
    ready = [node for node in found.nodes if node.ready]
    if found.nodes:
        versions = ", ".join(sorted({node.version for node in found.nodes}))
        out.say((f"{'nodes':<20}", QUIET), f"{len(ready)} of {len(found.nodes)} Ready, {versions}")
    if found.backups:
        out.say((f"{'newest backup':<20}", QUIET), found.backups.text)
    if found.outlook:
        spare = found.outlook.may_fail
        out.say((f"{'outlook':<20}", QUIET), (found.outlook.text, "" if spare else WARN if found.outlook.ok else BAD))
    if found.problems or found.warnings:
        out.console.print()
    for problem in found.problems:
        out.say(("! ", BAD), problem)
    for warning in found.warnings:
        out.say(("! ", WARN), warning)


def _hosts(cluster: Cluster, found: Status) -> Table:
    """One row per host: its services in words, its node, its certificates."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    table.add_column("", no_wrap=True)
    table.add_column("host", style=NAME, no_wrap=True)
    table.add_column("address", style=QUIET, no_wrap=True)
    table.add_column("services")
    table.add_column("node", no_wrap=True)
    table.add_column("certs", justify="right", no_wrap=True)
    nodes = {node.name: node for node in found.nodes}
    for host in cluster.hosts:
        if host.name in found.unreachable:
            table.add_row(Text("✗", BAD), host.name, host.ip, Text("unreachable", BAD), "", "")
            continue
        node = nodes.get(host.node)
        state = "" if node is None else "Ready" if node.ready else "NotReady"
        state += ", cordoned" if node is not None and not node.schedulable else ""
        expiry = found.certificates.get(host.name)
        days = f"{expiry.days} d" if expiry else ""
        well = "Not" not in state and all(each.ok for each in found.services.get(host.name, {}).values())
        mark = Text("●", GOOD) if well else Text("✗", BAD)
        node_cell = Text(state, BAD if "Not" in state else "")
        table.add_row(mark, host.name, host.ip, _services(host, found), node_cell, days)
    return table


def _services(host: Host, found: Status) -> Text:
    """The services of one host; one that is not well is marked and says how it is."""
    text = Text()
    for unit, service in found.services.get(host.name, {}).items():
        name = unit.removesuffix(".service").removeprefix("kube-")
        text.append("  " if text else "")
        if service.ok:
            text.append(name)
        else:
            word = "not-answering" if service.state == "active" else service.state
            text.append(f"{name}:{word}", BAD)
    return text
