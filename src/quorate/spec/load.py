"""The cluster file from text to a checked `Cluster`; all that is wrong is told at once, with its line."""

import json
import re
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from quorate.core import Problem, SpecError
from quorate.spec import explain, rules
from quorate.spec.cluster import Cluster, Ssh
from quorate.spec.foreign import secret
from quorate.spec.logins import of_value
from quorate.spec.regular import opened
from quorate.spec.ssh import over
from quorate.spec.tree import Fault, Tree, Where, parse

LIMIT = 1024 * 1024
"""Largest file read, in bytes: a cluster of 512 hosts needs about 100 KiB."""
MOST = 100
"""Problems told at once: who has more has named the wrong file."""

_PLACEHOLDER = {
    "name": "unknown",
    "hosts": [{"name": "unknown", "address": "192.0.2.1", "roles": ["worker"]}],
}
"""Stands in for required sections that are broken, so that the rules about the others can run."""

M = TypeVar("M", bound=BaseModel)


def load(path: Path, *, offline: bool = False) -> Cluster:
    """The cluster that a file describes, with paths made absolute and SSH defaults merged in.

    `offline`: the files that it names need not be here, for who only reads it.

    Fields of `.quorate/<name>/ssh.yaml` beside the file hold where the file's own `ssh` says nothing. Of a cluster
    that was applied before, the number of etcd members may be even for a while.
    Raises `SpecError` with every problem found, and nothing else.
    """
    path = Path(path)
    tree = parse_file(path)
    folder = path.absolute().parent
    cluster, faults = _read(tree, Cluster, folder)
    if cluster is None:
        sections = [_section(fault.where) for fault in faults]
        broken = {section for section in sections if section}
        if None not in sections:
            faults += _other_rules(tree, broken, folder, offline=offline)
        raise _error(path, tree, faults)
    state = folder / ".quorate" / cluster.name
    cluster = _with_ssh(cluster, state)
    if found := rules.check(cluster, runs=_exists(state / "last-applied.yaml"), offline=offline):
        raise _error(path, tree, found)
    return cluster


def load_former(path: Path, folder: Path) -> Cluster:
    """A cluster file as it was applied once: without the rules across fields, which held when it was applied.

    `folder` is where the file lay then: its relative paths and SSH defaults count from there. Raises
    `SpecError` when it can't be read.
    """
    tree = parse_file(path)
    cluster, faults = _read(tree, Cluster, folder)
    if cluster is None:
        raise _error(path, tree, faults)
    return _with_ssh(cluster, folder / ".quorate" / cluster.name)


def _exists(path: Path) -> bool:
    """Whether a file of the state folder exists. Raises `SpecError` where nobody lets us look."""
    try:
        return path.exists()
    except OSError as error:
        hint = "run as the user who owns the state folder"
        raise SpecError(f"{path}: can't be read: {error.strerror}", hint) from None


def parse_file(path: Path) -> Tree:
    """The values of a YAML file. Raises `SpecError` when it can't be read or is no plain YAML mapping."""
    try:
        with opened(path) as stream:
            content = stream.read(LIMIT + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "name the file with -f, or let `quorate init` write one"
        raise SpecError(
            f"can't read {path}", hint, [Problem(str(path), 0, "file", "", f"can't be read: {reason}", hint)]
        ) from error
    if len(content) > LIMIT:
        fault = Fault((), f"is larger than {LIMIT} bytes", "name the cluster file; images and keys are named in it")
        raise _error(path, Tree(), [fault])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        fault = Fault((), "is not UTF-8 text", "save the file as UTF-8", line)
        raise _error(path, Tree(), [fault]) from error
    tree = parse(text)
    if not isinstance(tree.data, dict):
        rule, fix = "must be fields with values", "begin with `name: ...` and `hosts:`"
        raise _error(path, tree, tree.faults or [Fault((), rule, fix)])
    return tree


def _read(tree: Tree, model: type[M], folder: Path) -> tuple[M | None, list[Fault]]:
    try:
        text = json.dumps(tree.data)
        value = model.model_validate_json(text, strict=True, context={"folder": folder})
        return (None if tree.faults else value), list(tree.faults)
    except ValidationError as error:
        told = {fault.where for fault in tree.faults}
        errors = [each for each in error.errors(include_url=False) if not _consequence(each)]
        found = [explain.fault(each, tree, model) for each in errors[: 2 * MOST]]
        fresh = [each for each in found if not any(each.where[:n] in told for n in range(1, len(each.where) + 1))]
        return None, [*tree.faults, *fresh]


def _consequence(error: ErrorDetails) -> bool:
    """Whether a list is only too short because its entries are wrong."""
    return error["type"] == "too_short" and bool(error["input"])


def _section(where: Where) -> str | None:
    """The top-level field that a fault spoils, by its own name or a misspelt one; None when it spoils all."""
    if not where:
        return None
    name = str(where[0])
    return next(iter(get_close_matches(name, Cluster.model_fields, 1, 0.6)), name)


def _other_rules(tree: Tree, broken: set[str], folder: Path, *, offline: bool) -> list[Fault]:
    """Faults across fields, from the rules that read none of the broken sections."""
    assert isinstance(tree.data, dict)
    fields = set(Cluster.model_fields) - broken
    sound = {key: value for key, value in tree.data.items() if key in fields}
    cluster, _ = _read(Tree(_PLACEHOLDER | sound), Cluster, folder)
    if cluster is None:
        return []
    return rules.check(cluster, broken | (set(_PLACEHOLDER) - set(sound)), offline=offline)


def _with_ssh(cluster: Cluster, state: Path) -> Cluster:
    """The cluster with the defaults of its state folder under its own SSH settings."""
    low = Ssh(known_hosts=state / "known_hosts")
    path = state / "ssh.yaml"
    if _exists(path):
        tree = parse_file(path)
        given, faults = _read(tree, Ssh, path.parent)
        if given is None:
            raise _error(path, tree, faults)
        low = over(low, given)
    return cluster.model_copy(update={"ssh": over(low, cluster.ssh)})


def _error(path: Path, tree: Tree, faults: list[Fault]) -> SpecError:
    problems = [
        Problem(
            str(path),
            each.line or tree.line(each.where),
            place(each.where),
            _value(each, tree),
            each.rule,
            each.fix,
            _host(each, tree),
        )
        for each in _unique(faults)
    ]
    problems.sort(key=lambda problem: problem.line)
    many = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
    if len(problems) > MOST:
        many = f"more than {MOST} problems, of which these are the first"
    return SpecError(f"{path} has {many}", "correct the file; nothing was touched", problems[:MOST])


def _host(fault: Fault, tree: Tree) -> str:
    """Name of the host in whose entry a fault is."""
    if fault.where[:1] != ("hosts",) or len(fault.where) < 3:
        return ""
    return shown(tree.raw.get((*fault.where[:2], "name"), ""))


def _unique(faults: list[Fault]) -> list[Fault]:
    return list({(fault.where, fault.rule, fault.line): fault for fault in faults}.values())


def _value(fault: Fault, tree: Tree) -> str:
    if fault.value is None and not fault.where:  # the file as a whole: who knows what it is
        return ""
    given = fault.value if fault.value is not None else tree.raw.get(fault.where, "")
    if secret(fault.where):
        return ""
    return "(a private key: not shown)" if re.search("(?i)PRIVATE KEY|SECRET-KEY", given) else shown(of_value(given))


def shown(text: str) -> str:
    """A value fit for a terminal: one line, no control or invisible characters, at most 80 characters."""
    safe = text if text.isprintable() else ascii(text)[1:-1]
    return safe if len(safe) <= 80 else safe[:77] + "..."


def place(where: Where) -> str:
    """A place as people write it: `hosts[2].address`, `kubelet.extra_flags.v`."""
    text = ""
    for step in where:
        text += f"[{step}]" if isinstance(step, int) else f".{shown(step)}" if text else shown(step)
    return text or "file"
