"""Rules about what is set freely: no flag, field or feature gate takes a protection away or shuts another one out."""

from collections.abc import Iterator, Mapping

from quorate.core import QuorateError
from quorate.spec.cluster import Cluster, Daemon, Etcd
from quorate.spec.flag_text import pairs, truth
from quorate.spec.rules import exist
from quorate.spec.rules.guard import Guard
from quorate.spec.rules.guarded import GATES_OFF, GATES_ON, GUARDED, GUARDED_FIELDS, PROTECTING
from quorate.spec.rules.rule import rule
from quorate.spec.tree import Fault, Where
from quorate.spec.versions import table

_GATES = "feature-gates"
_TLS13 = "TLS1.3"


def weakened(cluster: Cluster) -> Iterator[Fault]:
    """What is judged by its value has one that leaves the protection as it is.

    What does not exist, or has a value of another type, is told once: by `exist`.
    """
    told = [fault.where for rule_ in exist.RULES for fault in rule_.check(cluster)]
    for fault in (*_flags(cluster), *_fields(cluster)):
        if not any(where[: len(fault.where)] == fault.where for where in told):
            yield fault


def _flags(cluster: Cluster) -> Iterator[Fault]:
    for part, guards in GUARDED.items():
        given: Etcd | Daemon = getattr(cluster, part)
        for flag, value in given.extra_flags.items():
            if guard := guards.get(flag):
                yield from _judged(guard, value, (part, "extra_flags", flag))
        for pair, name, wish in pairs(given.extra_flags.get(_GATES, "")) if part in PROTECTING else ():
            yield from _gate(name, truth(wish), (part, "extra_flags", _GATES), pair)


def _fields(cluster: Cluster) -> Iterator[Fault]:
    config = cluster.kubelet.config
    for path, guard in GUARDED_FIELDS.items():
        names = path.split(".")
        value: object = config
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            yield from _judged(guard, _as_flag(value), ("kubelet", "config", *names))
    gates = config.get("featureGates")
    for name, wish in gates.items() if isinstance(gates, dict) else ():
        yield from _gate(name, truth(str(wish)), ("kubelet", "config", "featureGates", name), None)


def exclusive(cluster: Cluster) -> Iterator[Fault]:
    """No flag is given that a program refuses beside one that the cluster needs."""
    given = cluster.etcd.extra_flags
    if given.get("tls-min-version") == _TLS13 and "cipher-suites" in given:
        rule_ = "etcd takes no suites where TLS 1.3 is the least: those of TLS 1.3 can't be chosen"
        yield Fault(("etcd", "extra_flags", "cipher-suites"), rule_, "remove it")
    if given.get("tls-max-version") == "TLS1.2" and given.get("tls-min-version") == _TLS13:
        yield Fault(("etcd", "extra_flags", "tls-max-version"), "is less than tls-min-version", "remove it")
    try:
        configured = table(cluster.versions.kubernetes).authentication_api
    except QuorateError:  # told by `parts.versions`
        return
    if cluster.apiserver.jwt and not configured:
        rule_ = f"Kubernetes {cluster.versions.kubernetes} does not read it without a feature gate"
        fix = "remove it: write oidc- flags in apiserver.extra_flags instead, or choose Kubernetes 1.32 or later"
        yield Fault(("apiserver", "jwt"), rule_, fix)
    for flag in cluster.apiserver.extra_flags if configured else ():
        if flag.startswith("oidc-"):
            rule_ = f"--{flag} shuts out --authentication-config, which keeps the nameless at health and version"
            yield Fault(("apiserver", "extra_flags", flag), rule_, "remove it: write apiserver.jwt instead")


def _judged(guard: Guard, value: str, where: Where) -> Iterator[Fault]:
    if not guard.allows(value):
        yield Fault(where, f"takes away the protection by which {guard.why}", guard.fix, value=value)


def _gate(name: str, wish: bool | None, where: Where, value: str | None) -> Iterator[Fault]:
    if (name in GATES_ON and wish is False) or (name in GATES_OFF and wish):
        rule_ = f"feature gate {name}={str(wish).lower()} takes a protection away"
        yield Fault(where, rule_, "remove it", value=value)


def _as_flag(value: object) -> str:
    """A field's value as the flag of the same name would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(_as_flag, value))
    if isinstance(value, Mapping):  # an item of `vmodule`
        return f"{value.get('filePattern')}={value.get('verbosity')}"
    return str(value)


RULES = (
    rule("versions etcd apiserver controller_manager scheduler kubelet proxy", weakened),
    rule("versions etcd apiserver", exclusive),
)
