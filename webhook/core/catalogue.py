"""The catalogue of rules, written out: table, page, Markdown, plain values."""

from collections.abc import Iterator
from typing import Any

from webhook.core.rule import Example, Ownership, Rule


def as_values(rules: tuple[Rule, ...]) -> list[dict[str, Any]]:
    """For programs."""
    return [
        {
            "code": rule.code,
            "slug": rule.slug,
            "title": rule.title,
            "remedy": rule.remedy,
            "judges": _judges(rule),
            "default": {str(ownership): str(rule.default[ownership]) for ownership in rule.default},
        }
        for rule in rules
    ]


def as_table(rules: tuple[Rule, ...]) -> str:
    """For people: one line a rule."""
    width = max(len(rule.slug) for rule in rules)
    lines = [f"CODE   {'SLUG':<{width}}  JUDGES  SELECTOR  MANUAL  WHAT IT SAYS"]
    for rule in rules:
        with_selector, manual = (_default(rule, ownership) for ownership in Ownership)
        name = f"{rule.code}  {rule.slug:<{width}}  {_judges(rule)}"
        lines.append(f"{name}  {with_selector:<8}  {manual:<6}  {rule.title}")
    return "\n".join([*lines, ""])


def as_page(rule: Rule) -> str:
    """Everything about one rule, for a terminal."""
    lines = [f"{rule.code} {rule.slug}", "", *_body(rule, fence="", indent="    ")]
    return "\n".join([*lines, ""])


def as_markdown(rules: tuple[Rule, ...]) -> str:
    """Everything about every rule: docs/rules.md."""
    return "\n".join([*_markdown(rules), ""])


def _markdown(rules: tuple[Rule, ...]) -> Iterator[str]:
    yield "# Rules"
    yield ""
    yield "Made by `endpoints-guard rules --output markdown`: edit `webhook/core/rules`, not this."
    yield "*Selector* is the default action where the Service has a selector, *manual* where it has"
    yield "none or where there is no Service. The audit goes by all of them, admission and `check`"
    yield "only by those that judge *writes*. The examples play in the cluster of"
    yield "`webhook/core/example_cluster.py`, and each is a test."
    yield ""
    yield "| code | slug | judges | selector | manual | what it says |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for rule in rules:
        actions = " | ".join(_default(rule, ownership) for ownership in Ownership)
        name = f"[{rule.code}](#{rule.code.lower()}) | {rule.slug} | {_judges(rule)}"
        yield f"| {name} | {actions} | {rule.title} |"
    for rule in rules:
        yield ""
        yield f'## <a id="{rule.code.lower()}"></a>{rule.code} {rule.slug}'
        yield ""
        yield from _body(rule, fence="```", indent="")


def _body(rule: Rule, *, fence: str, indent: str) -> Iterator[str]:
    yield from rule.rationale.strip().splitlines()
    yield ""
    if rule.stored_only:
        yield "Only the audit goes by it: it judges what is stored, not what is written."
    yield f"Default: {', '.join(f'{rule.default[o]} ({o})' for o in rule.default)}."
    yield f"Remedy: {rule.remedy}"
    for example in rule.examples:
        yield ""
        yield from _example(example, fence=fence, indent=indent)


def _example(example: Example, *, fence: str, indent: str) -> Iterator[str]:
    outcome = ", ".join(example.findings) or "accepted"
    yield f"Example: {example.name} -> {outcome}"
    yield ""
    if fence:
        yield f"{fence}yaml"
    text = f"{example.state}---\n{example.write}" if example.state else example.write
    yield from (f"{indent}{line}" for line in text.splitlines())
    if fence:
        yield fence


def _judges(rule: Rule) -> str:
    return "stored" if rule.stored_only else "writes"


def _default(rule: Rule, ownership: Ownership) -> str:
    return str(rule.default[ownership]) if ownership in rule.default else "-"
