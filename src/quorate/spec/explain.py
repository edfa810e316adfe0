"""What pydantic finds wrong, in plain English: rule and concrete fix for each error of the model."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from ipaddress import IPv4Network
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from quorate.spec.cluster import Cluster
from quorate.spec.tree import Fault, Tree, Where
from quorate.spec.words import BY_PATTERN, VERSION

SYNONYMS = {
    "addr": "address",
    "cidr": "pod_cidr",
    "cri": "runtime",
    "domain": "dns_domain",
    "hostname": "name",
    "ip": "address",
    "loadbalancer": "load_balancer",
    "nodes": "hosts",
    "role": "roles",
    "service_subnet": "service_cidr",
    "virtual_ip": "vip",
}
"""Names from other tools that difflib would not lead to ours."""

_SECRET = re.compile(r"(?i)pass|pwd|secret|token|private")
_ASKING = {"password_file", "sudo_password_file", "ask_password", "ask_sudo_password"}


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


def secret(where: Where) -> bool:
    """Whether a field looks as if somebody wrote a secret into it; its value must not be shown."""
    name = str(where[-1]) if where else ""
    return bool(_SECRET.search(name)) and not name.endswith("_file") and not name.startswith("ask_")


def _explain(error: ErrorDetails, where: Where, tree: Tree, root: type[BaseModel]) -> tuple[str, str]:
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    raw = tree.raw.get(where, "")
    match kind:
        case "extra_forbidden":
            return "is no field of the cluster file", _unknown(where, root)
        case "missing":
            return "is missing", f"add `{where[-1]}: ...`"
        case "string_pattern_mismatch":
            word = BY_PATTERN[context["pattern"]]
            fix = f"write '{given[1:]}'" if word is VERSION and re.match("v[0-9]", str(given)) else word.fix
            return word.rule, fix
        case "string_type" if not isinstance(given, dict | list | None):
            if where[:1] == ("versions",):
                dots = raw.count(".")
                full = raw + ".0" * (2 - dots) if dots < 2 else raw
                return "must be text; YAML reads this as a number", f"write it with quotes: '{full}'"
            fix = "write it with quotes" if secret(where) or len(raw) > 40 else f"write it with quotes: '{raw}'"
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
            return f"must be a list, not {_kind(given)}", _listed(given)
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"must be fields with values, not {_kind(given)}", "write `field: value` lines, indented"
        case "value_error":
            return _address(str(given), where, str(context.get("error", "")))
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
    close = get_close_matches(str(given).lower().replace("_", "-"), names, 1, 0.5)
    return f"must be one of {', '.join(names)}", f"write {close[0] if close else names[0]}"


def _listed(given: object) -> str:
    if isinstance(given, str) and re.fullmatch(r"[\w ,./:-]{1,60}", given):
        return f"write [{', '.join(given.replace(',', ' ').split())}]"
    return "write `[a, b]`, or one `- item` a line"


def _address(given: str, where: Where, said: str) -> tuple[str, str]:
    if str(where[-1:]).find("cidr") < 0:
        return "must be an IPv4 address", "write four numbers from 0 to 255, such as 192.168.109.131"
    try:
        network = IPv4Network(given, strict=False)
    except ValueError:
        network = None
    if network is None or "/" not in given:
        return "must be an IPv4 network", "write an address and a prefix length, such as 10.244.0.0/16"
    return "must be the first address of the network", f"write {network}"


def fields_at(where: Where, root: type[BaseModel]) -> dict[str, Any]:
    """The fields of the model that holds a place, by name; empty where anything is allowed."""
    model: type[BaseModel] | None = root
    for step in where:
        if model is None:
            return {}
        if isinstance(step, str):
            info = model.model_fields.get(step)
            model = next(_models(info.annotation), None) if info else None
    return dict(model.model_fields) if model else {}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _unknown(where: Where, root: type[BaseModel]) -> str:
    name, around = str(where[-1]), where[:-1]
    known = fields_at(around, root)
    plain = name.lower().replace("-", "_")
    if secret(where) and plain not in known and not get_close_matches(plain, set(known) - _ASKING, 1, 0.8):
        return "never write a secret here: put it into a file of mode 0600 and name that in `password_file`"
    close = [SYNONYMS[plain]] if SYNONYMS.get(plain) in known else get_close_matches(plain, known, 1, 0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    if plain in Cluster.model_fields and around:
        return f"`{plain}` belongs at the top of the file, without indentation"
    for section in Cluster.model_fields:
        if plain in fields_at((section,), Cluster) and section != "hosts" and (section,) != around:
            return f"it belongs in `{section}`: write `{section}: {{{plain}: ...}}`"
    return f"remove it; known here: {', '.join(sorted(known))}"
