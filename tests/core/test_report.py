"""What `check` or `audit` found, as values."""

import pytest

from tests.core.formats.samples import NOTED, OLD, REPORT, judged
from webhook.core.decision import Verdict
from webhook.core.report import Report
from webhook.core.rule import Action

FAILS: dict[str, tuple[Report, Action, bool]] = {
    "a denial, for denials": (REPORT, Action.DENY, True),
    "a denial, for warnings": (REPORT, Action.WARN, True),
    "a warning, for denials": (
        Report(objects=(judged("old", Verdict.WARN, OLD),)),
        Action.DENY,
        False,
    ),
    "a warning, for warnings": (
        Report(objects=(judged("old", Verdict.WARN, OLD),)),
        Action.WARN,
        True,
    ),
    "a note, for warnings": (
        Report(objects=(judged("noted", Verdict.ALLOW, NOTED),)),
        Action.WARN,
        False,
    ),
    "nothing": (Report(objects=(judged("web", Verdict.ALLOW),)), Action.WARN, False),
}


@pytest.mark.parametrize(("report", "action", "has"), FAILS.values(), ids=FAILS)
def test_whether_there_is_something_to_fail_on(report: Report, action: Action, has: bool) -> None:
    assert report.has_finding_at(action) is has
