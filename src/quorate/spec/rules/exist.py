"""Rules about what the chosen versions know: flags, feature gates and fields of kubelet's configuration exist."""

from collections.abc import Iterator
from difflib import get_close_matches

from quorate.core import QuorateError
from quorate.spec import flag_fields
from quorate.spec.cluster import Cluster, Daemon, Etcd
from quorate.spec.flag_text import pairs, truth
from quorate.spec.known import Table, fields, flags, gates
from quorate.spec.known.fit import misfits
from quorate.spec.rules.owned import FIELDS, OWNED
from quorate.spec.rules.removed import REMOVED
from quorate.spec.rules.rule import rule
from quorate.spec.tree import Fault
from quorate.spec.versions import parts, table

PROGRAMS = {
    "etcd": "etcd",
    "apiserver": "kube-apiserver",
    "controller_manager": "kube-controller-manager",
    "scheduler": "kube-scheduler",
    "kubelet": "kubelet",
    "proxy": "kube-proxy",
}
"""By the section of the cluster file that has its `extra_flags`."""
_GATES = "feature-gates"

_ETCD_34 = frozenset({"debug", "log-output", "log-package-levels", "experimental-backend-bbolt-freelist-type"})
"""Flags that etcd 3.4 has and no later version (etcd's CHANGELOG-3.5)."""

_Told = tuple[str, str]
"""Rule and fix."""


def flags_exist(cluster: Cluster) -> Iterator[Fault]:
    """A daemon that is given a flag that it does not know does not start."""
    for part, program in PROGRAMS.items():
        given: Etcd | Daemon = getattr(cluster, part)
        version = _version(cluster, part)
        if not (given.extra_flags and version):
            continue
        who, known = _called(program, version), flags(program)
        for flag in given.extra_flags:
            since = REMOVED.get(part, {}).get(flag)
            if since and parts(version) >= parts(since.minor):
                told: _Told | None = (f"{who} has no --{flag} any more (gone in {since.minor})", since.fix)
            elif flag in OWNED[part]:
                continue
            else:
                # Documents have holes and leave out hidden flags: one that another version knows may work.
                told = _missing(known, flag, version, who, f"--{flag}", sure=known.exact(version))
            if told:
                yield Fault((part, "extra_flags", flag), *told)


def gates_exist(cluster: Cluster) -> Iterator[Fault]:
    """A daemon that is given a feature gate that it does not know, or that is locked, does not start."""
    for part, program in PROGRAMS.items():
        given: Etcd | Daemon = getattr(cluster, part)
        version, text = _version(cluster, part), given.extra_flags.get(_GATES)
        if not (version and text and _GATES in (flags(program).at(version) or {})):
            continue
        where = (part, "extra_flags", _GATES)
        for pair, name, value in pairs(text):
            if (wish := truth(value)) is None:
                yield Fault(where, "is not NAME=true or NAME=false", f"write {name}=true", value=pair)
            elif name != (plain := name.removeprefix("kube:")):
                rule_ = "has the prefix of a component, which few programs and versions read"
                yield Fault(where, rule_, f"write {plain}={value}", value=pair)
            elif told := _gate(program, version, name, wish):
                yield Fault(where, *told, value=pair)
    version, gated = _version(cluster, "kubelet"), cluster.kubelet.config.get("featureGates")
    if version and isinstance(gated, dict):
        for name, wish in gated.items():
            # Another value than true or false is told by `fields_exist`.
            if isinstance(wish, bool) and (told := _gate("kubelet", version, name, wish)):
                yield Fault(("kubelet", "config", "featureGates", name), *told, value=name)


def flags_fit(cluster: Cluster) -> Iterator[Fault]:
    """A flag that becomes a field of the configuration says something of that field's type."""
    for part, kind in flag_fields.KINDS.items():
        given: Daemon = getattr(cluster, part)
        # No list of fields is read for nothing.
        if given.extra_flags and (version := _version(cluster, part)):
            types = fields(kind).at(version) or {}
            for flag, text in given.extra_flags.items():
                # Gates are told by `gates_exist`.
                found = flag_fields.path(part, flag, version) if flag != _GATES else None
                type_ = found[1] if found else ""
                for misfit in misfits(flag_fields.value(text, type_), type_, types):
                    wanted = "items such as memory.available<100Mi" if type_.startswith("map") else misfit.wanted
                    fix = "correct it, or remove it for its default"
                    yield Fault((part, "extra_flags", flag), f"must be {wanted}", fix)


def fields_exist(cluster: Cluster) -> Iterator[Fault]:
    """kubelet does not start with a field that KubeletConfiguration does not have, or a value of another type."""
    kind, version = "KubeletConfiguration", _version(cluster, "kubelet")
    given = {name: value for name, value in cluster.kubelet.config.items() if name not in FIELDS}
    if not (given and version):
        return
    known = fields(kind)
    types = known.at(version) or {}
    for misfit in misfits(given, kind, types):
        where = ("kubelet", "config", *misfit.where)
        if not misfit.field:
            yield Fault(where, f"must be {misfit.wanted}", "correct it, or remove it for its default")
            continue
        owner, _, own = misfit.field.partition(".")
        if told := _missing(known, misfit.field, version, _called(owner, version), f"field {own}"):
            yield Fault(where, *told)


def _version(cluster: Cluster, part: str) -> str | None:
    """The version of a part's program; None where it has been told that the Kubernetes is unknown."""
    try:
        minor = table(cluster.versions.kubernetes)
    except QuorateError:
        return None
    return (cluster.versions.etcd or minor.etcd) if part == "etcd" else cluster.versions.kubernetes


def _gate(program: str, version: str, name: str, wish: bool) -> _Told | None:
    """What is wrong with a gate set so; nothing is known of gates where only documents tell."""
    known = gates("etcd" if program == "etcd" else "kubernetes")
    if not known.exact(version):
        return None
    who, stage = _called(program, version), (known.at(version) or {}).get(name)
    if stage is None:
        return _missing(known, name, version, who, f"feature gate {name}")
    if stage.endswith(" locked") and wish != (" on" in stage):
        return f"{who} has feature gate {name} locked to {str(not wish).lower()}", "remove it"
    return None


def _missing(known: Table, name: str, version: str, who: str, what: str, *, sure: bool = True) -> _Told | None:
    """Rule and fix for a name that a version does not know; None if it does, or if it may (not `sure`)."""
    now = known.at(version)
    if now is None:
        # No list tells of etcd 3.4. What no other version knows, and 3.5 did not take away, is a mistake all the same.
        now, sure = dict.fromkeys(known.ever | _ETCD_34, ""), True
    if name in now:
        return None
    owner = name[: name.find(".") + 1]
    # What some version has beside this name is no other spelling of it, unless that is it without `experimental-`.
    both = [have for each in known.changes if name in (have := known.at(each) or {})]
    beside = {each for have in both for each in have}
    names = [each.removeprefix(owner) for each in now if each.startswith(owner)]
    close = [
        each
        for each in get_close_matches(name.removeprefix(owner), names, 3, 0.75)
        if f"{owner}{each}" not in beside or name.endswith(f"-{each}")
    ]
    fix = f"did you mean `{close[0]}`?" if close else "remove it"
    gone, comes = known.gone(name, version), known.comes(name, version)
    if (gone or comes) and not sure:
        return None
    if gone:
        # Documents leave a flag out from the day on which it is hidden.
        when = "gone in" if known.exact(gone) or "." in name else "not documented since"
        return f"{who} has no {what} any more ({when} {gone})", fix
    if comes:
        whose = "etcd" if who.startswith("etcd ") else "Kubernetes"
        return f"{who} has no {what} yet (it comes in {comes})", f"remove it, or choose {whose} {comes} or later"
    return f"{who} has no {what}", fix


def _called(program: str, version: str) -> str:
    return f"etcd {version}" if program == "etcd" else f"{program} of Kubernetes {version}"


RULES = (
    rule("versions etcd apiserver controller_manager scheduler kubelet proxy", flags_exist),
    rule("versions etcd apiserver controller_manager scheduler kubelet proxy", gates_exist),
    rule("versions scheduler kubelet proxy", flags_fit),
    rule("versions kubelet", fields_exist),
)
