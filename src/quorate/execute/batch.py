"""Many steps of one host as one script: orders between marks, then one look at all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from quorate.core import Action, Key, State
from quorate.execute.observe import questions, states
from quorate.plan.step import Step
from quorate.render.prelude import PRELUDE, TOLD
from quorate.resource import ask
from quorate.resource.resource import Resource

BEGIN, END, CHANGED, LOOK = "\x03>", "\x03<", "\x03changed", "\x03?"
"""Marks at the beginning of a line: step begins, step ends, did something, answers."""


@dataclass
class Result:
    """What a batch's output told so far."""

    ended: dict[int, int] = field(default_factory=dict)
    """Exit code by number of step."""
    changed: set[int] = field(default_factory=set)
    said: dict[int, str] = field(default_factory=dict)
    """What each step printed; -1 for what stood before the first."""
    states: dict[Key, State | None] = field(default_factory=dict)


def script(steps: Sequence[Step]) -> str:
    """Run each step's orders in a subshell of its own; stop at the first that fails; look at all that ran."""
    parts = [PRELUDE, "q_go=1\n"]
    for number, step in enumerate(steps):
        actions = step.resource.converge(step.actual or {})
        body = "\n".join(action.script for action in actions if action.blob is None)
        parts.append(
            f"if [ $q_go = 1 ]; then printf '{BEGIN}{number}\\n'; q_rc=0\n"
            f"sh_step() {{ (\nset -eu\n{body}\n) </dev/null; }}\n"
            f"set +e; sh_step 2>&1; q_rc=$?; [ $q_rc = 0 ] || full; set -e\n"
            f"printf '\\n{END}{number} %s\\n' $q_rc; [ $q_rc = 0 ] || q_go=0; fi\n"
        )
    parts.append(f"printf '{LOOK}\\n'\n")
    parts.append(ask.script(questions([step.resource for step in steps])))
    return "".join(parts)


def upload(action: Action) -> str:
    """The script of one order that reads a blob from its stdin."""
    # Not `( ) || full`: that would switch off `set -e` within.
    return f"{PRELUDE}set +e\n(\nset -e\n{action.script}\n)\nq_rc=$?; [ $q_rc = 0 ] || full >&2; exit $q_rc\n"


def told(line: str) -> str | None:
    """What a line of a script's output says to whoever watches; None for any other line."""
    return line[len(TOLD) :].strip() if line.startswith(TOLD) else None


def read(steps: Sequence[Step], output: str) -> Result:
    """What the whole output of a batch tells."""
    done, _, looked = output.partition(f"{LOOK}\n")
    result = Result()
    current = -1
    for line in done.splitlines():
        if line.startswith(BEGIN):
            current = int(line[len(BEGIN) :])
        elif line.startswith(END):
            number, code = line[len(END) :].split()
            result.ended[int(number)] = int(code)
            current = -1
        elif told(line) is not None:
            continue
        elif line == CHANGED:
            result.changed.add(current)
        else:
            result.said[current] = f"{result.said.get(current, '')}{line}\n"
    resources: list[Resource] = [step.resource for step in steps]
    result.states = states(resources, looked)
    return result
