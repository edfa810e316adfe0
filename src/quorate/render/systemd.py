"""Unit files for systemd; every value arrives literally, whatever systemd could read in it."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from quorate.render.sh import sh
from quorate.spec.layout import LOADED, UNITS
from quorate.spec.outward import VARIABLES

_BARE = re.compile(r"[A-Za-z0-9_./:=,@+-]+")
"""What needs no quotes in an Exec line; all else, a lone `;` and a leading `#` included, gets them."""
_EXECUTABLE = re.compile(r"/[A-Za-z0-9_.+@-]+(/[A-Za-z0-9_.+@-]+)*")
_UNIT = re.compile(r"[A-Za-z0-9:_.@-]+\.(service|socket|target|mount|path|timer|slice|device)")
_KEY = re.compile(r"(X-)?[A-Z][A-Za-z0-9]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOKEN = re.compile(r"-?[A-Za-z0-9_][A-Za-z0-9_.-]*")
_PATH = re.compile(r"/[A-Za-z0-9_./:+@-]+")
_MAYBE_PATH = re.compile("-?" + _PATH.pattern)
_WIDTH = 100
"""Commands up to this many columns stay on one line; longer ones get a line for each argument."""

Value = str | int | bool
Setting = Value | Sequence[Value]
"""A sequence repeats the setting, one line for each value."""


@dataclass(frozen=True)
class Exec:
    """One command of a unit: its arguments and how systemd runs it."""

    argv: tuple[str, ...]
    root: bool = False
    """Run as root although the unit has a user (prefix `+`; systemd 231 and later)."""
    optional: bool = False
    """Its failure is no failure of the unit (prefix `-`)."""


Command = Exec | Sequence[str]
"""Arguments run without a shell; or one text, a line of sh that ends at its first failing command and may use
what systemd sets, such as `kill -HUP "$MAINPID"`.
"""


def _match(pattern: re.Pattern[str], what: str, value: str) -> str:
    """The value, if all of it matches. Raises ValueError."""
    if not pattern.fullmatch(value):
        raise ValueError(f"not a valid {what}: {value!r}")
    return value


def _printable(text: str) -> str:
    """The text, if it fits on one line. Raises ValueError on control characters and lone surrogates."""
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        raise ValueError(f"a unit file can't hold control characters: {text!r}")
    return text


def _quoted(text: str) -> str:
    """Text in double quotes for systemd's word splitter, with specifiers switched off."""
    return '"' + _printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def word(text: str) -> str:
    """One argument of an Exec line. Raises ValueError on control characters."""
    return text if _BARE.fullmatch(text) else _quoted(text).replace("$", "$$")


def value(given: Value) -> str:
    """The right side of a setting that systemd does not split into words. Raises ValueError."""
    if isinstance(given, bool):
        return "yes" if given else "no"
    text = _printable(str(given))
    if text != text.strip() or text.endswith("\\"):
        raise ValueError(f"systemd would not keep the ends of {text!r}")
    return text.replace("%", "%%")


def command(given: Command) -> str:
    """One command line. Raises ValueError when the executable is no plain absolute path."""
    if isinstance(given, str):
        given = Exec(("/bin/sh", "-ec", given))
    elif not isinstance(given, Exec):
        given = Exec(tuple(given))
    if not given.argv:
        raise ValueError("a command needs at least its executable")
    prefix = ("-" if given.optional else "") + ("+" if given.root else "")
    words = [prefix + _match(_EXECUTABLE, "executable", given.argv[0]), *map(word, given.argv[1:])]
    line = " ".join(words)
    return line if len(line) <= _WIDTH else " \\\n    ".join(words)


def _record(name: str, loads: Sequence[str], kept: Sequence[str], root: bool) -> tuple[Exec, Exec, Exec]:
    """The commands that keep `LOADED/<unit>.loaded`: at the start, before a reload and after it.

    Digests are taken before the process reads the files: a write in between makes the record older than the
    process, which costs a restart, never the other way round. A failure takes the record away and lets the
    service start. A reload takes over no new unit file and no new executable (`kept`): their lines stay.
    """
    record, new = f"{LOADED}/{name}.loaded", f"{LOADED}/.{name}.new"
    folder, drop, move = sh("mkdir", "-p", LOADED), sh("rm", "-f", record, new), sh("mv", "-f", new, record)
    start = f"umask 077; {folder} && {sh('sha256sum', '--', *loads)} >{new} && {move} || {drop}"
    again = " ".join([sh("grep"), *(sh("-e", f"  {path.replace('.', '[.]')}$") for path in kept), record])
    if fresh := [path for path in loads if path not in kept]:
        again = f"{{ {again} && {sh('sha256sum', '--', *fresh)}; }}"
    before = f"umask 077; {folder} && {again} >{new} || {drop}"
    return (
        Exec(("/bin/sh", "-c", start), root, optional=True),
        Exec(("/bin/sh", "-c", before), root, optional=True),
        Exec(("/bin/sh", "-c", f"{move} || {drop}"), root, optional=True),
    )


def _names(key: str, units: Sequence[str]) -> list[tuple[str, str]]:
    """A setting that lists units; none when the list is empty."""
    return [(key, " ".join(_match(_UNIT, "unit name", each) for each in units))] if units else []


def _tokens(*pairs: tuple[str, str | int | None]) -> list[tuple[str, str]]:
    """Settings whose value is one plain word; None leaves a setting out."""
    return [(key, _match(_TOKEN, key, str(given))) for key, given in pairs if given is not None]


def _settings(extra: Mapping[str, Setting] | None) -> Iterator[tuple[str, str]]:
    """Settings by name."""
    for key, given in (extra or {}).items():
        many = [given] if isinstance(given, str | int) else given
        yield from ((_match(_KEY, "setting", key), value(each)) for each in many)


def unit(
    *,
    name: str,
    description: str,
    exec_start: Sequence[str],
    type: str = "simple",
    user: str | None = None,
    group: str | None = None,
    environment: Mapping[str, str] | None = None,
    environment_files: Sequence[str] = (),
    proxied: Sequence[str] = (),
    pre: Sequence[Command] = (),
    post: Sequence[Command] = (),
    exec_reload: Sequence[Command] = (),
    exec_stop: Sequence[Command] = (),
    exec_stop_post: Sequence[Command] = (),
    restart: str | None = "always",
    restart_sec: str | None = "1s",
    limit_nofile: int | None = None,
    after: Sequence[str] = (),
    wants: Sequence[str] = (),
    requires: Sequence[str] = (),
    delegate: bool = False,
    kill_mode: str | None = None,
    oom_score_adjust: int | None = None,
    runtime_directory: str | None = None,
    state_directory: str | None = None,
    wanted_by: str | None = "multi-user.target",
    loads: Sequence[str] = (),
    extra: Mapping[str, Setting] | None = None,
    extra_unit: Mapping[str, Setting] | None = None,
) -> str:
    """A service's unit file.

    `name` is the unit's name with its suffix. An environment file that begins with `-` may be absent.
    `proxied` names the variables of a proxy that the unit's own environment has; all others are taken away, whatever
    systemd's defaults or a drop-in say (`UnsetEnvironment=`, systemd 235 and later; earlier ones pass over it).
    Settings of `extra` ([Service]) and `extra_unit` ([Unit]) are taken literally.
    `StartLimitIntervalSec=0`: systemd never gives up on a service, however often it fails.
    One that a timer starts has neither `restart` nor `wanted_by`.
    With `loads`, digests of the unit file and of these files are written to `LOADED/<name>.loaded` at each
    start and reload, in the form of sha256sum.
    Raises ValueError for everything that systemd would not take literally.
    """
    own = f"{UNITS}/{_match(_UNIT, 'unit name', name)}"
    first, again = list(pre), list(exec_reload)
    if loads:
        files = list(dict.fromkeys([own, *(_match(_PATH, "path", path) for path in loads)]))
        kept = [path for path in files if path in (own, *exec_start[:1])]
        start, before, done = _record(name, files, kept, root=user is not None)
        first, again = [start, *first], [before, *again, done] if again else []
    head = [
        ("Description", value(description)),
        *_names("After", after),
        *_names("Wants", wants),
        *_names("Requires", requires),
        ("StartLimitIntervalSec", "0"),
        *_settings(extra_unit),
    ]
    variables = [f"{_match(_VARIABLE, 'variable', key)}={text}" for key, text in (environment or {}).items()]
    foreign = [name for name in VARIABLES if name not in proxied]
    body = [
        *_tokens(("Type", type), ("User", user), ("Group", group)),
        *(("Environment", _quoted(variable)) for variable in variables),
        *(("EnvironmentFile", _match(_MAYBE_PATH, "path", path)) for path in environment_files),
        ("UnsetEnvironment", " ".join(foreign)),
        *(("ExecStartPre", command(each)) for each in first),
        ("ExecStart", command(tuple(exec_start))),
        *(("ExecStartPost", command(each)) for each in post),
        *(("ExecReload", command(each)) for each in again),
        *(("ExecStop", command(each)) for each in exec_stop),
        *(("ExecStopPost", command(each)) for each in exec_stop_post),
        *_tokens(("Restart", restart), ("RestartSec", restart_sec), ("LimitNOFILE", limit_nofile)),
        *_tokens(("Delegate", "yes" if delegate else None), ("KillMode", kill_mode)),
        *_tokens(("OOMScoreAdjust", oom_score_adjust)),
        *_tokens(("RuntimeDirectory", runtime_directory), ("StateDirectory", state_directory)),
        *_settings(extra),
    ]
    return _sections(Unit=head, Service=body, Install=_names("WantedBy", [wanted_by] if wanted_by else []))


def timer(*, description: str, calendar: str, extra_unit: Mapping[str, Setting] | None = None) -> str:
    """The unit file of a timer that starts the service of its name at calendar times, also those that it has missed.

    Raises ValueError for everything that systemd would not take literally.
    """
    head = [("Description", value(description)), *_settings(extra_unit)]
    # By default systemd may be a minute late.
    body = [("OnCalendar", value(calendar)), ("Persistent", "yes"), ("AccuracySec", "1s")]
    return _sections(Unit=head, Timer=body, Install=_names("WantedBy", ["multi-user.target"]))


def _sections(**sections: Sequence[tuple[str, str]]) -> str:
    """The text of a unit file; a section without settings is left out."""
    return "\n".join(
        "".join([f"[{title}]\n", *(f"{key}={text}\n" for key, text in lines)])
        for title, lines in sections.items()
        if lines
    )
