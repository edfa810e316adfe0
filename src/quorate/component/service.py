"""A systemd service of ours: its unit file, and the service running with all that it loads."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from quorate.component.command import arguments, tried
from quorate.component.context import Context
from quorate.render import systemd
from quorate.resource.file import File
from quorate.resource.resource import Resource
from quorate.resource.unit import Unit
from quorate.spec.cluster import Host
from quorate.spec.layout import BIN, UNITS

ONLINE = ("network-online.target",)
SANDBOX = {
    "ProtectSystem": "full",
    "ProtectHome": True,
    "PrivateTmp": True,
    "InaccessiblePaths": ["-/etc/kubernetes", "-/etc/etcd"],
}
"""Of scripts beside the balancer: what they can't see or change."""


def runs(unit: str, binary: str) -> str:
    """sh that succeeds when what runs is the program that lies there now."""
    return f'[ "/proc/$(systemctl show -p MainPID --value -- {unit})/exe" -ef {BIN}/{binary} ]'


def service(
    context: Context,
    host: Host,
    name: str,
    *,
    binary: str = "",
    flags: Mapping[str, str] | None = None,
    exec_start: Sequence[str] = (),
    loads: Sequence[str] = (),
    reload: bool = False,
    block: bool = True,
    guard: str = "",
    between: str = "",
    **unit: Any,
) -> Iterator[Resource]:
    """A unit file and its service, restarted when the unit file or one of `loads` is newer than the process.

    With `flags`, which are then its whole command line, a program is asked whether it would start so before the unit
    file is replaced. `guard` is sh that says whether the running one may be stopped for that, `between` is run while
    it is at rest.
    `binary` names one of the supply: its digest stands in the unit file, so that a new one restarts the
    service without the service hashing a hundred megabytes at each start.
    """
    extra_unit: dict[str, str] = {}
    command = list(exec_start)
    if binary:
        command = [f"{BIN}/{binary}", *exec_start, *arguments(flags or {})]
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
    file = File(host=host.name, path=own, content=text)
    yield file if flags is None else tried(file, name, binary, flags, context.cluster.versions.kubernetes)
    loaded = (own, *loads)
    yield Unit(host=host.name, unit=name, loads=loaded, reload=reload, block=block, guard=guard, between=between)
