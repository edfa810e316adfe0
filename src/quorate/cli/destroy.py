"""`quorate destroy`: take the cluster away."""

from pathlib import Path

from quorate.cli.locked import sole_writer
from quorate.cli.names import demand_known, selected_hosts
from quorate.cli.output import Output, busy, print_json
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
    cluster, ask = load(file), not yes
    past = Past(Store.beside(file, cluster.name), file, cluster)
    demand_known(everybody(cluster, past.former), tuple(sorted(forget)), ())
    only_hosts = selected_hosts(cluster, limit)
    _demand_workers(cluster, only_hosts)
    if not yes and not json:
        hosts = ", ".join(host.name for host in cluster.hosts if not only_hosts or host.name in only_hosts)
        extent = " " if only_hosts else " with everything in it, "
        out.say(("This takes away ", "bold red"), (cluster.name, "bold"), f"{extent}on ", hosts, ".")
        yes = out.ask(f"Type the cluster's name, {cluster.name}, to go on.")
    if yes != cluster.name:
        raise QuorateError(f"not destroyed: {yes!a} is not the cluster's name", "nothing was changed")
    async with sole_writer(out, cluster, file, "destroy", breaks=breaks, yes=not ask, json=json) as (via, _):
        with busy(None if json else out, "looking at the hosts") as emit:
            prepared = await prepare(cluster, file, via, emit, guarded=False)
        with busy(None if json else out, "removing") as emit, journal.run(prepared.store, "destroy") as written:
            built = bool(prepared.past.former) or prepared.past.destroying
            if built and not only_hosts:
                prepared.past.leave()
            resources = [each for each in prepared.everything if not only_hosts or each.host in only_hosts]
            destroyed = await take_away(resources, via, emit)
            # Where nothing was ever built, a host that does not answer has nothing.
            destroyed.forget(frozenset(destroyed.lost) & forget if built else frozenset(destroyed.lost))
            ok = not destroyed.failed and not destroyed.lost
            if ok and not only_hosts:
                prepared.past.forget()
            written.end(ok=ok, clean=destroyed.clean, lost=sorted(destroyed.lost), failures=destroyed.failed)
    return _print_result(out, cluster.name, destroyed, json=json)


def _demand_workers(cluster: Cluster, hosts: frozenset[str]) -> None:
    """Refuse to take a part of the control plane, of etcd or of the endpoint away under those that stay."""
    if others := [host.name for host in cluster.hosts if host.name in hosts and set(host.roles) != {Role.WORKER}]:
        raise UsageError(
            f"{', '.join(others)}: is more than a worker, and the cluster needs it",
            "take it out of the file and apply: it leaves in good order",
        )


def _print_result(out: Output, name: str, destroyed: Destroyed, *, json: bool) -> int:
    code = TransportError.exit_code if destroyed.lost else ApplyFailed.exit_code if destroyed.failed else 0
    if json:
        failed = {host: [clean(each) for each in failures] for host, failures in destroyed.failed.items()}
        unreached = {"lost": dict(destroyed.lost), "forgotten": dict(destroyed.forgotten)}
        print_json({"ok": code == 0, "clean": sorted(destroyed.clean), "failed": failed, **unreached})
        return code
    for host, reason in sorted(destroyed.lost.items()):
        out.say(("unreachable  ", BAD), (host, NAME), "  ", reason)
    for host, reason in sorted(destroyed.forgotten.items()):
        out.say(("forgotten    ", QUIET), (host, NAME), "  ", reason)
    for host, failures in sorted(destroyed.failed.items()):
        for each in failures:
            out.say(("failed       ", BAD), (host, NAME), "  ", each)
    out.say((f"{name}: ", NAME), (f"{many(len(destroyed.clean), 'host')} as found", BAD if code else f"bold {GOOD}"))
    if code:
        out.say("The same command goes on with the rest.")
        if destroyed.lost:
            flags = " ".join(f"--forget {host}" for host in sorted(destroyed.lost))
            out.say(f"Hosts that are dead for good: `quorate destroy {flags}` ends without them.")
    return code
