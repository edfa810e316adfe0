"""What became of a walk: every step changed, unchanged, failed or skipped; times and bytes."""

from dataclasses import dataclass, field

from quorate.core import Key


@dataclass
class Outcome:
    """What became of every step."""

    changed: list[Key] = field(default_factory=list)
    failed: dict[Key, str] = field(default_factory=dict)
    skipped: dict[Key, Key] = field(default_factory=dict)
    left: list[Key] = field(default_factory=list)
    """Not done because the walk was stopped; those that were cut off among them may be done in part."""
    unchanged: int = 0
    seconds: float = 0.0
    stopped: bool = False
    postponed: list[str] = field(default_factory=list)
    """Whose turn was not begun, for it would not have ended in time; or the stage that was not."""
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    """First begin and last end of each component's steps, in seconds from the start."""
    sent: dict[str, int] = field(default_factory=dict)
    """Bytes of large files sent to each host."""

    def then(self, other: "Outcome") -> "Outcome":
        """Both, the other one after this."""
        spans = {name: (first + self.seconds, last + self.seconds) for name, (first, last) in other.spans.items()}
        for name, (first, last) in self.spans.items():
            spans[name] = (first, spans[name][1] if name in spans else last)
        return Outcome(
            [*self.changed, *other.changed],
            {**self.failed, **other.failed},
            {**self.skipped, **other.skipped},
            [*self.left, *other.left],
            self.unchanged + other.unchanged,
            self.seconds + other.seconds,
            self.stopped or other.stopped,
            [*self.postponed, *other.postponed],
            spans,
            {host: self.sent.get(host, 0) + other.sent.get(host, 0) for host in {**self.sent, **other.sent}},
        )

    @property
    def ok(self) -> bool:
        """Whether everything is as it should be."""
        return not (self.failed or self.skipped or self.stopped or self.postponed)
