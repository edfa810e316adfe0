"""Verify's judges: pure, each asked about what is well and what is not, to the word."""

from collections import Counter

import judged
import judged_experiments
import pytest
from judged import Case

from quorate.report.findings import Status
from quorate.verify.catalog import CHECKS

CASES = (*judged.CASES, *judged_experiments.CASES)
BY_ID = {check.id: check for check in CHECKS}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.id}-{case.verdict.status}")
def test_a_judge_says_what_was_seen(case: Case) -> None:
    assert BY_ID[case.id].judge(case.cluster, case.seen) == case.verdict


@pytest.mark.parametrize("status", [Status.PASSED, Status.FAILED])
def test_every_check_has_a_good_and_a_bad_case(status: Status) -> None:
    judged_so = Counter(case.id for case in CASES if case.verdict.status is status)
    assert judged_so.keys() == BY_ID.keys()
