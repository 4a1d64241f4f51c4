"""HTML: one page that holds everything it needs, to be read in a browser, mailed or printed.

Names and messages come from whoever wrote the objects, so three things stand between them and the
reader: every value is escaped, the script writes text only, and the page's own policy allows no
style, script, picture or connection but the one style and the one script in it, by their hashes.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import escape
from typing import Final

from webhook.core.decision import Finding, Verdict
from webhook.core.formats.about import About
from webhook.core.formats.html_charts import NAMESPACE_COLUMN, RULE_COLUMN, charts, where
from webhook.core.formats.html_script import SCRIPT
from webhook.core.formats.html_style import STYLE
from webhook.core.formats.overview import ACTIONS, by_rule, every_finding, worst_first
from webhook.core.formats.wording import counted, help_page, left_out, of_service, problem, shown
from webhook.core.report import Judged, Report
from webhook.core.rule import Rule


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


POLICY: Final = (
    f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; "
    "base-uri 'none'; form-action 'none'"
)
_CODE: Final = re.compile(r"`([^`]+)`")


def render(report: Report, about: About) -> str:
    """A whole document. Without script it is complete, only not to be sorted or filtered."""
    parts = (
        _head(report, about),
        _header(report, about),
        ("<main>",),
        _unread(report),
        _numbers(report, about),
        charts(report),
        _findings(report),
        _rules(report),
        ("</main>",),
        _footer(about),
        (f"<script>{SCRIPT}</script>", "</body>", "</html>"),
    )
    return "".join(f"{line}\n" for part in parts for line in part)


def _text(text: str) -> str:
    return escape(shown(text))


def _head(report: Report, about: About) -> Iterator[str]:
    yield "<!doctype html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="referrer" content="no-referrer">'
    yield f"<title>Endpoints {about.command}: {_sentence(report, about)}</title>"
    yield f"<style>{STYLE}</style>"
    yield "</head>"
    yield "<body>"


def _sentence(report: Report, about: About) -> str:
    objects = counted(len(report.objects), "object")
    if not any(True for _ in every_finding(report)):
        return f"nothing found in {objects}"
    denied, warned = report.count(Verdict.DENY), report.count(Verdict.WARN)
    return f"{denied:,} {about.denied} and {warned:,} warned of {objects}"


def _header(report: Report, about: About) -> Iterator[str]:
    clusters = list(dict.fromkeys(judged.cluster for judged in report.objects if judged.cluster))
    when = about.at.replace("T", " ").replace("Z", " UTC")
    time = f'<time datetime="{_text(about.at)}">{_text(when)}</time>' if when else ""
    facts = (time, ", ".join(map(_text, clusters)))
    yield '<a class="skip" href="#findings">Skip to the findings</a>'
    yield "<header>"
    yield f"<h1>Endpoints {about.command}</h1>"
    sentence = _sentence(report, about)
    yield f'<p class="lead">{sentence[0].upper()}{sentence[1:]}.</p>'
    yield f'<p class="soft">{" · ".join(filter(None, facts))}</p>'
    yield "</header>"


def _unread(report: Report) -> Iterator[str]:
    unread = [(unread.place, problem(unread)) for unread in report.unreadable]
    unread += [(f"{left_out(part)}, not judged", part.reason) for part in report.unjudged]
    if not unread:
        return
    yield '<section class="card unread" aria-labelledby="unread">'
    yield '<h2 id="unread">Could not be read</h2>'
    yield "<p>This report is incomplete. Nothing is said of:</p><ul>"
    for place, reason in unread:
        yield f"<li><strong>{_text(place)}</strong>: {_text(reason)}</li>"
    yield "</ul></section>"


def _numbers(report: Report, about: About) -> Iterator[str]:
    numbers = [
        (report.count(Verdict.DENY), f"objects {about.denied}", "deny"),
        (report.count(Verdict.WARN), "objects warned about", "warn"),
        (report.count(Verdict.ALLOW), "objects allowed", "allow"),
        (sum(1 for _ in every_finding(report)), "findings", ""),
    ]
    if report.hidden:
        numbers.append((report.hidden, "known findings hidden", "soft"))
    yield '<section class="card" aria-label="Totals"><dl class="numbers">'
    for number, noun, style in numbers:
        colour = f' class="{style}"' if number and style else ""
        yield f"<div><dt>{noun}</dt><dd{colour}>{number:,}</dd></div>"
    yield "</dl></section>"


def _findings(report: Report) -> Iterator[str]:
    yield '<section class="card" aria-labelledby="findings"><h2 id="findings">Findings</h2>'
    pairs = worst_first(report)
    if pairs:
        yield from _form()
        yield '<table class="found"><thead><tr>'
        for title in ("Action", "Rule", "Namespace", "Object", "What is wrong"):
            yield f'<th scope="col">{title}</th>'
        yield "</tr></thead><tbody>"
        for judged, finding in pairs:
            yield _row(judged, finding)
        yield "</tbody></table>"
    else:
        yield "<p>None.</p>"
    yield "</section>"


def _form() -> Iterator[str]:
    yield '<form hidden role="search" aria-label="Filter the findings">'
    yield '<label>Search<br><input type="search" name="query" autocomplete="off"></label>'
    for column, title in ((RULE_COLUMN, "Rule"), (NAMESPACE_COLUMN, "Namespace")):
        yield (
            f'<label>{title}<br><select name="{title.lower()}" data-column="{column}">'
            '<option value="">all</option></select></label>'
        )
    yield "<fieldset><legend>Action</legend>"
    for action in ACTIONS:
        yield (
            f'<label><input type="checkbox" name="action" value="{action}" checked> '
            f"{action}</label>"
        )
    yield "</fieldset>"
    yield '<button type="button">Reset</button><output aria-live="polite"></output>'
    yield "</form>"


def _row(judged: Judged, finding: Finding) -> str:
    rule, violation, ref, origin = finding.rule, finding.violation, judged.ref, judged.origin
    kind = f"{ref.kind}{of_service(judged)}"
    detail = f'<span class="detail">{_text(violation.detail)}</span>' if violation.detail else ""
    command = (
        f'<code class="command">{_text(violation.command)}</code>' if violation.command else ""
    )
    place = f"{origin.file}:{origin.line_of(violation.field)}" if origin else ""
    file = f'<span class="place">{_text(place)}</span>' if place else ""
    return (
        f'<tr><td class="action {finding.action}">{finding.action}</td>'
        f'<td><a class="code" href="#{rule.code}">{rule.code}</a> '
        f'<span class="slug">{rule.slug}</span></td>'
        f"<td>{_text(where(judged.cluster, ref.namespace))}</td>"
        f'<td>{_text(ref.name)} <span class="kind">{_text(kind)}</span></td>'
        f'<td><span class="message">{_text(violation.message)}</span> {detail} '
        f'<code class="field">{_text(violation.field)}</code> {command} {file}</td></tr>'
    )


def _rules(report: Report) -> Iterator[str]:
    rules = [rule for rule, _ in by_rule(report)]
    if not rules:
        return
    yield '<section class="card" aria-labelledby="rules"><h2 id="rules">What the rules mean</h2>'
    for rule in rules:
        yield from _rule(rule)
    yield "</section>"


def _rule(rule: Rule) -> Iterator[str]:
    yield f'<div class="rule"><h3 id="{rule.code}">{rule.code} <span>{rule.slug}</span></h3>'
    yield f"<p>{_prose(rule.title)}. <strong>Remedy:</strong> {_prose(rule.remedy)}</p>"
    yield "<details><summary>Why</summary>"
    for paragraph in rule.rationale.strip().split("\n\n"):
        yield f"<p>{_prose(' '.join(paragraph.split()))}</p>"
    yield f'<p><a href="{help_page(rule)}" rel="noreferrer">Examples</a></p></details></div>'


def _prose(markdown: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(markdown))


def _footer(about: About) -> Iterator[str]:
    version = f" {_text(about.version)}" if about.version else ""
    yield f"<footer>Made by endpoints-guard{version}. This page loads nothing.</footer>"
