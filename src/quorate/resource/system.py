"""The host itself: users, kernel settings, modules, and settings that have a check, an order and an undo."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from quorate.core import Action, Probe, State
from quorate.render.prelude import WRITING
from quorate.render.sh import quote, sh
from quorate.resource.resource import Resource
from quorate.spec.layout import STATE


@dataclass(frozen=True, kw_only=True)
class User(Resource):
    """A system user without login, with a group of its own name."""

    kind: ClassVar[str] = "user"

    user: str
    home: str = "/nonexistent"

    @property
    def name(self) -> str:
        """User name."""
        return self.user

    @property
    def desired(self) -> State:
        """Present."""
        return {"user": self.user}

    def probe(self) -> Probe:
        """Ask the name service."""
        return Probe("script", f'echo user="$(id -un {quote(self.user)})"')

    def parse(self, answer: str) -> State | None:
        """Absent when the name is unknown."""
        return {"user": self.user} if f"user={self.user}" in answer.splitlines() else {}

    def converge(self, actual: State) -> Sequence[Action]:
        """Make group and user."""
        user = quote(self.user)
        return [
            Action(
                f"if ! id -u {user} >/dev/null 2>&1; then keep /quorate-user-{user}\n"
                f"useradd --system --user-group --no-create-home --home-dir {quote(self.home)} "
                f"--shell /usr/sbin/nologin {user}; fi"
            )
        ]

    def remove(self) -> Sequence[Action]:
        """Delete it if we made it."""
        user = quote(self.user)
        return [
            Action(
                f'if grep -qxF -- /quorate-user-{user} "$MADE" 2>/dev/null && id -u {user} >/dev/null 2>&1; '
                f"then userdel {user}; fi"
            )
        ]


@dataclass(frozen=True, kw_only=True)
class Setting(Resource):
    """Something with a check that prints `name=value` lines, an order, and an undo."""

    kind: ClassVar[str] = "setting"
    passive: ClassVar[bool] = False

    what: str
    want: tuple[tuple[str, str], ...]
    check: str
    script: str
    undo: str = ""
    removes: bool = False
    """The order takes something out of the cluster."""
    note: str = ""
    """Path of the host's note that exists while it is set."""
    seconds: int = 0
    """How long the order may take, where it has a limit."""

    @property
    def name(self) -> str:
        """What is set."""
        return self.what

    @property
    def traces(self) -> tuple[str, ...]:
        """The note."""
        return (self.note,) if self.note else ()

    @property
    def may_take(self) -> int:
        """The limit of the order."""
        return self.seconds

    @property
    def desired(self) -> State:
        """The wanted values."""
        return dict(self.want)

    def probe(self) -> Probe:
        """Run the check."""
        return Probe("script", self.check)

    def converge(self, actual: State) -> Sequence[Action]:
        """Run the order."""
        return [Action(self.script)]

    def remove(self) -> Sequence[Action]:
        """Run the undo."""
        return [Action(self.undo)] if self.undo else []


@dataclass(frozen=True, kw_only=True)
class Undo(Resource):
    """What a part leaves behind that no thing of ours names: nothing to do until it goes."""

    kind: ClassVar[str] = "undo"
    passive: ClassVar[bool] = False

    what: str
    script: str

    @property
    def name(self) -> str:
        """What is left."""
        return self.what

    @property
    def desired(self) -> State:
        """Nothing."""
        return {}

    def probe(self) -> Probe:
        """There is nothing to know."""
        return Probe("script", ":")

    def converge(self, actual: State) -> Sequence[Action]:
        """Nothing to do."""
        return []

    def remove(self) -> Sequence[Action]:
        """Take it away."""
        return [Action(self.script)]


@dataclass(frozen=True, kw_only=True)
class Encounter(Setting):
    """A setting whose order meets that of other hosts: it begins at once, in a script of its own."""

    waits: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Errand(Setting):
    """A setting that takes its time: in a script of its own, it holds nothing else up."""

    waits: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Hook(Setting):
    """A program of the site's on a host, before or after its change; or a pause. It leaves nothing to be asked for."""

    kind: ClassVar[str] = "hook"
    waits: ClassVar[bool] = True
    apart: ClassVar[bool] = True

    want: tuple[tuple[str, str], ...] = (("done", "yes"),)
    check: str = "echo done=yes"
    program: str = ""
    """What is run, for a reader, where the order has more."""


def sysctl(host: str, key: str, value: str) -> Setting:
    """A kernel setting, now; that it comes back after a reboot is the file in /etc/sysctl.d."""
    path, old = f"/proc/sys/{key.replace('.', '/')}", f"{STATE}/sysctl-{key.replace('/', '.')}"
    return Setting(
        host=host,
        what=f"sysctl {key}",
        want=(("value", value),),
        check=f"echo \"value=$(tr '\\t' ' ' <{quote(path)})\"",
        script=f"[ -e {quote(old)} ] || settle 0600 root:root {quote(old)} <{quote(path)}\n"
        f"printf '%s\\n' {quote(value)} >{quote(path)}",
        undo=f"if [ -e {quote(old)} ]; then cat {quote(old)} >{quote(path)} || :; {sh('rm', '-f', old)}; fi",
        note=old,
    )


def leftovers(host: str) -> Setting:
    """No script that was killed has left anything. The beginning of every script takes such things away."""
    return Setting(
        host=host,
        what="leftovers of killed runs",
        want=(("left", "none"),),
        check=f"q_left=none; for q_list in {WRITING}/*; do\n"
        '  if [ -e "$q_list" ] && flock -n "$q_list" true; then q_left=some; fi; done; echo left=$q_left',
        script=":",
    )


def module(host: str, name: str) -> Setting:
    """A kernel module, loaded or built in."""
    path = f"/sys/module/{name.replace('-', '_')}"
    return Setting(
        host=host,
        what=f"module {name}",
        want=(("loaded", "yes"),),
        check=f"if [ -d {path} ] || modprobe -q --show-depends {quote(name)} | grep -q '^builtin'; "
        "then echo loaded=yes; fi",
        script=sh("modprobe", name),
    )
