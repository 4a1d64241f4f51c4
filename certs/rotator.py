"""The loop that keeps the serving certificate trusted and fresh.

Each round looks, plans one step, writes the Secret, presents its certificate, publishes its CAs.
Whatever fails, the certificate that is presented stays, and the next round tries again.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from certs.pki import CLOCK_SKEW, CertificateProblem, KeyPair, inspect, inspect_all
from certs.publish import Configurations, Conflict, Publisher, PublishProblem, SecretState
from certs.rotation import (
    CertBundle,
    Observation,
    Plan,
    RotationRules,
    Step,
    advance,
    may_present,
    plan,
)
from certs.serving import ServingCertificate

LOG = logging.getLogger(__name__)

ATTEMPTS = 10
"""How often one round begins anew because another replica wrote first."""

RETRY_SECONDS = 5.0
"""Longest wait after a round that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RotatorFacts:
    """What readiness and metrics say about the rotation."""

    last_plan: Plan | None = None
    last_success: datetime | None = None
    failures: int = 0
    last_error: str = ""
    """Why the newest round failed; empty when it did not."""
    ca_not_after: datetime | None = None
    """When the CA ends that signs now."""


class Rotator:
    """Carries out the rotation for one replica, of which any number may run.

    `serving` gets the certificate to present. Without one, as on a command line, only the Secret
    and `caBundle` are kept.
    """

    def __init__(
        self,
        publisher: Publisher,
        rules: RotationRules,
        serving: ServingCertificate | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publisher = publisher
        self._rules = rules
        self._serving = serving
        self._presented: KeyPair | None = None
        self._sightings = Sightings(monotonic)
        self._facts = RotatorFacts()

    def run_once(self, now: datetime) -> Plan:
        """One round; what was planned in it. Raises PublishProblem or CertificateProblem."""
        return self._round(now, None)

    def stage_next_ca(self, now: datetime) -> Plan:
        """Begin to replace the CA although it is not due; later rounds, of any replica, finish it.

        Does what is due instead, if something is. Raises as `run_once` does.
        """
        return self._round(now, Plan(Step.STAGE_NEXT_CA, "an administrator asked for it"))

    def start(self, clock: Callable[[], datetime]) -> threading.Event:
        """Run in a daemon thread until the event returned is set."""
        stop = threading.Event()
        arguments = (clock, stop.wait)
        threading.Thread(target=self.run, args=arguments, name="rotator", daemon=True).start()
        return stop

    def run(self, clock: Callable[[], datetime], wait: Callable[[float], bool]) -> None:
        """Rounds, the first at once, until `wait` (given seconds) answers that it is over."""
        while not wait(self._safe_round(clock)):
            pass

    def facts(self) -> RotatorFacts:
        """How it went so far."""
        return self._facts

    def _safe_round(self, clock: Callable[[], datetime]) -> float:
        """Seconds until the next round."""
        interval = self._rules.interval.total_seconds()
        try:
            self.run_once(clock())
        except (PublishProblem, CertificateProblem):
            return min(interval, RETRY_SECONDS)  # noted already
        except Exception as error:
            self._note(repr(error), unexpected=True)
            return min(interval, RETRY_SECONDS)
        return interval

    def _note(self, problem: str, *, unexpected: bool = False) -> None:
        if problem != self._facts.last_error:
            LOG.error("certificate rotation: %s", problem, exc_info=unexpected)
        self._facts = replace(self._facts, failures=self._facts.failures + 1, last_error=problem)

    def _round(self, now: datetime, asked: Plan | None) -> Plan:
        try:
            done = self._attempts(now, asked)
        except (PublishProblem, CertificateProblem) as problem:
            self._note(str(problem))
            raise
        if self._facts.last_error:
            LOG.info("certificate rotation: works again")
        self._facts = replace(self._facts, last_plan=done, last_success=now, last_error="")
        return done

    def _attempts(self, now: datetime, asked: Plan | None) -> Plan:
        for _ in range(ATTEMPTS):
            try:
                return self._attempt(now, asked)
            except Conflict as conflict:
                LOG.info("certificate rotation: another was first, looking again: %s", conflict)
        raise PublishProblem(
            f"{self._publisher.origin} or a webhook configuration changed {ATTEMPTS} times in one "
            "round; find out what else writes them"
        )

    def _attempt(self, now: datetime, asked: Plan | None) -> Plan:
        configurations = self._publisher.read_configurations()  # before the Secret: see publish
        state = self._publisher.read_secret()
        seen = self._sightings.update(configurations, state.bundle)
        planned = plan(state.bundle, seen, self._rules, now)
        if asked and planned.step is Step.KEEP and state.bundle.next is None:
            planned = asked
        bundle = self._carry_out(planned, state, seen, now)
        self._present(bundle, seen, now)
        problems = self._publisher.publish(bundle.ca_bundle, configurations)
        if problems := (*configurations.problems, *problems):
            raise PublishProblem("; ".join(problems))
        return planned

    def _carry_out(
        self, planned: Plan, state: SecretState, seen: Observation, now: datetime
    ) -> CertBundle:
        bundle = state.bundle
        if planned.step is not Step.KEEP:
            self._require_common_clock(now)
            bundle = advance(bundle, planned.step, seen, self._rules, now)
            self._publisher.store(bundle, state)
            LOG.info("certificate rotation: %s, because %s", planned.step, planned.why)
        if bundle.current:
            ca_not_after = inspect(bundle.current.certificate).not_after
            self._facts = replace(self._facts, ca_not_after=ca_not_after)
        return bundle

    def _require_common_clock(self, now: datetime) -> None:
        """The API server verifies by its own clock, and one wrong clock must not replace the CA."""
        server_time = self._publisher.server_time()
        if server_time and abs(server_time - now) > CLOCK_SKEW / 2:
            raise PublishProblem(
                f"this machine's clock says {now:%Y-%m-%dT%H:%MZ}, the API server's "
                f"{server_time:%Y-%m-%dT%H:%MZ}: no certificate is issued until they agree; "
                "correct the clock"
            )

    def _present(self, bundle: CertBundle, seen: Observation, now: datetime) -> None:
        serving = bundle.serving
        if self._serving is None or serving is None or serving == self._presented:
            return
        presented = self._presented
        if presented is None or may_present(bundle, presented, seen, self._rules, now):
            self._serving.present(serving, self._publisher.origin)
            self._presented = serving


class Sightings:
    """Since when this process has seen what the rotation waits for, by a clock nobody can set."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._generations: dict[str, int] = {}
        self._trusted_since: dict[str, float] = {}
        self._serving: KeyPair | None = None
        self._serving_since = 0.0

    def update(self, configurations: Configurations, bundle: CertBundle) -> Observation:
        """What has been seen, the present look included."""
        now = self._monotonic()
        bundles = {pem for found in configurations.found for pem in found.ca_bundles.values()}
        trusted = _trusted_by_all(bundles) if not configurations.problems else frozenset()
        generations = {found.name: found.generation for found in configurations.found}
        if generations != self._generations:  # perhaps a CA was away between two looks
            self._generations, self._trusted_since = generations, {}
        self._trusted_since = {ca: self._trusted_since.get(ca, now) for ca in trusted}
        if bundle.serving != self._serving:
            self._serving, self._serving_since = bundle.serving, now
        return Observation(
            published=b"\n".join(pem for pem in sorted(bundles) if _fingerprints(pem)),
            trusted_for={
                ca: timedelta(seconds=now - since) for ca, since in self._trusted_since.items()
            },
            serving_for=timedelta(seconds=now - self._serving_since),
        )


def _trusted_by_all(bundles: set[bytes]) -> frozenset[str]:
    """Fingerprints of the CAs that are in every bundle."""
    each = [_fingerprints(pem) for pem in bundles]
    return frozenset.intersection(*each) if each else frozenset()


def _fingerprints(pem: bytes) -> frozenset[str]:
    try:
        return frozenset(info.fingerprint for info in inspect_all(pem))
    except CertificateProblem:
        return frozenset()
