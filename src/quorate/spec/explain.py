"""What pydantic finds wrong, in plain English: rule and concrete fix for each error of the model."""

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from ipaddress import IPv4Network
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from quorate.spec.cluster import Cluster
from quorate.spec.tree import Fault, Tree, Where
from quorate.spec.words import BY_PATTERN, DATA_DIR, DNS_LABEL, REGISTRY

SYNONYMS = {
    "addr": "address",
    "bastion": "jump",
    "cidr": "pod_cidr",
    "cri": "runtime",
    "domain": "dns_domain",
    "hostname": "name",
    "identity_file": "key",
    "ip": "address",
    "jump_host": "jump",
    "key_file": "key",
    "loadbalancer": "load_balancer",
    "nodes": "hosts",
    "private_key_file": "key",
    "proxy_jump": "jump",
    "role": "roles",
    "service_subnet": "service_cidr",
    "virtual_ip": "vip",
}
"""Names from other tools that difflib would not lead to ours."""
CHOICES = {
    **dict.fromkeys(("agent", "compute", "minion", "node"), "worker"),
    **dict.fromkeys(("controller", "controlplane", "server"), "control-plane"),
    **dict.fromkeys(("balancer", "lb", "loadbalancer", "proxy"), "load-balancer"),
}
"""The same for values."""
NETWORKS = ("antrea", "calico", "canal", "cilium", "flannel", "kube-ovn", "kube-router", "weave")
INSTEAD = {
    "addons": "remove it: CoreDNS and metrics-server are the sections `dns` and `metrics`",
    "kubernetes_version": "write `versions: {{kubernetes: '{given}'}}`",
    "no_proxy": "write it into `os.proxy`, as a list: the cluster's own addresses and networks are in it anyway",
    "external": "remove it: etcd's members are hosts of this file with the role etcd",
}
"""What to do about names that stand for something quorate has otherwise, or not at all."""

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "proxy", "proxy_url", "http_proxy_url")
"""What people call the way out of hosts, wherever they write it."""
_OUT = "write `os: {proxy: {url: 'http://HOST:PORT'}}`: image pulls and the package manager go through that"
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
            return "is no field of the cluster file", _unknown(where, root, given, tree)
        case "missing":
            return "is missing", f"add `{where[-1]}: ...`"
        case "string_pattern_mismatch":
            word = BY_PATTERN[context["pattern"]]
            mended = _mended(str(given), word.pattern)
            return word.rule, f"write '{mended}'" if mended else word.fix
        case "string_type" if not isinstance(given, dict | list | None):
            if where[:1] == ("versions",):
                dots = raw.count(".")
                full = raw + ".0" * (2 - dots) if dots < 2 else raw
                return "must be text; YAML reads this as a number", f"write it with quotes: '{full}'"
            fix = "write it with quotes" if secret(where) or len(raw) > 40 else f"write it with quotes: '{raw}'"
            info = fields_at(where[:-1], root).get(str(where[-1]))
            if info and not _fits(info, raw) and not secret(where):
                fix = _address(raw, where, "")[1] if "address" in str(where[-1]) else "write text of the right form"
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
            return f"must be fields with values, not {_kind(given)}", _filled(where, root, given)
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
    plain = str(given).lower().replace("_", "-")
    close = [CHOICES[plain]] if CHOICES.get(plain) in names else get_close_matches(plain, names, 1, 0.5)
    fix = f"write {close[0] if close else names[0]}"
    if plain in NETWORKS and "manifest" in names:
        fix = f"write routed, quorate's own; for {plain} write manifest, and the path or URL of its YAML as `manifest`"
    return f"must be one of {', '.join(names)}", fix


def _mended(given: str, pattern: str) -> str:
    """The text that is meant most likely, where it has the right shape; else empty."""
    plain = given.strip()
    low = plain.lower()
    flag = low.lstrip("-").replace("_", "-")
    texts = [plain, plain.removeprefix("v"), low, flag, low.rstrip(".")]
    if pattern == DNS_LABEL.pattern:
        texts.append(low.split(".")[0])
    elif pattern == DATA_DIR.pattern:
        texts.append(plain.rstrip("/"))
    elif pattern == REGISTRY.pattern:
        texts.append(low.rpartition("://")[2].split("/")[0])
    for text in texts:
        if text and re.search(pattern, text):
            return text
    return ""


def _filled(where: Where, root: type[BaseModel], given: object) -> str:
    """How to write fields where a single value stands: by name where one of them is needed, and takes it."""
    needed = [name for name, info in fields_at(where, root).items() if info.is_required()]
    if where == ("proxy",) and isinstance(given, str) and "/" in given:  # `proxy` is kube-proxy
        return _OUT
    if len(needed) == 1 and _fits(fields_at(where, root)[needed[0]], given):
        return f"write `{where[-1]}: {{{needed[0]}: {given}}}`"
    return "write `field: value` lines, indented"


def _fits(info: FieldInfo, given: object) -> bool:
    """Whether a field takes a value."""
    kind: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    try:
        TypeAdapter(kind).validate_json(json.dumps(given), strict=True)
    except ValidationError:
        return False
    return True


def _listed(given: object) -> str:
    if isinstance(given, str) and re.fullmatch(r"[\w ,./:-]{1,60}", given):
        return f"write [{', '.join(given.replace(',', ' ').split())}]"
    return "write `[a, b]`, or one `- item` a line"


def _address(given: str, where: Where, said: str) -> tuple[str, str]:
    keys = where[-2:-1] == ("gateways",) and where[-1] == given
    if not keys and str(where[-1:]).find("cidr") < 0:
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
    named = False
    for step in where:
        if model is None:
            return {}
        if named:  # by the user: a key, under which the model begins
            named = False
        elif isinstance(step, str):
            info = model.model_fields.get(step)
            model = next(_models(info.annotation), None) if info else None
            named = info is not None and get_origin(info.annotation) is dict
    return dict(model.model_fields) if model and not named else {}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _unknown(where: Where, root: type[BaseModel], given: object, tree: Tree) -> str:
    """What to do with a field that there is not. Nothing is proposed that would not take its value."""
    name, around = str(where[-1]), where[:-1]
    known = fields_at(around, root)
    plain = name.lower().replace("-", "_")
    if secret(where) and plain not in known and not get_close_matches(plain, set(known) - _ASKING, 1, 0.8):
        return _secret_fix(plain, known)
    if isinstance(given, str) and plain not in known and (plain in _PROXIES or where == ("proxy", "url")):
        return _OUT
    if plain in INSTEAD:
        return INSTEAD[plain].format(given=given)
    close = [SYNONYMS[plain]] if SYNONYMS.get(plain) in known else get_close_matches(plain, known, 1, 0.6)
    for one in close:
        if _has(tree.data, (*around, one)):
            return f"remove it: `{one}` is there already"
        if _fits(known[one], given):
            return f"did you mean `{one}`?"
        if (filled := _filled((*around, one), root, given)).startswith("write `" + one):
            return filled
    top = Cluster.model_fields
    if plain in top and around and root is Cluster and not _has(tree.data, (plain,)) and _fits(top[plain], given):
        return f"`{plain}` belongs at the top of the file, without indentation"
    for section in () if around else top:
        info = fields_at((section,), Cluster).get(plain) if section != "hosts" else None
        if info and not _has(tree.data, (section,)) and _fits(info, given):
            return f"it belongs in `{section}`: write `{section}: {{{plain}: ...}}`"
    return f"remove it; known here: {', '.join(sorted(known))}"


def _secret_fix(plain: str, known: Mapping[str, FieldInfo]) -> str:
    """Where a secret belongs that somebody wrote into the file."""
    field = "sudo_password_file" if plain.startswith(("sudo", "become")) else "password_file"
    for name in (field, "login_file"):
        if name in known:
            return f"remove it: never write a secret here; put it into a file of mode 0600 and name that in `{name}`"
    return "remove it: never write a secret here"


def _has(data: object, where: Where) -> bool:
    """Whether the file has a value at a place."""
    for step in where:
        match data, step:
            case dict(), str() if step in data:
                data = data[step]
            case list(), int() if step < len(data):
                data = data[step]
            case _:
                return False
    return True
