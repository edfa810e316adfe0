"""What came of tests: read from the suite's JUnit files, kept as JSON, written as one JUnit file."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from quorate.plan.words import clean

LOG = 20_000
"""Characters of a failed test's log that are kept: its end."""


class Outcome(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    LEFT = "not run"


@dataclass(frozen=True)
class Result:
    """One test's result."""

    name: str
    outcome: Outcome
    seconds: float = 0.0
    reason: str = ""
    """Why it failed, or was not run."""
    log: str = ""


def of_junit(text: str, wanted: Iterable[str]) -> list[Result]:
    """The wanted tests' results in a JUnit file of the suite. Raises ValueError when it is none."""
    names = set(wanted)
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise ValueError(f"no JUnit file: {error}") from None
    found = {}
    for case in root.iter("testcase"):
        name = case.get("name", "").removeprefix("[It] ").strip()
        if name in names:
            found[name] = _result(name, case)
    return list(found.values())


def _result(name: str, case: ET.Element) -> Result:
    seconds = float(case.get("time") or 0)
    for kind in ("failure", "error"):
        if (bad := case.find(kind)) is not None:
            reason = bad.get("message") or (bad.text or "").strip().partition("\n")[0] or "it failed"
            log = "\n".join(filter(None, (bad.text or "", case.findtext("system-err") or "")))
            return Result(name, Outcome.FAILED, seconds, reason.strip(), log.strip()[-LOG:])
    if (skipped := case.find("skipped")) is not None:
        # The suite writes its own words before the test's.
        return Result(name, Outcome.LEFT, seconds, (skipped.get("message") or "skipped").removeprefix("skipped - "))
    return Result(name, Outcome.PASSED, seconds)


def plain(result: Result) -> dict[str, object]:
    """As JSON holds it."""
    return asdict(result)


def of_plain(given: Mapping[str, object]) -> Result:
    """What `plain` gave. Raises KeyError or ValueError for anything else."""
    return Result(
        str(given["name"]),
        Outcome(str(given["outcome"])),
        float(str(given["seconds"])),
        str(given["reason"]),
        str(given["log"]),
    )


def junit(name: str, results: Sequence[Result]) -> str:
    """One JUnit file of all results."""
    failed = sum(1 for each in results if each.outcome is Outcome.FAILED)
    left = sum(1 for each in results if each.outcome is Outcome.LEFT)
    suite = ET.Element("testsuite", name=name, time=f"{sum(each.seconds for each in results):.1f}")
    for kind, count in (("tests", len(results)), ("failures", failed), ("skipped", left)):
        suite.set(kind, str(count))
    for each in results:
        case = ET.SubElement(suite, "testcase", name=clean(each.name), classname=name, time=f"{each.seconds:.1f}")
        if each.outcome is Outcome.FAILED:
            ET.SubElement(case, "failure", message=clean(each.reason)).text = clean(each.log)
        elif each.outcome is Outcome.LEFT:
            ET.SubElement(case, "skipped", message=clean(each.reason))
        elif each.reason:
            ET.SubElement(case, "system-out").text = clean(each.reason)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"
