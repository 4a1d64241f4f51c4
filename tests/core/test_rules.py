"""Every example of every rule is a test: documentation that is executed."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from webhook.cluster.documents import load_document
from webhook.cluster.manifests import Manifests, read_text, state_of
from webhook.core.audit import audit
from webhook.core.decision import Finding
from webhook.core.engine import judge
from webhook.core.example_cluster import CLUSTER
from webhook.core.inventory import Inventory
from webhook.core.policy import Policy, parse_policy
from webhook.core.rule import Example, Rule
from webhook.core.rules import RULES, BrokenCatalogue, catalogue

EXAMPLES = [
    pytest.param(rule, example, id=f"{rule.code} {example.name}")
    for rule in RULES.values()
    for example in rule.examples
]


@pytest.mark.parametrize(("rule", "example"), EXAMPLES)
def test_an_example_has_exactly_the_findings_that_it_states(rule: Rule, example: Example) -> None:
    state, written = read_text(f"{CLUSTER}\n---\n{example.state}"), read_text(example.write)
    policy = parse_policy(load_document(example.policy) or {})

    look = audited if rule.stored_only else admitted
    findings = look(written, state_of(state), policy)

    assert not (*state.unreadable, *written.unreadable)
    assert tuple(f"{f.rule.code} {f.violation.field}" for f in findings) == example.findings


def admitted(written: Manifests, state: Inventory, policy: Policy) -> Sequence[Finding]:
    *before, new = written.subjects
    return judge(new, state, policy, old=before[-1] if before else None, writer="mallory")


def audited(written: Manifests, state: Inventory, policy: Policy) -> Sequence[Finding]:
    written.add_to(state)
    names = {(kind, *name_of(value)) for kind, value in written.objects}
    told = audit(state, policy)
    return [f for each in told if msgspec.structs.astuple(each.ref) in names for f in each.findings]


def name_of(value: Any) -> tuple[str, str]:
    named = getattr(value, "metadata", value)
    return named.namespace, named.name


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_reads_well_in_every_place_that_shows_it(rule: Rule) -> None:
    headline, blank, *rest = rule.rationale.splitlines()
    assert headline.endswith(".")
    assert not blank
    assert len(" ".join(rest)) > 100
    assert len(rule.remedy) <= 120
    assert rule.remedy.endswith(".")
    assert not rule.title.endswith(".")


def module(name: str, **contents: object) -> ModuleType:
    made = ModuleType(f"webhook.core.rules.{name}")
    vars(made).update(contents)
    return made


GOOD = RULES["EG201"]

BROKEN = {
    "a file without RULE": ([module("stray")], "no RULE"),
    "no file at all": ([], "there is no rule"),
    "the same code twice": (
        [module("pod_not_selected", RULE=GOOD), module("other", RULE=replace(GOOD, slug="other"))],
        "is taken",
    ),
    "a file not named after its slug": ([module("other", RULE=GOOD)], "named after the slug"),
    "no rejected example": (
        [module("pod_not_selected", RULE=replace(GOOD, examples=GOOD.examples[:1]))],
        "at least one example",
    ),
    "no accepted example": (
        [module("pod_not_selected", RULE=replace(GOOD, examples=GOOD.examples[1:]))],
        "at least one example",
    ),
    "a check that is asked nothing": (
        [module("pod_not_selected", RULE=replace(GOOD, checks=(replace,)))],
        "each check must take",
    ),
    "a rule for writes that asks about Pods": (
        [module("duplicate_pod_ip", RULE=replace(RULES["EG603"], stored_only=False))],
        "each check must take",
    ),
    "no check": ([module("pod_not_selected", RULE=replace(GOOD, checks=()))], "each check must"),
    "no remedy": ([module("pod_not_selected", RULE=replace(GOOD, remedy=""))], "must all be given"),
}


@pytest.mark.parametrize(("modules", "problem"), BROKEN.values(), ids=BROKEN)
def test_a_broken_catalogue_fails_loudly(modules: list[ModuleType], problem: str) -> None:
    with pytest.raises(BrokenCatalogue, match=problem):
        catalogue(modules)
