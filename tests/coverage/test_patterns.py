"""What people and operators legitimately write by hand, and how much of a profile it needs."""

import pytest
from msgspec.structs import replace

from tests.coverage.table import (
    PATTERNS,
    Attempt,
    attempts,
    decided,
    mirrors,
    said,
    with_profile,
)
from webhook.core.policy import Policy
from webhook.core.profiles import PROFILES
from webhook.core.rule import Action

MIRRORING_CONTROLLER = "system:serviceaccount:kube-system:endpointslicemirroring-controller"
ATTEMPTS = attempts(PATTERNS)
IN_NEED = {name: each for name, each in ATTEMPTS.items() if each.profile}


def policy_for(attempt: Attempt) -> Policy:
    return with_profile(attempt.profile) if attempt.profile else Policy()


def test_no_pattern_is_left_out() -> None:
    assert [row.number for row in PATTERNS] == [f"P{number}" for number in range(1, 23)]
    assert len(ATTEMPTS) == sum(len(row.attempts) for row in PATTERNS), "a name is there twice"
    assert all(row.attempts for row in PATTERNS)


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_a_pattern_is_not_denied(attempt: Attempt) -> None:
    decision = decided(attempt, policy_for(attempt))
    assert (said(decision, Action.DENY), said(decision, Action.WARN)) == ((), attempt.warned)


@pytest.mark.parametrize("attempt", IN_NEED.values(), ids=IN_NEED)
def test_a_profile_is_named_only_where_it_is_needed(attempt: Attempt) -> None:
    decision = decided(attempt, Policy())
    assert attempt.denied
    assert (said(decision, Action.DENY), said(decision, Action.WARN)) == (
        attempt.denied,
        attempt.warned,
    )


@pytest.mark.parametrize("attempt", IN_NEED.values(), ids=IN_NEED)
def test_a_profile_is_for_its_operator_only(attempt: Attempt) -> None:
    decision = decided(replace(attempt, user="mallory"), policy_for(attempt))
    assert said(decision, Action.DENY) == attempt.denied


NEEDED = [
    pytest.param(name, code, id=f"{name} {code}")
    for name, operator in PROFILES.items()
    for code in operator.rules
]


@pytest.mark.parametrize(("name", "code"), NEEDED)
def test_no_rule_of_a_profile_could_be_spared(name: str, code: str) -> None:
    """Without it, one of the operator's patterns would be denied for it."""
    profile = with_profile(name)
    (exemption,) = profile.exemptions
    spared = tuple(rule for rule in exemption.rules if rule != code)
    without = replace(profile, exemptions=(replace(exemption, rules=spared),)) if spared else None
    denied = {
        rule
        for attempt in IN_NEED.values()
        if attempt.profile == name
        for rule in said(decided(attempt, without or Policy()), Action.DENY)
    }
    assert code in denied


MIRRORED = {name: each for name, each in ATTEMPTS.items() if mirrors(each)}


@pytest.mark.parametrize("attempt", MIRRORED.values(), ids=MIRRORED)
def test_nor_is_the_slice_to_which_it_is_mirrored(attempt: Attempt) -> None:
    """Proxies read slices only: Endpoints of which the mirror is denied have no effect."""
    for mirror in mirrors(attempt):
        made = replace(
            attempt,
            user=MIRRORING_CONTROLLER,
            write=mirror,
            state=(*attempt.state, attempt.subject),
        )
        assert said(decided(made, policy_for(attempt)), Action.DENY) == ()
