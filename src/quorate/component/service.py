"""A systemd service of ours: its unit file, and the service running with all that it loads."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from quorate.component.context import Context
from quorate.render import systemd
from quorate.resource.brick import Brick
from quorate.resource.file import File
from quorate.resource.unit import Unit
from quorate.spec.cluster import Host
from quorate.spec.layout import BIN, UNITS

ONLINE = ("network-online.target",)


def arguments(flags: Mapping[str, str]) -> list[str]:
    """Flags by name as arguments."""
    return [f"--{name}={value}" for name, value in flags.items()]


def service(
    context: Context,
    host: Host,
    name: str,
    *,
    binary: str = "",
    exec_start: Sequence[str] = (),
    loads: Sequence[str] = (),
    reload: bool = False,
    block: bool = True,
    guard: str = "",
    **unit: Any,
) -> Iterator[Brick]:
    """A unit file and its service, restarted when the unit file or one of `loads` is newer than the process.

    `guard` is sh that says whether the running one may be stopped for that.
    `binary` names one of the supply: its digest stands in the unit file, so that a new one restarts the
    service without the service hashing a hundred megabytes at each start.
    """
    extra_unit: dict[str, str] = {}
    command = list(exec_start)
    if binary:
        command = [f"{BIN}/{binary}", *exec_start]
        extra_unit["X-Binary"] = context.blob(binary).sha256
    own = f"{UNITS}/{name}"
    text = systemd.unit(
        name=name,
        exec_start=command,
        loads=[own, *loads],
        after=[*ONLINE, *unit.pop("after", ())],
        wants=[*ONLINE, *unit.pop("wants", ())],
        extra_unit=extra_unit,
        **unit,
    )
    yield File(host=host.name, path=own, content=text)
    yield Unit(host=host.name, unit=name, loads=(own, *loads), reload=reload, block=block, guard=guard)
