"""What a part that runs goes back to when its change does not hold; kept before the first of its files changes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from quorate.core import Action, Probe, State
from quorate.render import fallback
from quorate.render.sh import heredoc, quote
from quorate.resource.resource import Resource
from quorate.spec.layout import UNITS, WANTS

LATER_S = 15
"""Seconds that the proof of a part waits for longer than its judge, to hear what that has decided."""


@dataclass(frozen=True, kw_only=True)
class Fallback(Resource):
    """Files and programs of a part, as they run. A judge on the host (`render.fallback`) asks the part's own proof when
    services have loaded others, and puts all of them back together when that does not hold in time.

    It has something to do when one of what it `watches` has.
    """

    kind: ClassVar[str] = "fallback"
    passive: ClassVar[bool] = False

    part: str
    units: tuple[str, ...]
    paths: tuple[str, ...]
    check: str = field(repr=False)
    within: int
    digest: str
    """Of all that is about to come: what did not hold is known by it again."""

    @property
    def name(self) -> str:
        """The part."""
        return self.part

    @property
    def desired(self) -> State:
        """Kept."""
        return {"kept": "yes"}

    def probe(self) -> Probe:
        """Whether a change is being judged, and what did not hold."""
        return Probe(
            "script",
            f"[ ! -e {self._place}/armed ] || echo kept=yes; "
            f"sed 's/^digest=/failed=/' {self._place}.failed 2>/dev/null || :",
        )

    def converge(self, actual: State) -> Sequence[Action]:
        """Wait for the judge of a change before, keep what there is, and start the judge.

        Where files of a run that was cut off have never been loaded, what it kept is what runs, and stays kept.
        """
        place, judge, now = self._place, fallback.unit(self.part), fallback.transient(self.part)
        both, busy = f"{now} {judge}", quote(f"a change of {self.part} before is judged still")
        about = quote(f"whether a change of {self.part} holds")
        loaded = fallback.loaded(self.part, self.units)
        return [
            Action(
                f"n=0; while [ -e {place}/armed ] && {{ {loaded}; }} && systemctl is-active -q {both}; do\n"
                f"  n=$(( n + 1 )); [ $n -lt {2 * self.within + 30} ] || "
                f"{{ echo {busy} >&2; exit 1; }}; sleep 1; done\n"
                f"systemctl stop {both} 2>/dev/null || :\n"
                f"[ -e {place}/armed ] || rm -rf -- {place}\n"
                f"mkdir -p {place}/was; : >>{place}/paths\n"
                f"for p in {' '.join(map(quote, self.paths))}; do\n"
                f'  if grep -qxF -- "$p" {place}/paths; then continue; fi\n'
                '  if [ -e "$p" ] || [ -L "$p" ]; then\n'
                f'    mkdir -p "{place}/was${{p%/*}}"\n'
                f'    cp -al -- "$p" "{place}/was$p" 2>/dev/null || cp -a -- "$p" "{place}/was$p" ||\n'
                f"      lacks {place}/was\n"
                "  fi\n"
                f"  printf '%s\\n' \"$p\" >>{place}/paths\n"
                "done\n"
                f"rm -f -- {place}.failed {place}/forsaken\n"
                f"settle 0600 root:root {place}/judge {heredoc(self._judge)}\n"
                f"settle 0644 root:root {UNITS}/{judge} {heredoc(fallback.service(self.part))}\n"
                f"ln -sfn -- {UNITS}/{judge} {WANTS}/{judge}\n"
                f"printf '%s\\n' {quote(self.digest)} >{place}/digest; : >{place}/armed; sync -- {place}/*\n"
                # The unit file is for after a reboot; systemd need not read all unit files anew for today's.
                f"systemd-run -q --collect --unit={now} --description={about} /bin/sh {place}/judge"
            )
        ]

    def remove(self) -> Sequence[Action]:
        """End the judge and forget what it kept."""
        judge, now = fallback.unit(self.part), fallback.transient(self.part)
        return [
            Action(
                f"systemctl stop {now} {judge} 2>/dev/null || :\n"
                f"{fallback.gone(self.part)}; rm -f -- {self._place}.failed"
            )
        ]

    @property
    def _place(self) -> str:
        return fallback.place(self.part)

    @property
    def _judge(self) -> str:
        return fallback.script(self.part, self.units, self.check, self.within)


@dataclass(frozen=True, kw_only=True)
class Settled(Resource):
    """The end of a change that no service had to load: a mode, a program that none runs, a file as it was before
    somebody edited it. There is nothing to judge, and nothing to go back to.
    """

    kind: ClassVar[str] = "settled"
    passive: ClassVar[bool] = False

    part: str
    units: tuple[str, ...]

    @property
    def name(self) -> str:
        """The part."""
        return self.part

    @property
    def desired(self) -> State:
        """No files wait to be loaded."""
        return {"waits": "nothing"}

    def probe(self) -> Probe:
        """Whether a judge waits for services that load something."""
        return Probe("script", f"if {self._waits()}; then echo waits=files; else echo waits=nothing; fi")

    def converge(self, actual: State) -> Sequence[Action]:
        """Send that judge away; one that has something to judge stays."""
        both = f"{fallback.transient(self.part)} {fallback.unit(self.part)}"
        gone = fallback.gone(self.part)
        return [Action(f"if {self._waits()}; then systemctl stop {both} 2>/dev/null || :\n{gone}\nfi")]

    def remove(self) -> Sequence[Action]:
        """Nothing of its own."""
        return []

    def _waits(self) -> str:
        return f"[ -e {fallback.place(self.part)}/armed ] && ! {{ {fallback.loaded(self.part, self.units)}; }}"
