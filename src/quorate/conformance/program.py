"""The suite's own program, `e2e.test`: asked for its version and its tests, and run for some of them."""

import asyncio
import contextlib
import ctypes
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from quorate.conformance.result import LOG, Outcome, Result, of_junit
from quorate.conformance.tests import Case, focus, listed
from quorate.core import ArtifactError
from quorate.spec.outward import without

ASK = 120
"""Seconds for a question to the program, which has hundreds of MB to be read first."""
_LIBC = ctypes.CDLL(None)
GRACE = 60
"""Seconds that it has to take its namespaces away when it is told to end."""


@dataclass(frozen=True)
class Program:
    """The program, with the cluster that it tests."""

    path: Path
    kubectl: Path
    kubeconfig: Path
    passable_taints: tuple[str, ...] = ()
    """Keys of taints that nodes may have: it waits for nodes with others."""

    def version(self) -> str:
        """Its Kubernetes version, `1.37.2`. Raises ArtifactError when it does not tell."""
        text = self._ask("--version")
        found = re.search(r"v(\d+\.\d+\.\d+\S*)", text)
        if found is None:
            raise ArtifactError(f"{self.path} tells no version: {text[:200]}", "name the e2e.test of Kubernetes' tests")
        return found[1]

    def tests(self) -> tuple[Case, ...]:
        """All tests that it has. Raises ArtifactError when it lists none."""
        found = listed(self._ask("--list-tests"))
        if not found:
            raise ArtifactError(f"{self.path} lists no tests", "name the e2e.test of Kubernetes' tests")
        return found

    @cached_property
    def _silences_skips(self) -> bool:
        """Whether it can be told to say nothing of each test that it does not run; that of 1.30 can't."""
        return "silence-skips" in self._ask("--help")

    def _ask(self, word: str) -> str:
        try:
            done = subprocess.run(
                [str(self.path), word], capture_output=True, text=True, timeout=ASK, check=False, cwd=self.path.parent
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ArtifactError(f"{self.path} {word}: {error}", "name a program for this machine") from None
        return f"{done.stdout}\n{done.stderr}"

    async def run(self, tests: Sequence[Case], place: Path) -> list[Result]:
        """Run these tests; one result for each. Its files go to the folder `place`.

        It is told to end when the caller is cancelled, and has `GRACE` seconds to take away what it made.
        """
        place.mkdir(parents=True, exist_ok=True)
        with (place / "log.txt").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                str(self.path),
                *self._words(tests, place),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=place,
                env={**without(os.environ), "KUBECONFIG": str(self.kubeconfig)},
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
            try:
                code = await process.wait()
            except asyncio.CancelledError:
                await asyncio.shield(_end(process))
                raise
        return _results(tests, place, code)

    def _words(self, tests: Sequence[Case], place: Path) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig}",
            f"--kubectl-path={self.kubectl}",
            "--provider=skeleton",
            f"--report-dir={place}",
            f"--ginkgo.focus={focus(tests)}",
            f"--non-blocking-taints={','.join(self.passable_taints)}",
            "--ginkgo.no-color",
            *(["--ginkgo.silence-skips"] if self._silences_skips else []),
            # A namespace that stays is a cluster that is not as it was found.
            "--delete-namespace=true",
            "--disable-log-dump=true",
        ]


def _end_with_parent() -> None:
    """In the new process: when ours is killed, it is told to end, and cleans up (prctl(2), PR_SET_PDEATHSIG)."""
    _LIBC.prctl(1, signal.SIGINT)


async def _end(process: asyncio.subprocess.Process) -> None:
    """By the signal at which it cleans up, else for good."""
    for number, seconds in ((signal.SIGINT, GRACE), (signal.SIGKILL, 10)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), seconds)
            return


def _results(tests: Sequence[Case], place: Path, code: int) -> list[Result]:
    """What the suite said of each; where it said nothing, why it ended."""
    names = [test.name for test in tests]
    found: dict[str, Result] = {}
    for path in sorted(place.glob("junit*.xml")):
        with contextlib.suppress(ValueError):
            found |= {each.name: each for each in of_junit(path.read_text(errors="replace"), names)}
    text = (place / "log.txt").read_text(errors="replace")[-LOG:]
    silent = f"the suite ended with code {code} and said nothing of it"
    return [found.get(name) or Result(name, Outcome.FAILED, 0.0, silent, text) for name in names]
