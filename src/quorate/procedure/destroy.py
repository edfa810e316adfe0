"""Destroy: the same graph walked backwards; every host is left as it was found."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from quorate.core import CommandFailed, Transport, TransportError
from quorate.plan.compile import Compiled
from quorate.render.sh import quote
from quorate.report.event import Emit, Said
from quorate.resource.brick import Brick
from quorate.resource.prelude import PRELUDE
from quorate.spec.layout import LOADED, STATE

FAILED = "\x03failed "


@dataclass
class Destroyed:
    """What became of every host."""

    clean: list[str] = field(default_factory=list)
    failed: dict[str, list[str]] = field(default_factory=dict)
    """Resources that could not be removed, by host, with the reason."""
    lost: dict[str, str] = field(default_factory=dict)
    """Hosts that did not answer."""


def script(bricks: Sequence[Brick]) -> str:
    """Remove the bricks of one host, given in the order of removal; one that fails does not stop the others.

    The notes about what was found go last, and only when everything else is gone.
    """
    parts = [PRELUDE, "q_bad=\n"]
    for brick in bricks:
        orders = "\n".join(action.script for action in brick.remove())
        if not orders:
            continue
        name = quote(f"{brick.key.kind}/{brick.key.name}")
        parts.append(
            f"q_step() {{ (\nset -eu\n{orders}\n) </dev/null; }}\n"
            "set +e; q_out=$(q_step 2>&1); q_rc=$?; set -e\n"
            f"[ $q_rc = 0 ] || {{ q_bad=1; printf '{FAILED}%s: %s\\n' {name} \"$q_out\"; }}\n"
        )
    parts.append(f'systemctl daemon-reload || :\n[ -n "$q_bad" ] || rm -rf -- {STATE} {LOADED}\n')
    return "".join(parts)


def backwards(compiled: Compiled) -> Mapping[str, list[Brick]]:
    """The bricks of each host in the order of removal: what runs, then what lies on the disk."""
    hosts: dict[str, list[Brick]] = {}
    for passive in (False, True):
        for brick in reversed(compiled.resources):
            if brick.passive is passive:
                hosts.setdefault(brick.host, []).append(brick)
    return hosts


async def destroy(compiled: Compiled, via: Transport, emit: Emit) -> Destroyed:
    """Remove everything from every host that answers, all hosts side by side."""
    result = Destroyed()

    async def one(host: str, bricks: Sequence[Brick]) -> None:
        try:
            output = await via.run(host, script(bricks))
        except TransportError as error:
            result.lost[host] = str(error)
        except CommandFailed as error:
            result.failed[host] = [str(error)]
        else:
            bad = [part.partition("\n")[0] for part in output.split(FAILED)[1:]]
            if bad:
                result.failed[host] = bad
            else:
                result.clean.append(host)
                emit(Said("as it was found", host))

    await asyncio.gather(*(one(host, bricks) for host, bricks in backwards(compiled).items()))
    return result
