"""What one step would do, in words and as a diff; of a secret only its digest."""

import difflib
from collections.abc import Mapping
from datetime import datetime

from quorate.pki.issue import PkiError, inspect
from quorate.plan.step import Step
from quorate.plan.words import clean, line, many, short
from quorate.resource.block import Block
from quorate.resource.drain import Drained, Uncordoned
from quorate.resource.file import Binary, Directory, File, Symlink
from quorate.resource.kube import Image, Manifest
from quorate.resource.package import Packages
from quorate.resource.removal import Removal
from quorate.resource.system import Hook, Setting
from quorate.resource.unit import Ready, Stopped, Unit

Diff = tuple[str, ...]

_CERTIFICATE = "-----BEGIN CERTIFICATE-----"


def name(step: Step) -> str:
    """How a reader calls the thing."""
    resource = step.resource
    match resource:
        case Directory():
            said = f"{resource.path}/"
        case File() | Symlink() | Binary() | Setting():
            said = resource.name
        case Unit():
            said = resource.unit
        case Block():
            said = resource.path
        case Ready() | Manifest() | Image() | Packages():
            said = f"{resource.kind} {resource.name}"
        case _:
            said = f"{step.key.kind} {step.key.name}"
    return line(said)


def kind(step: Step) -> str:
    """What sort of thing it is."""
    if isinstance(step.resource, File) and _CERTIFICATE in step.resource.content:
        return "kubeconfig" if step.resource.path.endswith("kubeconfig") else "certificate"
    return step.key.kind


def detail(step: Step, wire: int = 0) -> str:
    """What would become of it, in one line; `wire` are the bytes to send for it."""
    resource = step.resource
    match resource:
        case File():
            return _file(resource, step)
        case Binary() | Image() if wire:
            return "new content" if step.actual else ""
        case Packages():
            missing = [each for each in resource.packages if (step.actual or {}).get(each) != "installed"]
            return f"install {', '.join(missing)}" if missing else "take away what a cut install left"
        case Unit():
            return _unit(resource, step.actual or {})
        case Ready():
            return "wait until it answers"
        case Hook():
            return line(resource.program or resource.script)
        case Drained():
            return "pods move away for the change, and may come back"
        case Uncordoned():
            return "takes pods again"
        case Stopped():
            return f"stop {', '.join(unit.removesuffix('.service') for unit in resource.units)}"
        case Removal():
            return _removal(resource)
        case Setting() if resource.removes:
            return "take out of the cluster"
        case Manifest():
            return "known after apply" if step.actual is None else "objects differ" if step.actual else "apply"
        case Symlink():
            return f"-> {resource.target}" + (f" (was {line(was)})" if (was := _was(step, "target")) else "")
        case Block():
            return f"{many(len(resource.lines), 'line')} of ours" if not step.actual else "lines of ours"
        case _:
            return _fields(step)


def diff(step: Step, present: str | None) -> Diff:
    """Unified diff of a text file or block, without its header; `present` is what stands there now."""
    resource = step.resource
    if isinstance(resource, Block):
        present, wanted = (step.actual or {}).get("lines", ""), "\n".join(resource.lines)
    elif isinstance(resource, File) and not resource.secret and _CERTIFICATE not in resource.content:
        present, wanted = present or "", resource.content
    else:
        return ()
    if present == wanted:
        return ()
    if "PRIVATE KEY" in present or "PRIVATE KEY" in wanted:
        return ("(holds a private key: not shown)",)
    old, new = clean(present).splitlines(), clean(wanted).splitlines()
    return tuple(list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]) or ("(line ends differ)",)


def _removal(removal: Removal) -> str:
    units = [resource.unit for resource in removal.resources if isinstance(resource, Unit)]
    said = f"stop {', '.join(unit.removesuffix('.service') for unit in units)}; " if units else ""
    return said + (
        f"all {len(removal.resources)} things of ours" if removal.whole else many(len(removal.resources), "thing")
    )


def _file(file: File, step: Step) -> str:
    said = []
    digest = file.desired["sha256"]
    if not step.actual or "sha256" in step.diff:
        if _CERTIFICATE in file.content and (valid := _certificate(file.content)):
            said.append(valid)
        elif file.secret:
            was = _was(step, "sha256")
            said.append(f"secret, sha256 {short(was)} -> {short(digest)}" if was else f"secret, sha256 {short(digest)}")
        elif not step.actual:
            said.append(many(file.content.count("\n"), "line"))
        else:
            said.append("content")
    if step.actual:
        rest = {field: change for field, change in step.diff.items() if field != "sha256"}
        said += [_change(field, *change) for field, change in rest.items()]
    return ", ".join(said)


def _certificate(pem: str) -> str:
    try:
        info = inspect(pem[pem.index(_CERTIFICATE) :].encode())
    except (PkiError, ValueError):
        return ""
    orgs = f", O={'+'.join(info.orgs)}" if info.orgs else ""
    return line(f"CN={info.cn}{orgs}, until {_day(info.not_after)}")


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def at_rest(unit: Unit) -> str:
    """What is to be added to its restart."""
    names = ", ".join(each.removesuffix(".service") for each in unit.dependants)
    return f"; {names} stops before and starts after it" if names else ""


def _unit(unit: Unit, actual: Mapping[str, str]) -> str:
    said = []
    active = actual.get("active", "inactive")
    if active == "active" and actual.get("loaded", "current") != "current":
        how = "reload" if unit.reload else "restart"
        said.append(f"{how}: runs with older files{'' if unit.reload else at_rest(unit)}")
    elif active != "active":
        said.append("start" if active == "inactive" else f"start (is {line(active)})")
    if actual.get("enabled", "") != "enabled":
        said.append("enable")
    if actual.get("reload") == "yes":
        said.append("daemon-reload")
    return ", ".join(said)


def _fields(step: Step) -> str:
    if not step.actual:
        return ""
    return ", ".join(_change(field, *change) for field, change in step.diff.items())


def _change(field: str, now: str | None, want: str) -> str:
    return f"{field} {line(now, 60)} -> {line(want, 60)}" if now else f"{field} {line(want, 60)}"


def _was(step: Step, field: str) -> str:
    return (step.actual or {}).get(field, "")


def waits(step: Step) -> bool:
    """Whether it only waits for something."""
    return isinstance(step.resource, Ready)
