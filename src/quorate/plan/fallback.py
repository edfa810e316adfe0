"""Which parts have something to go back to: those that run, and that can tell whether they do."""

import hashlib
from dataclasses import replace

from quorate.core import Key
from quorate.plan.graph import Part
from quorate.plan.step import Plan
from quorate.plan.words import line
from quorate.render.fallback import decided, forsaking, heard
from quorate.resource.brick import Brick
from quorate.resource.fallback import LATER_S, Fallback, Settled
from quorate.resource.file import Binary, File
from quorate.resource.unit import Ready, Unit


def fallen_back(part: Part) -> Part:
    """The part with its fallback before all that it has, where it has services and proofs of them."""
    units = [brick for brick in part.resources if isinstance(brick, Unit)]
    proofs = [brick for brick in part.resources if isinstance(brick, Ready)]
    loads = {path for unit in units for path in unit.loads}
    watched = [
        brick
        for brick in part.resources
        if isinstance(brick, Binary) or (isinstance(brick, File) and brick.path in loads)
    ]
    if not (units and proofs and watched):
        return part
    made = Fallback(
        host=part.host,
        part=part.component,
        units=tuple(unit.unit for unit in units),
        paths=tuple(brick.path for brick in watched),
        check="\n".join(f"( {ready.check}\n) || exit 1" for ready in proofs),
        within=max(ready.within for ready in proofs),
        watches=frozenset(brick.key for brick in watched),
        digest=_digest(watched),
    )
    hears = heard(part.component, made.digest)

    def changed(brick: Brick) -> Brick:
        if isinstance(brick, Unit):
            return replace(brick, fallback=decided(part.component, made.digest))
        if isinstance(brick, Ready):
            return replace(brick, fallback=hears, within=made.within + LATER_S)
        if brick.key not in made.watches:
            return brick
        if isinstance(brick, File) and brick.trial:
            brick = replace(brick, trial=forsaking(part.component, brick.trial))
        return replace(brick, explicit=brick.explicit | {made.key})

    end = Settled(host=part.host, part=part.component, units=made.units, watches=made.watches)
    return replace(part, resources=(made, *map(changed, part.resources), end))


def _digest(bricks: list[Binary | File]) -> str:
    told = "".join(f"{brick.path} {sorted(brick.desired.items())}\n" for brick in bricks)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def known_bad(plan: Plan) -> dict[Key, str]:
    """What is about to be tried though it was before, and did not hold: by its fallback, when and why."""
    found = {}
    for key, step in plan.steps.items():
        brick, said = step.resource, step.actual or {}
        if isinstance(brick, Fallback) and step.diff and said.get("failed") == brick.digest:
            then = "what ran before is back" if said.get("back") == "yes" else "what ran before did not answer either"
            why = "; ".join(filter(None, (said.get("why"), said.get("said"))))
            found[key] = line(f"{key.host}: this change of {brick.part} was tried at {said.get('when')}: {why}; {then}")
    return found
