"""Passwords and private keys: from files of mode 0600, from a named variable, or asked once on the terminal."""

import asyncio
import getpass
import os
import stat
from pathlib import Path

from quorate.core import LocalError
from quorate.spec import regular


def stored(path: Path, field: str = "") -> str:
    """The password in a file: its first line. `env:NAME` names a variable instead, which is then removed.

    Raises LocalError, with the field that names it, when it can't be read, is empty, or others may read the file.
    """
    of = f"{field}: " if field else ""
    if str(path).startswith("env:"):
        return _variable(str(path)[4:], of)
    try:
        with regular.opened(path) as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            line = file.readline().decode("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise LocalError(f"{of}password file {path}: {reason}", "Give a file with one line.") from error
    if mode & 0o077:
        raise LocalError(f"{of}password file {path} has mode {mode:04o}", f"chmod 600 {path}")
    if not line:
        raise LocalError(f"{of}password file {path} is empty", "Put the password in its first line.")
    return line


def private(path: Path, field: str) -> str:
    """A private key in a file. Raises LocalError, with the field that names it, when it can't be read, is none, or
    others may read the file.
    """
    try:
        with regular.opened(path) as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read().decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise LocalError(f"{field}: {path}: {reason}", "name the file of a private key") from error
    if mode & 0o077:
        raise LocalError(f"{field}: {path} has mode {mode:04o}", f"chmod 600 {path}")
    if "PRIVATE KEY-----" not in text:
        raise LocalError(f"{field}: {path} is no private key", "name the one that belongs to the place's user")
    return text if text.endswith("\n") else f"{text}\n"


_taken: dict[str, str] = {}


def _variable(name: str, of: str) -> str:
    """The variable's value; it leaves the environment, so that no child process inherits it."""
    value = os.environ.pop(name, "")
    if value:
        _taken[name] = value
    if name not in _taken:
        raise LocalError(f"{of}variable {name} is not set", f"Set {name} to the password, or name a file instead.")
    return _taken[name]


class Prompt:
    """Asks for secrets on the terminal, each question once in a run.

    `allowed=False` (as with `--json`) refuses to ask. Override `read` to ask in another way.
    """

    def __init__(self, *, allowed: bool = True) -> None:
        self._allowed = allowed
        self._answers: dict[str, str] = {}
        self._lock = asyncio.Lock()

    def read(self, question: str) -> str:
        """Ask on the terminal without echo. Raises LocalError without a terminal."""
        try:
            with open("/dev/tty", "rb"):
                pass
        except OSError as error:
            raise self._refusal(question) from error
        return getpass.getpass(f"{question}: ")

    async def ask(self, question: str) -> str:
        """The answer to a question, asked at most once. Raises LocalError when asking is impossible."""
        async with self._lock:
            if question not in self._answers:
                if not self._allowed:
                    raise self._refusal(question)
                self._answers[question] = await asyncio.to_thread(self.read, question)
            return self._answers[question]

    def _refusal(self, question: str) -> LocalError:
        hint = "Use a terminal without --json, or ssh.password_file, ssh.sudo_password_file, a key "
        return LocalError(f"no terminal to ask for: {question}", hint + "in the agent.")
