"""`quorate destroy`: take the cluster away."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from quorate.cli.words import DEFAULT, File, Json

if TYPE_CHECKING:
    from quorate.cli.output import Output
    from quorate.procedure.destroy import Destroyed

Name = Annotated[str, Parameter(name=("--yes", "-y"), help="The cluster's name, instead of typing it when asked.")]


def destroy(*, file: File = DEFAULT, yes: Name = "", json: Json = False) -> int:
    """Take the cluster away, with all its data, and leave the hosts as they were found.

    The state folder beside the file stays: its keys can make the same cluster again. Exit code 6 when a host did
    not answer, 7 when something could not be removed; the same command goes on.
    """
    from quorate.cli.output import Output, demand_terminal, run

    if not yes:
        demand_terminal("destroy", "add --yes NAME, with the cluster's name")
    return run(_destroy(Output(), file, yes, json=json))


async def _destroy(out: "Output", file: Path, yes: str, *, json: bool) -> int:
    from quorate.cli.look import busy, door
    from quorate.core import QuorateError
    from quorate.execute.prepare import prepare
    from quorate.procedure.destroy import destroy as take_away
    from quorate.spec.load import load

    cluster = load(file)
    if not yes and not json:
        hosts = ", ".join(host.name for host in cluster.hosts)
        out.say(("This takes away ", "bold red"), (cluster.name, "bold"), " with everything in it, on ", hosts, ".")
        yes = out.ask(f"Type the cluster's name, {cluster.name}, to go on.")
    if yes != cluster.name:
        raise QuorateError(f"not destroyed: {yes!a} is not the cluster's name", "nothing was changed")
    async with door(cluster, file, asks=not json) as via:
        with busy(None if json else out, "looking at the hosts") as emit:
            prepared = await prepare(cluster, file, via, emit, guarded=False)
        with busy(None if json else out, "removing") as emit:
            gone = await take_away(prepared.compiled, via, emit)
    from datetime import UTC, datetime

    time = datetime.now(UTC).isoformat(timespec="seconds")
    prepared.store.journal({"time": time, "verb": "destroy", "clean": gone.clean, "lost": sorted(gone.lost)})
    return _result(out, cluster.name, gone, json=json)


def _result(out: "Output", name: str, gone: "Destroyed", *, json: bool) -> int:
    from quorate.cli.output import dump
    from quorate.core import ApplyFailed, TransportError
    from quorate.plan.words import clean, many
    from quorate.report.console import BAD, GOOD, NAME

    code = TransportError.exit_code if gone.lost else ApplyFailed.exit_code if gone.failed else 0
    if json:
        failed = {host: [clean(each) for each in said] for host, said in gone.failed.items()}
        dump({"ok": code == 0, "clean": sorted(gone.clean), "failed": failed, "lost": dict(gone.lost)})
        return code
    for host, why in sorted(gone.lost.items()):
        out.say(("unreachable  ", BAD), (host, NAME), "  ", why)
    for host, said in sorted(gone.failed.items()):
        for each in said:
            out.say(("failed       ", BAD), (host, NAME), "  ", each)
    out.say((f"{name}: ", NAME), (f"{many(len(gone.clean), 'host')} as found", BAD if code else f"bold {GOOD}"))
    if code:
        out.say("The same command goes on with the rest.")
    return code
