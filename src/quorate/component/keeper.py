"""Rules that others may take away: a script that fills them in, a check of what is missing, a service that looks.

The check is a file of its own beside the script, and one text for all who ask: the service, `plan` and `status`.
"""

from collections.abc import Iterator

from quorate.component.context import Context
from quorate.component.service import service
from quorate.resource.file import File
from quorate.resource.resource import Resource
from quorate.resource.system import Setting
from quorate.spec.cluster import Host
from quorate.spec.layout import CHECKS


def check_of(script: str) -> str:
    """The path of the check beside a script."""
    return script + CHECKS


def whole(script: str) -> str:
    """sh that succeeds when the check beside a script finds nothing missing; it ends with 0 whatever it finds."""
    return f'gone=$(/bin/sh {check_of(script)}) && [ -z "$gone" ]'


def kept(
    context: Context,
    host: Host,
    unit: str,
    *,
    what: str,
    script: tuple[str, str],
    check: str,
    every: int,
    after: tuple[str, ...] = (),
    note: str = "",
) -> Iterator[Resource]:
    """The resources for a path and text of a script that knows `fill`, `keep` and `close`.

    `keep` looks, and fills in what is missing; a service does that every so many seconds. It takes nothing away when
    it ends: a restart would leave a gap. `check` prints a line for each thing that is missing, nothing if nothing is.
    """
    path, text = script
    yield File(host=host.name, path=path, content=text, mode="0755")
    yield File(host=host.name, path=check_of(path), content=check, mode="0755")
    yield Setting(
        host=host.name,
        what=what,
        want=(("rules", "whole"),),
        check=f"if {whole(path)}; then echo rules=whole; else echo rules=missing; fi",
        script=f"/bin/sh {path} fill",
        undo=f"/bin/sh {path} close",
        note=note,
    )
    yield from service(
        context,
        host,
        unit,
        description=f"Keeps {what}",
        # By sh: SELinux lets init run what lies in /etc only as itself.
        pre=[["/bin/sh", path, "fill"]],
        exec_start=["/bin/sh", "-c", f"while sleep {every}; do /bin/sh {path} keep; done"],
        exec_reload=[["/bin/sh", path, "fill"]],
        loads=[path, check_of(path)],
        reload=True,
        after=after,
    )
