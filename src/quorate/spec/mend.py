"""The value that is meant most likely where one of another form stands; nothing where that would be guessing."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from quorate.spec import words
from quorate.spec.shape import fields_at, fits, kind_of
from quorate.spec.tree import Where

CHOICES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("agent", "compute", "minion", "node"), ("worker",)),
    **dict.fromkeys(("controller", "controlplane", "server"), ("control-plane",)),
    **dict.fromkeys(("balancer", "lb", "loadbalancer", "proxy"), ("load-balancer",)),
    **dict.fromkeys(("enable", "enabled", "on", "true", "yes"), ("open-ports", "install", "keep")),
    **dict.fromkeys(("disable", "disabled", "false", "no", "none"), ("off", "permissive", "ignore")),
    **dict.fromkeys(("chrony", "chronyd", "ntp", "ntpd"), ("install",)),
    "enforcing": ("keep",),
}
"""Values from other tools, with those of ours; the first that a field knows is meant."""
_ALONE = ("kind", "enabled", "source", "kubernetes", "vip", "address", "directory")
"""Fields that are meant where a value stands in the place of the whole section, by the first that takes it."""
_HOST = re.compile(r"(?:[a-z]+://)?(?:[^@/]*@)?(?P<host>[^@/:?#]+)(?P<port>:[0-9]{1,5})?(?:[/?#].*)?")
_LOGIN = re.compile(r"(?:(?P<user>[^@:]+)@)?(?P<host>[^@:]+)(?::(?P<port>[0-9]{1,5}))?")
_TAINT = re.compile(r"(?P<key>[^=:\s]+)(?:=(?P<value>[^:\s]*))?:(?P<effect>\w+)")


def _host(text: str, *, port: bool) -> str:
    found = _HOST.fullmatch(text)
    return found["host"] + (found["port"] or "" if port else "") if found else ""


_FORMS: Mapping[str, Callable[[str], str]] = {
    words.DNS_LABEL.pattern: lambda text: text.lower().split(".")[0],
    words.DNS_NAME.pattern: lambda text: _host(text.lower(), port=False).strip("."),
    words.REGISTRY.pattern: lambda text: _host(text, port=True),
    words.VERSION.pattern: lambda text: f"{text.removeprefix('v')}.0",
    words.INTERFACE.pattern: lambda text: text.split("@")[0],
    words.URL.pattern: lambda text: f"https://{text}",
    words.PROXY.pattern: lambda text: f"http://{text}",
    words.SIZE.pattern: lambda text: re.sub(r"\s|[bB]$", "", text),
    words.PORT_RANGE.pattern: lambda text: re.sub(r"\s*[:,-]\s*|\s+", "-", text),
    words.DATA_DIR.pattern: lambda text: re.sub("/+", "/", text).rstrip("/"),
}
"""What else is tried of each form."""


def mended(given: str, pattern: str) -> str:
    """The text that is meant most likely, where it has the right form; else empty."""
    plain = given.strip()
    low = plain.lower()
    flag = low.lstrip("-").replace("_", "-")
    own = _FORMS.get(pattern, str)(plain)
    for text in (plain, plain.removeprefix("v"), low, low.rstrip("."), own, flag):
        if text and re.search(pattern, text):
            return text
    return ""


def alone(where: Where, root: type[BaseModel], given: object) -> Mapping[str, object]:
    """The fields that are meant where a single value stands instead of them; none where that is not clear."""
    known = fields_at(where, root)
    for form in (_LOGIN, _TAINT):
        found = form.fullmatch(given) if isinstance(given, str) else None
        said = (
            {name: int(text) if name == "port" else text for name, text in found.groupdict("").items() if text}
            if found
            else {}
        )
        if len(said) > 1 and said.keys() <= known.keys() and all(fits(kind_of(known[n]), v) for n, v in said.items()):
            return said
    needed = [name for name, info in known.items() if info.is_required()]
    for name in needed if len(needed) == 1 else _ALONE if not needed else ():
        if name in known and fits(kind_of(known[name]), given):
            return {name: given}
    return {}


def chosen(given: object, names: list[str]) -> str:
    """The choice that another tool calls so; empty when there is none."""
    plain = str(given).lower().replace("_", "-")
    return next((name for name in CHOICES.get(plain, ()) if name in names), "")


def flow(value: Any) -> str:
    """A value as it stands within a line of YAML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {flow(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)
