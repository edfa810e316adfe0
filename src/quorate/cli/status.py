"""`quorate status`: the cluster on one screen."""

from collections.abc import Mapping
from pathlib import Path

from rich.table import Table
from rich.text import Text

from quorate.cli.connect import connected
from quorate.cli.output import Output, busy, print_json
from quorate.core import TransportError
from quorate.procedure import running
from quorate.procedure.status import Status
from quorate.procedure.status import status as ask_status
from quorate.report.console import BAD, GOOD, NAME, QUIET, WARN
from quorate.spec.cluster import Cluster, Host
from quorate.spec.load import load
from quorate.state.past import Past, fingerprint
from quorate.state.store import Store

EXIT_NOT_WELL = 1
"""Exit code when something is not as it should be."""


async def show_status(out: Output, file: Path, *, json: bool) -> int:
    """Ask every host and print how the cluster is."""
    whole_cluster = load(file)
    past = Past(Store.beside(file, whole_cluster.name), file, whole_cluster)
    cluster, left_out = past.there, sorted(past.out)
    async with connected(cluster, file, asks=not json) as via:
        with busy(None if json else out, "asking every host"):
            state = await ask_status(cluster, via)
    record = past.record
    operation = record.told(fingerprint(past.text.encode())) if record else ""
    leads_to = {part: str(release["version"]) for part, release in record.releases.items()} if record else {}
    if json:
        extra = {"operation": operation, "leads_to": leads_to, "left_out": left_out}
        print_json({**state.as_dict(), **{name: value for name, value in extra.items() if value}})
    elif not state.anything and not past.former:
        out.say((cluster.name, NAME), " was never built: nothing of it runs on its hosts. `quorate apply` builds it.")
    else:
        if operation:
            out.say((operation, WARN))
        for name in left_out:
            out.say((f"{name} is left out of the cluster; `quorate apply` takes it in when it answers again", WARN))
        print_status(out, cluster, state, leads_to)
    if len(state.unreachable) == len(cluster.hosts):
        return TransportError.exit_code
    return 0 if state.ok else EXIT_NOT_WELL


def print_status(out: Output, cluster: Cluster, state: Status, leads_to: Mapping[str, str]) -> None:
    """Print it on one screen; `leads_to` are the versions of the operation that has not ended."""
    verdict = (" is well", f"bold {GOOD}") if state.ok else (f": {len(state.problems)} problems", BAD)
    if len(state.problems) == 1:
        verdict = (": 1 problem", BAD)
    out.say((state.cluster, NAME), verdict, "   ", (state.endpoint, QUIET))
    out.console.print()
    out.console.print(_host_table(cluster, state))
    out.console.print()
    for member in state.members:
        if member.leader:
            healthy = sum(1 for each in state.members if each.healthy)
            version = f"version {member.version}" if member.version else ""
            parts = (f"{healthy} of {len(state.members)} members, leader {member.host}", member.size, version)
            alarm = f", alarm {', '.join(each.kind for each in state.alarms)}" if state.alarms else ""
            out.say((f"{'etcd':<20}", QUIET), ", ".join(filter(None, parts)), (alarm, BAD))
    for component, holder in state.leases.items():
        out.say((f"{component.removeprefix('kube-'):<20}", QUIET), f"leader {holder}")
    if state.vip:
        out.say((f"{'virtual IP':<20}", QUIET), f"{state.vip} on {', '.join(state.vip_owners) or 'nobody'}")
    ready = [node for node in state.nodes if node.ready]
    if state.nodes:
        versions = ", ".join(sorted({node.version for node in state.nodes}))
        out.say((f"{'nodes':<20}", QUIET), f"{len(ready)} of {len(state.nodes)} Ready, {versions}")
    _print_versions(out, state, leads_to)
    if state.backups:
        out.say((f"{'newest backup':<20}", QUIET), state.backups.text)
    if state.outlook:
        spare = state.outlook.may_fail
        out.say((f"{'outlook':<20}", QUIET), (state.outlook.text, "" if spare else WARN if state.outlook.ok else BAD))
    if state.problems or state.warnings:
        out.console.print()
    for problem in state.problems:
        out.say(("! ", BAD), problem)
    for warning in state.warnings:
        out.say(("! ", WARN), warning)


def _print_versions(out: Output, state: Status, leads_to: Mapping[str, str]) -> None:
    """What runs, by hosts; and what of it is mixed, with where that leads."""
    for number, (hosts, versions) in enumerate(running.alike(state.versions).items()):
        out.say((f"{'' if number else 'versions':<20}", QUIET), f"{hosts}: {versions}")
    for part, of in running.mixed(state.versions).items():
        goal = f"; the operation that has not ended leads to {leads_to[part]}" if part in leads_to else ""
        end = goal or "; no operation is under way that changes it, `quorate plan` tells what would"
        out.say((f"{'mixed':<20}", QUIET), (f"{running.told(part, of)}{end}", WARN))


def _host_table(cluster: Cluster, state: Status) -> Table:
    """One row per host: its services in words, its node, its certificates."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    table.add_column("", no_wrap=True)
    table.add_column("host", style=NAME, no_wrap=True)
    table.add_column("address", style=QUIET, no_wrap=True)
    table.add_column("services")
    table.add_column("node", no_wrap=True)
    table.add_column("certs", justify="right", no_wrap=True)
    nodes = {node.name: node for node in state.nodes}
    for host in cluster.hosts:
        if host.name in state.unreachable:
            table.add_row(Text("✗", BAD), host.name, host.ip, Text("unreachable", BAD), "", "")
            continue
        node = nodes.get(host.node)
        node_text = "" if node is None else "Ready" if node.ready else "NotReady"
        node_text += ", cordoned" if node is not None and not node.schedulable else ""
        expiry = state.certificates.get(host.name)
        days = f"{expiry.days} d" if expiry else ""
        well = "Not" not in node_text and all(each.ok for each in state.services.get(host.name, {}).values())
        mark = Text("●", GOOD) if well else Text("✗", BAD)
        node_cell = Text(node_text, BAD if "Not" in node_text else "")
        table.add_row(mark, host.name, host.ip, _services(host, state), node_cell, days)
    return table


def _services(host: Host, state: Status) -> Text:
    """The services of one host; one that is not well is marked and says how it is."""
    text = Text()
    for unit, service in state.services.get(host.name, {}).items():
        name = unit.removesuffix(".service").removeprefix("kube-")
        text.append("  " if text else "")
        if service.ok:
            text.append(name)
        else:
            service_state = "not-answering" if service.state == "active" else service.state
            text.append(f"{name}:{service_state}", BAD)
    return text
