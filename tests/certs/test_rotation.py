"""Which step comes next, case by case, and what it changes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from certs.pki import KeyPair, inspect, split
from certs.rotation import (
    CertBundle,
    Observation,
    RotationRules,
    Step,
    advance,
    may_present,
    plan,
)
from certs.verification import verify
from tests.certs.builders import DAY, NAME, NOW, sound_ca, sound_serving

RULES = RotationRules(names=("guard", NAME, "10.0.0.1"))
WAIT = RULES.propagation
NOTHING_SEEN = Observation()
CA = sound_ca("current CA")
NEXT = sound_ca("next CA")
SERVING = sound_serving(CA, *RULES.names)
SOUND = CertBundle(current=CA, serving=SERVING)


def fingerprint(ca: KeyPair) -> str:
    return inspect(ca.certificate).fingerprint


def seen(ca: KeyPair, trusted_for: timedelta, serving_for: timedelta = timedelta()) -> Observation:
    return Observation(
        published=ca.certificate,
        trusted_for={fingerprint(ca): trusted_for},
        serving_for=serving_for,
    )


def aged(ca_left: timedelta, serving_left: timedelta) -> CertBundle:
    """CA and serving certificate that have this long to live."""
    ca = sound_ca(lifetime=ca_left)
    return CertBundle(current=ca, serving=sound_serving(ca, *RULES.names, lifetime=serving_left))


STAGED = replace(SOUND, next=NEXT)
PROMOTED = CertBundle(
    current=NEXT, previous=CA.certificate, serving=sound_serving(NEXT, *RULES.names)
)
DEAD_CA = sound_ca(now=NOW - 400 * DAY)
UPPER_CASE = sound_serving(CA, *(name.upper() for name in RULES.names))
CASES: dict[str, tuple[CertBundle, Observation, Step]] = {
    "at the very beginning there is nothing": (CertBundle(), NOTHING_SEEN, Step.CREATE_CA),
    "everything is fresh": (SOUND, NOTHING_SEEN, Step.KEEP),
    "the CA has expired": (
        CertBundle(current=DEAD_CA, serving=SERVING),
        NOTHING_SEEN,
        Step.CREATE_CA,
    ),
    "the CA has expired, the next one has not": (
        CertBundle(current=DEAD_CA, next=NEXT, serving=SERVING),
        NOTHING_SEEN,
        Step.PROMOTE_NEXT_CA,
    ),
    "the CA and the next one have expired": (
        CertBundle(current=DEAD_CA, next=DEAD_CA, serving=SERVING),
        NOTHING_SEEN,
        Step.CREATE_CA,
    ),
    "the CA's key is that of another": (
        replace(SOUND, current=replace(CA, key=NEXT.key)),
        NOTHING_SEEN,
        Step.CREATE_CA,
    ),
    "the CA is a leaf": (replace(SOUND, current=SERVING), NOTHING_SEEN, Step.CREATE_CA),
    "there is a CA but no serving certificate": (
        CertBundle(current=CA),
        NOTHING_SEEN,
        Step.RENEW_SERVING,
    ),
    "the serving certificate has 31 days left": (
        aged(300 * DAY, 31 * DAY),
        NOTHING_SEEN,
        Step.KEEP,
    ),
    "the serving certificate has 29 days left": (
        aged(300 * DAY, 29 * DAY),
        NOTHING_SEEN,
        Step.RENEW_SERVING,
    ),
    "the serving certificate lacks a name": (
        replace(SOUND, serving=sound_serving(CA, *RULES.names[:-1])),
        NOTHING_SEEN,
        Step.RENEW_SERVING,
    ),
    "the serving certificate has a name too many": (
        replace(SOUND, serving=sound_serving(CA, *RULES.names, "more")),
        NOTHING_SEEN,
        Step.KEEP,
    ),
    "the serving certificate spells the names otherwise": (
        replace(SOUND, serving=UPPER_CASE),
        NOTHING_SEEN,
        Step.KEEP,
    ),
    "the serving certificate is of another CA": (
        replace(SOUND, serving=sound_serving(NEXT, *RULES.names)),
        NOTHING_SEEN,
        Step.RENEW_SERVING,
    ),
    "the serving certificate is damaged": (
        replace(SOUND, serving=replace(SERVING, certificate=SERVING.certificate[:-40])),
        NOTHING_SEEN,
        Step.RENEW_SERVING,
    ),
    "the serving key is that of another": (
        replace(SOUND, serving=replace(SERVING, key=CA.key)),
        NOTHING_SEEN,
        Step.RENEW_SERVING,
    ),
    "the CA has 121 days left": (aged(121 * DAY, 90 * DAY), NOTHING_SEEN, Step.KEEP),
    "the CA has 119 days left": (aged(119 * DAY, 90 * DAY), NOTHING_SEEN, Step.STAGE_NEXT_CA),
    "the CA ends so soon that a new serving certificate would not last longer": (
        aged(10 * DAY, 10 * DAY),
        NOTHING_SEEN,
        Step.STAGE_NEXT_CA,
    ),
    "the next CA is damaged": (
        replace(STAGED, next=replace(NEXT, key=b"")),
        seen(NEXT, WAIT),
        Step.STAGE_NEXT_CA,
    ),
    "the next CA is published nowhere": (STAGED, seen(CA, 2 * WAIT), Step.KEEP),
    "the next CA is published not long enough": (
        STAGED,
        seen(NEXT, WAIT - timedelta(seconds=1)),
        Step.KEEP,
    ),
    "the next CA is published long enough": (STAGED, seen(NEXT, WAIT), Step.PROMOTE_NEXT_CA),
    "a process that was just started has seen nothing": (STAGED, NOTHING_SEEN, Step.KEEP),
    "the new serving certificate is out not long enough": (
        PROMOTED,
        seen(NEXT, 2 * WAIT, serving_for=2 * WAIT - timedelta(seconds=1)),
        Step.KEEP,
    ),
    "the new serving certificate may be held back somewhere": (
        PROMOTED,
        seen(NEXT, 2 * WAIT - timedelta(seconds=1), serving_for=2 * WAIT),
        Step.KEEP,
    ),
    "the new serving certificate is out long enough": (
        PROMOTED,
        seen(NEXT, 2 * WAIT, serving_for=2 * WAIT),
        Step.RETIRE_OLD_CA,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_next_step_when(case: str) -> None:
    bundle, observation, step = CASES[case]

    assert plan(bundle, observation, RULES, NOW).step is step


def test_a_plan_says_why() -> None:
    old = aged(300 * DAY, 29 * DAY)

    assert plan(old, NOTHING_SEEN, RULES, NOW).why == (
        "the serving certificate ends 2026-12-22T12:00:00+00:00"
    )


def assert_serves(bundle: CertBundle, ca_bundle: bytes | None = None) -> None:
    assert bundle.serving
    for name in RULES.names:
        verify(bundle.serving.certificate, ca_bundle or bundle.ca_bundle, name, NOW)


def test_creating_the_ca_also_issues_what_is_served() -> None:
    bundle = advance(CertBundle(), Step.CREATE_CA, NOTHING_SEEN, RULES, NOW)

    assert_serves(bundle)
    assert plan(bundle, NOTHING_SEEN, RULES, NOW).step is Step.KEEP


def test_a_new_ca_in_place_of_a_lost_one_leaves_the_lost_one_published() -> None:
    bundle = advance(CertBundle(), Step.CREATE_CA, seen(CA, WAIT), RULES, NOW)

    assert bundle.previous == CA.certificate
    assert_serves(SOUND, bundle.ca_bundle)


def test_only_living_cas_stay_published_when_the_ca_is_new() -> None:
    published = b"".join(pair.certificate for pair in (DEAD_CA, SERVING, CA, NEXT, CA))
    observation = Observation(published=published)

    bundle = advance(CertBundle(), Step.CREATE_CA, observation, RULES, NOW)

    assert set(split(bundle.previous)) == {CA.certificate, NEXT.certificate}


def test_a_ca_that_is_lost_stays_published_when_the_next_one_takes_over() -> None:
    bundle = advance(CertBundle(next=NEXT), Step.PROMOTE_NEXT_CA, seen(CA, WAIT), RULES, NOW)

    assert (bundle.current, bundle.previous) == (NEXT, CA.certificate)


def test_a_damaged_part_does_not_spoil_what_is_published() -> None:
    damaged = replace(NEXT, certificate=NEXT.certificate[:-40])

    assert CertBundle(current=CA, next=damaged).ca_bundle == CA.certificate
    assert CertBundle(current=CA, previous=damaged.certificate).ca_bundle == CA.certificate


def test_staging_publishes_both_cas_and_signs_with_neither() -> None:
    bundle = advance(SOUND, Step.STAGE_NEXT_CA, NOTHING_SEEN, RULES, NOW)

    assert bundle.next
    assert set(split(bundle.ca_bundle)) == {CA.certificate, bundle.next.certificate}
    assert (bundle.current, bundle.serving) == (SOUND.current, SOUND.serving)


def test_promoting_signs_with_the_next_ca_and_forgets_the_old_key() -> None:
    bundle = advance(STAGED, Step.PROMOTE_NEXT_CA, NOTHING_SEEN, RULES, NOW)

    assert (bundle.current, bundle.next, bundle.previous) == (NEXT, None, CA.certificate)
    assert bundle.ca_bundle == STAGED.ca_bundle
    assert_serves(bundle)


def test_retiring_stops_publishing_the_old_ca() -> None:
    bundle = advance(PROMOTED, Step.RETIRE_OLD_CA, NOTHING_SEEN, RULES, NOW)

    assert bundle.ca_bundle == NEXT.certificate
    assert bundle.serving == PROMOTED.serving


def test_keeping_changes_nothing() -> None:
    assert advance(SOUND, Step.KEEP, NOTHING_SEEN, RULES, NOW) is SOUND


HOLDING_BACK: dict[str, tuple[Observation, bool]] = {
    "its CA is trusted everywhere": (seen(CA, WAIT), True),
    "its CA is not trusted yet, while that of the presented one is": (
        Observation(published=NEXT.certificate),
        False,
    ),
    "neither is trusted": (NOTHING_SEEN, True),
}


@pytest.mark.parametrize("case", HOLDING_BACK)
def test_the_certificate_of_the_secret_replaces_the_presented_one_when(case: str) -> None:
    observation, expected = HOLDING_BACK[case]
    presented = sound_serving(NEXT, *RULES.names)

    assert may_present(SOUND, presented, observation, RULES, NOW) is expected


IMPOSSIBLE: dict[str, tuple[dict[str, timedelta], str]] = {
    "looking too seldom": ({"interval": timedelta(minutes=5)}, "propagation must be"),
    "waiting for longer than there is time": (
        {"propagation": 10 * DAY},
        "serving_lookahead must be",
    ),
    "always due": ({"serving_lookahead": 60 * DAY}, "serving_lifetime must be"),
    "a CA that ends before what it signed": ({"ca_lookahead": 80 * DAY}, "ca_lookahead must be"),
    "a CA that is always due": ({"ca_lifetime": 200 * DAY}, "ca_lifetime must be"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_rules_that_cannot_keep_the_law_are_refused(case: str) -> None:
    changes, complaint = IMPOSSIBLE[case]

    with pytest.raises(ValueError, match=complaint):
        replace(RULES, **changes)  # type: ignore[arg-type]


def test_rules_without_names_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one name"):
        RotationRules(names=())
