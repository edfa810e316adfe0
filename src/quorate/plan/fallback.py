"""Which parts have something to go back to: those that run, and that can tell whether they do."""

import hashlib
from dataclasses import replace

from quorate.core import Key
from quorate.plan.graph import Part
from quorate.plan.step import Plan
from quorate.plan.words import line
from quorate.render.fallback import BACK, SILENT, decided, forsaking, heard
from quorate.resource.fallback import LATER_S, Fallback, Settled
from quorate.resource.file import Binary, File
from quorate.resource.resource import Resource
from quorate.resource.unit import Ready, Unit


def fallen_back(part: Part) -> Part:
    """The part with its fallback before all that it has, where it has services and proofs of them."""
    units = [resource for resource in part.resources if isinstance(resource, Unit)]
    proofs = [resource for resource in part.resources if isinstance(resource, Ready)]
    loads = {path for unit in units for path in unit.loads}
    watched = [
        resource
        for resource in part.resources
        if isinstance(resource, Binary) or (isinstance(resource, File) and resource.path in loads)
    ]
    if not (units and proofs and watched):
        return part
    made = Fallback(
        host=part.host,
        part=part.component,
        units=tuple(unit.unit for unit in units),
        paths=tuple(resource.path for resource in watched),
        check="\n".join(f"{{ {ready.holds}; }} || exit 1" for ready in proofs),
        within=max(ready.within for ready in proofs),
        watches=frozenset(resource.key for resource in watched),
        digest=_digest(watched),
        between={unit.unit: unit.between for unit in units if unit.between},
    )
    hears = heard(part.component, made.digest)

    def changed(resource: Resource) -> Resource:
        if isinstance(resource, Unit):
            return replace(resource, fallback=decided(part.component, made.digest))
        if isinstance(resource, Ready):
            return replace(resource, fallback=hears, within=made.within + LATER_S)
        if resource.key not in made.watches:
            return resource
        if isinstance(resource, File) and resource.trial:
            resource = replace(resource, trial=forsaking(part.component, resource.trial))
        return replace(resource, explicit=resource.explicit | {made.key})

    end = Settled(host=part.host, part=part.component, units=made.units, watches=made.watches)
    return replace(part, resources=(made, *map(changed, part.resources), end))


def _digest(resources: list[Binary | File]) -> str:
    told = "".join(f"{resource.path} {sorted(resource.desired.items())}\n" for resource in resources)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def known_bad(plan: Plan) -> dict[Key, str]:
    """What is about to be tried though it was before, and did not hold: by its fallback, when and why."""
    found = {}
    for key, step in plan.steps.items():
        resource, said = step.resource, step.actual or {}
        if isinstance(resource, Fallback) and step.diff and said.get("failed") == resource.digest:
            then = BACK if said.get("back") == "yes" else SILENT
            why = "; ".join(filter(None, (said.get("why"), said.get("said"))))
            found[key] = line(
                f"{key.host}: this change of {resource.part} was tried at {said.get('when')}: {why}; {then}"
            )
    return found
