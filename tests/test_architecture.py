"""What keeps the project readable: budgets, a catalogue without gaps, generated files that are so.

Imports have their own contracts (import-linter, `make lint`).
"""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from webhook.core.catalogue import as_markdown
from webhook.core.rules import RULES

ROOT = Path(__file__).parents[1]
FILE_LINES = 300
FUNCTION_LINES = 60
SOURCES = sorted(
    path.relative_to(ROOT)
    for package in ("webhook", "certs", "deploy")
    for path in (ROOT / package).rglob("*.py")
)


def source(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(source(path).splitlines()) <= FILE_LINES


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_function_does_one_thing(path: Path) -> None:
    tree = ast.parse(source(path))
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    lengths = {each.name: (each.end_lineno or 0) - each.lineno + 1 for each in functions}
    assert {name: n for name, n in lengths.items() if n > FUNCTION_LINES} == {}


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_file_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(source(path)))


CATALOGUE = {
    "EG101": "no-service",
    "EG102": "external-name-service",
    "EG103": "claims-controller",
    "EG104": "reserved-service",
    "EG201": "pod-not-selected",
    "EG202": "address-family",
    "EG203": "readiness",
    "EG204": "node-name",
    "EG205": "hostname",
    "EG301": "target-ref-missing",
    "EG302": "target-ref-namespace",
    "EG303": "target-ref-not-found",
    "EG304": "target-ref-address",
    "EG305": "target-ref-kind",
    "EG401": "port-not-of-service",
    "EG402": "port-number",
    "EG403": "app-protocol",
    "EG404": "forbidden-port",
    "EG501": "foreign-pod",
    "EG502": "node-address",
    "EG503": "service-address",
    "EG504": "api-server-address",
    "EG505": "special-address",
    "EG506": "unowned-pod-address",
    "EG507": "external-address",
    "EG508": "fqdn-address",
    "EG509": "ambiguous-address",
    "EG601": "stale-address",
    "EG602": "left-behind",
    "EG603": "duplicate-pod-ip",
    "EG604": "endpoint-writers",
    "EG605": "unselected-ready-pod",
}
"""The rules; policies, exemptions and dashboards refer to them by these names."""


def test_no_rule_of_the_catalogue_is_missing_or_has_another_name() -> None:
    known = {code: rule.slug for code, rule in RULES.items()}
    assert {code: known.get(code) for code in CATALOGUE} == CATALOGUE


def test_every_rule_is_unique_and_named_alike() -> None:
    for names in (
        [rule.code for rule in RULES.values()],
        [rule.slug for rule in RULES.values()],
        [rule.title for rule in RULES.values()],
    ):
        assert [name for name, count in Counter(names).items() if count > 1] == []
    assert list(RULES) == sorted(RULES)
    assert all(re.fullmatch(r"EG[1-6]\d\d", rule.code) for rule in RULES.values())
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.slug) for rule in RULES.values())


def test_the_generated_catalogue_is_current() -> None:
    assert source(Path("docs/rules.md")) == as_markdown(tuple(RULES.values()))
