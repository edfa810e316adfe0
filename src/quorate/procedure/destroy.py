"""Destroy: the same graph walked backwards; every host is left as it was found."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from quorate.core import CommandFailed, Transport, TransportError
from quorate.execute.batch import told
from quorate.render.prelude import PRELUDE
from quorate.report.event import Emit, Said
from quorate.resource.removal import FAILED, script
from quorate.resource.resource import Resource


@dataclass
class Destroyed:
    """What became of every host."""

    clean: list[str] = field(default_factory=list)
    failed: dict[str, list[str]] = field(default_factory=dict)
    """Resources that could not be removed, by host, with the reason."""
    lost: dict[str, str] = field(default_factory=dict)
    """Hosts that did not answer."""
    forgotten: dict[str, str] = field(default_factory=dict)
    """Hosts that did not answer, of which nobody expects that they ever will."""

    def forget(self, hosts: Collection[str]) -> None:
        """Take hosts for gone that did not answer."""
        for host in hosts:
            self.forgotten[host] = self.lost.pop(host)


def backwards(built: Sequence[Resource]) -> Mapping[str, list[Resource]]:
    """The resources of each host in the order of removal: what runs, then what lies on the disk."""
    hosts: dict[str, list[Resource]] = {}
    for passive in (False, True):
        for resource in reversed(built):
            if resource.passive is passive:
                hosts.setdefault(resource.host, []).append(resource)
    return hosts


async def destroy(built: Sequence[Resource], via: Transport, emit: Emit) -> Destroyed:
    """Remove everything from every host that answers, all hosts side by side; `built` is in the order of building."""
    result = Destroyed()

    async def one(host: str, resources: Sequence[Resource]) -> None:
        def on_line(line: str) -> None:
            if (text := told(line)) is not None:
                emit(Said(text, host))

        try:
            output = await via.run(host, PRELUDE + script(resources, whole=True), on_line=on_line)
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

    await asyncio.gather(*(one(host, resources) for host, resources in backwards(built).items()))
    return result
