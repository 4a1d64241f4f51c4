"""What holds for every format: each finding is told, nothing private is, and nothing breaks it."""

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.formats.reading import Told, read, told
from tests.core.formats.samples import (
    AUDIT,
    AUDITED,
    CHECK,
    CLEAN,
    EMPTY,
    FROM_FILE,
    HOSTILE,
    REPORT,
    found,
    hostile,
)
from tests.strategies import law
from webhook.cli.reporting import FORMATS
from webhook.core.decision import Finding
from webhook.core.formats.about import About
from webhook.core.objects import ObjectRef
from webhook.core.report import Judged, Report
from webhook.core.rule import Action, Violation
from webhook.core.rules import RULES

RUNS = {"check": CHECK, "audit": AUDIT}
REPORTS = {
    "nothing": EMPTY,
    "an object without findings": CLEAN,
    "an unreadable file": REPORT,
    "a place in a file": FROM_FILE,
    "several clusters": AUDITED,
}
every_format = pytest.mark.parametrize("format_", FORMATS)
every_run = pytest.mark.parametrize("about", RUNS.values(), ids=RUNS)

lines = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=30)
words = st.text(st.sampled_from("abz019.-_[]"), min_size=1, max_size=12)
findings = st.builds(
    lambda rule, action, field, message: Finding(rule, action, Violation(field, message)),
    st.sampled_from(list(RULES.values())),
    st.sampled_from([Action.DENY, Action.WARN, Action.AUDIT]),
    words,
    lines,
)
objects = st.builds(
    lambda kind, namespace, name, its, cluster: found(
        ObjectRef(kind, namespace, name), *its, cluster=cluster
    ),
    st.sampled_from(["Endpoints", "EndpointSlice", "Pod", "Service"]),
    words,
    words,
    st.lists(findings, max_size=4),
    st.sampled_from(["", "prod", "lab"]),
)
reports = st.builds(lambda each: Report(objects=tuple(each)), st.lists(objects, max_size=6))


LINK = Finding(RULES["EG101"], Action.DENY, Violation("metadata.name", "[a](b"))


@every_format
@law
@given(report=reports)
@example(report=Report(objects=(found(ObjectRef("Endpoints", "a", "b"), LINK),)))
def test_every_finding_is_in_every_format(format_: str, report: Report) -> None:
    """The audit's text leaves out objects without findings, and no finding."""
    one_cluster = report if format_ not in ("sarif", "github") else _of_one_cluster(report)
    for about in RUNS.values():
        assert read(format_, FORMATS[format_](one_cluster, about)) == _told(format_, one_cluster)


def _told(format_: str, report: Report) -> Counter[Told]:
    """SARIF would make a link of `](`, so that is parted there: nothing else quotes it."""
    if format_ != "sarif":
        return told(report)
    return Counter(
        (rule, action, field, message.replace("](", "] ("))
        for rule, action, field, message in told(report).elements()
    )


def _of_one_cluster(report: Report) -> Report:
    """Messages of these two begin with the name of the cluster, which the reader does not know."""
    return Report(objects=tuple(found(each.ref, *each.findings) for each in report.objects))


@every_format
@every_run
@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_every_report_can_be_written(format_: str, about: About, report: Report) -> None:
    text = FORMATS[format_](report, about)
    assert read(format_, text).total() == told(report).total()
    assert text == "" or text.endswith("\n")
    assert not text.endswith("\n\n")


@every_format
@every_run
def test_nothing_private_is_told(format_: str, about: About) -> None:
    """The audit opens what is private before it reports."""
    assert "a secret" not in FORMATS[format_](REPORT, about)


@every_format
@every_run
def test_the_command_that_mends_it_is_told(format_: str, about: About) -> None:
    violation = Violation("subjects", "Bob may write", command="kubectl delete it")
    made = Finding(RULES["EG604"], Action.AUDIT, violation)
    report = Report(objects=(found(ObjectRef("RoleBinding", "shop", "b"), made),))
    assert "kubectl delete it" in FORMATS[format_](report, about)


@every_format
@every_run
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_adds_no_finding_and_loses_none(format_: str, about: About, text: str) -> None:
    report = hostile(text)
    made = FORMATS[format_](report, about)
    assert read(format_, made).total() == told(report).total()
    assert made.encode("utf-8")


FOR_PEOPLE = [format_ for format_ in FORMATS if format_ not in ("json", "yaml")]


@pytest.mark.parametrize("format_", FOR_PEOPLE)
@every_run
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_people_are_shown_nothing_that_cannot_be_printed(
    format_: str, about: About, text: str
) -> None:
    made = FORMATS[format_](hostile(text), about)
    assert [each for each in made if not (each.isprintable() or each in "\n\u200b")] == []


@every_format
def test_many_findings_are_no_fewer(format_: str) -> None:
    one = Finding(RULES["EG201"], Action.DENY, Violation("subsets", "it is wrong"))
    many = Report(
        objects=tuple(
            Judged(
                ref=ObjectRef("Endpoints", f"ns-{index % 20}", f"web-{index}"),
                verdict=found(ObjectRef("Endpoints", "", ""), one).verdict,
                findings=(one,) * 10,
            )
            for index in range(300)
        )
    )
    assert read(format_, FORMATS[format_](many, AUDIT)).total() == 3_000
