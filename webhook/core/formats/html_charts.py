"""The charts of the HTML page: findings by action, by rule and by namespace.

Each is a table of numbers first, with a drawing beside it, so it can be read aloud, copied and
printed. Drawings are SVG with attributes only: the page allows no style but its own.
"""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from webhook.core.formats.overview import (
    ACTIONS,
    Group,
    Tally,
    by_namespace,
    by_rule,
    every_finding,
    tally,
)
from webhook.core.formats.wording import counted, shown
from webhook.core.report import Report

RULE_COLUMN: Final = 1
NAMESPACE_COLUMN: Final = 2
"""Columns of the table of findings that a click on a bar filters."""
_MOST_BARS: Final = 10


def charts(report: Report) -> Iterator[str]:
    """All three; nothing when there is nothing to draw."""
    rules = [(f"{rule.code} {rule.slug}", counts) for rule, counts in by_rule(report)]
    namespaces = [(place(group), group.tally) for group in by_namespace(report)]
    if not rules:
        return
    yield '<section aria-labelledby="overview"><h2 id="overview">Overview</h2>'
    yield '<div class="charts">'
    yield from _ring(tally(every_finding(report)))
    yield from _bars("By rule", "rule", rules, RULE_COLUMN)
    yield from _bars("By namespace", "namespace", namespaces, NAMESPACE_COLUMN)
    yield "</div></section>"


def place(group: Group) -> str:
    """A namespace as the page calls it, with its cluster if there are several."""
    return where(group.cluster, group.namespace)


def where(cluster: str, namespace: str) -> str:
    """The same for a single object."""
    named = namespace or "(whole cluster)"
    return f"{cluster} / {named}" if cluster else named


def _ring(counts: Tally) -> Iterator[str]:
    said = ", ".join(f"{counts.of(action):,} {action}" for action in ACTIONS)
    yield '<figure class="card"><h3>By action</h3>'
    yield (
        f'<svg class="ring" viewBox="0 0 42 42" role="img" aria-label="Findings by action: {said}">'
    )
    # A circumference of 100 makes a dash of one unit a hundredth of all findings.
    yield '<circle cx="21" cy="21" r="15.9155"/>'
    begun = 0.0
    for action in ACTIONS:
        part = 100 * counts.of(action) / counts.total
        if part:
            yield (
                f'<circle class="{action}" cx="21" cy="21" r="15.9155" '
                f'stroke-dasharray="{part:.3f} {100 - part:.3f}" '
                f'stroke-dashoffset="{25 - begun:.3f}"/>'
            )
        begun += part
    yield f'<text x="21" y="24">{counts.total:,}</text></svg>'
    yield '<table class="legend"><tbody>'
    for action in ACTIONS:
        yield (
            f'<tr><th scope="row"><span class="key {action}"></span>{action}</th>'
            f"<td>{counts.of(action):,}</td></tr>"
        )
    yield "</tbody></table></figure>"


def _bars(title: str, noun: str, bars: Sequence[tuple[str, Tally]], column: int) -> Iterator[str]:
    longest = max(counts.total for _, counts in bars)
    yield '<figure class="card">'
    yield from _table(title, bars[:_MOST_BARS], longest, column)
    rest = bars[_MOST_BARS:]
    if rest:
        yield f"<details><summary>{counted(len(rest), f'more {noun}')}</summary>"
        yield from _table(f"{title}, continued", rest, longest, column)
        yield "</details>"
    yield "</figure>"


def _table(
    title: str, bars: Sequence[tuple[str, Tally]], longest: int, column: int
) -> Iterator[str]:
    yield f'<table class="bars"><caption>{title}</caption><tbody>'
    for name, counts in bars:
        text = escape(shown(name))
        yield (
            f'<tr><th scope="row" title="{text}">'
            f'<a href="#findings" data-column="{column}">{text}</a></th>'
            f"<td>{_bar(counts, longest)}</td><td>{counts.total:,}</td></tr>"
        )
    yield "</tbody></table>"


def _bar(counts: Tally, longest: int) -> str:
    begun, drawn = 0.0, []
    for action in ACTIONS:
        width = 100 * counts.of(action) / longest
        if width:
            drawn.append(
                f'<rect class="{action}" x="{begun:.3f}" y="0" width="{width:.3f}" height="1"/>'
            )
        begun += width
    inside = "".join(drawn)
    return f'<svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">{inside}</svg>'
