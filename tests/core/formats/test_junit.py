"""JUnit XML, for the test pages of CI systems."""

from xml.etree import ElementTree as ET

import pytest
from msgspec import structs

from tests.core.formats.samples import AUDIT, AUDITED, CHECK, EMPTY, FIELD, FROM_FILE, REPORT
from webhook.core.formats.junit import render
from webhook.core.rule import Action
from webhook.core.rules import RULES


def test_a_case_is_a_finding_or_an_object_without_one() -> None:
    remedy = {code: RULES[code].remedy for code in RULES}
    assert (
        render(REPORT, CHECK)
        == f"""\
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="endpoints-guard check" tests="7" failures="1" errors="2">
  <testsuite name="shop" tests="5" failures="1" errors="0" skipped="3" timestamp="2026-11-25T12:00:00">
    <testcase classname="shop.Endpoints.web" name="EG201 pod-not-selected at {FIELD}">
      <failure type="EG201" message="deny: 10.0.7.8 is no Pod of yours (a detail)">deny: 10.0.7.8 is no Pod of yours (a detail)
at {FIELD}
{remedy["EG201"]}</failure>
    </testcase>
    <testcase classname="shop.Endpoints.web" name="EG101 no-service at metadata.name">
      <skipped>warn: there is no Service
at metadata.name
{remedy["EG101"]}</skipped>
    </testcase>
    <testcase classname="shop.Endpoints.old" name="EG505 special-address at {FIELD}">
      <skipped>warn: 127.0.0.1 is special
at {FIELD}
{remedy["EG505"]}</skipped>
    </testcase>
    <testcase classname="shop.EndpointSlice.fine-abcde" name="nothing found" />
    <testcase classname="shop.Endpoints.noted" name="EG102 external-name-service at endpoints">
      <skipped>audit: an alias
at endpoints
{remedy["EG102"]}</skipped>
    </testcase>
  </testsuite>
  <testsuite name="what could not be read" tests="2" failures="0" errors="2" skipped="0" timestamp="2026-11-25T12:00:00">
    <testcase classname="unread" name="a.yaml, document 2">
      <error type="unread" message="spec.ports[0].port: Expected `int`" />
    </testcase>
    <testcase classname="unread" name="b.yaml">
      <error type="unread" message="Permission denied" />
    </testcase>
  </testsuite>
</testsuites>
"""  # noqa: E501
    )


def test_nothing_has_no_suite() -> None:
    assert render(EMPTY, CHECK) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<testsuites name="endpoints-guard check" tests="0" failures="0" errors="0" />\n'
    )


FAILURES = {
    Action.DENY: ["EG201"],
    Action.WARN: ["EG201", "EG101", "EG505"],
    Action.AUDIT: ["EG201", "EG101", "EG505", "EG102"],
    None: [],
}


@pytest.mark.parametrize(("fail_on", "codes"), FAILURES.items(), ids=map(str, FAILURES))
def test_what_fails_the_run_is_a_failure(fail_on: Action | None, codes: list[str]) -> None:
    suites = ET.fromstring(render(REPORT, structs.replace(CHECK, fail_on=fail_on)))
    failed = [case for case in suites.iter("testcase") if case.find("failure") is not None]
    assert [case.attrib["name"].split()[0] for case in failed] == codes
    assert suites.attrib["failures"] == str(len(codes))


def test_a_suite_is_a_namespace_of_a_cluster() -> None:
    suites = ET.fromstring(render(AUDITED, AUDIT))
    assert [(suite.attrib["name"], suite.attrib["tests"]) for suite in suites] == [
        ("prod: calm", "1"),
        ("prod: shop", "4"),
        ("lab: whole cluster", "1"),
        ("what could not be read", "2"),
    ]


def test_the_place_in_a_file_is_told() -> None:
    first, second = ET.fromstring(render(FROM_FILE, CHECK)).iter("testcase")
    assert "app/a b.yaml:19" in (first[0].text or "").split("\n")
    assert "app/a b.yaml:12" in (second[0].text or "").split("\n")
