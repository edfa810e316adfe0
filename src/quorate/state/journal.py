"""The journal: what was done to a cluster, by whom, and how it ended; one JSON line as each thing happens.

```
{"run": "9f2c", "event": "begin", "time": ..., "verb": "apply", "who": "ann@desk", "pid": 4711, "create": 12, ...}
{"run": "9f2c", "event": "step", "host": ..., "kind": ..., "name": ..., "result": "changed", "seconds": 1.2}
{"run": "9f2c", "event": "end", "time": ..., "verb": "apply", "ok": true, "changed": 12, "failed": 0, ...}
```

A run without its end was cut off, or is still under way. Steps that changed nothing are only counted. Lines are
appended to `journal.jsonl` in the state folder, which grows by some 150 bytes with every change and is never cut.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime

from quorate.core import Key, QuorateError
from quorate.plan.words import line
from quorate.render.fallback import went_back
from quorate.report.event import Emit, Event, StageBegun, StepDone, StepFailed, StepSkipped
from quorate.state.holder import Holder
from quorate.state.store import Store

LONGEST = 2000
"""Characters of an error that are kept: a service's last words are some ten lines."""


class Run:
    """One run that is being written down; see `run`."""

    def __init__(self, store: Store, verb: str) -> None:
        self._store, self._verb = store, verb
        self._id = secrets.token_hex(4)
        self._zero = time.monotonic()
        self._lost: QuorateError | None = None
        self.ended = False

    def begin(self, **told: object) -> None:
        """The first line."""
        holder = asdict(Holder.here(self._verb))
        who = {name: value for name, value in holder.items() if name not in ("token", "since", "verb")}
        self._write("begin", **{"time": _now(), "verb": self._verb, **who, **told})

    def take(self, event: Event) -> None:
        """A step that ended. What can't be written now is told at the end: hosts do not wait for this disk."""
        match event:
            case StageBegun(name, number, of):
                self._note("stage", name=name, number=number, of=of)
            case StepDone(key, _, True, seconds):
                self._step(key, "changed", seconds)
            case StepFailed(key, _, error, seconds):
                back = went_back(error)
                told = {} if back is None else {"back": back}
                self._step(key, "failed", seconds, error=line(error, LONGEST), **told)
            case StepSkipped(key, _, because):
                self._step(key, "skipped", 0.0, because=str(because))

    def also(self, emit: Emit) -> Emit:
        """Where events go, and into the journal as well."""

        def both(event: Event) -> None:
            self.take(event)
            emit(event)

        return both

    def end(self, **told: object) -> None:
        """The last line. Raises QuorateError when this one, or one before it, could not be written."""
        self.ended = True
        seconds = round(time.monotonic() - self._zero, 3)
        self._write("end", **{"time": _now(), "verb": self._verb, "seconds": seconds, **told})
        if self._lost:
            raise self._lost

    def _step(self, key: Key, result: str, seconds: float, **told: object) -> None:
        place = {"host": key.host, "kind": key.kind, "name": key.name}
        self._note("step", **place, result=result, seconds=round(seconds, 3), **told)

    def _note(self, event: str, **told: object) -> None:
        try:
            self._write(event, **told)
        except QuorateError as error:
            self._lost = error

    def _write(self, event: str, **told: object) -> None:
        self._store.journal({"run": self._id, "event": event, **told}, sync=event not in ("step", "stage"))


@contextmanager
def run(store: Store, verb: str, **told: object) -> Iterator[Run]:
    """Write down what the block does. An error that ends it is noted as the run's end.

    Raises QuorateError, before the block, when the journal can't be written.
    """
    written = Run(store, verb)
    written.begin(**told)
    try:
        yield written
    except BaseException as error:
        if not written.ended:
            known = isinstance(error, QuorateError)
            why = line(str(error), LONGEST) if known else type(error).__name__
            with suppress(QuorateError):
                written.end(ok=False, stopped=not known, error=why)
        raise


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
