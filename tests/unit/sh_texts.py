"""Where the source has sh in its strings, by signs that other texts do not have."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

SIGNS = re.compile(
    r"""\$\(|\$\{?[A-Za-z_@\#?!*1-9]   # what it puts in place of a name or a command
    |[12]?>&[12]|2>|>/dev/null         # where output goes
    |\|\|\ |&&\ |;;                    # what comes after what
    |;\ ?(then|fi|done|esac)\b|^set\ -e|^\#!/bin/sh""",
    re.MULTILINE | re.VERBOSE,
)
"""One of these makes a text sh. A line without any, such as a single command, is none that has to be found."""


Text = tuple[str, ...]
"""A string: what stands between its values."""


@dataclass(frozen=True)
class Sh:
    """All sh of a function, a method or a constant."""

    name: str
    """As Python has it: `Class.method`."""
    line: int
    texts: tuple[Text, ...]

    @property
    def lines(self) -> int:
        """How many all its strings have together."""
        return sum("x".join(text).strip("\n").count("\n") + 1 for text in self.texts)


def sh_of(source: str) -> Iterator[Sh]:
    """Everything in a module that has sh."""
    for name, node in _parts(ast.parse(source)):
        if texts := tuple(text for text in _texts(node) if SIGNS.search("x".join(text))):
            yield Sh(name, node.lineno, texts)


def _parts(module: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """Functions, methods and what stands outside of them, by name."""
    for part in module.body:
        if isinstance(part, ast.ClassDef):
            yield from ((f"{part.name}.{_name(each)}", each) for each in part.body)
        else:
            yield _name(part), part


def _name(node: ast.stmt) -> str:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
    return ", ".join(ast.unparse(each) for each in targets if isinstance(each, ast.expr))


def _texts(node: ast.AST) -> Iterator[Text]:
    """The strings in a piece of source, an f-string as one; docstrings are none."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.JoinedStr):
        yield tuple(_pieces(node))
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield from _texts(part.value)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield (node.value,)
    else:
        for each in ast.iter_child_nodes(node):
            yield from _texts(each)


def _pieces(node: ast.JoinedStr) -> Iterator[str]:
    piece = ""
    for part in node.values:
        if isinstance(part, ast.Constant):
            piece += str(part.value)
        else:
            yield piece
            piece = ""
    yield piece
