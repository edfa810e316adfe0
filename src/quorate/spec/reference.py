"""The reference of cluster.yaml, made from the model: `python -m quorate.spec.reference > docs/reference.md`."""

from collections.abc import Iterator
from typing import Any

from quorate.core import EXIT_CODES
from quorate.spec.rules.guarded import GATES_OFF, GATES_ON, GUARDED, GUARDED_FIELDS, PROTECTING
from quorate.spec.rules.owned import OWNED
from quorate.spec.schema import schema
from quorate.spec.words import BY_PATTERN

_HEAD = """\
# Reference of cluster.yaml

Made from the model by `python -m quorate.spec.reference > docs/reference.md`; do not edit it here.

The file is plain YAML in UTF-8: no anchors, no tags, no duplicate keys, one document. A field left out has its
default. Paths start at the folder of the file.
Whatever is wrong is told at once, each with its line and a fix; nothing is touched before the file is right.
"""
_NESTED = {
    "Jump": "ssh.jump",
    "Taint": "hosts[].taints[]",
    "RegistryAccess": "runtime.registry_access.*",
    "Proxy": "os.proxy",
    "Keep": "backup.keep",
    "Place": "backup.places[]",
    "SshPlace": "backup.places[].ssh",
    "S3Place": "backup.places[].s3",
}
_FORMATS = {"ipv4": "IPv4 address", "ipv4network": "IPv4 network", "path": "path"}


def markdown() -> str:
    """The whole reference as Markdown."""
    root = schema()
    models = root["$defs"]
    lines = [_HEAD, "## Top level\n", *_table(root)]
    for field, about in root["properties"].items():
        name = _target(about)
        if name is None or name not in models:
            continue
        title = f"{field}[]" if about.get("type") == "array" else field
        lines += ["", f"## {title}\n", f"{_described(models[name])}\n", *_table(models[name])]
    for name, title in _NESTED.items():
        lines += ["", f"## {title}\n", f"{_described(models[name])}\n", *_table(models[name])]
    return "\n".join([*lines, "", *_owned(), "", *_exit_codes()]) + "\n"


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes"
    yield "\nOf the program `quorate`, whatever the verb.\n"
    yield "| exit code | meaning |"
    yield "|---|---|"
    yield from (f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())


def _table(model: dict[str, Any]) -> Iterator[str]:
    yield "| field | value | default | meaning |"
    yield "|---|---|---|---|"
    for field, about in model["properties"].items():
        default = "**required**" if field in model.get("required", ()) else _default(about)
        meaning = about.get("description") or _sentence(field)
        cells = (f"`{field}`", kind(about), default, " ".join(meaning.split()))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _sentence(field: str) -> str:
    return "Further flags." if field == "extra_flags" else f"See [{field}](#{field})."


def _described(model: dict[str, Any]) -> str:
    return " ".join(str(model.get("description", "")).split())


def _default(about: dict[str, Any]) -> str:
    value = about.get("default")
    if value is None or value in ([], {}, "") or isinstance(value, dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _target(about: dict[str, Any]) -> str | None:
    """Name of the model that a property holds, alone or in a list."""
    inner = about.get("items", about)
    reference = inner.get("$ref") or next((each.get("$ref") for each in inner.get("anyOf", ())), None)
    return str(reference).rpartition("/")[2] if reference else None


def kind(about: dict[str, Any]) -> str:
    """What may be written, in words."""
    if options := [each for each in about.get("anyOf", ()) if each.get("type") != "null"]:
        return " or ".join(kind(each) for each in options)
    if "enum" in about:
        return ", ".join(f"`{each}`" for each in about["enum"])
    if "$ref" in about:
        name = about["$ref"].rpartition("/")[2]
        return "role" if name == "Role" else "fields"
    match about.get("type"):
        case "array":
            return f"list of {kind(about['items'])}"
        case "object":
            values = about.get("additionalProperties")
            return f"fields: {kind(values)}" if isinstance(values, dict) and values else "fields"
        case "boolean":
            return "`true`, `false`"
        case "integer" | "number":
            return _number(about)
    word = BY_PATTERN.get(about.get("pattern", ""))
    return word.name if word else _FORMATS.get(about.get("format", ""), "text")


def _number(about: dict[str, Any]) -> str:
    low = about.get("minimum", about.get("exclusiveMinimum"))
    high = about.get("maximum")
    noun = "number" if about["type"] == "number" else "whole number"
    over = "over " if "exclusiveMinimum" in about else ""
    return (
        noun
        if low is None
        else f"{noun}, {over}{_plain(low)} to {_plain(high)}"
        if high
        else f"{noun}, {over}{_plain(low)}"
    )


def _plain(number: float) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)


def _owned() -> Iterator[str]:
    yield "## Flags that extra_flags can't change\n"
    yield "Other parts of the cluster rely on them; instead, use the field named here.\n"
    yield "| section | flag | instead |"
    yield "|---|---|---|"
    for part, flags in OWNED.items():
        for flag, fix in sorted(flags.items()):
            yield f"| `{part}` | `--{flag}` | {fix} |"
    yield "\nOf these, values that take a protection away are refused.\n"
    yield "| section | flag or field | what is kept |"
    yield "|---|---|---|"
    for part, guards in GUARDED.items():
        for flag, guard in sorted(guards.items()):
            yield f"| `{part}` | `--{flag}` | {guard.why} |"
    for field, guard in sorted(GUARDED_FIELDS.items()):
        yield f"| `kubelet.config` | `{field}` | {guard.why} |"
    yield f"\nFeature gates of {', '.join(f'`{part}`' for part in PROTECTING)}: on stay {_gates(GATES_ON)}."
    yield f"\nOff stay {_gates(GATES_OFF)}."


def _gates(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


if __name__ == "__main__":
    print(markdown(), end="")
