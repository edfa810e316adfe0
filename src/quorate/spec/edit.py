"""A cluster file with another version of Kubernetes: its one value is exchanged, all else stays as it was written."""

import re

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node


def with_kubernetes(text: str, version: str) -> str:
    """The text of a sound cluster file that asks for this version; comments and the order of fields stay."""
    start = len(text) - len(text.removeprefix("\ufeff"))
    node = YAML(typ="safe", pure=True).compose(text[start:])
    assert isinstance(node, MappingNode)
    section = _value(node, "versions")
    if section is None:
        # Where the starter has it: behind the name.
        at = start + _line_after(text[start:], _value(node, "name"))
        return f'{text[:at]}\nversions:\n  kubernetes: "{version}"\n{text[at:]}'
    assert isinstance(section, MappingNode)
    known = _value(section, "kubernetes")
    if known is not None:
        first, last = start + known.start_mark.index, start + known.end_mark.index
        return f'{text[:first]}"{version}"{text[last:]}'
    first = start + section.start_mark.index
    if section.flow_style:
        rest = ", " if section.value else ""
        return f'{text[: first + 1]}kubernetes: "{version}"{rest}{text[first + 1 :].lstrip(" ")}'
    indent = " " * section.start_mark.column
    return f'{text[:first]}kubernetes: "{version}"\n{indent}{text[first:]}'


def _value(node: MappingNode, name: str) -> Node | None:
    return next((value for key, value in node.value if key.value == name), None)


def _line_after(text: str, node: Node | None) -> int:
    """Where the line after a value begins, or the first line of all."""
    if node is None:
        return 0
    found = re.compile("\n").search(text, node.end_mark.index)
    return found.end() if found else len(text)
