"""Ask the hosts: one script each, all side by side, and one more for what needs the answers of others."""

import asyncio
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from quorate.core import CommandFailed, LockLost, Transport, TransportError
from quorate.preflight.catalog import QUESTIONS
from quorate.preflight.check import Clock, World
from quorate.preflight.report import Report, judge, known, waive
from quorate.resource import ask
from quorate.spec.cluster import Host

ANSWER_WITHIN_S = 60.0
"""Seconds for a host's whole answer; an idle one takes about one."""
_TIMED = "read -r up rest </proc/uptime; printf '\\n%s\\n' \"$up\""
"""The kernel's clock, without a process of its own."""


async def preflight(world: World, via: Transport, *, waivers: Collection[str] = ()) -> Report:
    """Look at all hosts that answer and judge; nothing is changed on them.

    Raises QuorateError for a waiver that names nothing, LockLost when another run has taken the lock meanwhile.
    """
    known(waivers, [host.name for host in world.cluster.hosts])
    began, scripts = time.monotonic(), 0
    seconds: dict[str, float] = {}
    for late in (False, True):
        world, count = await _round(world, via, seconds, late=late)
        scripts += count
    findings = waive(judge(world, seconds), waivers)
    return Report(findings, time.monotonic() - began, scripts)


def script(world: World, host: Host, *, late: bool = False) -> tuple[str, tuple[str, ...]]:
    """The script of one round for a host, and the names of its questions; empty when there are none."""
    asked = {question.name: question.sh(world, host) for question in QUESTIONS if question.late == late}
    asked = {name: text for name, text in asked.items() if text}
    if not asked:
        return "", ()
    timed = [f"{_TIMED}\n(\n{text}\n)\n{_TIMED}" for text in asked.values()]
    return ask.script({"script": timed}), tuple(asked)


def parse(names: tuple[str, ...], output: str) -> tuple[dict[str, str], dict[str, float]]:
    """Answers and seconds by name of the question."""
    found = ask.answers({"script": list(names)}, output)["script"]
    answers, seconds = {}, {}
    for name, text in zip(names, found, strict=True):
        lines = text.strip().splitlines()
        if len(lines) >= 2 and all(re.fullmatch(r"\d+\.\d+", each) for each in (lines[0], lines[-1])):
            seconds[name] = float(lines[-1]) - float(lines[0])
            answers[name] = "\n".join(lines[1:-1]).strip()
    return answers, seconds


async def _round(world: World, via: Transport, seconds: dict[str, float], *, late: bool) -> tuple[World, int]:
    """The world with the answers of one round, and how many scripts it took; `seconds` become the longest."""
    answers: dict[str, Mapping[str, str]] = {name: dict(said) for name, said in world.answers.items()}
    clocks, lost = dict(world.clocks), dict(world.lost)

    async def one(host: Host, text: str, names: tuple[str, ...]) -> None:
        began = time.time()

        def on_line(line: str) -> None:
            if found := re.fullmatch(r"clock (\d+\.\d+)\s*", line):
                now = time.time()
                clocks[host.name] = Clock(float(found[1]) - (began + now) / 2, (now - began) / 2)

        try:
            output = await via.run(host.name, text, on_line=on_line, timeout=ANSWER_WITHIN_S)
        except TransportError as error:
            lost[host.name] = error.message
        except LockLost:
            raise
        except CommandFailed:
            return  # without answers every judge says that it does not know
        else:
            said, took = parse(names, output)
            answers[host.name] = {**answers.get(host.name, {}), **said}
            for name, value in took.items():
                seconds[name] = max(seconds.get(name, 0.0), value)

    scripts = [(host, *script(world, host, late=late)) for host in world.there]
    asked = [each for each in scripts if each[1]]
    await asyncio.gather(*(one(*each) for each in asked))
    return replace(world, answers=answers, clocks=clocks, lost=lost), len(asked)
