"""A whole run: versions compared, tests chosen or those of before gone on with, run, and everything taken away."""

import asyncio
import fcntl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from quorate.conformance import runner, session
from quorate.conformance.leftovers import Api, take_away
from quorate.conformance.nodes import barred, chosen_taints
from quorate.conformance.program import Program
from quorate.conformance.result import Outcome, Result
from quorate.conformance.session import Session
from quorate.conformance.tests import Choice, choose
from quorate.core import LockHeld, QuorateError

Say = Callable[[str], None]


@dataclass(frozen=True)
class Whole:
    """What a run came to."""

    session: Session
    results: Sequence[Result]
    """Of every test that was meant: also those that were not run, with the reason."""
    stayed: Sequence[str]
    """Namespaces of the tests that would not go."""

    @property
    def good(self) -> bool:
        """No test failed, and nothing stayed."""
        return not self.of(Outcome.FAILED) and not self.stayed

    def of(self, outcome: Outcome) -> list[Result]:
        """The results of one kind."""
        return [each for each in self.results if each.outcome is outcome]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder for one run. Raises LockHeld when another has it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LockHeld(f"{folder}: another run of the conformance tests is under way", "wait for its end") from None
        yield


async def conform(
    program: Program,
    folder: Path,
    choice: Choice,
    *,
    servers: Mapping[str, Path],
    go_on: bool,
    jobs: int,
    say: Say,
) -> Whole:
    """Run the suite and take away what it made, whatever happens. Raises QuorateError.

    What a killed run left is taken away first. `servers`: kubeconfigs of each API server by its host's name.
    """
    api = Api(program.kubectl, program.kubeconfig)
    served, version = await asyncio.to_thread(api.version), await asyncio.to_thread(program.version)
    if version != served:
        raise QuorateError(
            f"the suite is of Kubernetes {version}, the API server of {served}",
            "name the e2e.test of the cluster's own version, or leave --e2e out",
        )
    nodes = await asyncio.to_thread(api.nodes)
    if reasons := barred(nodes):
        hint = "`kubectl describe node` tells more; `kubectl uncordon` opens one that was cordoned"
        raise QuorateError(f"the tests need every node: {'; '.join(reasons)}", hint)
    program = replace(program, passable_taints=chosen_taints(nodes))
    run = _before(session.found(folder), folder, version, choice) if go_on else None
    await asyncio.to_thread(take_away, api, session.run_ids(folder), say)
    if run is None:
        chosen = choose(await asyncio.to_thread(program.tests), choice)
        run = session.begin(folder, version, choice, chosen)
    try:
        results = await runner.run(run, program, jobs, say)
        if not (choice.full or choice.focus):
            results += await asyncio.to_thread(_everywhere, program, servers, say)
    finally:
        stayed = await asyncio.to_thread(take_away, api, session.run_ids(folder), say)
    left = [Result(name, Outcome.LEFT, 0.0, reason) for name, reason in run.chosen.left]
    return Whole(run, [*results, *left], stayed)


def _everywhere(program: Program, servers: Mapping[str, Path], say: Say) -> list[Result]:
    """Whether each API server by itself leads to every API group. The suite asks the endpoint: any of them answers."""
    found: list[Result] = []
    for host, kubeconfig in servers.items():
        say(f"asking the API server of {host}")
        name, began = f"[quorate] the API server of {host} leads to every API group", time.monotonic()
        api = Api(program.kubectl, kubeconfig)
        try:
            silent = api.silent_groups()
        except QuorateError as error:
            reason = f"this machine does not reach it: {error}"
            found.append(Result(name, Outcome.LEFT, 0.0, reason))
        else:
            outcome = Outcome.FAILED if silent else Outcome.PASSED
            found.append(Result(name, outcome, time.monotonic() - began, "; ".join(silent)))
    return found


def _before(before: Session | None, folder: Path, version: str, choice: Choice) -> Session:
    """The run to go on with. Its choice must be said again: what is disruptive is agreed to each time."""
    if before is None:
        raise QuorateError(f"{folder}: there is no run to go on with", "leave --go-on out")
    if before.version != version:
        hint = "leave --go-on out: results of two versions do not belong together"
        raise QuorateError(f"the run before was of {before.version}, the cluster is {version} now", hint)
    if before.choice != choice:
        hint = f"say the same again, {before.choice.words() or 'no choice at all'}, or leave --go-on out"
        raise QuorateError("the run to go on with was of another choice", hint)
    return before
