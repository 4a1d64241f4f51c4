"""Text for people: a line for each object, what was found below it, the totals last.

An audit is grouped by namespace and leaves out what is as it should be. Lines are made of spans, so
that a terminal can colour them; nothing here knows how.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from webhook.core.decision import Finding, Verdict
from webhook.core.formats.about import About
from webhook.core.formats.overview import (
    ACTIONS,
    Group,
    by_namespace,
    by_rule,
    every_finding,
    tally,
)
from webhook.core.formats.wording import called, counted, left_out, of_service, problem, statement
from webhook.core.report import Judged, Report
from webhook.core.rule import Action
from webhook.core.text import one_line

LINE_LIMIT: Final = 2000


class Span(Struct, frozen=True):
    """A piece of a line. `style` is a verdict, an action, `title`, `error`, or empty."""

    text: str
    style: str = ""


Line = tuple[Span, ...]


def render(report: Report, about: About) -> str:
    """Plain, for a file or a pipe."""
    return "".join("".join(span.text for span in line) + "\n" for line in lines(report, about))


def lines(report: Report, about: About) -> Iterator[Line]:
    """Line for line; whatever a manifest says, it cannot make a line, nor colour one."""
    made = _audited(report, about) if about.command == "audit" else _checked(report, about)
    return map(_clean, made)


def _clean(line: Line) -> Line:
    room, spans = LINE_LIMIT, []
    for span in line:
        text = one_line(span.text, max(room, 3))
        room -= len(text)
        spans.append(Span(text, span.style))
    return tuple(spans)


def _line(text: str, style: str = "") -> Line:
    return (Span(text, style),)


def _checked(report: Report, about: About) -> Iterator[Line]:
    for judged in report.objects:
        yield Span(f"{judged.verdict:<5}", judged.verdict), Span(f"  {called(judged.ref)}")
        yield from _findings(judged.findings, about, "       ")
    yield from _errors(report)
    yield _line(_totals(report, about))


def _audited(report: Report, about: About) -> Iterator[Line]:
    for group in by_namespace(report):
        yield _line(_heading(group), "title")
        for judged in group.objects:
            yield from _object(judged, about)
        yield ()
    yield from _errors(report)
    yield from _summary(report, about)


def _heading(group: Group) -> str:
    where = f"namespace {group.namespace}" if group.namespace else "whole cluster"
    return f"{group.cluster}: {where}" if group.cluster else where


def _object(judged: Judged, about: About) -> Iterator[Line]:
    ref, origin = judged.ref, judged.origin
    place = f" ({origin.file}:{origin.line})" if origin else ""
    yield _line(f"  {ref.kind} {ref.name}{of_service(judged)}{place}")
    yield from _findings(judged.findings, about, "    ")


def _findings(findings: Iterable[Finding], about: About, indent: str) -> Iterator[Line]:
    for finding in findings:
        rule, violation = finding.rule, finding.violation
        before = " (was there before)" if finding.old else ""
        yield (
            Span(indent),
            Span(f"{finding.action:<5}", finding.action),
            Span(f" {rule.code} {rule.slug} at {violation.field}{before}"),
        )
        yield _line(f"{indent}      {statement(finding)}")
        if violation.command:
            yield _line(f"{indent}      $ {violation.command}")
        if finding.action is Action.DENY and about.command == "check":
            yield _line(f"{indent}      -> {rule.remedy}")


def _errors(report: Report) -> Iterator[Line]:
    for unread in report.unreadable:
        yield Span("error", "error"), Span(f"  {unread.place}: {problem(unread)}")
    for part in report.unjudged:
        yield Span("unread", "error"), Span(f" {left_out(part)}, not judged: {part.reason}")


def _summary(report: Report, about: About) -> Iterator[Line]:
    rules = by_rule(report)
    width = max((len(rule.slug) for rule, _ in rules), default=0)
    for rule, counts in rules:
        said = ", ".join(f"{counts.of(a):,} {a}" for a in ACTIONS if counts.of(a))
        yield _line(f"{rule.code} {rule.slug:<{width}}  {said}")
        yield _line(f"      -> {rule.remedy}")
    if rules:
        yield ()
    counts = tally(every_finding(report))
    said = ", ".join(f"{counts.of(action):,} {action}" for action in ACTIONS)
    yield _line(f"{counted(counts.total, 'finding')}: {said}")
    yield _line(_totals(report, about))


def _totals(report: Report, about: About) -> str:
    counts = ", ".join(
        f"{report.count(verdict):,} {word}"
        for verdict, word in (
            (Verdict.DENY, about.denied),
            (Verdict.WARN, "warned"),
            (Verdict.ALLOW, "allowed"),
        )
    )
    seldom = (
        (len(report.unreadable), "unreadable"),
        (report.hidden, "known findings hidden"),
    )
    rest = "".join(f", {number:,} {word}" for number, word in seldom if number)
    return f"{counted(len(report.objects), 'object')}: {counts}{rest}"
