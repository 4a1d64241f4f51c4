"""SARIF and JUnit against the schemas that their readers go by."""

import io
import json

import jsonschema
import pytest
import xmlschema

from tests.core.formats.samples import (
    AUDIT,
    AUDITED,
    CHECK,
    CLEAN,
    EMPTY,
    FROM_FILE,
    HOSTILE,
    REPORT,
    hostile,
)
from tests.reports.published import JUNIT, SARIF, content
from webhook.core.formats import junit, sarif
from webhook.core.report import Report

REPORTS: dict[str, Report] = {
    "nothing": EMPTY,
    "an object without findings": CLEAN,
    "an unreadable file": REPORT,
    "a place in a file": FROM_FILE,
    "several clusters": AUDITED,
    **{f"hostile: {name}": hostile(text) for name, text in HOSTILE.items()},
}
every_report = pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)


@every_report
def test_sarif_is_valid(report: Report) -> None:
    schema = json.loads(content(SARIF))
    validator = jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())
    for about in (CHECK, AUDIT):
        document = json.loads(sarif.render(report, about))
        assert [error.message for error in validator.iter_errors(document)] == []


@every_report
def test_junit_is_valid(report: Report) -> None:
    schema = xmlschema.XMLSchema(io.StringIO(content(JUNIT)))
    for about in (CHECK, AUDIT):
        schema.validate(junit.render(report, about))


def test_the_schemas_do_refuse_what_is_wrong() -> None:
    document = json.loads(sarif.render(FROM_FILE, CHECK))
    document["runs"][0]["results"][0]["level"] = "grave"
    assert not jsonschema.Draft4Validator(json.loads(content(SARIF))).is_valid(document)
    schema = xmlschema.XMLSchema(io.StringIO(content(JUNIT)))
    assert not schema.is_valid(junit.render(FROM_FILE, CHECK).replace("failure", "defeat"))
