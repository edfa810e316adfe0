"""The options that verbs share, with their help."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

DEFAULT_FILE = Path("cluster.yaml")


def file_flag(file: Path) -> str:
    """What names this cluster file in a command line, with a blank before it; nothing where none needs to."""
    return "" if file == DEFAULT_FILE else f" -f {file}"


File = Annotated[Path, Parameter(name=("--file", "-f"), help="The cluster file.")]
Json = Annotated[bool, Parameter(name="--json", help="Answer in JSON, for programs.", show_default=False)]
Offline = Annotated[
    bool,
    Parameter(name="--offline", help="Keys and other files that it names need not be here.", show_default=False),
]
Verbose = Annotated[bool, Parameter(name=("--verbose", "-v"), help="Tell everything.", show_default=False)]
Svg = Annotated[Path | None, Parameter(name="--svg", show=False, help="Keep a picture of the console as SVG.")]
Yes = Annotated[bool, Parameter(name=("--yes", "-y"), help="Do not ask.", show_default=False)]
Only = Annotated[
    tuple[str, ...],
    Parameter(name="--only", help="Only these components (see `quorate graph`).", negative=(), show_default=False),
]
Replace = Annotated[
    tuple[str, ...],
    Parameter(
        name="--replace",
        help="A host that is a new machine in the place of a dead one.",
        negative=(),
        show_default=False,
    ),
]
Without = Annotated[
    tuple[str, ...],
    Parameter(
        name="--without",
        help="A dead host: leave it out of the cluster until it answers again.",
        negative=(),
        show_default=False,
    ),
]
Through = Annotated[
    str, Parameter(name="--through", help="End after this stage (`quorate plan` names them).", show_default=False)
]
Until = Annotated[
    str,
    Parameter(
        name="--until",
        help="Begin nothing that would not end by then: 04:00 (its next time here), or 2026-12-24T04:00:00+01:00.",
        show_default=False,
    ),
]
Limit = Annotated[
    tuple[str, ...],
    Parameter(name="--limit", help="Change only these hosts, or those of a role.", negative=(), show_default=False),
]
Retry = Annotated[
    bool,
    Parameter(name="--retry", help="Try again what was tried before and did not hold.", show_default=False),
]
BreakLock = Annotated[
    bool,
    Parameter(
        name="--break-lock", help="Take the lock from the run that holds it, though it lives.", show_default=False
    ),
]
Waive = Annotated[
    tuple[str, ...],
    Parameter(
        name="--waive",
        help="Go on though this check of the preflight fails: ID, or ID@HOST for one host.",
        negative=(),
        show_default=False,
    ),
]
Hosts = Annotated[tuple[str, ...], Parameter(name="--host", help="Only these hosts.", negative=(), show_default=False)]
Identity = Annotated[
    Path | None,
    Parameter(name="--identity", help="Private key, of age or OpenSSH, of a recipient; instead of the passphrase."),
]
PassphraseFrom = Annotated[
    Path | None,
    Parameter(name="--passphrase-from", help="A file (mode 0600) with the passphrase in its first line."),
]
