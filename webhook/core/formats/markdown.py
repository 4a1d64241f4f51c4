"""Markdown as GitHub renders it: for a comment on a pull request, or the summary of a job.

GitHub takes 65,536 characters in a comment and a megabyte in a summary; nothing is left out here.
What others wrote is neither markup nor a link nor a mention when it arrives.
"""

import re
from collections.abc import Iterator
from typing import Final

from webhook.core.decision import Finding, Verdict
from webhook.core.formats.about import About
from webhook.core.formats.overview import ACTIONS, Group, by_namespace, by_rule
from webhook.core.formats.wording import (
    counted,
    help_page,
    left_out,
    of_service,
    problem,
    shown,
    statement,
)
from webhook.core.report import Judged, Report
from webhook.core.rule import Rule

_MARKUP: Final = re.compile(r"[^\w .,;()/'=-]|_")
_LINKS: Final = re.compile(r"(?<=@|#)|(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
_MARKS: Final = {"deny": "🔴 deny", "warn": "🟡 warn", "audit": "🔵 audit"}
_INVISIBLE: Final = "\u200b"


def render(report: Report, about: About) -> str:
    """The totals, the rules that were broken, and a table for each namespace."""
    return "".join(f"{line}\n" for line in _lines(report, about))


def _lines(report: Report, about: About) -> Iterator[str]:
    yield f"## endpoints-guard {about.command}"
    yield ""
    yield _totals(report, about)
    yield from _rules(report)
    for group in by_namespace(report):
        yield from _namespace(group)
    yield from _unread(report)


def _totals(report: Report, about: About) -> str:
    denied, warned = report.count(Verdict.DENY), report.count(Verdict.WARN)
    hidden = f", {report.hidden:,} known findings hidden" if report.hidden else ""
    said = f"{denied:,} {about.denied}, {warned:,} warned{hidden}"
    if any(judged.findings for judged in report.objects) or report.unreadable or report.unjudged:
        return f"{counted(len(report.objects), 'object')}: {said}."
    return f"✅ Nothing found in {counted(len(report.objects), 'object')}{hidden}."


def _rules(report: Report) -> Iterator[str]:
    rules = by_rule(report)
    if not rules:
        return
    yield ""
    yield "| rule | deny | warn | audit | remedy |"
    yield "| --- | ---: | ---: | ---: | --- |"
    for rule, tally in rules:
        counts = " | ".join(f"{tally.of(action):,}" for action in ACTIONS)
        yield f"| {_link(rule)} | {counts} | {_text(rule.remedy)} |"


def _namespace(group: Group) -> Iterator[str]:
    where = f"Namespace {_text(group.namespace)}" if group.namespace else "Whole cluster"
    yield ""
    yield f"### {_text(group.cluster)}: {where}" if group.cluster else f"### {where}"
    yield ""
    yield "| | rule | object | field | what is wrong |"
    yield "| --- | --- | --- | --- | --- |"
    for judged in group.objects:
        for finding in judged.findings:
            yield _row(judged, finding)


def _row(judged: Judged, finding: Finding) -> str:
    ref, origin, field = judged.ref, judged.origin, finding.violation.field
    place = f"<br>{_text(f'{origin.file}:{origin.line_of(field)}')}" if origin else ""
    cells = (
        _MARKS[finding.action],
        _link(finding.rule),
        f"{ref.kind} {_text(ref.name + of_service(judged))}{place}",
        _text(field),
        _text(statement(finding)) + _command(finding.violation.command),
    )
    return f"| {' | '.join(cells)} |"


def _unread(report: Report) -> Iterator[str]:
    unread = [(unread.place, problem(unread)) for unread in report.unreadable]
    unread += [(f"{left_out(part)}, not judged", part.reason) for part in report.unjudged]
    if unread:
        yield from ("", "### Could not be read", "", "| what | why |", "| --- | --- |")
    for place, reason in unread:
        yield f"| {_text(place)} | {_text(reason)} |"


def _link(rule: Rule) -> str:
    return f"[{rule.code} {rule.slug}]({help_page(rule)})"


def _command(command: str) -> str:
    """In code GitHub makes no mention of anything, and nothing invisible is in what is copied."""
    return f"<br><code>{_MARKUP.sub(_escaped, shown(command))}</code>" if command else ""


def _text(text: str) -> str:
    """Text that stays text. An invisible space parts what GitHub would make a link of."""
    parted = _LINKS.sub(_INVISIBLE, shown(text))
    return _MARKUP.sub(_escaped, parted).strip()


def _escaped(match: re.Match[str]) -> str:
    return match[0] if match[0] == _INVISIBLE else f"&#{ord(match[0])};"
