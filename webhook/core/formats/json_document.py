"""JSON: the contract for programs. README.md lists its fields.

Within version 1 keys are only ever added, and only where there is something to say.
"""

from collections import Counter
from typing import Any, Final

import msgspec

from webhook.core.decision import Finding, Verdict
from webhook.core.formats.about import About
from webhook.core.formats.wording import well_formed
from webhook.core.report import Judged, Report

VERSION: Final = 1


def render(report: Report, _about: About) -> str:
    """Indented, and with a newline at the end."""
    data = msgspec.json.encode(document(report))
    return msgspec.json.format(data, indent=2).decode() + "\n"


def document(report: Report) -> dict[str, Any]:
    """The same as plain values, for a format that only spells it differently."""
    unjudged = {"unjudged": _texts(report.unjudged)} if report.unjudged else {}
    return {
        "version": VERSION,
        "objects": [_object(judged) for judged in report.objects],
        "unreadable": _texts(report.unreadable),
        **unjudged,
        "summary": _summary(report),
    }


def _summary(report: Report) -> dict[str, Any]:
    rules = Counter(f.rule.code for judged in report.objects for f in judged.findings)
    summary: dict[str, Any] = {
        "objects": len(report.objects),
        "denied": report.count(Verdict.DENY),
        "warned": report.count(Verdict.WARN),
        "findings": dict(sorted(rules.items())),
        "unreadable": len(report.unreadable),
    }
    seldom = {"hidden": report.hidden, "unjudged": len(report.unjudged)}
    return summary | {key: count for key, count in seldom.items() if count}


def _object(judged: Judged) -> dict[str, Any]:
    values: dict[str, Any] = {
        "kind": judged.ref.kind,
        "namespace": well_formed(judged.ref.namespace),
        "name": well_formed(judged.ref.name),
        "verdict": str(judged.verdict),
        "findings": [_finding(finding, judged) for finding in judged.findings],
    }
    if judged.cluster:
        values["cluster"] = well_formed(judged.cluster)
    if judged.origin is not None:
        values |= {"file": well_formed(judged.origin.file), "line": judged.origin.line}
    return values


def _finding(finding: Finding, judged: Judged) -> dict[str, Any]:
    field = finding.violation.field
    line = {} if judged.origin is None else {"line": judged.origin.line_of(field)}
    command = well_formed(finding.violation.command)
    return {
        "rule": finding.rule.code,
        "slug": finding.rule.slug,
        "action": str(finding.action),
        "field": well_formed(field),
        "message": well_formed(finding.violation.message),
        "detail": well_formed(finding.violation.detail),
        **({"command": command} if command else {}),
        **line,
    }


def _texts(entries: tuple[Any, ...]) -> list[dict[str, str]]:
    return [
        {key: well_formed(text) for key, text in msgspec.to_builtins(entry).items()}
        for entry in entries
    ]
