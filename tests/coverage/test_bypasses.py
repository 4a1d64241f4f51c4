"""Every bypass that is known, tried: what stops it says `bypasses.yaml`."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.coverage.table import (
    BYPASSES,
    Attempt,
    Row,
    attempts,
    cluster_of,
    decided,
    manifests,
    policy_named,
    said,
)
from webhook.cli.check import judge_manifests
from webhook.core.decision import Reason, Verdict
from webhook.core.rule import Action

ROOT = Path(__file__).parents[2]
ATTEMPTS = attempts(BYPASSES)


def test_no_bypass_is_left_out() -> None:
    assert [row.number for row in BYPASSES] == [f"B{number}" for number in range(1, 50)]
    assert len(ATTEMPTS) == sum(len(row.attempts) for row in BYPASSES), "a name is there twice"


@pytest.mark.parametrize("row", BYPASSES, ids=lambda row: row.number)
def test_a_bypass_is_tried_or_it_is_said_why_not(row: Row) -> None:
    assert row.attempts or row.proof or row.control.startswith("out of scope: ")


PROOFS = sorted({proof for row in BYPASSES for proof in row.proof})


@pytest.mark.parametrize("proof", PROOFS)
def test_a_proof_is_a_test(proof: str) -> None:
    file, _, function = proof.partition("::")
    assert f"\ndef {function}(" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_an_attempt_meets_the_rules_that_the_table_says(attempt: Attempt) -> None:
    decision = decided(attempt)
    assert (said(decision, Action.DENY), said(decision, Action.WARN)) == (
        attempt.denied,
        attempt.warned,
    )


def test_what_nothing_is_said_of_is_let_through_for_a_reason() -> None:
    reasons = {
        name: decided(attempt).reason
        for name, attempt in ATTEMPTS.items()
        if not attempt.denied and not attempt.warned
    }
    assert reasons == {
        "B7 what was left behind is touched, but stays as it is": Reason.UNCHANGED,
        "B31 an annotation on bad old Endpoints": Reason.UNCHANGED,
        "B34 the Service's own Endpoints": Reason.NOTHING_WRITTEN,
        "B46 the endpointslice controller lists a Pod that nobody else knows": (
            Reason.TRUSTED_WRITER
        ),
    }


CREATES = {name: each for name, each in ATTEMPTS.items() if each.denied and not each.old}


@pytest.mark.parametrize("attempt", CREATES.values(), ids=CREATES)
def test_what_is_denied_as_a_new_object_is_denied_as_an_update(attempt: Attempt) -> None:
    """Of an object that was empty until then."""
    emptied = {**attempt.subject, "subsets": None, "endpoints": None}
    updated = decided(replace(attempt, old=emptied))
    assert said(updated, Action.DENY) == attempt.denied


WRITES = {name: each for name, each in ATTEMPTS.items() if each.write}


@pytest.mark.parametrize("attempt", WRITES.values(), ids=WRITES)
def test_check_says_the_same_before_anything_is_applied(attempt: Attempt) -> None:
    before = cluster_of(attempt)
    if attempt.old:
        manifests(attempt.old).add_to(before)
    written = manifests(attempt.subject)
    policy = policy_named(attempt.policy)

    report = judge_manifests(written, before, policy, user=attempt.user, groups=attempt.groups)

    decision = decided(attempt)
    assert report.objects[0].findings == decision.findings
    assert report.objects[0].verdict is decision.verdict
    assert (decision.verdict is Verdict.DENY) == bool(attempt.denied)
