"""JUnit XML, for the test pages of CI systems: a suite for each namespace, a case for each finding.

What fails the run is a failure, a milder finding is skipped with its message, an object without
findings is a case that passes, and what could not be read is an error. The dialect is the strictest
of Jenkins's, in which `skipped` holds nothing but text; the others read it, too.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree as ET

from webhook.core.decision import Finding
from webhook.core.formats.about import About
from webhook.core.formats.wording import left_out, problem, sentence, shown
from webhook.core.report import Judged, Report

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'


def render(report: Report, about: About) -> str:
    """A whole document."""
    suites = ET.Element("testsuites", {"name": f"endpoints-guard {about.command}"})
    for name, judged in _by_namespace(report).items():
        _add_suite(suites, name, about, [case for each in judged for case in _cases(each, about)])
    if report.unreadable or report.unjudged:
        _add_suite(suites, "what could not be read", about, list(_errors(report)))
    for count in ("tests", "failures", "errors"):
        suites.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    ET.indent(suites)
    return _HEAD + ET.tostring(suites, encoding="unicode") + "\n"


def _by_namespace(report: Report) -> dict[str, list[Judged]]:
    found: dict[str, list[Judged]] = defaultdict(list)
    for judged in report.objects:
        where = judged.ref.namespace or "whole cluster"
        found[f"{judged.cluster}: {where}" if judged.cluster else where].append(judged)
    return found


def _add_suite(suites: ET.Element, name: str, about: About, cases: list[ET.Element]) -> None:
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "skipped": str(sum(case.find("skipped") is not None for case in cases)),
    }
    at = {"timestamp": about.at.removesuffix("Z")} if about.at else {}
    suite = ET.SubElement(suites, "testsuite", {"name": shown(name), **counts, **at})
    suite.extend(cases)


def _cases(judged: Judged, about: About) -> Iterator[ET.Element]:
    ref = judged.ref
    classname = ".".join(filter(None, (judged.cluster, ref.namespace, ref.kind, ref.name)))
    if not judged.findings:
        yield _case(classname, "nothing found")
    for finding in judged.findings:
        yield _found(_case(classname, _name(finding)), judged, finding, about)


def _name(finding: Finding) -> str:
    rule = finding.rule
    return f"{rule.code} {rule.slug} at {finding.violation.field}"


def _case(classname: str, name: str) -> ET.Element:
    return ET.Element("testcase", {"classname": shown(classname), "name": shown(name)})


def _found(case: ET.Element, judged: Judged, finding: Finding, about: About) -> ET.Element:
    said = f"{finding.action}: {sentence(finding)}"
    origin, field = judged.origin, finding.violation.field
    place = f"{origin.file}:{origin.line_of(field)}" if origin else ""
    lines = (said, f"at {field}", place, finding.rule.remedy)
    if about.fails(finding.action):
        attributes = {"type": finding.rule.code, "message": shown(said)}
        outcome = ET.SubElement(case, "failure", attributes)
    else:
        outcome = ET.SubElement(case, "skipped")
    outcome.text = "\n".join(shown(line) for line in lines if line)
    return case


def _errors(report: Report) -> Iterator[ET.Element]:
    for unread in report.unreadable:
        yield _error(unread.place, problem(unread))
    for part in report.unjudged:
        yield _error(left_out(part), part.reason)


def _error(name: str, message: str) -> ET.Element:
    case = _case("unread", name)
    ET.SubElement(case, "error", {"type": "unread", "message": shown(message)})
    return case
