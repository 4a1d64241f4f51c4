"""A rule that says what it rests on judges alike without everything else: what an audit relies on
when a kind cannot be read.
"""

from collections.abc import Iterable

import pytest
from hypothesis import given

from tests.builders import Json, state, subject
from tests.strategies import clusters, law, writes
from webhook.cluster.manifests import read_text, state_of
from webhook.core.engine import Subject, judge
from webhook.core.example_cluster import CLUSTER
from webhook.core.inventory import Inventory
from webhook.core.policy import Policy
from webhook.core.rule import ENDPOINT_KINDS, Action, Rule, both
from webhook.core.rules import RULES


def said(
    subject: Subject, inventory: Inventory, without: Iterable[str] = ()
) -> set[tuple[str, str, Action]]:
    """What the rules say that can do without these kinds."""
    missing = set(without)
    return {
        (finding.rule.code, finding.violation.field, finding.action)
        for finding in judge(subject, inventory, Policy(), stored=True)
        if finding.rule.can_do_without(missing)
    }


def lacking(inventory: Inventory, kind: str) -> Inventory:
    inventory.replace(kind, ())
    return inventory


@pytest.mark.parametrize("kind", ENDPOINT_KINDS)
@law
@given(cluster=clusters(), write=writes)
def test_what_does_not_rest_on_a_kind_is_judged_alike_without_it(
    kind: str, cluster: list[Json], write: Json
) -> None:
    complete, partial = state(*cluster), lacking(state(*cluster), kind)
    of = subject(write)
    assert said(of, partial, [kind]) == {
        each for each in said(of, complete) if RULES[each[0]].can_do_without([kind])
    }


@pytest.mark.parametrize("kind", ENDPOINT_KINDS)
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_so_are_the_examples(rule: Rule, kind: str) -> None:
    for example in rule.examples:
        manifests = read_text(f"{CLUSTER}\n---\n{example.state}")
        for of in read_text(example.write).subjects:
            complete, partial = state_of(manifests), lacking(state_of(manifests), kind)
            assert said(of, partial, [kind]) == {
                each for each in said(of, complete) if RULES[each[0]].can_do_without([kind])
            }


@pytest.mark.parametrize("kind", ENDPOINT_KINDS)
@law
@given(cluster=clusters(), write=writes)
def test_a_rule_finds_nothing_only_because_a_kind_is_missing_or_presumes_it(
    kind: str, cluster: list[Json], write: Json
) -> None:
    """Whose address it is may be said by another rule then, but the address is at fault."""
    complete = judge(subject(write), state(*cluster), Policy(), stored=True)
    partial = judge(subject(write), lacking(state(*cluster), kind), Policy(), stored=True)
    fields = {finding.violation.field for finding in complete}
    assert all(
        finding.violation.field in fields
        for finding in partial
        if not finding.rule.may_overstate((kind,))
    )


def test_a_rule_that_says_nothing_rests_on_all_that_endpoints_rest_on() -> None:
    silent = Rule(
        code="EG999",
        slug="silent",
        title="",
        rationale="",
        remedy="",
        default=both(Action.AUDIT),
        checks=(),
        examples=(),
    )
    assert silent.can_do_without([])
    assert silent.can_do_without(["Role"])
    assert not any(silent.can_do_without([kind]) for kind in ENDPOINT_KINDS)
