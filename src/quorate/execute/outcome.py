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
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    """First begin and last end of each component's steps, in seconds from the start."""
    sent: dict[str, int] = field(default_factory=dict)
    """Bytes of large files sent to each host."""

    @property
    def ok(self) -> bool:
        """Whether everything is as it should be."""
        return not self.failed and not self.skipped and not self.stopped
