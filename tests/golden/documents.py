"""What upstream documents, minor by minor: the flags and configuration fields of the JSON files beside this."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

UNDOCUMENTED = {
    # Deprecated, so the reference leaves it out; defined in 1.20 and 1.21 by k8s.io/apiserver's
    # deprecated_insecure_serving.go, and the way to keep port 10252 on loopback.
    "kube-controller-manager": {"1.20": {"address"}, "1.21": {"address"}},
}


def _at(name: str, part: str, minor: str) -> Any:
    """The full list or table of a minor: the first one, then what came (+) and went (-)."""
    data = json.loads((HERE / name).read_text())[part]
    versions = list(data)
    now = dict.fromkeys(data[versions[0]]) if isinstance(data[versions[0]], list) else dict(data[versions[0]])
    for version in versions[1 : versions.index(minor) + 1]:
        change = data[version]
        came = change.get("+", {})
        now.update(came if isinstance(came, dict) else dict.fromkeys(came))
        for gone in change.get("-", ()):
            del now[gone]
    return now


def flags(component: str, minor: str) -> set[str]:
    """Names of the flags that a component may be given."""
    return set(_at("documented_flags.json", component, minor)) | UNDOCUMENTED.get(component, {}).get(minor, set())


def fields(kind: str, minor: str) -> dict[str, str]:
    """Go types by `Kind.field`, of a kind and all that it holds."""
    table: dict[str, str] = _at("config_fields.json", kind, minor)
    return table


def misfits(value: object, kind: str, types: dict[str, str], where: str = "") -> list[str]:
    """What in a configuration has no field, or not its type."""
    here = where or kind
    if any(key.startswith(f"{kind}.") for key in types):
        if not isinstance(value, dict):
            return [f"{here} is not a mapping"]
        wrong = [f"{here} has no {name}" for name in value if f"{kind}.{name}" not in types]
        known = [name for name in value if f"{kind}.{name}" in types]
        return wrong + [
            fault for name in known for fault in misfits(value[name], types[f"{kind}.{name}"], types, f"{here}.{name}")
        ]
    if kind.startswith("[]"):
        if not isinstance(value, list):
            return [f"{here} is not a list"]
        return [fault for item in value for fault in misfits(item, kind[2:], types, f"{here}[]")]
    if kind.startswith("map["):
        if not isinstance(value, dict):
            return [f"{here} is not a mapping"]
        inner = kind.partition("]")[2]
        return [fault for item in value.values() for fault in misfits(item, inner, types, f"{here}{{}}")]
    python: dict[str, type] = {"bool": bool, "int32": int, "int64": int, "int": int, "uint": int}
    wanted = python.get(kind, str)
    fits = isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))
    return [] if fits else [f"{here} = {value!r} is not {kind}"]
