"""Which step a rotation needs next. Pure: no clock, no file, no network, no API server.

The law: at every moment, also after a crash between two steps, the certificate that is presented is
signed by a CA which every API server has been told to trust. Hence five steps instead of one. The
next CA is published beside the current one; when that has been so for `propagation`, the serving
certificate is issued anew by it; when every replica must have taken that up, the old CA is dropped.

How long something has been so is not read from timestamps. It is what this process has seen with a
clock that cannot be set, so a clock that jumps may delay a step but never hasten it, and a process
that was restarted waits anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from certs.pki import CertificateProblem, KeyPair, inspect, issue_ca, issue_serving, split
from certs.verification import check_ca, check_serving, verify


class Step(StrEnum):
    """What to do next."""

    KEEP = "Keep"
    CREATE_CA = "CreateCA"
    """There is no usable CA: make one, and a serving certificate with it."""
    RENEW_SERVING = "RenewServing"
    STAGE_NEXT_CA = "StageNextCA"
    """Make the next CA and publish it beside the current one."""
    PROMOTE_NEXT_CA = "PromoteNextCA"
    """The next CA is trusted everywhere: it becomes the current one and signs."""
    RETIRE_OLD_CA = "RetireOldCA"
    """No replica presents anything signed by the old CA any more: stop publishing it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationRules:
    """For which names, how long, how early. Raises ValueError when they cannot keep the law."""

    names: tuple[str, ...]
    """DNS names and IP addresses that the serving certificate must cover."""
    ca_name: str = "endpoints-guard CA"
    ca_lifetime: timedelta = timedelta(days=365)
    ca_lookahead: timedelta = timedelta(days=120)
    """The next CA is staged when the current one has less than this left."""
    serving_lifetime: timedelta = timedelta(days=90)
    serving_lookahead: timedelta = timedelta(days=30)
    """The serving certificate is renewed when it has less than this left."""
    propagation: timedelta = timedelta(minutes=10)
    """After this long every API server uses a `caBundle` that was published."""
    interval: timedelta = timedelta(minutes=1)
    """How often every replica looks."""

    def __post_init__(self) -> None:
        if not self.names:
            raise ValueError("a serving certificate needs at least one name")
        for shorter, factor, longer in _PROPORTIONS:
            if factor * getattr(self, shorter) > getattr(self, longer):
                raise ValueError(f"{longer} must be at least {factor} times {shorter}")


_PROPORTIONS = (
    ("interval", 4, "propagation"),  # a replica looks several times before a step that waited
    ("propagation", 4, "serving_lookahead"),  # all steps of a rotation fit into a lookahead
    ("serving_lookahead", 2, "serving_lifetime"),  # a new certificate is not due again
    ("serving_lifetime", 1, "ca_lookahead"),  # a CA outlives all it signs until it is replaced
    ("ca_lookahead", 2, "ca_lifetime"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertBundle:
    """All that the Secret holds. A part that is missing or broken shows in the next plan."""

    current: KeyPair | None = None
    """The CA that signs."""
    next: KeyPair | None = None
    """The CA that will sign, once it is trusted everywhere."""
    previous: bytes = b""
    """PEM certificates of CAs that sign no more, but may have signed what a replica presents."""
    serving: KeyPair | None = None

    @property
    def ca_bundle(self) -> bytes:
        """What is to be published as `caBundle`; a damaged part must not spoil the rest."""
        pairs = (pair for pair in (self.current, self.next) if pair)
        parts = (*(pair.certificate for pair in pairs), self.previous)
        return _joined(certificate for part in parts for certificate in split(part))


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one process has seen in the cluster. The default is that of a process just started."""

    published: bytes = b""
    """PEM of every CA in the `caBundle` of any webhook."""
    trusted_for: Mapping[str, timedelta] = field(default_factory=dict)
    """CA fingerprint -> how long every webhook's `caBundle` has been seen to hold it."""
    serving_for: timedelta = timedelta()
    """How long the Secret has been seen to hold its present serving certificate."""

    def has_been_trusted(self, ca: KeyPair, duration: timedelta) -> bool:
        """Whether every webhook has been seen to trust `ca` for this long."""
        trusted_for = self.trusted_for.get(inspect(ca.certificate).fingerprint)
        return trusted_for is not None and trusted_for >= duration


@dataclass(frozen=True, slots=True)
class Plan:
    """A step, and why, for the log."""

    step: Step
    why: str


def plan(bundle: CertBundle, seen: Observation, rules: RotationRules, now: datetime) -> Plan:
    """The one next step."""
    if fault := _ca_fault(bundle.current, now):
        if bundle.next and not _ca_fault(bundle.next, now):
            return Plan(Step.PROMOTE_NEXT_CA, f"the current CA is unusable: {fault}")
        return Plan(Step.CREATE_CA, fault)
    return (
        _plan_serving(bundle, rules, now)
        or _plan_next_ca(bundle, seen, rules, now)
        or _plan_retirement(bundle, seen, rules)
        or Plan(Step.KEEP, "nothing is due")
    )


def may_present(
    bundle: CertBundle, presented: KeyPair, seen: Observation, rules: RotationRules, now: datetime
) -> bool:
    """Whether the serving certificate of the Secret should replace the one `presented` now.

    Matters when somebody deleted the Secret: the new CA is not trusted everywhere yet, while what
    is presented still is.
    """
    if bundle.current is None or seen.has_been_trusted(bundle.current, rules.propagation):
        return True
    try:
        verify(presented.certificate, seen.published, rules.names[0], now)
    except CertificateProblem:
        return True
    return False


def advance(
    bundle: CertBundle, step: Step, seen: Observation, rules: RotationRules, now: datetime
) -> CertBundle:
    """The bundle after `step`. Only the new keys are not determined by the arguments."""
    match step:
        case Step.CREATE_CA:
            return _succession(bundle, _new_ca(rules, now), seen, rules, now)
        case Step.PROMOTE_NEXT_CA if bundle.next:
            return _succession(bundle, bundle.next, seen, rules, now)
        case Step.RENEW_SERVING if bundle.current:
            return replace(bundle, serving=_new_serving(bundle.current, rules, now))
        case Step.STAGE_NEXT_CA:
            return replace(bundle, next=_new_ca(rules, now))
        case Step.RETIRE_OLD_CA:
            return replace(bundle, previous=b"")
        case _:
            return bundle


def _succession(
    bundle: CertBundle, ca: KeyPair, seen: Observation, rules: RotationRules, now: datetime
) -> CertBundle:
    """`ca` signs from now on. The key of the CA before it is forgotten, but not its certificate.

    Nor is that of any other CA which is published: the Secret may have lost one that signed what
    replicas still present.
    """
    before = (*split(bundle.ca_bundle), *split(seen.published))
    infos = {certificate: inspect(certificate) for certificate in before}
    living = (pem for pem, info in infos.items() if info.is_ca and info.not_after >= now)
    return CertBundle(
        current=ca,
        previous=_joined(pem for pem in living if pem != ca.certificate),
        serving=_new_serving(ca, rules, now),
    )


def _joined(certificates: Iterable[bytes]) -> bytes:
    """Each once, in an order of their own: a promotion shall not change what is published."""
    return b"".join(sorted(set(certificates)))


def _new_serving(ca: KeyPair, rules: RotationRules, now: datetime) -> KeyPair:
    return issue_serving(ca, rules.names, now, rules.serving_lifetime)


def _new_ca(rules: RotationRules, now: datetime) -> KeyPair:
    return issue_ca(f"{rules.ca_name} {now:%Y-%m-%dT%H:%M:%SZ}", now, rules.ca_lifetime)


def _plan_serving(bundle: CertBundle, rules: RotationRules, now: datetime) -> Plan | None:
    if fault := _serving_fault(bundle, rules, now):
        return Plan(Step.RENEW_SERVING, fault)
    return None


def _plan_next_ca(
    bundle: CertBundle, seen: Observation, rules: RotationRules, now: datetime
) -> Plan | None:
    if bundle.current is None:
        return None
    if bundle.next is None:
        end = inspect(bundle.current.certificate).not_after
        if end - now < rules.ca_lookahead:
            return Plan(Step.STAGE_NEXT_CA, f"the current CA ends {end.isoformat()}")
    elif fault := _ca_fault(bundle.next, now):
        return Plan(Step.STAGE_NEXT_CA, f"the next CA is unusable: {fault}")
    elif seen.has_been_trusted(bundle.next, rules.propagation):
        return Plan(Step.PROMOTE_NEXT_CA, f"the next CA is published since {rules.propagation}")
    return None


def _plan_retirement(bundle: CertBundle, seen: Observation, rules: RotationRules) -> Plan | None:
    if not bundle.previous or bundle.current is None:
        return None
    # Every replica looks several times in one propagation time, but may hold back for another one
    # what it finds (`may_present`).
    enough = 2 * rules.propagation
    if seen.serving_for >= enough and seen.has_been_trusted(bundle.current, enough):
        return Plan(Step.RETIRE_OLD_CA, "every replica presents the present serving certificate")
    return None


def _ca_fault(pair: KeyPair | None, now: datetime) -> str:
    if pair is None:
        return "there is no CA"
    try:
        check_ca(pair, now)
    except CertificateProblem as problem:
        return str(problem)
    return ""


def _serving_fault(bundle: CertBundle, rules: RotationRules, now: datetime) -> str:
    """Why the serving certificate must be issued anew; empty when it need not."""
    if bundle.serving is None or bundle.current is None:
        return "there is no serving certificate"
    try:
        end = check_serving(bundle.serving, now).not_after
        for name in rules.names:
            verify(bundle.serving.certificate, bundle.current.certificate, name, now)
    except CertificateProblem as problem:
        return str(problem)
    due = end - now < rules.serving_lookahead
    # Near its own end the CA can sign nothing that lasts longer than what there is.
    gains = min(now + rules.serving_lifetime, inspect(bundle.current.certificate).not_after) > end
    return f"the serving certificate ends {end.isoformat()}" if due and gains else ""
