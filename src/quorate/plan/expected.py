"""How long turns may take, by the limits of what is done in them: drains, proofs and pauses.

Programs of the site have no limit, and nothing else is waited for.
"""

from collections.abc import Mapping

from quorate.core import Key
from quorate.plan.gate import Turn
from quorate.plan.step import Plan, Step
from quorate.resource.file import Binary, File
from quorate.resource.unit import Ready, Unit


def turn_of(plan: Plan, key: Key) -> Turn:
    """Whose turn a step is of; what waits for no turn is begun and ended with its part."""
    return plan.turns.get(key) or Turn(plan.part(key), key.host)


def expected(plan: Plan) -> Mapping[Turn, int]:
    """Seconds, at most, of each turn in a lane in which something changes, also what is only loaded anew."""
    steps: dict[Turn, list[Step]] = {}
    for key, turn in plan.turns.items():
        if key in plan.steps:
            steps.setdefault(turn, []).append(plan.steps[key])
    changed = {
        (key.host, step.resource.path)
        for key, step in plan.steps.items()
        if step.diff and isinstance(step.resource, File | Binary)
    }
    return {
        turn: sum(step.resource.may_take for step in mine if step.diff or isinstance(step.resource, Ready))
        for turn, mine in steps.items()
        if any(step.diff or _loads(step, changed) for step in mine)
    }


def alone(step: Step) -> int:
    """Seconds, at most, of one that waits for no turn; a proof disturbs nobody, and counts nothing."""
    return step.resource.may_take if step.diff and not isinstance(step.resource, Ready) else 0


def _loads(step: Step, changed: set[tuple[str, str]]) -> bool:
    resource = step.resource
    return isinstance(resource, Unit) and any((resource.host, path) in changed for path in resource.loads)
