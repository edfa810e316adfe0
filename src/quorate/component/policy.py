"""A policy module of SELinux, loaded as long as something of ours needs it."""

import hashlib
from collections.abc import Iterator

from quorate.render.sh import quote
from quorate.resource.file import File
from quorate.resource.resource import Resource
from quorate.resource.system import Setting
from quorate.spec.cluster import Host
from quorate.spec.layout import LOADED


def policy_module(host: Host, what: str, path: str, text: str, *, name: str, relabel: str = "") -> Iterator[Resource]:
    """The module `text` at `path`, loaded as `<name>_<digest>`, since SELinux lists modules by name alone.

    `relabel` is a file whose label the module gives.
    """
    loaded = f"{name}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    ours = f"semodule -l 2>/dev/null | sed -n 's/^\\({name}_[0-9a-f]*\\).*/\\1/p'"
    drop = f'set --; for m in $({ours}); do set -- "$@" -r "$m"; done\n'
    again = f"if [ -e {quote(relabel)} ]; then restorecon -F {quote(relabel)}; fi" if relabel else ":"
    yield File(host=host.name, path=path, content=text)
    yield Setting(
        host=host.name,
        what=what,
        want=(("module", loaded),),
        check=f"m=$({ours}); echo module=$m",
        # The module's name is that of its file.
        script=f"{drop}cp {path} {LOADED}/{loaded}.cil\n"
        f'semodule "$@" -i {LOADED}/{loaded}.cil; rm -f {LOADED}/{loaded}.cil\n{again}',
        undo=f'{drop}if [ $# -gt 0 ]; then semodule "$@" || :; fi',
    )
