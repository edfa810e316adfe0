"""The lock of a cluster, for a verb that changes it: taken for as long, and another's broken only after a question."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from quorate.cli.connect import connected
from quorate.cli.output import Output, busy
from quorate.core import LockHeld, Transport
from quorate.execute.lock import hold
from quorate.report.console import QUIET
from quorate.report.event import Emit, Event, Said
from quorate.spec.cluster import Cluster
from quorate.spec.leaving import everybody
from quorate.state.past import Past
from quorate.state.store import Store


@asynccontextmanager
async def sole_writer(
    out: Output,
    cluster: Cluster,
    file: Path,
    verb: str,
    *,
    breaks: bool,
    yes: bool,
    json: bool,
    emit: Emit | None = None,
) -> AsyncIterator[tuple[Transport, float]]:
    """The transport to the hosts for the only writer, as long as the block runs, and the seconds that it took to come.

    `breaks`: take the lock also from a run that lives, after a question unless `yes`. What there is to say is
    printed, or with `json` goes to `emit`, if anywhere. Raises LockHeld.
    """

    def say(event: Event) -> None:
        if isinstance(event, Said) and not json:
            out.say((event.text, QUIET))

    started, broken_tokens = time.monotonic(), set[str]()
    past = Past(Store.beside(file, cluster.name), file, cluster)
    hosts = [host.name for host in everybody(cluster, past.former).hosts]
    async with AsyncExitStack() as stack:
        via = await stack.enter_async_context(connected(cluster, file, asks=not json))
        while True:
            lock = hold(hosts, via, verb, emit or say, broken=broken_tokens)
            try:
                with busy(None if json else out, "taking the lock"):
                    guarded = await stack.enter_async_context(lock)
                break
            except LockHeld as error:
                if not breaks or not error.token:
                    raise
                if not yes and not await out.confirmed(f"{error}.  Take it away?  Only yes does."):
                    raise
                broken_tokens.add(error.token)
        seconds = time.monotonic() - started
        yield guarded, seconds
