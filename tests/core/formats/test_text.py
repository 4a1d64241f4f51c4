"""The text for people, of `check` and of `audit`."""

import pytest
from msgspec.structs import replace

from tests.core.formats.samples import (
    AUDIT,
    CHECK,
    DENIED,
    EMPTY,
    FIELD,
    NOTED,
    REPORT,
    UNREAD,
    finding,
    judged,
)
from webhook.core.decision import Verdict
from webhook.core.formats.text import render
from webhook.core.report import Report, Unread
from webhook.core.rule import Action, Violation
from webhook.core.rules import RULES


def test_text_has_a_line_for_each_object_its_findings_below_and_the_totals_last() -> None:
    assert (
        render(REPORT, CHECK)
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
    assert render(EMPTY, CHECK) == "0 objects: 0 denied, 0 warned, 0 allowed\n"


def test_text_of_one_object() -> None:
    one = Report(objects=(judged("web", Verdict.ALLOW),))
    assert render(one, CHECK) == (
        "allow  Endpoints shop/web\n1 object: 0 denied, 0 warned, 1 allowed\n"
    )


def test_a_command_stands_on_a_line_of_its_own_to_be_copied() -> None:
    violation = Violation(FIELD, "Bob may write", "a detail", command="kubectl delete it")
    report = Report(
        objects=(judged("b", Verdict.ALLOW, finding("EG604", Action.AUDIT, violation)),)
    )
    assert "Bob may write (a detail)\n             $ kubectl delete it\n" in render(report, CHECK)


def test_an_audit_says_whose_a_slice_is() -> None:
    noted = judged("web-x7k2p", Verdict.ALLOW, NOTED, kind="EndpointSlice")
    slices = (replace(noted, service_name="web"), noted)
    text = render(Report(objects=slices), AUDIT)
    assert "  EndpointSlice web-x7k2p of Service web\n" in text
    assert "  EndpointSlice web-x7k2p\n" in text


def test_what_is_stored_was_not_denied_but_would_be() -> None:
    denied = Report(objects=(judged("web", Verdict.DENY, DENIED),))
    assert render(denied, AUDIT).endswith("1 object: 1 would be denied, 0 warned, 0 allowed\n")
    assert render(denied, CHECK).endswith("1 object: 1 denied, 0 warned, 0 allowed\n")


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
    lines = render(report, CHECK).split("\n")
    assert len(lines) == len(render(harmless, CHECK).split("\n"))
    assert all(line.isprintable() for line in lines)
