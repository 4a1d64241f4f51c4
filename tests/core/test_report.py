"""What `check` found, written out: the text for people, the JSON that programs rely on."""

import json
from collections.abc import Callable

import pytest

from webhook.core.engine import Finding, Verdict
from webhook.core.objects import ObjectRef
from webhook.core.report import Judged, Report, Unread, as_json, as_text
from webhook.core.rule import Action, Violation
from webhook.core.rules import RULES


def finding(code: str, action: Action, violation: Violation, *, old: bool = False) -> Finding:
    return Finding(RULES[code], action, violation, old)


def judged(name: str, verdict: Verdict, *findings: Finding, kind: str = "Endpoints") -> Judged:
    return Judged(ref=ObjectRef(kind, "shop", name), verdict=verdict, findings=findings)


FIELD = "subsets[0].addresses[0].ip"
DENIED = finding(
    "EG201", Action.DENY, Violation(FIELD, "10.0.7.8 is no Pod of yours", "a detail", "a secret")
)
OLD = finding("EG505", Action.WARN, Violation(FIELD, "127.0.0.1 is special"), old=True)
WARNED = finding("EG101", Action.WARN, Violation("metadata.name", "there is no Service"))
NOTED = finding("EG102", Action.AUDIT, Violation("endpoints", "an alias"))
UNREAD = Unread(place="a.yaml, document 2", field="spec.ports[0].port", reason="Expected `int`")
REPORT = Report(
    objects=(
        judged("web", Verdict.DENY, DENIED, WARNED),
        judged("old", Verdict.WARN, OLD),
        judged("fine-abcde", Verdict.ALLOW, kind="EndpointSlice"),
        judged("noted", Verdict.ALLOW, NOTED),
    ),
    unreadable=(UNREAD, Unread(place="b.yaml", field="", reason="Permission denied")),
)


def test_text_has_a_line_for_each_object_its_findings_below_and_the_totals_last() -> None:
    assert (
        as_text(REPORT)
        == f"""\
deny   Endpoints shop/web
       deny  EG201 pod-not-selected at {FIELD}
             10.0.7.8 is no Pod of yours (a detail)
             -> {RULES["EG201"].remedy}
       warn  EG101 no-service at metadata.name
             there is no Service
warn   Endpoints shop/old
       warn  EG505 special-address at {FIELD} (was there before)
             127.0.0.1 is special
allow  EndpointSlice shop/fine-abcde
allow  Endpoints shop/noted
       audit EG102 external-name-service at endpoints
             an alias
error  a.yaml, document 2: spec.ports[0].port: Expected `int`
error  b.yaml: Permission denied
4 objects: 1 denied, 1 warned, 2 allowed, 2 unreadable
"""
    )


def test_text_of_nothing() -> None:
    assert as_text(Report(objects=())) == "0 objects: 0 denied, 0 warned, 0 allowed\n"


def test_text_of_one_object() -> None:
    one = Report(objects=(judged("web", Verdict.ALLOW),))
    assert as_text(one) == ("allow  Endpoints shop/web\n1 object: 0 denied, 0 warned, 1 allowed\n")


def test_json_is_a_contract() -> None:
    """Fields may be added under a new version only with care; none of these may go."""
    assert json.loads(as_json(REPORT)) == {
        "version": 1,
        "objects": [
            {
                "kind": "Endpoints",
                "namespace": "shop",
                "name": "web",
                "verdict": "deny",
                "findings": [
                    {
                        "rule": "EG201",
                        "slug": "pod-not-selected",
                        "action": "deny",
                        "field": FIELD,
                        "message": "10.0.7.8 is no Pod of yours",
                        "detail": "a detail",
                    },
                    {
                        "rule": "EG101",
                        "slug": "no-service",
                        "action": "warn",
                        "field": "metadata.name",
                        "message": "there is no Service",
                        "detail": "",
                    },
                ],
            },
            {
                "kind": "Endpoints",
                "namespace": "shop",
                "name": "old",
                "verdict": "warn",
                "findings": [
                    {
                        "rule": "EG505",
                        "slug": "special-address",
                        "action": "warn",
                        "field": FIELD,
                        "message": "127.0.0.1 is special",
                        "detail": "",
                    }
                ],
            },
            {
                "kind": "EndpointSlice",
                "namespace": "shop",
                "name": "fine-abcde",
                "verdict": "allow",
                "findings": [],
            },
            {
                "kind": "Endpoints",
                "namespace": "shop",
                "name": "noted",
                "verdict": "allow",
                "findings": [
                    {
                        "rule": "EG102",
                        "slug": "external-name-service",
                        "action": "audit",
                        "field": "endpoints",
                        "message": "an alias",
                        "detail": "",
                    }
                ],
            },
        ],
        "unreadable": [
            {
                "place": "a.yaml, document 2",
                "field": "spec.ports[0].port",
                "reason": "Expected `int`",
            },
            {"place": "b.yaml", "field": "", "reason": "Permission denied"},
        ],
        "summary": {
            "objects": 4,
            "denied": 1,
            "warned": 1,
            "findings": {"EG101": 1, "EG102": 1, "EG201": 1, "EG505": 1},
            "unreadable": 2,
        },
    }


def test_json_of_nothing() -> None:
    assert json.loads(as_json(Report(objects=()))) == {
        "version": 1,
        "objects": [],
        "unreadable": [],
        "summary": {"objects": 0, "denied": 0, "warned": 0, "findings": {}, "unreadable": 0},
    }


@pytest.mark.parametrize("write", [as_text, as_json])
def test_neither_tells_what_is_private(write: Callable[[Report], str]) -> None:
    assert "a secret" not in write(REPORT)


@pytest.mark.parametrize("write", [as_text, as_json])
def test_both_end_with_one_newline(write: Callable[[Report], str]) -> None:
    text = write(REPORT)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


HOSTILE = {
    "a forged line": "x\nallow  Endpoints shop/web",
    "terminal escapes": "\x1b[2J\x1b[31m",
    "a carriage return": "deny\rallow",
    "text that runs backwards": "\u202eabc",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_a_manifest_says_cannot_forge_a_line_of_the_report(text: str) -> None:
    """Names and messages come from files that somebody else wrote."""
    made = finding("EG302", Action.DENY, Violation(FIELD, f"it names {text}", text))
    plain = finding("EG302", Action.DENY, Violation(FIELD, "it names", "a detail"))
    unread = Unread(place=f"{text}.yaml", field=text, reason=text)
    report = Report(objects=(judged(text, Verdict.DENY, made),), unreadable=(unread,))
    harmless = Report(objects=(judged("web", Verdict.DENY, plain),), unreadable=(UNREAD,))
    lines = as_text(report).split("\n")
    assert len(lines) == len(as_text(harmless).split("\n"))
    assert all(line.isprintable() for line in lines)


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
