"""Annotations of GitHub Actions: workflow commands, one a line, which a job prints.

GitHub shows ten of each level and step, so the gravest come first; the rest stands in the log.
Source: GitHub's page on workflow commands, and the escaping of its actions toolkit.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from webhook.core.decision import Finding
from webhook.core.formats.about import About
from webhook.core.formats.overview import worst_first
from webhook.core.formats.wording import called, left_out, problem, sentence, shown
from webhook.core.report import Judged, Report
from webhook.core.rule import Action

_LEVELS: Final = {Action.DENY: "error", Action.WARN: "warning", Action.AUDIT: "notice"}
_IN_DATA: Final = str.maketrans({"%": "%25"})
_NEW_LINE: Final = "%0A"
_IN_PROPERTY: Final = str.maketrans({":": "%3A", ",": "%2C"})


def render(report: Report, _about: About) -> str:
    """Every finding, and whatever could not be read as an error."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    for judged, finding in worst_first(report):
        yield _finding(judged, finding)
    for unread in report.unreadable:
        yield _command("error", {"title": unread.place}, problem(unread))
    for part in report.unjudged:
        yield _command("error", {"title": f"{left_out(part)} not judged"}, part.reason)


def _finding(judged: Judged, finding: Finding) -> str:
    rule, field, origin = finding.rule, finding.violation.field, judged.origin
    properties = {"title": f"{rule.code} {rule.slug}"}
    if origin is not None:
        line = str(origin.line_of(field))
        properties = {"file": origin.file, "line": line, **properties}
    where = f"{judged.cluster}: {called(judged.ref)}" if judged.cluster else called(judged.ref)
    message = f"{where} {field}: {sentence(finding)}"
    return _command(_LEVELS[finding.action], properties, message, rule.remedy)


def _command(level: str, properties: Mapping[str, str], *message: str) -> str:
    said = ",".join(
        f"{key}={_data(value).translate(_IN_PROPERTY)}" for key, value in properties.items()
    )
    return f"::{level} {said}::{_NEW_LINE.join(map(_data, message))}"


def _data(text: str) -> str:
    """Control characters become `?`: more of them end a line than GitHub has escapes for."""
    return shown(text).translate(_IN_DATA)
