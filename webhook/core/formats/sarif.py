"""SARIF 2.1.0, for code scanning: the catalogue as rules, each finding as a result.

What GitHub asks beyond the standard is here as well: a place in a file for every result (an object
of a cluster gets a path of its own, which no repository has), fingerprints that survive moved lines
and renamed slices, and a security severity. GitHub takes 25,000 results and shows 5,000: the
gravest come first.
"""

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

import msgspec

from webhook.core.decision import Finding
from webhook.core.fingerprint import identity
from webhook.core.formats.about import About
from webhook.core.formats.overview import worst_first
from webhook.core.formats.wording import (
    HOME,
    called,
    help_page,
    left_out,
    problem,
    sentence,
    shown,
    well_formed,
)
from webhook.core.report import Judged, Report
from webhook.core.rule import Action, Rule
from webhook.core.rules import RULES

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {
    Action.DENY: "error",
    Action.WARN: "warning",
    Action.AUDIT: "note",
    Action.OFF: "none",
}
_SEVERITIES: Final = {
    Action.DENY: "7.5",
    Action.WARN: "4.5",
    Action.AUDIT: "2.5",
    Action.OFF: "0.1",
}
"""GitHub's high, medium and low, by what a rule does when the policy says nothing of it."""
_LONGEST_DESCRIPTION: Final = 1024
_UNRESERVED: Final = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/"
)
_INDEX: Final = {code: index for index, code in enumerate(RULES)}


def render(report: Report, about: About) -> str:
    """One run with all rules of the catalogue, whether they found something or not."""
    run = {
        "tool": {"driver": _driver(about)},
        "automationDetails": {"id": f"endpoints-guard/{about.command}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report, about)],
        "results": list(_results(report)),
        "properties": {"objects": len(report.objects), "hidden": report.hidden},
    }
    data = msgspec.json.encode({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})
    return msgspec.json.format(data, indent=2).decode() + "\n"


def _driver(about: About) -> dict[str, Any]:
    version = {"version": about.version} if about.version else {}
    return {
        "name": "endpoints-guard",
        "informationUri": HOME,
        **version,
        "rules": [_descriptor(rule) for rule in RULES.values()],
    }


def _descriptor(rule: Rule) -> dict[str, Any]:
    worst = max(rule.default.values(), key=lambda action: action.severity)
    rationale = rule.rationale.strip()
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in rule.slug.split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rationale[:_LONGEST_DESCRIPTION]},
        "help": {
            "text": f"{rationale}\n\n{rule.remedy}",
            "markdown": f"{rationale}\n\n**Remedy:** {rule.remedy}\n\n[More]({help_page(rule)})",
        },
        "helpUri": help_page(rule),
        "defaultConfiguration": {"level": _LEVELS[worst]},
        "properties": {
            "tags": ["security", "kubernetes"],
            "precision": "high",
            "security-severity": _SEVERITIES[worst],
        },
    }


def _invocation(report: Report, about: About) -> dict[str, Any]:
    unread = [(unread.place, problem(unread)) for unread in report.unreadable]
    unread += [(left_out(part), part.reason) for part in report.unjudged]
    at = {"endTimeUtc": about.at} if about.at else {}
    return {
        "executionSuccessful": not unread,
        **at,
        "toolExecutionNotifications": [
            {"level": "error", "message": {"text": shown(f"{place}: {reason}")}}
            for place, reason in unread
        ],
    }


def _results(report: Report) -> Iterator[dict[str, Any]]:
    seen: Counter[str] = Counter()
    for judged, finding in worst_first(report):
        fingerprint = identity(judged, finding).fingerprint
        line_hash = _line_hash(judged.cluster, fingerprint)
        seen[line_hash] += 1
        yield {
            "ruleId": finding.rule.code,
            "ruleIndex": _INDEX[finding.rule.code],
            "level": _LEVELS[finding.action],
            "message": {"text": shown(_message(judged, finding))},
            "locations": [_location(judged, finding.violation.field)],
            "fingerprints": {"endpoints-guard/v1": fingerprint},
            "partialFingerprints": {"primaryLocationLineHash": f"{line_hash}:{seen[line_hash]}"},
        }


def _message(judged: Judged, finding: Finding) -> str:
    field, remedy = finding.violation.field, finding.rule.remedy
    text = f"{called(judged.ref)} {field}: {sentence(finding)}. {remedy}"
    return text.replace("](", "] (")  # SARIF would make a link of it


def _line_hash(cluster: str, fingerprint: str) -> str:
    """What GitHub tells alerts apart by; the same finding in two clusters is two alerts."""
    return sha256(well_formed(f"{cluster}\n{fingerprint}").encode()).hexdigest()[:16]


def _location(judged: Judged, field: str) -> dict[str, Any]:
    origin = judged.origin
    name = shown(f"{called(judged.ref)} {field}")
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": _file_uri(origin.file) if origin else _object_uri(judged)},
            "region": {"startLine": origin.line_of(field) if origin else 1},
        },
        "logicalLocations": [{"fullyQualifiedName": name, "kind": "resource"}],
    }


def _file_uri(file: str) -> str:
    path = file.replace("\\", "/")
    return f"file://{_quoted(path)}" if path.startswith("/") else _quoted(path.removeprefix("./"))


def _object_uri(judged: Judged) -> str:
    ref = judged.ref
    steps = ("cluster", judged.cluster, ref.namespace, ref.kind, f"{ref.name}.yaml")
    return "/".join(_quoted(step).replace("/", "%2F") for step in steps if step)


def _quoted(path: str) -> str:
    """A path as a part of a URI (RFC 3986)."""
    data = well_formed(path).encode()
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in data)
