"""Hosts as dictionaries: they understand batches and looks, can lose connections, and remember what ran."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from quorate.core import Action, Blob, CommandFailed, Probe, State, TransportError
from quorate.execute import batch
from quorate.resource.ask import _PART, MARK
from quorate.resource.resource import Resource
from quorate.resource.unit import Ready, Unit


@dataclass(frozen=True, kw_only=True)
class Thing(Resource):
    """Something with one value."""

    kind: ClassVar[str] = "thing"
    thing: str
    value: str = "1"
    broken: bool = False
    blob: Blob | None = None

    @property
    def name(self) -> str:
        return self.thing

    @property
    def desired(self) -> State:
        return {"value": self.value}

    def probe(self) -> Probe:
        return Probe("script", f"@get {self.thing}")

    def converge(self, actual: State) -> list[Action]:
        order = f"@fail {self.thing} is broken" if self.broken else f"@set {self.thing} {self.value}"
        return [Action(order, blob=self.blob)]


@dataclass(frozen=True, kw_only=True)
class Daemon(Unit):
    """A unit that has loaded one thing."""

    loads: tuple[str, ...] = ("conf",)

    def probe(self) -> Probe:
        return Probe("script", f"@state {self.unit} {self.loads[0]}")

    def parse(self, answer: str) -> State | None:
        return dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)

    def converge(self, actual: State) -> list[Action]:
        return [Action(f"@start {self.unit} {self.loads[0]}")]


@dataclass(frozen=True, kw_only=True)
class Gate(Ready):
    """A gate that opens at once."""

    check: str = ""

    def probe(self) -> Probe:
        return Probe("script", f"@get ready-{self.what}")

    def parse(self, answer: str) -> State | None:
        return {"ready": "yes"} if "value=yes" in answer else {}

    def converge(self, actual: State) -> list[Action]:
        return [Action(f"@set ready-{self.what} yes")]


@dataclass
class Hosts:
    """All hosts and the door to them."""

    values: dict[str, dict[str, str]] = field(default_factory=dict)
    ran: list[tuple[str, str]] = field(default_factory=list)
    """(host, order) in the order in which they were carried out."""
    scripts: Counter[str] = field(default_factory=Counter)
    looks: Counter[str] = field(default_factory=Counter)
    uploads: Counter[str] = field(default_factory=Counter)
    most_uploads: int = 0
    cut_before: set[tuple[str, str]] = field(default_factory=set)
    """The connection is lost, once, before this order of this host."""
    cut_after: set[tuple[str, str]] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    on_order: Callable[[str, str], None] = lambda host, order: None

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        if host in self.dead:
            raise TransportError("gone", host=host)
        acts = "@set" in script or "@start" in script or "@fail" in script
        (self.scripts if acts else self.looks)[host] += 1
        if blob is not None:
            self.uploads[host] += 1
            self.most_uploads = max(self.most_uploads, self.uploads[host])
        for _ in range(3):
            await asyncio.sleep(0)
        try:
            return self._carry_out(host, script, on_line)
        finally:
            if blob is not None:
                self.uploads[host] -= 1

    async def close(self) -> None:
        pass

    def _carry_out(self, host: str, script: str, on_line: Callable[[str], None] | None) -> str:
        told, number, going = [], None, True
        orders, looks, looked = script.rpartition(f"printf '{_PART}script")
        if not looks:
            orders, looked = looked, ""
        for line in orders.splitlines():
            if begins := re.search(f"printf '{batch.BEGIN}(\\d+)", line):
                number = begins[1]
                if going:
                    told.append(f"{batch.BEGIN}{number}")
                    if on_line:
                        on_line(told[-1])
            elif line.startswith("@") and going:
                code = self._order(host, line, told)
                if code and number is None:
                    raise CommandFailed("failed", host=host, code=code, stderr="\n".join(told))
                told.append(f"{batch.END}{number} {code}")
                going = not code
        told.append(batch.LOOK)
        told.append(f"{_PART}script")
        for index, question in enumerate(re.findall(r"^\( (@.*)$", looked, re.MULTILINE)):
            told.append(f"{MARK}{index}")
            told += self._answer(host, question.split())
        return "\n".join(told) + "\n"

    def _order(self, host: str, order: str, told: list[str]) -> int:
        if (host, order) in self.cut_before:
            self.cut_before.remove((host, order))
            raise TransportError("lost", host=host)
        self.on_order(host, order)
        self.ran.append((host, order))
        values = self.values.setdefault(host, {})
        verb, name, *rest = order.split()
        if verb == "@fail":
            told.append(" ".join((name, *rest)))
            return 1
        if verb == "@set":
            values[name] = rest[0]
        elif values.get(f"loaded-{name}") != values.get(rest[0], ""):
            values[f"loaded-{name}"] = values.get(rest[0], "")
            told.append(batch.CHANGED)
        if (host, order) in self.cut_after:
            self.cut_after.remove((host, order))
            raise TransportError("lost", host=host)
        return 0

    def _answer(self, host: str, words: list[str]) -> list[str]:
        values = self.values.get(host, {})
        if words[0] == "@get":
            return [f"value={values[words[1]]}"] if words[1] in values else []
        if f"loaded-{words[1]}" not in values:
            return []
        same = values[f"loaded-{words[1]}"] == values.get(words[2], "")
        return ["active=active", "enabled=enabled", "reload=no", f"loaded={'current' if same else 'stale'}"]


def gzipped(folder: Path, name: str) -> Blob:
    path = folder / name
    path.write_bytes(b"gzip")
    return Blob(path, "0" * 64, 4)
