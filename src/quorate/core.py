"""The words that every room speaks: keys, states, actions, the resource and transport protocols, errors."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

State = Mapping[str, str]
"""What is known of one thing, field by field. `{}` means absent. A secret appears only as its digest."""


class Key(NamedTuple):
    """The address of one thing, unique in a cluster; prints as `host/kind/name`.

    A tuple: a large cluster has a hundred thousand of them, and each is hashed and compared many times.
    """

    host: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.host}/{self.kind}/{self.name}"


@dataclass(frozen=True)
class Blob:
    """A file on the operator's machine that is to be on a host, byte for byte.

    `path` is a gzip file of the content; `sha256` and `size` (bytes) are those of the content, unpacked.
    `rest` are further files that follow in the same stream: gzip reads them as one, and a script splits them
    by their sizes, so that thirty small files are one session and not thirty.
    """

    path: Path
    sha256: str
    size: int
    rest: tuple["Blob", ...] = ()

    @property
    def files(self) -> tuple["Blob", ...]:
        """This file and all that follow it."""
        return (self, *self.rest)


@dataclass(frozen=True)
class Action:
    """One remote effect, as data: a POSIX sh script, run as root, and what it reads on its stdin.

    A `blob` streams its gzip file to the script's stdin; the script unpacks it.
    `secret` scripts are never printed.
    """

    script: str
    blob: Blob | None = None
    secret: bool = False


@dataclass(frozen=True)
class Probe:
    """A question to a host: `tool` names the asker that answers many questions of one kind at once."""

    tool: str
    question: str


class Transport(Protocol):
    """The only way to a host."""

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        """Run a POSIX sh script as root and return its stdout.

        `blob`: its gzip file is the script's stdin. `on_line` is told each stdout line as it comes.
        `timeout` is in seconds. Raises `TransportError` when the host can't be reached or is lost,
        `CommandFailed` when the script's exit code is not 0.
        """
        ...

    def forward(self, host: str, port: int) -> AbstractAsyncContextManager[int]:
        """A port of this machine that leads to one of the host's loopback, as long as the block runs.

        Raises `TransportError` where there is no such way.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


@runtime_checkable
class ReadsBytes(Protocol):
    """A transport that also gives what is no text: to make text of it, and bytes again, takes 17 ms for a MiB."""

    async def read(self, host: str, script: str) -> bytes:
        """Run a script; its stdout, as it is. Raises as `Transport.run` does."""
        ...


async def read(via: Transport, host: str, script: str) -> bytes:
    """What a script prints, as it is, by any transport. Raises as `Transport.run` does."""
    if isinstance(via, ReadsBytes):
        return await via.read(host, script)
    return (await via.run(host, script)).encode("utf-8", "surrogateescape")


@dataclass(eq=False)
class QuorateError(Exception):
    """Root of all errors that are not bugs: one line, one hint, one exit code per class."""

    message: str
    hint: str = ""
    exit_code = 1

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class UsageError(QuorateError):
    """The command line is wrong: a verb, an option or the value of one. Nothing was done."""

    exit_code = 64


@dataclass(eq=False)
class Problem:
    """One thing wrong in a file: where, what, and the fix."""

    path: str
    line: int
    field: str
    value: str
    rule: str
    fix: str
    host: str = ""
    """Name of the host that it is about, where it is about one."""

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        host = f" of {self.host}" if self.host else ""
        shown = f" = {self.value}" if self.value else ""
        return f"{where}: {self.field}{host}{shown}: {self.rule}. Fix: {self.fix}"


@dataclass(eq=False)
class SpecError(QuorateError):
    """The cluster file is wrong; carries every problem found."""

    problems: list[Problem] = field(default_factory=list)
    exit_code = 3

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {problem}" for problem in self.problems)])


@dataclass(eq=False)
class PlanError(QuorateError):
    """The desired state contradicts itself, or a guard refuses the change."""

    keys: tuple[Key, ...] = ()
    exit_code = 4


@dataclass(eq=False)
class ArtifactError(QuorateError):
    """A binary can't be had, or is not what it claims to be."""

    exit_code = 5


@dataclass(eq=False)
class LocalError(QuorateError):
    """Something on this machine keeps it from every host: a key, a passphrase, a variable. No host is to blame, so
    it is no TransportError, which is told of each host.
    """


@dataclass(eq=False)
class TransportError(QuorateError):
    """A host can't be reached, refuses the credentials, or was lost."""

    host: str = ""
    exit_code = 6

    def __str__(self) -> str:
        return f"{self.host}: {self.message}" if self.host else self.message


@dataclass(eq=False)
class Postponed(QuorateError):
    """What is left would not have ended in time, and was not begun."""

    exit_code = 75


@dataclass(eq=False)
class CommandFailed(QuorateError):
    """A script ended with an exit code other than 0; carries the full evidence."""

    host: str = ""
    code: int = 0
    stdout: str = ""
    stderr: str = ""
    exit_code = 7

    def __str__(self) -> str:
        tail = self.stderr.strip().splitlines()[-1:] or [""]
        return f"{self.host}: {self.message} (exit {self.code}) {tail[0]}".rstrip()


@dataclass(eq=False)
class ApplyFailed(QuorateError):
    """Some steps failed; the rest was done as far as it did not depend on them."""

    exit_code = 7


@dataclass(eq=False)
class VerifyFailed(QuorateError):
    """The cluster is up, but checks failed."""

    exit_code = 8


@dataclass(eq=False)
class LockHeld(QuorateError):
    """Another run holds the cluster's lock; nothing was done."""

    token: str = ""
    """That run's: naming it lets the lock be taken from it."""
    exit_code = 10


@dataclass(eq=False)
class LockLost(CommandFailed):
    """Another run has taken the lock: a host refused a script of this one, which did not begin."""

    exit_code = 10

    def __str__(self) -> str:
        return f"{self.host}: {self.message}"


EXIT_CODES: Mapping[int, str] = {
    0: "done; for `plan`: no changes",
    1: "error; for `status`: something is not as it should be",
    2: "`plan` has changes",
    3: "the cluster file is wrong",
    4: "the plan contradicts itself, a guard refuses it, or the preflight found something",
    5: "an artifact can't be had, or is not what it claims to be",
    6: "a host was not reached",
    7: "`apply`, `destroy` or `defrag` failed in part",
    8: "a check of `verify` failed, or something went wrong in a `drill`",
    9: "the lab",
    10: "another run holds the cluster's lock",
    64: "the command line is wrong: a verb, an option, an argument or its value; nothing was done",
    70: "a bug",
    75: "postponed: what is left would not have ended by `--until`; the same command goes on",
    130: "interrupted",
}
"""What the program's exit codes mean; 64, 70 and 75 are EX_USAGE, EX_SOFTWARE and EX_TEMPFAIL of sysexits.h, 130 is
128 + SIGINT.
"""
