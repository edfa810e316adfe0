"""`quorate destroy`: take the cluster away."""

from pathlib import Path

from quorate.cli.names import known, selected
from quorate.cli.output import Output, busy, dump
from quorate.cli.writer import writing
from quorate.core import ApplyFailed, QuorateError, TransportError, UsageError
from quorate.execute.prepare import prepare
from quorate.plan.words import clean, many
from quorate.procedure.destroy import Destroyed
from quorate.procedure.destroy import destroy as take_away
from quorate.report.console import BAD, GOOD, NAME, QUIET
from quorate.spec.cluster import Cluster, Role
from quorate.spec.leaving import everybody
from quorate.spec.load import load
from quorate.state import journal
from quorate.state.past import Past
from quorate.state.store import Store


async def destroy_cluster(
    out: Output,
    file: Path,
    yes: str,
    forget: frozenset[str],
    limit: tuple[str, ...],
    *,
    breaks: bool,
    json: bool,
) -> int:
    """Take everything away, or with `limit` what is on some workers, when the answer is the cluster's name."""
    cluster, asked = load(file), not yes
    past = Past(Store.beside(file, cluster.name), file, cluster)
    known(everybody(cluster, past.former), tuple(sorted(forget)), ())
    only = selected(cluster, limit)
    _demand_workers(cluster, only)
    if not yes and not json:
        hosts = ", ".join(host.name for host in cluster.hosts if not only or host.name in only)
        what = " " if only else " with everything in it, "
        out.say(("This takes away ", "bold red"), (cluster.name, "bold"), f"{what}on ", hosts, ".")
        yes = out.ask(f"Type the cluster's name, {cluster.name}, to go on.")
    if yes != cluster.name:
        raise QuorateError(f"not destroyed: {yes!a} is not the cluster's name", "nothing was changed")
    async with writing(out, cluster, file, "destroy", breaks=breaks, yes=not asked, json=json) as (via, _):
        with busy(None if json else out, "looking at the hosts") as emit:
            prepared = await prepare(cluster, file, via, emit, guarded=False)
        with busy(None if json else out, "removing") as emit, journal.run(prepared.store, "destroy") as written:
            built = bool(prepared.past.former) or prepared.past.destroying
            if built and not only:
                prepared.past.leave()
            things = [each for each in prepared.everything if not only or each.host in only]
            gone = await take_away(things, via, emit)
            # Where nothing was ever built, a host that does not answer has nothing.
            gone.forget(frozenset(gone.lost) & forget if built else frozenset(gone.lost))
            ok = not gone.failed and not gone.lost
            if ok and not only:
                prepared.past.forget()
            written.end(ok=ok, clean=gone.clean, lost=sorted(gone.lost), failures=gone.failed)
    return _result(out, cluster.name, gone, json=json)


def _demand_workers(cluster: Cluster, only: frozenset[str]) -> None:
    """Refuse to take a part of the control plane, of etcd or of the endpoint away under those that stay."""
    if others := [host.name for host in cluster.hosts if host.name in only and set(host.roles) != {Role.WORKER}]:
        raise UsageError(
            f"{', '.join(others)}: is more than a worker, and the cluster needs it",
            "take it out of the file and apply: it leaves in good order",
        )


def _result(out: Output, name: str, gone: Destroyed, *, json: bool) -> int:
    code = TransportError.exit_code if gone.lost else ApplyFailed.exit_code if gone.failed else 0
    if json:
        failed = {host: [clean(each) for each in said] for host, said in gone.failed.items()}
        found = {"lost": dict(gone.lost), "forgotten": dict(gone.forgotten)}
        dump({"ok": code == 0, "clean": sorted(gone.clean), "failed": failed, **found})
        return code
    for host, why in sorted(gone.lost.items()):
        out.say(("unreachable  ", BAD), (host, NAME), "  ", why)
    for host, why in sorted(gone.forgotten.items()):
        out.say(("forgotten    ", QUIET), (host, NAME), "  ", why)
    for host, said in sorted(gone.failed.items()):
        for each in said:
            out.say(("failed       ", BAD), (host, NAME), "  ", each)
    out.say((f"{name}: ", NAME), (f"{many(len(gone.clean), 'host')} as found", BAD if code else f"bold {GOOD}"))
    if code:
        out.say("The same command goes on with the rest.")
        if gone.lost:
            words = " ".join(f"--forget {host}" for host in sorted(gone.lost))
            out.say(f"Hosts that are dead for good: `quorate destroy {words}` ends without them.")
    return code
