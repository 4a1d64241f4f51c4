"""What a verdict rested on, as the facts of one log line.

Names whatever it takes, other namespaces included: the log is for whoever runs the webhook. It
holds no annotation, no label but the Service's selector, and no whole object.
"""

from collections.abc import Iterator
from typing import Any, Final

from webhook.core.admission import Review, sentence
from webhook.core.decision import Decision, Finding, Grounds
from webhook.core.explain import owners, ownership
from webhook.core.objects import Endpoints, EndpointSlice
from webhook.telemetry.lines import short

FINDINGS: Final = 20
"""Findings in one line, the gravest first; the line says how many there are in all."""
ADDRESSES: Final = 20
"""Addresses in one line whose owners are named: the first that its findings are about."""
_TEXT: Final = 512
_NAME: Final = 253


def facts(review: Review, decision: Decision) -> dict[str, Any]:
    """Who wanted what, what was found, and what was known about it."""
    request = review.request
    found = {
        "uid": short(review.uid, _NAME),
        "kind": request.ref.kind,
        "namespace": short(request.ref.namespace, _NAME),
        "object": short(request.ref.name, _NAME),
        "operation": request.operation,
        "user": short(request.username, _TEXT),
        "dry_run": request.dry_run,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "findings": [_text(finding) for finding in decision.findings[:FINDINGS]],
        "findings_total": decision.total,
    }
    if request.new is not None and decision.grounds is not None:
        found |= _known(request.new, decision.findings[:FINDINGS], decision.grounds)
    return found


def _known(
    subject: Endpoints | EndpointSlice, findings: tuple[Finding, ...], grounds: Grounds
) -> dict[str, Any]:
    return {
        "service": short(ownership(subject, grounds.inventory), _TEXT),
        "owners": dict(_owners(subject, findings, grounds)),
        "confirmed": grounds.live,
    }


def _owners(
    subject: Endpoints | EndpointSlice, findings: tuple[Finding, ...], grounds: Grounds
) -> Iterator[tuple[str, str]]:
    """Each address that a finding is about, with who holds it."""
    fields = {finding.violation.field for finding in findings}
    about = (
        listed
        for part in subject.parts
        for listed in part.addresses
        if listed.path in fields or any(f.startswith(f"{listed.endpoint_path}.") for f in fields)
    )
    for listed, _ in zip(about, range(ADDRESSES), strict=False):
        held_by = "; ".join(owners(grounds.inventory, listed)) or "nobody"
        yield short(listed.address.text, 64), short(held_by, _TEXT)


def _text(finding: Finding) -> str:
    violation = finding.violation
    known = "; ".join(filter(None, (violation.detail, violation.private)))
    return short(f"{finding.action} {sentence(finding)}" + (f" ({known})" if known else ""), _TEXT)
