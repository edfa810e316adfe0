"""The journal as it is read: runs with their steps, and what became of each; torn lines are passed over."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quorate import atomic
from quorate.spec.regular import content
from quorate.state.holder import Holder

Line = dict[str, Any]


@dataclass
class JournalRun:
    """One run, as far as the journal tells."""

    number: int
    """From 1, the oldest."""
    begin: Line = field(default_factory=dict)
    """Empty for a run of before runs had a beginning here."""
    steps: list[Line] = field(default_factory=list)
    """With the `stage` in which each was, where there were several."""
    end: Line = field(default_factory=dict)
    stages: list[str] = field(default_factory=list)
    """Those that began, where there were several."""

    @property
    def verb(self) -> str:
        """What was run."""
        return str(self.begin.get("verb") or self.end.get("verb") or "")

    @property
    def operation(self) -> str:
        """What was done, where it was no plain change."""
        return str(self.begin.get("operation", ""))

    @property
    def moves(self) -> dict[str, tuple[str, str]]:
        """Of an upgrade: from which version to which, by part."""
        was, goal = self.begin.get("from", {}), self.begin.get("to", {})
        return {str(part): (str(version), str(goal.get(part, ""))) for part, version in was.items()}

    @property
    def ways(self) -> dict[str, str]:
        """The stages as they were planned, each with what became of it."""
        planned = [*map(str, self.begin.get("stages", self.stages))]
        begun = self.stages or planned[:1]
        last = begun[-1] if begun else ""
        return {name: self.result if name == last else "done" if name in begun else "not begun" for name in planned}

    @property
    def went_back(self) -> dict[str, bool]:
        """What did not hold, by host and name: whether what ran before runs again."""
        failed = (step for step in self.steps if "back" in step)
        return {f"{step.get('host')}/{step.get('kind')}/{step.get('name')}": bool(step["back"]) for step in failed}

    @property
    def postponed(self) -> list[str]:
        """Whose turn did not come in time."""
        return [*map(str, self.end.get("postponed", ()))]

    @property
    def who(self) -> str:
        """user@machine, where it is known."""
        return str(self.begin.get("who", ""))

    @property
    def time(self) -> str:
        """When it began, or, where that is not known, when it ended: UTC."""
        return str(self.begin.get("time") or self.end.get("time") or "")

    @property
    def seconds(self) -> float | None:
        """How long it took; None where nobody knows."""
        given = self.end.get("seconds")
        return float(given) if isinstance(given, int | float) else None

    @property
    def result(self) -> str:
        """done, failed, stopped, postponed, under way, or cut off."""
        if not self.end:
            return "under way" if self._lives() else "cut off"
        if self.end.get("stopped"):
            return "stopped"
        if self.end.get("postponed") and not self.end.get("failed"):
            return "postponed"
        whole = self.end.get("ok", not (self.end.get("lost") or self.end.get("failures")))
        return "done" if whole else "failed"

    def count(self, result: str) -> int:
        """Steps with that result (changed, failed, skipped): what the end says, or, without one, what is listed."""
        given = self.end.get(result)
        return given if isinstance(given, int) else sum(step.get("result") == result for step in self.steps)

    def _lives(self) -> bool:
        """Whether its process runs on this machine."""
        words = {name: str(self.begin.get(name, "")) for name in ("place", "started")}
        pid = self.begin.get("pid")
        if not isinstance(pid, int) or not all(words.values()):
            return False
        return words["place"] == Holder.here("").place and not Holder("", pid=pid, **words).dead

    def as_dict(self, *, steps: bool = False) -> Line:
        """Plain data for JSON."""
        told: Line = {"number": self.number, "time": self.time, "who": self.who, "verb": self.verb}
        told |= {"pid": self.begin.get("pid"), "result": self.result}
        told |= {result: self.count(result) for result in ("changed", "failed", "skipped")}
        told["seconds"] = self.seconds
        if error := self.end.get("error"):
            told["error"] = error
        if waived := self.begin.get("waived"):
            told["waived"] = waived
        if self.operation:
            told["operation"] = self.operation
            told |= {"from": {part: was for part, (was, _) in self.moves.items()}}
            told |= {"to": {part: goal for part, (_, goal) in self.moves.items()}}
        if self.stages or self.operation:
            told |= {"stages": self.stages, "ways": self.ways}
        if self.went_back:
            told["went_back"] = self.went_back
        if self.postponed:
            told["postponed"] = self.postponed
        if steps:
            listed = ("stage", "host", "kind", "name", "result", "seconds", "error", "because", "back")
            told["steps"] = [{name: step[name] for name in listed if name in step} for step in self.steps]
        return told


def read(path: Path) -> list[JournalRun]:
    """All runs in a journal, oldest first; none where there is no journal. Raises QuorateError."""
    try:
        text = content(path).decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise atomic.unreadable(path, error) from None
    runs: dict[str, JournalRun] = {}
    for number, entry in enumerate(_lines(text)):
        # What was written before runs had a beginning is one line for each.
        id = str(entry.get("run", f"line {number}"))
        told = runs.setdefault(id, JournalRun(len(runs) + 1))
        match entry.get("event", "end"):
            case "begin":
                told.begin = entry
            case "stage":
                told.stages.append(str(entry.get("name", "")))
            case "step":
                told.steps.append({**entry, "stage": told.stages[-1]} if told.stages else entry)
            case "end":
                told.end = entry
    return list(runs.values())


def _lines(text: str) -> Iterator[Line]:
    for each in text.split("\n"):
        try:
            entry = json.loads(each)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            yield entry
