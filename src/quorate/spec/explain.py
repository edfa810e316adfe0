"""What pydantic finds wrong, in plain English: rule and concrete fix for each error of the model."""

import re
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from quorate.spec.cluster import Cluster
from quorate.spec.foreign import out, secret, unknown
from quorate.spec.mend import alone, chosen, flow, mended
from quorate.spec.shape import fits, kind_at, pattern_of
from quorate.spec.tree import Fault, Tree, Where
from quorate.spec.words import BY_PATTERN

NETWORKS = ("antrea", "calico", "canal", "cilium", "flannel", "kube-ovn", "kube-router", "weave")


def fault(error: ErrorDetails, tree: Tree, root: type[BaseModel] = Cluster) -> Fault:
    """One pydantic error as a fault; `root` is the model that the document was read as."""
    where: Where = tuple(step for step in error["loc"] if step != "[key]")
    rule, fix = _explain(error, where, tree, root)
    value = None
    if secret(where):
        value = ""
    elif error["loc"][-1:] == ("[key]",):
        value = str(error["input"])
    return Fault(where, rule, fix, value=value)


def _explain(error: ErrorDetails, where: Where, tree: Tree, root: type[BaseModel]) -> tuple[str, str]:
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    raw = tree.raw.get(where, "")
    match kind:
        case "extra_forbidden":
            return "is no field of the cluster file", unknown(where, root, given, tree)
        case "missing":
            return "is missing", f"add `{where[-1]}: ...`"
        case "string_pattern_mismatch":
            word = BY_PATTERN[context["pattern"]]
            meant = mended(str(given), word.pattern)
            return word.rule, f"write '{meant}'" if meant else word.fix
        case "string_type" if not isinstance(given, dict | list | None):
            if where[:1] == ("versions",):
                dots = raw.count(".")
                full = raw + ".0" * (2 - dots) if dots < 2 else raw
                return "must be text; YAML reads this as a number", f"write it with quotes: '{full}'"
            fix = "write it with quotes" if secret(where) or len(raw) > 40 else f"write it with quotes: '{raw}'"
            place = kind_at(where, root)
            if place and not fits(place, raw) and not secret(where):
                form = BY_PATTERN.get(pattern_of(place))
                fix = form.fix if form else "write text of the right form"
            return f"must be text; YAML reads this as {_kind(given)}", fix
        case "string_type":
            return f"must be text, not {_kind(given)}", "write one value on the same line"
        case "bool_type":
            return "must be true or false", _boolean(given)
        case "int_type" | "int_from_float" | "float_type":
            what = "a number" if kind == "float_type" else "a whole number"
            plain = re.fullmatch(r"-?[0-9]+", str(given))
            short = plain and len(str(given)) < 20
            return f"must be {what}", f"write {given} without quotes" if short else f"write {what}"
        case "greater_than_equal" | "less_than_equal" | "greater_than" | "less_than":
            return _bound(kind, context), "choose a value within the limit, or remove the field for its default"
        case "enum" | "literal_error":
            return _choice(given, str(context["expected"]))
        case "too_short":
            return "must not be empty", "write at least one entry"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters", "shorten it"
        case "tuple_type" | "list_type":
            return f"must be a list, not {_kind(given)}", _listed(given, kind_at(where, root))
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"must be fields with values, not {_kind(given)}", _filled(where, root, given)
        case "value_error":
            return _address(str(given), network=error["loc"][-1] == "[key]" or "cidr" in str(where[-1]))
    return error["msg"][:1].lower() + error["msg"][1:], "see docs/reference.md"


def _kind(given: object) -> str:
    match given:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
    return "fields with values"


def _boolean(given: object) -> str:
    meant = {
        "yes": "true",
        "on": "true",
        "y": "true",
        "1": "true",
        "no": "false",
        "off": "false",
        "n": "false",
    }
    return f"write {meant.get(str(given).lower(), 'true or false')}"


def _bound(kind: str, context: dict[str, Any]) -> str:
    words = {"ge": "at least", "le": "at most", "gt": "more than", "lt": "less than"}
    short, limit = next(iter(context.items()))
    return f"must be {words[short]} {limit:g}" if isinstance(limit, float) else f"must be {words[short]} {limit}"


def _choice(given: object, expected: str) -> tuple[str, str]:
    names = re.findall(r"'([^']*)'", expected)
    plain = str(given).lower().replace("_", "-")
    close = [found] if (found := chosen(given, names)) else get_close_matches(plain, names, 1, 0.5)
    fix = f"write {close[0] if close else names[0]}"
    if plain in NETWORKS and "manifest" in names:
        fix = f"write routed, quorate's own; for {plain} write manifest, and the path or URL of its YAML as `manifest`"
    return f"must be one of {', '.join(names)}", fix


def _filled(where: Where, root: type[BaseModel], given: object) -> str:
    """How to write fields where a single value stands: by name where it is clear which of them is meant."""
    if meant := alone(where, root, given):
        name = "" if isinstance(where[-1], int) else f"{where[-1]}: "
        return f"write `{name}{flow(meant)}`"
    if isinstance(given, str) and (where == ("os", "proxy") or (where == ("proxy",) and "/" in given)):
        return out(given)  # `proxy` at the top is kube-proxy
    return "write `field: value` lines, indented"


def _listed(given: object, kind: Any) -> str:
    if isinstance(given, str) and re.fullmatch(r"[\w ,./:-]{1,60}", given):
        items = given.replace(",", " ").split()
        if kind is None or fits(kind, items):
            return f"write {flow(items)}"
        pattern = pattern_of(kind)
        meant = [mended(each, pattern) for each in items] if pattern else []
        if meant and all(meant):
            return f"write {flow(meant)}"
    return "write `[a, b]`, or one `- item` a line"


def _address(given: str, *, network: bool) -> tuple[str, str]:
    if not network:
        alone_, _, _ = given.strip().partition("/")
        shown = alone_ if fits(IPv4Address, alone_) else "four numbers from 0 to 255, such as 192.168.109.131"
        return "must be an IPv4 address", f"write {shown}"
    try:
        meant = IPv4Network(given, strict=False)
    except ValueError:
        meant = None
    if meant is None or "/" not in given:
        return "must be an IPv4 network", "write an address and a prefix length, such as 10.244.0.0/16"
    return "must be the first address of the network", f"write {meant}"
