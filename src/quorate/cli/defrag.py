"""`quorate defrag`: give back what is free inside etcd's stores."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from quorate.cli.connect import present_cluster
from quorate.cli.locked import sole_writer
from quorate.cli.output import Output, busy, print_json
from quorate.core import QuorateError
from quorate.execute.members import Member, amount
from quorate.procedure import upkeep
from quorate.procedure.defrag import Defragmented, demand, look
from quorate.procedure.defrag import defrag as write_anew
from quorate.procedure.upkeep import Look
from quorate.report.console import NAME, QUIET
from quorate.spec.cluster import Cluster
from quorate.spec.load import load
from quorate.state import journal
from quorate.state.store import Store


async def defrag_members(out: Output, file: Path, *, yes: bool, breaks: bool, json: bool) -> int:
    """Show the stores, ask, and write anew what is due. Raises PlanError and ApplyFailed."""
    cluster, done = present_cluster(load(file), file), list[Defragmented]()

    def on_done(one: Defragmented) -> None:
        done.append(one)
        if not json:
            _tell(out, one)

    async with sole_writer(out, cluster, file, "defrag", breaks=breaks, yes=yes, json=json) as (via, _):
        with busy(None if json else out, "asking etcd's members"):
            found = await look(cluster, via)
        demand(found)
        due = upkeep.due(found)
        if not json:
            _show(out, cluster, found, due)
        if due and not yes and not await out.confirmed("Go on?  Only yes does."):
            raise QuorateError("nothing is defragmented: there was no yes", "nothing was changed")
        if due:
            with (
                busy(None if json else out, "defragmenting") as emit,
                journal.run(Store.beside(file, cluster.name), "defrag") as written,
            ):
                await write_anew(cluster, via, found, emit, on_done)
                written.end(ok=True, changed=len(done))
    cleared = [alarm.kind for alarm in found.alarms if due]
    if json:
        print_json({"ok": True, "members": [vars(one) for one in done], "cleared": cleared})
    elif cleared:
        out.say(f"The alarm {', '.join(cleared)} is cleared: etcd takes writes again.")
    return 0


def _show(out: Output, cluster: Cluster, found: Look, due: Sequence[Member]) -> None:
    """What is about to be done, and what users will notice."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    for column in ("member", "", "store", "in use", "quota", "what"):
        table.add_column(column, no_wrap=True, style=NAME if column == "member" else "")
    for member in found.members:
        sizes = (amount(each) if each else "" for each in (member.db_bytes, member.in_use_bytes, member.quota_bytes))
        seconds = f"written anew in about {upkeep.seconds(member)} s" if member in due else "left alone"
        table.add_row(member.host, "leader" if member.leader else "", *sizes, seconds)
    out.console.print(table)
    if not due:
        out.say("Nothing is to be gained: little is free inside the stores.")
        return
    for sentence in upkeep.consequences(cluster, found, due):
        out.say(sentence)


def _tell(out: Output, one: Defragmented) -> None:
    """One line for a member that is done."""
    rested = "; its API server rested" if one.rested else ""
    out.say((one.host, NAME), f": {amount(one.before)} -> {amount(one.after)} in {one.seconds:.1f} s{rested}")
