"""Make pictures of the console fit for the repository: `python docs/images/clean.py docs/images/*.svg`.

rich names a font on a server and its own site; a picture must show the same without a network. What is left uses
the reader's own monospace font, squeezed to the same columns by `textLength`.
"""

import re
import sys
from pathlib import Path

FONTS = 'ui-monospace, "DejaVu Sans Mono", "Liberation Mono", Menlo, Consolas, monospace'
MARGIN = 20
"""Pixels added to both dimensions."""


def clean(svg: str) -> str:
    """The picture without anything that lies elsewhere, and with names that do not depend on its content."""
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"@font-face\s*{[^}]*}\s*", "", svg)
    svg = svg.replace("font-family: Fira Code, monospace", f"font-family: {FONTS}")
    svg = svg.replace("font-family: arial", "font-family: system-ui, sans-serif")
    svg = re.sub(r"<text [^>]*>\n</text>", "", svg)
    return _room(re.sub(r"terminal-\d+-", "t-", svg))


def _room(svg: str) -> str:
    """A margin around the text: rich cuts off the last line's descenders. A second time nothing happens."""
    old, new = "translate(9, 41)", f"translate({9 + MARGIN / 2:g}, {41 + MARGIN / 4:g})"
    if old not in svg:
        return svg
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert found
    wide, high = (float(each) for each in found.groups())
    svg = svg.replace(found[0], f'viewBox="0 0 {wide + MARGIN:g} {high + MARGIN:g}"')
    svg = svg.replace(
        f'width="{wide - 2:g}" height="{high - 2:g}" rx="8"',
        f'width="{wide - 2 + MARGIN:g}" height="{high - 2 + MARGIN:g}" rx="8"',
    )
    svg = re.sub(
        r'(t-clip-terminal">\s*<rect x="0" y="0" width="[\d.]+" height=")([\d.]+)"',
        lambda each: f'{each[1]}{float(each[2]) + MARGIN / 2:g}"',
        svg,
    )
    svg = re.sub(r'text-anchor="middle" x="[\d.]+"', f'text-anchor="middle" x="{(wide + MARGIN) / 2:g}"', svg)
    return svg.replace(old, new)


def main(paths: list[str]) -> None:
    """Clean files in place; refuse what still names another place."""
    for path in map(Path, paths):
        text = clean(path.read_text(encoding="utf-8"))
        urls = [url for url in re.findall(r"https?://[^\s\"')<]+", text) if not url.startswith("http://www.w3.org/")]
        foreign = [url for url in urls if not re.match(r"https://(\d+\.){3}\d+", url)]
        if foreign:
            sys.exit(f"{path} names {foreign}")
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
