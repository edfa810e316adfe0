"""System calls as strace tells them: what a program did to files and folders, and in which order."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from secret_forms import Secrets, within

CALLS = "/^(open|mkdir|fchmod|write|pwrite|lseek|fsync|fdatasync|rename|link|truncate|ftruncate)"
"""All that changes a file or a folder, and what separates one group of writes from the next."""
KILLS = re.compile("mkdir|fchmod|p?write|f(data)?sync|rename|link|f?truncate")
MOVES = re.compile("rename|link")


@dataclass(frozen=True)
class Call:
    """A system call: by whom, its number among that thread's calls of its name, and on which files."""

    name: str
    thread: str
    number: int
    paths: tuple[str, ...]
    """None for one that failed."""
    creates: bool


def traced(log: Path) -> list[Call]:
    """What strace wrote, a file for each thread, in the order in which the calls began."""
    found: list[tuple[float, Call]] = []
    for path in log.parent.glob(f"{log.name}.*"):
        numbers: Counter[str] = Counter()
        for line in path.read_text().splitlines():
            if not (read := re.match(r"([\d.]+) (\w+)\((.*)\) += (-?\d+)", line)):
                continue
            at, name, words, result = read.groups()
            numbers[name] += 1
            paths = re.findall(r'\d+<(/[^>]*)>|"(/[^"]*)"', words) if int(result) >= 0 else ()
            named = tuple(one or other for one, other in paths)
            found.append((float(at), Call(name, path.suffix, numbers[name], named, "O_CREAT" in words)))
    return [call for _, call in sorted(found, key=lambda each: each[0])]


def durable(calls: Sequence[Call], to: str) -> int:
    """Where in the order the file `to` was on the disk for good, having come there in the right way."""
    (moved,) = [n for n, call in enumerate(calls) if MOVES.match(call.name) and call.paths[-1:] == (to,)]
    temporary = calls[moved].paths[0]
    of = [kind(call) for call in calls if temporary in call.paths]
    assert of[0] == "create"
    order = [name for name, _ in groupby(of) if name in ("write", "sync", "move", "truncate")]
    assert order[-3:] == ["write", "sync", "move"]
    assert order.count("sync") == order.count("move") == 1
    assert not [call for call in calls if to in call.paths and kind(call) in ("create", "write")]
    return synced(calls, Path(to).parent, moved)


def synced(calls: Sequence[Call], folder: Path, after: int) -> int:
    """Where in the order a folder was synced first after some place."""
    return next(n for n, call in enumerate(calls) if n > after and (kind(call), *call.paths) == ("sync", str(folder)))


def kind(call: Call) -> str:
    """What a call does, by whatever name."""
    if call.creates:
        return "create"
    kinds = {"p?write": "write", "f(data)?sync": "sync", "rename|link": "move", "mkdir": "mkdir"}
    return next((known for words, known in kinds.items() if re.match(words, call.name)), call.name)


def groups(calls: Sequence[Call]) -> Iterator[Call]:
    """The first of each group of the same calls on the same file, and one in the middle of a long one."""
    for _, group in groupby(calls, key=lambda call: (call.thread, call.name, call.paths)):
        several = list(group)
        if KILLS.match(several[0].name):
            yield several[0]
            if len(several) > 2:
                yield several[len(several) // 2]


@dataclass(frozen=True)
class Started:
    """What a program and all that it started did where others could see it: arguments, environment, files."""

    log: Path

    @property
    def prefix(self) -> tuple[str, ...]:
        """What starts the program."""
        calls = "-etrace=/^(execve|open|creat|mkdir)"
        return ("strace", "-ff", "--seccomp-bpf", "-qq", "-y", "-v", "-s99999", calls, "-o", str(self.log))

    def programs(self) -> set[str]:
        """The names of those that were started."""
        return {Path(name).name for name in re.findall(r'^execve\("([^"]*)".* = 0$', self._text(), re.MULTILINE)}

    def told(self, known: Secrets) -> list[str]:
        """The secrets that were in an argument, or in the environment of a process."""
        return within(
            "\n".join(line for line in self._text().splitlines() if line.startswith("execve")).encode(), known
        )

    def open_to_others(self, home: Path, umask: int) -> list[str]:
        """Files that were made where others can come, and read them: below `home`, of which they may enter the top."""
        text = self._text()
        closed = [Path(path) for path in re.findall(r'^mkdir\("(/[^"]*)", 07?00\) += 0', text, re.MULTILINE)]
        closed += [path for path in home.rglob("*") if path.is_dir() and not path.stat().st_mode & 0o077]
        made = re.findall(r"^open.*O_CREAT.*, (0\d+)\) = \d+<(/[^>]*)>$", text, re.MULTILINE)
        return [
            path
            for mode, path in made
            if int(mode, 8) & 0o077 & ~umask
            and not path.startswith("/dev/")
            and not set(closed) & set(Path(path).parents)
        ]

    def _text(self) -> str:
        return "\n".join(path.read_text() for path in self.log.parent.glob(f"{self.log.name}.*"))
