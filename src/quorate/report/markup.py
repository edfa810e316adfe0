"""HTML and SVG from values: whatever is not markup already is escaped, so nothing that a host said becomes a tag."""

from collections.abc import Iterable
from html import escape

from quorate.plan.words import clean

_SINGLE = {"meta", "link", "path", "rect", "line", "circle"}
"""Elements with nothing inside."""


class Html(str):
    """Markup. Only `tag`, `join` and what is written in this package make it."""

    __slots__ = ()


def text(value: str) -> Html:
    """A text for people: control characters made visible, private keys left out, all else escaped."""
    return value if isinstance(value, Html) else Html(escape(clean(value)))


def tag(kind: str, /, *inside: str, **attributes: str | float | None) -> Html:
    """An element. In attributes `_` stands for `-`, a last one is dropped (`class_`), and None leaves one out.

    What comes out is XML too, so a page can be checked by any parser.
    """
    said = "".join(f' {_name(each)}="{_value(value)}"' for each, value in attributes.items() if value is not None)
    if kind in _SINGLE:
        return Html(f"<{kind}{said}/>")
    return Html(f"<{kind}{said}>{join(inside)}</{kind}>")


def join(parts: Iterable[str], between: str = "") -> Html:
    """Several pieces as one."""
    return Html(text(between).join(text(part) for part in parts))


def number(value: float) -> str:
    """A coordinate: a tenth of a pixel is enough."""
    return f"{round(value, 1) + 0.0:g}"


def _name(attribute: str) -> str:
    return attribute.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    return text(value) if isinstance(value, str) else number(value)
