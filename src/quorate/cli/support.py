"""`quorate support`: one archive for a report of a fault."""

import asyncio
import io
import json as json_text
import platform
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from quorate.cli.connect import connected
from quorate.cli.history import print_runs
from quorate.cli.look import Looked, host_titles, look
from quorate.cli.output import Output, busy, print_json
from quorate.cli.status import print_status
from quorate.core import QuorateError, TransportError
from quorate.plan.redact import Redactor
from quorate.plan.words import line, many, size
from quorate.procedure import support, support_archive
from quorate.procedure.status import Status, status
from quorate.procedure.support import Hosts
from quorate.procedure.support_archive import CONTENTS, LOOK, Packed
from quorate.report import plan as plan_text
from quorate.report.console import BAD, GOOD, NAME, WARN
from quorate.spec.cluster import Cluster
from quorate.spec.load import load
from quorate.state.bundle import tail
from quorate.state.history import JournalRun, read
from quorate.state.store import Store

T = TypeVar("T")

PART_TIMEOUT_SECONDS = 120.0
"""Seconds for the status and the plan each: without them the rest is written."""
TEXT_COLUMNS = 160
"""Columns of the texts in it."""


async def write_archive(out: Output, file: Path, output: Path | None, *, json: bool) -> int:
    """Gather what hosts and state folder tell, and write it without secrets."""
    cluster, now = load(file), datetime.now(UTC)
    name = f"{cluster.name}-support-{now:%Y%m%dT%H%M%SZ}"
    path = output or Path(f"{name}.tar.gz")
    support_archive.demand_place(path)
    store = Store.beside(file, cluster.name)
    redactor = Redactor(support_archive.secrets(cluster, store))
    runs, failed = read(store.path / "journal.jsonl"), dict[str, str]()
    async with connected(cluster, file, asks=not json) as via:
        with busy(None if json else out, "asking every host") as emit:
            hosts, cluster_status, plan = await asyncio.gather(
                support.gather(cluster, via, support.since(runs, now)),
                _part_or_none("status", status(cluster, via), failed),
                _part_or_none("plan", look(cluster, file, via, emit), failed),
            )
    texts = _texts(cluster, file, store, runs, hosts, cluster_status, plan)
    failed |= hosts.lost
    texts["failed.txt"] = "".join(f"{what}: {why}\n" for what, why in failed.items())
    packed = support_archive.pack(name, texts, redactor)
    support_archive.write(path, packed)
    code = TransportError.exit_code if hosts.lost else 0
    if json:
        answer = {"file": str(path), "bytes": len(packed.data), "files": dict(packed.files), "hidden": packed.hidden}
        print_json({**answer, "unreachable": hosts.lost, "failed": failed, "exit_code": code})
    else:
        _print_result(out, path, packed, hosts, failed)
    return code


async def _part_or_none(name: str, work: Awaitable[T], failed: dict[str, str]) -> T | None:
    """A piece of it; why it could not be had goes into `failed`, and the rest is written without it."""
    try:
        async with asyncio.timeout(PART_TIMEOUT_SECONDS):
            return await work
    except TimeoutError:
        failed[name] = f"not there after {PART_TIMEOUT_SECONDS:g} s"
    except QuorateError as error:
        failed[name] = f"{error}" + (f" ({error.hint})" if error.hint else "")
    except Exception as error:  # a bug is what such an archive is for
        frames = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
        failed[name] = f"a bug in quorate: {type(error).__name__}: {error}\n{frames}"
    return None


def _texts(
    cluster: Cluster,
    file: Path,
    store: Store,
    runs: list[JournalRun],
    hosts: Hosts,
    cluster_status: Status | None,
    plan: Looked | None,
) -> dict[str, str]:
    """All texts by their names in the archive."""
    texts = {"cluster.yaml": file.read_text(encoding="utf-8", errors="replace"), "versions.txt": _versions(hosts)}
    if cluster_status is not None:
        texts["status.txt"] = _text_of(lambda out: print_status(out, cluster, cluster_status, {}))
        texts["status.json"] = json_text.dumps(cluster_status.as_dict(), indent=2, default=str)
    if plan is not None:
        texts["plan.txt"] = _text_of(lambda out: _print_plan(out, cluster, plan))
    if runs:
        texts["state/history.txt"] = _text_of(lambda out: print_runs(out, runs))
    for each in ("journal.jsonl", "last-applied.yaml", "allocations.json", "endpoints", "machines.json"):
        if content := store.read(store.path / each):
            texts[f"state/{each}"] = tail(content).decode("utf-8", "replace")
    for host, files in hosts.texts.items():
        texts |= {f"hosts/{host}/{name}": text for name, text in files.items()}
    return texts | {f"hosts/{host}/unreachable.txt": f"{why}\n" for host, why in hosts.lost.items()}


def _text_of(draw: Callable[[Output], None]) -> str:
    """What a verb would print, as text."""
    buffer, out = io.StringIO(), Output()
    out.console = Console(
        file=buffer, width=TEXT_COLUMNS, color_system=None, highlight=False, markup=False, emoji=False
    )
    draw(out)
    return buffer.getvalue()


def _print_plan(out: Output, cluster: Cluster, looked: Looked) -> None:
    plan_text.lines(out.console, looked.shown, host_titles(looked))
    plan_text.notes(out.console, looked.shown, verbose=True)
    plan_text.verdict(out.console, cluster.name, looked.shown)


def _versions(hosts: Hosts) -> str:
    here = f"quorate {version('quorate')}\npython {platform.python_version()}\nthis machine: {platform.platform()}\n"
    rest = (f"\n{host}:\n{files.get('versions.txt', '')}" for host, files in hosts.texts.items())
    return here + "".join(rest)


def _print_result(out: Output, path: Path, packed: Packed, hosts: Hosts, failed: dict[str, str]) -> None:
    out.say(
        (str(path), NAME), (" is written", f"bold {GOOD}"), f", {size(len(packed.data))} in {len(packed.files)} files"
    )
    host_names = ", ".join(hosts.texts) or "no host"
    out.say(
        f"In it: status, plan, versions, configuration, history; system, services, journals and files of {host_names}."
    )
    out.say(f"{CONTENTS} names each file. {many(packed.hidden, 'secret')} hidden.")
    for part, reason in failed.items():
        where = "unreachable  " if part in hosts.lost else "left out     "
        out.say((where, BAD if part in hosts.lost else WARN), (part, NAME), "  ", line(reason, 300))
    out.say((LOOK, WARN))
