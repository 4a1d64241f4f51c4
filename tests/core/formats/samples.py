"""Reports that the tests of all formats share."""

from webhook.core.engine import Finding, Verdict
from webhook.core.formats.about import About
from webhook.core.objects import ObjectRef
from webhook.core.report import Judged, Report, Unread
from webhook.core.rule import Action, Violation
from webhook.core.rules import RULES

CHECK = About(command="check", version="1.2.3", at="2026-11-25T12:00:00Z")
AUDIT = About(command="audit", version="1.2.3", at="2026-11-25T12:00:00Z")
EMPTY = Report(objects=())


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

CLEAN = Report(objects=(judged("web", Verdict.ALLOW),))
