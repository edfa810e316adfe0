"""A managed block in somebody else's file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from quorate.core import Action, Probe, State
from quorate.render.sh import heredoc, quote
from quorate.resource.resource import Resource


@dataclass(frozen=True, kw_only=True)
class Block(Resource):
    """Lines of ours in a file of somebody else's, between two marker lines."""

    kind: ClassVar[str] = "block"

    path: str
    title: str
    lines: tuple[str, ...]

    @property
    def name(self) -> str:
        """Path and title."""
        return f"{self.path}:{self.title}"

    @property
    def desired(self) -> State:
        """The lines."""
        return {"lines": "\n".join(self.lines)}

    def _marks(self) -> tuple[str, str]:
        return f"# begin quorate {self.title}", f"# end quorate {self.title}"

    def probe(self) -> Probe:
        """Print what stands between the markers."""
        begin, end = self._marks()
        return Probe("script", f"sed -n {quote(f'/^{begin}$/,/^{end}$/p')} {quote(self.path)}")

    def parse(self, answer: str) -> State | None:
        """The lines without the markers."""
        lines = answer.splitlines()
        return {"lines": "\n".join(lines[1:-1])} if len(lines) >= 2 else {}

    def _rest(self) -> str:
        """`t` is what stands outside of the block; of one without its end only the first marker goes."""
        begin, end = self._marks()
        path, both = quote(self.path), f"/^{begin}$/,/^{end}$/d"
        return (
            f"if grep -qxF -- {quote(end)} {path} 2>/dev/null; then q_cut={quote(both)}; "
            f"else q_cut={quote(f'/^{begin}$/d')}; fi\n"
            # A file that can't be read must not become one with our lines alone.
            f'if [ -e {path} ]; then t=$(sed "$q_cut" {path} && echo .); t=${{t%.}}; else t=; fi\n'
        )

    def _settle(self) -> str:
        """The new file `n` takes the old one's place, mode and owner."""
        path = quote(self.path)
        return (
            f'if [ -e {path} ]; then chmod --reference={path} "$n"; chown --reference={path} "$n"; '
            f'else chmod 0644 "$n"; fi\nsync -- "$n"; mv -fT -- "$n" {path}'
        )

    def converge(self, actual: State) -> Sequence[Action]:
        """Write the file anew with the block at its end; the rest stays as it is."""
        begin, end = self._marks()
        text = "\n".join([begin, *self.lines, end, ""])
        path = quote(self.path)
        return [
            Action(
                f"{self._rest()}"
                # A last line without its end would swallow the first marker.
                f'case "$t" in ""|*"\n") ;; *) t="$t\n";; esac\n'
                f'n={path}.quorate-new; leaves "$n"; {{ printf \'%s\' "$t" && cat {heredoc(text)}\n}} >"$n" '
                f"|| lacks {path}\n{self._settle()}"
            )
        ]

    def remove(self) -> Sequence[Action]:
        """Cut the block out."""
        path = quote(self.path)
        return [
            Action(
                f"if [ -e {path} ]; then {self._rest()}"
                f'n={path}.quorate-new; leaves "$n"; printf \'%s\' "$t" >"$n" || lacks {path}\n{self._settle()}; fi'
            )
        ]
