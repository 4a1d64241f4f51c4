"""A model of a cluster: real rotators, an API server in memory, and two clocks.

An API server may go on with any `caBundle` that was replaced less than a propagation time ago, so
what is presented is checked against all of these, after every single request.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from certs.pki import CLOCK_SKEW, CertificateInfo, CertificateProblem, KeyPair, inspect, split
from certs.publish import Publisher, PublishProblem, bundle_from
from certs.rotation import Plan, RotationRules
from certs.rotator import Rotator
from certs.serving import ServingCertificate
from certs.verification import check_ca, check_serving, verify
from tests.certs.builders import DAY, NAME, NOW
from tests.certs.fake_api import CONFIGURATION, NAMESPACE, SECRET, WEBHOOKS, Crash, FakeApi

RULES = RotationRules(
    names=(NAME,),
    interval=DAY,
    propagation=4 * DAY,
    serving_lookahead=16 * DAY,
    serving_lifetime=32 * DAY,
    ca_lookahead=32 * DAY,
    ca_lifetime=64 * DAY,
)
REPLICAS = 3


class Presenter(ServingCertificate):
    """Remembers what it was given, and builds no TLS context."""

    def __init__(self, cluster: "Cluster") -> None:
        super().__init__(clock=lambda: cluster.now)
        self.pair: KeyPair | None = None
        self._cluster = cluster

    def present(self, pair: KeyPair, origin: str) -> None:
        check_serving(pair, self._cluster.now)
        self.pair = pair
        self._cluster.check()


@dataclass(frozen=True, slots=True)
class Replica:
    rotator: Rotator
    presenter: Presenter


class Cluster:
    """Replicas, the API server's memory, two clocks, and the history of `caBundle`."""

    def __init__(self) -> None:
        self.now = NOW
        self.seconds = 0.0
        self.api = FakeApi(clock=lambda: self.now)
        self.api.interrupt = self._interrupt
        self.published = [(0.0, b"")]  # when, and what
        self.replicas: dict[int, Replica] = {}
        self.on_request: Callable[[str], None] = lambda _moment: None
        self.safe: dict[str, bool] = {}
        self.excused: set[str] = set()
        self._checked: object = None
        for number in range(REPLICAS):
            self.start(number)

    def start(self, number: int) -> None:
        publisher = Publisher(
            self.api, namespace=NAMESPACE, secret=SECRET, configurations=(CONFIGURATION,)
        )
        presenter = Presenter(self)
        rotator = Rotator(publisher, RULES, presenter, monotonic=lambda: self.seconds)
        self.replicas[number] = Replica(rotator, presenter)
        self.safe.pop(f"replica {number}", None)
        self.excused.discard(f"replica {number}")

    def stop(self, number: int) -> None:
        self.replicas.pop(number, None)

    def run(self, number: int, act: Callable[[Rotator], Plan] | None = None) -> None:
        """One round of a replica, which may crash in it."""
        if number not in self.replicas:
            return
        try:
            rotator = self.replicas[number].rotator
            _ = act(rotator) if act else rotator.run_once(self.now)
        except Crash:
            self.stop(number)
        except PublishProblem:
            if not self.api.refusals:
                raise
        self.check()

    def resume(self, number: int) -> None:
        """One round that begins now, and for which it is still now when others go on."""
        with contextlib.suppress(PublishProblem):  # what is due then, such a round must leave
            self.replicas[number].rotator.run_once(self.now)
        self.check()

    def pass_time(self, duration: timedelta) -> None:
        self.now += duration
        self.seconds += duration.total_seconds()
        self.check()

    def pass_quiet_days(self, days: int) -> None:
        for _ in range(days):
            self.pass_time(RULES.interval)
            for number in range(REPLICAS):
                self.run(number)

    def during(
        self, moment: int, act: Callable[[], None], round_of_another: Callable[[], None]
    ) -> None:
        """Let `act` happen at that moment of a round."""
        self.on_request = at_moment(moment, act)
        round_of_another()
        self.on_request = lambda _moment: None

    def refuse_writes_of_the_secret(self, days: int) -> None:
        self.api.refusals["patch Secret"] = 403
        self.pass_quiet_days(days)
        self.api.refusals.clear()

    def damage(self, key: str, *, whole: bool) -> None:
        content = self.api.secret()
        if key in content:
            content[key] = b"" if whole else content[key][:-60]
            self.api.write_secret(content)
            self.excused.add("Secret")

    def restore_ca_bundle(self, back: int) -> None:
        """Write what `caBundle` was that many changes ago. Who needed the newer one is excused."""
        earlier = self.published[-1 - min(back, len(self.published) - 1)][1]
        self.api.write_ca_bundles(dict.fromkeys(WEBHOOKS, earlier))
        self.excused |= {who for who, pair in self.presented() if not _signed_by(earlier, pair)}
        self._note_published()

    def is_at_rest(self) -> bool:
        """One CA is published, and all present one certificate, which it signed and is valid."""
        bundle = bundle_from(self.api.secret())
        if not bundle.current or not bundle.serving or bundle.next or bundle.previous:
            return False
        verify(bundle.serving.certificate, bundle.current.certificate, NAME, self.now)
        published = set(self.api.ca_bundles().values())
        pairs = {replica.presenter.pair for replica in self.replicas.values()}
        return published == {bundle.current.certificate} and pairs == {bundle.serving}

    def presented(self) -> Iterator[tuple[str, KeyPair]]:
        """What replicas present, and what one would present that started now."""
        for number, replica in self.replicas.items():
            if replica.presenter.pair:
                yield f"replica {number}", replica.presenter.pair
        serving = bundle_from(self.api.secret()).serving
        if serving and split(serving.certificate):
            yield "Secret", serving

    def check(self) -> None:
        """What was trusted by every API server still is, or has expired, or is excused.

        An excuse lasts until its bearer presents what all others do.
        """
        presenting = tuple(
            (number, replica.presenter.pair) for number, replica in self.replicas.items()
        )
        state = (self.now, self.seconds, self.api.version, presenting)
        if state == self._checked:
            return
        self._checked = state
        safe, up_to_date = {}, self._up_to_date()
        for who, pair in self.presented():
            safe[who] = all(_signed_by(pem, pair) for pem in self._in_use())
            if self._is_out_of_date(pair):
                self.excused.add(who)
            elif safe[who]:
                if who in up_to_date:
                    self.excused.discard(who)
            elif self.safe.get(who) and who not in self.excused:
                raise AssertionError(f"what {who} presents is no longer trusted everywhere")
        self.safe = safe

    def _in_use(self) -> Iterator[bytes]:
        """Every `caBundle` that some API server may still act upon."""
        *_, (_, newest) = self.published
        yield newest
        oldest = self.seconds - RULES.propagation.total_seconds()
        for (_, pem), (replaced_at, _) in zip(self.published, self.published[1:], strict=False):
            if replaced_at > oldest:
                yield pem

    def _up_to_date(self) -> set[str]:
        """Who presents what a sound Secret holds; nobody when it is not sound."""
        bundle = bundle_from(self.api.secret())
        if not bundle.current or not bundle.serving:
            return set()
        try:
            check_ca(bundle.current, self.now)
            check_serving(bundle.serving, self.now)
        except CertificateProblem:
            return set()
        if not _signed_by(bundle.current.certificate, bundle.serving):
            return set()
        return {who for who, pair in self.presented() if pair == bundle.serving}

    def _is_out_of_date(self, pair: KeyPair) -> bool:
        info = _info(pair.certificate)
        return not info.not_before <= self.now <= info.not_after

    def _interrupt(self, moment: str) -> None:
        self._note_published()
        self.check()
        self.on_request(moment)

    def _note_published(self) -> None:
        newest = self.api.ca_bundles()[WEBHOOKS[0]]
        if newest != self.published[-1][1]:
            self.published.append((self.seconds, newest))


@cache
def _info(certificate: bytes) -> CertificateInfo:
    return inspect(certificate)


@cache
def _signed_by(ca_bundle: bytes, pair: KeyPair) -> bool:
    """Whether a CA of the bundle signed it; dates are judged as of its issue."""
    try:
        issued = _info(pair.certificate).not_before + CLOCK_SKEW
        verify(pair.certificate, ca_bundle, NAME, issued)
    except CertificateProblem:
        return False
    return True


def at_moment(number: int, act: Callable[[], None]) -> Callable[[str], None]:
    """Acts at the `number`th moment, once."""
    moments = iter(range(number, 0, -1))

    def on_request(_moment: str) -> None:
        if next(moments, 0) == 1:
            act()

    return on_request
