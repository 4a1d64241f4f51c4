"""What `check` or `audit` found, as text for people and as the JSON that other programs rely
on.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from webhook.core.engine import Finding, Verdict
from webhook.core.objects import ObjectRef
from webhook.core.rule import Action
from webhook.core.text import one_line

JSON_VERSION: Final = 1
LINE_LIMIT: Final = 2000


class Origin(Struct, frozen=True, kw_only=True):
    """Where an object stands that came from a file."""

    file: str
    line: int
    """Counts from 1."""


class Judged(Struct, frozen=True, kw_only=True):
    """One object with its verdict and everything found in it."""

    ref: ObjectRef
    verdict: Verdict
    findings: tuple[Finding, ...]
    service_name: str = ""
    """Of Endpoints and EndpointSlices: the owning Service, whether it exists or not."""
    cluster: str = ""
    """The kubeconfig's context, where several clusters were audited."""
    origin: Origin | None = None


class Unread(Struct, frozen=True, kw_only=True):
    """Something that should have been judged or known, but could not be read."""

    place: str
    field: str
    reason: str


class Unjudged(Struct, frozen=True, kw_only=True):
    """A part of a cluster of which nothing can be said, because it could not be read."""

    cluster: str
    what: str
    """A kind, or what else was to be judged."""
    reason: str


class Report(Struct, frozen=True, kw_only=True):
    """The outcome of one run."""

    objects: tuple[Judged, ...]
    unreadable: tuple[Unread, ...] = ()
    unjudged: tuple[Unjudged, ...] = ()
    hidden: int = 0
    """How many findings the baseline knows already; they are not in `objects`."""

    def count(self, verdict: Verdict) -> int:
        """How many objects got this verdict."""
        return sum(judged.verdict is verdict for judged in self.objects)

    def has_finding_at(self, action: Action) -> bool:
        """Whether there is a finding of this action or a graver one."""
        findings = (finding for judged in self.objects for finding in judged.findings)
        return any(finding.action.severity >= action.severity for finding in findings)


def as_json(report: Report) -> str:
    """The contract for programs: see the README for its fields."""
    rules = Counter(f.rule.code for judged in report.objects for f in judged.findings)
    document = {
        "version": JSON_VERSION,
        "objects": [_object(judged) for judged in report.objects],
        "unreadable": [msgspec.to_builtins(unread) for unread in report.unreadable],
        **_given(unjudged=[msgspec.to_builtins(each) for each in report.unjudged]),
        "summary": {
            "objects": len(report.objects),
            "denied": report.count(Verdict.DENY),
            "warned": report.count(Verdict.WARN),
            "findings": dict(sorted(rules.items())),
            "unreadable": len(report.unreadable),
            **_given(unjudged=len(report.unjudged), hidden=report.hidden),
        },
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _given(**fields: Any) -> dict[str, Any]:
    """Keys that stand in the document only where there is something to say."""
    return {key: value for key, value in fields.items() if value}


def _object(judged: Judged) -> dict[str, Any]:
    origin = judged.origin
    return {
        **_given(cluster=judged.cluster),
        **_given(file=origin.file if origin else "", line=origin.line if origin else 0),
        "kind": judged.ref.kind,
        "namespace": judged.ref.namespace,
        "name": judged.ref.name,
        "verdict": judged.verdict,
        "findings": [_finding(finding) for finding in judged.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule.code,
        "slug": finding.rule.slug,
        "action": finding.action,
        "field": finding.violation.field,
        "message": finding.violation.message,
        "detail": finding.violation.detail,
    }


def as_text(report: Report) -> str:
    """For people: a line for each object, its findings below it, the totals last."""
    return "\n".join(one_line(line, LINE_LIMIT) for line in _lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    for judged in report.objects:
        ref = judged.ref
        yield f"{judged.verdict:<5}  {ref.kind} {ref.namespace}/{ref.name}"
        yield from _finding_lines(judged.findings)
    for unread in report.unreadable:
        yield f"error  {unread.place}: " + ": ".join(filter(None, (unread.field, unread.reason)))
    for unjudged in report.unjudged:
        where = " of ".join(filter(None, (unjudged.what, unjudged.cluster)))
        yield f"unread {where}, not judged: {unjudged.reason}"
    yield _totals(report)


def _finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        rule, violation = finding.rule, finding.violation
        before = " (was there before)" if finding.old else ""
        yield f"       {finding.action:<5} {rule.code} {rule.slug} at {violation.field}{before}"
        detail = f" ({violation.detail})" if violation.detail else ""
        yield f"             {violation.message}{detail}"
        if finding.action is Action.DENY:
            yield f"             -> {rule.remedy}"


def _totals(report: Report) -> str:
    total = len(report.objects)
    objects = f"{total} object{'' if total == 1 else 's'}"
    counts = ", ".join(
        f"{report.count(verdict)} {word}"
        for verdict, word in (
            (Verdict.DENY, "denied"),
            (Verdict.WARN, "warned"),
            (Verdict.ALLOW, "allowed"),
        )
    )
    unread = f", {len(report.unreadable)} unreadable" if report.unreadable else ""
    hidden = f", {report.hidden} known findings hidden" if report.hidden else ""
    return f"{objects}: {counts}{unread}{hidden}"
