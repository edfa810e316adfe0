"""A worker whose change did not hold, and that is back on what it ran: it takes pods again, as before the run."""

from collections.abc import Iterator

from quorate.core import QuorateError, Transport
from quorate.execute import batch
from quorate.execute.outcome import Outcome
from quorate.plan.step import Plan, Step
from quorate.render import fallback
from quorate.report.event import Emit, Said
from quorate.resource.drain import Uncordoned
from quorate.resource.system import Hook


async def give_back(plan: Plan, outcome: Outcome, via: Transport, emit: Emit) -> None:
    """Uncordon them where the mark is ours; a site's own word before that is not passed over, and one that can't be
    uncordoned is told, for the next apply does it.
    """
    for worker, step in _back(plan, outcome):
        try:
            for action in step.resource.converge({}):
                await via.run(step.key.host, batch.upload(action))
        except QuorateError as error:
            emit(Said(f"node {step.key.name} is still cordoned: {error}", worker))
        else:
            emit(Said(f"node {step.key.name} takes pods again, on what it ran before", worker))


def _back(plan: Plan, outcome: Outcome) -> Iterator[tuple[str, Step]]:
    """Workers of which all that failed was put back by the host itself, with what uncordons their nodes."""
    for key in outcome.skipped:
        step = plan.steps[key]
        if not isinstance(step.resource, Uncordoned):
            continue
        needs = step.resource.explicit
        if any(need.kind == Hook.kind for need in needs):
            continue
        for worker in {need.host for need in needs}:
            errors = [error for failed, error in outcome.failed.items() if failed.host == worker]
            if errors and all(map(fallback.went_back, errors)):
                yield worker, step
