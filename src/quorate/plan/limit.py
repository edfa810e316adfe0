"""The part of a plan that is about some hosts: refused where it waits for something on others."""

from collections.abc import Collection
from dataclasses import replace

from quorate.core import Key, PlanError
from quorate.plan.gate import Gate
from quorate.plan.step import Plan

NAMED = 3
"""How many of the things that wait are named."""


def limited(plan: Plan, hosts: Collection[str]) -> Plan:
    """The plan with nothing of other hosts in it. Whose turn it is counts no more: who is not touched holds nobody up.

    Raises PlanError when something on these hosts waits for a change on others: done without it, it would point at
    what is not there, or join what does not run.
    """
    kept = {key: step for key, step in plan.steps.items() if _whose(plan, key) in hosts}
    pending = {key for key, step in plan.steps.items() if key not in kept and step.diff}
    if waits := _waiting(plan, kept.keys(), pending):
        told = [f"  {key} waits for {need}" for key, need in waits.items()]
        more = [f"  and {len(told) - NAMED} more"] if len(told) > NAMED else []
        others = ", ".join(sorted({need.host for need in waits.values()}))
        raise PlanError(
            "\n".join(["these hosts alone can't be changed:", *told[:NAMED], *more]),
            f"apply without --limit, or name {others} as well",
        )
    gates = {key: _gate(plan, key, gate, kept.keys()) for key, gate in plan.gates.items()}
    here = kept.keys() | gates.keys()
    needs = {key: plan.needs[key] & here for key in plan.needs if key in here}
    return replace(plan, steps=kept, needs=needs, gates=gates)


def _whose(plan: Plan, key: Key) -> str:
    """The host that a step is about, be it done elsewhere: a node is drained through an API server."""
    turn = plan.turns.get(key)
    return turn.host if turn else key.host


def _gate(plan: Plan, key: Key, gate: Gate, kept: Collection[Key]) -> Gate:
    """The gate with those of its needs that are left; the others are as wanted, or it has enough without them."""
    left = sum(1 for need in plan.needs[key] if need in kept or need in plan.gates)
    return replace(gate, enough=min(gate.enough, left))


def _waiting(plan: Plan, kept: Collection[Key], pending: Collection[Key]) -> dict[Key, Key]:
    """What on these hosts would change and could not, and what on another host it waits for."""
    stuck: dict[Key, Key] = {key: key for key in pending}
    for key in plan.needs:
        needs = plan.needs[key]
        gate = plan.gates.get(key)
        bad = sorted(need for need in needs if need in stuck)
        if gate is None:
            if bad and key not in stuck:
                stuck[key] = stuck[bad[0]]
        elif not gate.turn and len(needs) - len([need for need in bad if need not in gate.standing]) < gate.enough:
            stuck[key] = stuck[bad[0]]
    return {key: stuck[key] for key in kept if key in stuck and plan.steps[key].diff}
