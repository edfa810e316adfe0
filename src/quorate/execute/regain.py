"""A host that was lost in the middle of a script: wait until it answers, then look before anybody acts again."""

import asyncio
from collections.abc import Mapping, Sequence

from quorate.core import Key, State, Transport, TransportError
from quorate.execute import once
from quorate.execute.observe import questions, states
from quorate.resource import ask
from quorate.resource.resource import Resource

BACK_WITHIN_S = 90.0
"""Seconds in which a lost host may come back: a virtual machine reboots in 10 to 60 s. A server with slow firmware
takes minutes: nobody would watch that, and the next apply goes on with it."""
PAUSES = (0.5, 1.0, 2.0, 4.0, *(8.0 for _ in range(10)))
"""Seconds before each try, about BACK_WITHIN_S in sum: a blip costs half a second, and a host that boots is not
pestered."""


async def regain(
    host: str, resources: Sequence[Resource], before: Sequence[str], via: Transport
) -> Mapping[Key, State | None] | str:
    """What is there now, once the host answers and the scripts `before` are over; else why it can't be told.

    Raises QuorateError when the host answers and the look itself fails.
    """
    why = ""
    try:
        async with asyncio.timeout(BACK_WITHIN_S):
            for pause in PAUSES:
                await asyncio.sleep(pause)
                try:
                    output = await once.after(before, via, host, ask.script(questions(resources)))
                except TransportError as error:
                    why = error.message
                    continue
                if output is not None:
                    return states(resources, output)
                why = "what it was at is still running there"
    except TimeoutError:
        pass
    return f"not regained within {BACK_WITHIN_S:g} s: {why or 'it does not answer'}"
