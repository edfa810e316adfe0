"""YAML text as plain values, with the line of each: only the plain part of YAML, so that nothing is guessed.

Nodes are composed by ruamel.yaml and read here, because its constructors (and those of others) turn `1.30`
into 1.3, follow anchors without bound and forget where a value stood. Refused: duplicate keys, anchors, tags,
several documents, numbers in odd notations, empty values. Every refusal is a `Fault` with its line.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Where = tuple[str | int, ...]
"""A place in the file: keys and indices from the top."""

_PLAIN_TAGS = {
    f"tag:yaml.org,2002:{kind}"
    for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")
}
MOST_LEVELS = 50
_NESTING = re.compile(r"[\[\]{}]|(?:[-?:] ){50}")
_INT = re.compile(r"-?(0|[1-9][0-9]{0,30})")
_FLOAT = re.compile(r"-?[0-9]{1,30}\.[0-9]{0,30}([eE][+-]?[0-9]{1,4})?")
_ODD_NUMBER = re.compile(r"[-+]?0[0-9_]+|[-+]?0[oxb][0-9a-fA-F_]+|[-+]?[0-9][0-9_]*_[0-9_]*|\+[0-9.]+|[-+]?\.[0-9]+")
_HINTS = (
    ("'\\t'", "replace the tab by spaces: YAML is indented by spaces only"),
    ("another document", "keep one cluster per file: remove the line `---`"),
    ("undefined alias", "write the value in quotes, if it begins with `*`"),
    ("mapping values are not allowed", "put a value that contains ': ' into quotes; check the indentation"),
    ("found unexpected end of stream", "close the quote or bracket"),
    ("that cannot start any token", "put a value that begins with a special character into quotes"),
    ("expected <block end>", "align the line with its neighbours: this indentation fits nothing above"),
)


@dataclass(frozen=True)
class Fault:
    """One thing wrong, before it is known how the file is called. `line` 0 means: look it up by `where`."""

    where: Where
    rule: str
    fix: str
    line: int = 0
    value: str | None = None


@dataclass
class Tree:
    """The values and where they stood."""

    data: object = None
    lines: dict[Where, int] = field(default_factory=dict)
    raw: dict[Where, str] = field(default_factory=dict)
    """Scalars as they were written."""
    faults: list[Fault] = field(default_factory=list)

    def line(self, where: Where) -> int:
        """Line (from 1) of a place, or of the nearest place around it."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)


def parse(text: str) -> Tree:
    """Read one YAML document; what is wrong is in `faults`."""
    tree = Tree()
    if (at := text.find("\0")) >= 0:
        line = text.count("\n", 0, at) + 1
        tree.faults.append(Fault((), "must be text, and this is a NUL character", "remove it", line))
        return tree
    if deep := _deep(text):
        tree.faults.append(Fault((), "is nested too deeply", "remove the needless brackets or levels", deep))
        return tree
    try:
        node = YAML(typ="safe", pure=True).compose(text)
        if node is None:
            tree.faults.append(Fault((), "is empty", "write a cluster, or remove it and begin with `quorate init`", 1))
        else:
            tree.data = _value(node, (), tree)
    except MarkedYAMLError as error:
        tree.faults.append(_syntax(error))
    except RecursionError:
        tree.faults.append(Fault((), "is nested too deeply", "remove the needless brackets or levels", 1))
    except YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        reason = "contains a character that YAML does not allow"
        tree.faults.append(Fault((), reason, "remove the control character", line))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError) as error:
        # The scanner trips over some broken texts (such as `%YAML x`) with errors of its own making.
        tree.faults.append(Fault((), f"is not YAML ({type(error).__name__})", "check the syntax", 1))
    return tree


def _deep(text: str) -> int:
    """The line where brackets nest deeper than any cluster file; 0 when none do. The scanner is quadratic there."""
    depth = 0
    for found in _NESTING.finditer(text):
        depth = depth + 1 if found[0] in "[{" else max(0, depth - 1) if found[0] in "]}" else MOST_LEVELS + 1
        if depth > MOST_LEVELS:
            return text.count("\n", 0, found.start()) + 1
    return 0


def _syntax(error: MarkedYAMLError) -> Fault:
    # An alias is named in it; it may as well be a password that begins with `*`.
    said = re.sub(r"(alias|anchor) '.*'", r"\1", " ".join(f"{error.context or ''} {error.problem or ''}".split()))
    unclosed = "end of stream" in said and error.context_mark
    mark = error.context_mark if unclosed else error.problem_mark or error.context_mark
    fix = next((fix for word, fix in _HINTS if word in said or word in str(error)), "check quotes and indentation")
    return Fault((), f"is not YAML: {said}", fix, mark.line + 1 if mark else 1)


def _value(node: Node, where: Where, tree: Tree) -> object:
    tree.lines.setdefault(where, node.start_mark.line + 1)
    if node.anchor:
        rule = "uses an anchor (`&`) or alias (`*`), which the cluster file does not know"
        tree.faults.append(Fault(where, rule, "write the value out; shared SSH settings belong in `ssh`"))
        return None
    if str(node.tag) not in _PLAIN_TAGS:
        rule = "has a tag (`!...`), which the cluster file does not know"
        tree.faults.append(Fault(where, rule, "remove the tag, or put a value that begins with `!` into quotes"))
        return None
    if isinstance(node, MappingNode):
        return {key: _value(value, (*where, key), tree) for key, value in _entries(node, where, tree)}
    if isinstance(node, SequenceNode):
        return [_value(item, (*where, index), tree) for index, item in enumerate(node.value)]
    assert isinstance(node, ScalarNode)
    return _scalar(node, where, tree)


def _entries(node: MappingNode, where: Where, tree: Tree) -> Iterator[tuple[str, Node]]:
    seen: dict[str, int] = {}
    for key_node, value in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, ScalarNode) or key_node.anchor:
            tree.faults.append(Fault(where, "has a key that is not plain text", "write `name: value`", line))
            continue
        key = key_node.value
        if key == "<<" and not key_node.style:
            rule = "merges (`<<`), which the cluster file does not know"
            tree.faults.append(Fault(where, rule, "write the values out; shared SSH settings belong in `ssh`", line))
        elif _surrogate(key):
            tree.faults.append(Fault(where, "has a key that is not valid Unicode", "rename it", line))
        elif key in seen:
            rule = f"is given twice, first in line {seen[key]}"
            tree.faults.append(Fault((*where, key), rule, "keep one of the two", line))
        else:
            seen[key] = line
            tree.lines[(*where, key)] = line
            yield key, value


def _scalar(node: ScalarNode, where: Where, tree: Tree) -> object:
    text: str = node.value
    tree.raw[where] = text
    if _surrogate(text):
        tree.faults.append(Fault(where, "is not valid Unicode", "remove the escape `\\ud800` to `\\udfff`"))
        return None
    if node.style or str(node.tag) == "tag:yaml.org,2002:str":
        return text
    if text in ("~", "null", "Null", "NULL"):
        return None
    if text == "":
        rule = "has no value"
        tree.faults.append(Fault(where, rule, "write the value, or remove the field to have its default"))
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    if _ODD_NUMBER.fullmatch(text):
        rule = "is a number in a notation that programs read differently (octal, hexadecimal, sign, underscore)"
        tree.faults.append(Fault(where, rule, "write a plain decimal number, or quotes if it is text"))
        return None
    return text


def _surrogate(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)
