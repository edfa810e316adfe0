"""Kernel settings of ours that somebody has changed since: which, what that breaks, and how to mend it."""

from dataclasses import dataclass

from quorate.component.system import BREAKS
from quorate.spec.layout import SYSCTLS

ASK = f"""\
[ -r {SYSCTLS} ] && while IFS=' ' read -r k e v; do
  n=$(tr '\\t' ' ' <"/proc/sys/$(printf %s "$k" | tr . /)") || n=
  [ "$n" = "$v" ] || echo "$k $e $v $e $n"
done <{SYSCTLS}"""
"""Settings of our file that the kernel has otherwise: `KEY = WANTED = FOUND`."""


@dataclass(frozen=True)
class Sysctl:
    """A kernel setting that somebody has changed."""

    key: str
    wanted: str
    value: str
    """Empty where the kernel has none of that name, for want of a module."""

    @property
    def told(self) -> str:
        """In a line."""
        now = f"is {self.value}, not {self.wanted}" if self.value else f"is not there, and should be {self.wanted}"
        why = f": {BREAKS[self.key]}" if self.key in BREAKS else ""
        return f"{self.key} {now}{why}; `quorate apply` sets it back"


def parse(said: str) -> tuple[Sysctl, ...]:
    """The answer to ASK."""
    parts = (line.split(" = ", 2) for line in said.splitlines() if line.count(" = ") >= 2)
    return tuple(Sysctl(key, wanted, value.strip()) for key, wanted, value in parts)
