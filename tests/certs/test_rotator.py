"""One replica, or many, from the first start through a rotation, whatever fails on the way."""

import contextlib
import logging
import threading
from datetime import datetime, timedelta

import pytest

from certs.pki import KeyPair, inspect_all
from certs.publish import Publisher, PublishProblem, bundle_from
from certs.rotation import RotationRules, Step
from certs.rotator import ATTEMPTS, RETRY_SECONDS, Rotator
from certs.serving import ServingCertificate
from certs.verification import verify
from tests.certs.builders import DAY, NAME, NOW
from tests.certs.cluster import REPLICAS, RULES, Cluster
from tests.certs.fake_api import CONFIGURATION, NAMESPACE, SECRET, WEBHOOKS, FakeApi


def rotator_of(api: FakeApi, serving: ServingCertificate | None = None) -> Rotator:
    publisher = Publisher(api, namespace=NAMESPACE, secret=SECRET, configurations=(CONFIGURATION,))
    return Rotator(publisher, RULES, serving)


def serving_at(now: datetime = NOW) -> ServingCertificate:
    return ServingCertificate(clock=lambda: now)


def serial(serving: ServingCertificate) -> int:
    certificate = serving.facts().certificate
    assert certificate
    return certificate.serial


def test_the_first_round_makes_presents_and_publishes_all_that_is_needed() -> None:
    api, serving = FakeApi(), serving_at()

    plan = rotator_of(api, serving).run_once(NOW)

    assert plan.step is Step.CREATE_CA
    presented = bundle_from(api.secret()).serving
    assert presented
    assert serving.facts().loads == 1
    for webhook in WEBHOOKS:
        verify(presented.certificate, api.ca_bundles()[webhook], NAME, NOW)


def test_the_second_round_writes_nothing() -> None:
    api = FakeApi()
    rotator = rotator_of(api, serving_at())
    rotator.run_once(NOW)
    api.requests.clear()

    assert rotator.run_once(NOW).step is Step.KEEP
    assert api.requests == ["get guard", "get Secret"]


def test_a_replica_that_starts_later_presents_what_there_is() -> None:
    api, early, late = FakeApi(), serving_at(), serving_at()
    rotator_of(api, early).run_once(NOW)

    assert rotator_of(api, late).run_once(NOW).step is Step.KEEP
    assert serial(late) == serial(early)


def test_without_a_listener_only_secret_and_ca_bundle_are_kept() -> None:
    api = FakeApi()

    rotator_of(api).run_once(NOW)

    assert api.ca_bundles()[WEBHOOKS[0]] == bundle_from(api.secret()).ca_bundle


@pytest.mark.parametrize("installer_made_a_secret", [False, True])
def test_replicas_that_start_at_once_agree_on_one_ca(installer_made_a_secret: bool) -> None:
    api = FakeApi()
    if installer_made_a_secret:
        api.write_secret({})
    together = threading.Barrier(8)
    # All have read before anybody writes.
    api.interrupt = lambda moment: None if moment != "after get Secret" else wait_once(together)
    replicas = [serving_at() for _ in range(8)]

    def start(serving: ServingCertificate) -> None:
        rotator_of(api, serving).run_once(NOW)

    threads = [threading.Thread(target=start, args=(serving,)) for serving in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({serial(serving) for serving in replicas}) == 1
    assert api.requests.count("patch Secret" if installer_made_a_secret else "create Secret") == 8
    assert set(api.ca_bundles().values()) == {bundle_from(api.secret()).ca_bundle}


def wait_once(barrier: threading.Barrier) -> None:
    with contextlib.suppress(threading.BrokenBarrierError):
        barrier.wait(timeout=10)
        barrier.abort()


def test_a_ca_is_replaced_without_a_gap_and_each_step_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    cluster = Cluster()
    cluster.pass_quiet_days(10)

    cluster.run(0, lambda rotator: rotator.stage_next_ca(cluster.now))
    cluster.pass_quiet_days(15)  # the model checks every request

    steps = [record.args[0] for record in caplog.records if "because" in record.msg]  # type: ignore[index]
    assert steps == [
        Step.CREATE_CA,
        Step.STAGE_NEXT_CA,
        Step.PROMOTE_NEXT_CA,
        Step.RETIRE_OLD_CA,
    ]
    assert len(inspect_all(cluster.api.ca_bundles()[WEBHOOKS[0]])) == 1
    assert "PRIVATE KEY" not in caplog.text


def test_the_life_of_several_cas_passes_without_anybody_doing_anything() -> None:
    cluster = Cluster()
    cluster.stop(1)
    cluster.stop(2)
    cas = set()

    for _ in range(3 * RULES.ca_lifetime // RULES.interval):
        cluster.pass_quiet_days(1)
        bundle = bundle_from(cluster.api.secret())
        assert bundle.current
        assert bundle.serving
        cas.add(bundle.current.certificate)
        ca_bundle = cluster.api.ca_bundles()[WEBHOOKS[0]]
        verify(bundle.serving.certificate, ca_bundle, NAME, cluster.now)

    assert len(cas) > 4


def test_asking_twice_for_a_new_ca_makes_one() -> None:
    api = FakeApi()
    rotator = rotator_of(api)
    rotator.run_once(NOW)

    assert rotator.stage_next_ca(NOW).step is Step.STAGE_NEXT_CA
    staged = bundle_from(api.secret())
    assert rotator.stage_next_ca(NOW).step is Step.KEEP
    assert bundle_from(api.secret()) == staged


def presented(cluster: Cluster, number: int) -> KeyPair | None:
    return cluster.replicas[number].presenter.pair


def test_after_a_secret_is_deleted_running_replicas_wait_until_the_new_ca_is_trusted() -> None:
    cluster = Cluster()
    cluster.pass_quiet_days(5)
    before = presented(cluster, 0)

    cluster.api.delete_secret()
    cluster.pass_quiet_days(1)
    meanwhile = [presented(cluster, number) for number in range(REPLICAS)]
    cluster.pass_quiet_days(6)

    assert meanwhile == [before] * REPLICAS
    assert presented(cluster, 0) == bundle_from(cluster.api.secret()).serving != before


def test_a_replica_that_paused_cannot_take_back_a_ca_bundle() -> None:
    """Days pass for the others between its reading an emptied `caBundle` and its repairing it."""
    cluster = Cluster()
    cluster.pass_quiet_days(5)
    cluster.restore_ca_bundle(back=1)
    cluster.stop(2)

    def others_rotate() -> None:
        cluster.run(1)
        cluster.run(1, lambda rotator: rotator.stage_next_ca(cluster.now))
        for _ in range(6):
            cluster.pass_time(DAY)
            cluster.run(1)

    cluster.during(moment=4, act=others_rotate, round_of_another=lambda: cluster.resume(0))

    bundle = bundle_from(cluster.api.secret())
    assert bundle.previous  # the next CA has been promoted
    assert cluster.api.ca_bundles()[WEBHOOKS[0]] == bundle.ca_bundle


def test_a_replica_that_paused_between_two_reads_knows_no_less_of_the_secret() -> None:
    """Were the Secret read first, an outdated one could meet an up-to-date configuration."""
    cluster = Cluster()
    cluster.pass_quiet_days(5)
    cluster.stop(2)

    def others_rotate() -> None:
        cluster.run(1, lambda rotator: rotator.stage_next_ca(cluster.now))
        for _ in range(6):
            cluster.pass_time(DAY)
            cluster.run(1)

    cluster.during(moment=2, act=others_rotate, round_of_another=lambda: cluster.resume(0))

    bundle = bundle_from(cluster.api.secret())
    assert bundle.previous
    assert cluster.api.ca_bundles()[WEBHOOKS[0]] == bundle.ca_bundle


def test_a_ca_that_was_away_between_two_looks_is_waited_for_anew() -> None:
    cluster = Cluster()
    cluster.pass_quiet_days(5)
    cluster.run(0, lambda rotator: rotator.stage_next_ca(cluster.now))
    cluster.pass_quiet_days(4)

    cluster.restore_ca_bundle(back=1)  # without the next CA
    cluster.run(1)  # repairs it before the others look
    cluster.pass_quiet_days(3)
    waiting = bundle_from(cluster.api.secret())
    cluster.pass_quiet_days(2)
    promoted = bundle_from(cluster.api.secret())

    assert waiting.next is not None
    assert promoted.current == waiting.next


def test_a_ca_bundle_that_an_installer_reset_is_repaired() -> None:
    api = FakeApi()
    rotator = rotator_of(api)
    rotator.run_once(NOW)

    api.write_ca_bundles(dict.fromkeys(WEBHOOKS, b""))
    rotator.run_once(NOW)

    assert api.ca_bundles()[WEBHOOKS[0]] == bundle_from(api.secret()).ca_bundle


def test_a_configuration_installed_later_is_published_to_later() -> None:
    api, serving = FakeApi(), serving_at()
    api.delete_configuration()
    rotator = rotator_of(api, serving)

    with pytest.raises(PublishProblem, match="guard does not exist"):
        rotator.run_once(NOW)
    assert serving.facts().loads == 1

    api.write_ca_bundles(dict.fromkeys(WEBHOOKS, b""))
    rotator.run_once(NOW)
    assert api.ca_bundles()[WEBHOOKS[0]] == bundle_from(api.secret()).ca_bundle


@pytest.mark.parametrize("status", [0, 403, 500])
def test_an_api_server_that_refuses_leaves_the_certificate_in_use(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    api, serving = FakeApi(), serving_at()
    rotator = rotator_of(api, serving)
    rotator.run_once(NOW)
    context = serving.context()
    caplog.clear()

    api.refusals["get Secret"] = status
    for _ in range(3):
        with pytest.raises(PublishProblem):
            rotator.run_once(NOW + 80 * DAY)

    assert serving.context() is context
    assert (rotator.facts().failures, "Secret" in rotator.facts().last_error) == (3, True)

    api.refusals.clear()
    rotator.run_once(NOW)

    assert rotator.facts().last_error == ""
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


@pytest.mark.parametrize("off", [-2 * timedelta(hours=1), 500 * DAY])
def test_a_machine_whose_clock_is_wrong_replaces_nothing(off: timedelta) -> None:
    api = FakeApi(clock=lambda: NOW)
    rotator = rotator_of(api)
    rotator.run_once(NOW)
    before = api.secret()
    api.write_secret({**before, "tls.crt": b""})  # so that something is due

    with pytest.raises(PublishProblem, match="correct the clock"):
        rotator.run_once(NOW + off)

    assert bundle_from(api.secret()).current == bundle_from(before).current


def test_endless_conflicts_end_in_a_problem() -> None:
    api = FakeApi()

    def meddle(moment: str) -> None:
        if moment.startswith("before patch"):
            api.write_ca_bundles(api.ca_bundles())

    api.interrupt = meddle

    with pytest.raises(PublishProblem, match=f"changed {ATTEMPTS} times"):
        rotator_of(api).run_once(NOW)


def test_the_facts_tell_the_last_round_and_the_end_of_the_ca() -> None:
    rotator = rotator_of(FakeApi())
    rotator.run_once(NOW)

    facts = rotator.facts()

    assert facts.last_plan
    assert facts.last_plan.step is Step.CREATE_CA
    assert (facts.last_success, facts.ca_not_after) == (NOW, NOW + RULES.ca_lifetime)


class Waits:
    """Stands in for `Event.wait`: remembers how long, and says when it is over."""

    def __init__(self, rounds: int) -> None:
        self.seconds: list[float] = []
        self._rounds = rounds

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return len(self.seconds) == self._rounds


def test_the_loop_waits_an_interval_after_success_and_less_after_failure() -> None:
    api = FakeApi()
    rotator = rotator_of(api)
    waits = Waits(rounds=3)
    moments = iter([NOW, NOW, NOW])

    def clock() -> datetime:
        if len(waits.seconds) == 1:
            api.refusals["get Secret"] = 500
        elif len(waits.seconds) == 2:
            api.refusals.clear()
        return next(moments)

    rotator.run(clock, waits)

    interval = RULES.interval.total_seconds()
    assert waits.seconds == [interval, RETRY_SECONDS, interval]


def test_the_loop_survives_what_nobody_foresaw(caplog: pytest.LogCaptureFixture) -> None:
    api = FakeApi()
    rotator = rotator_of(api)

    def broken(moment: str) -> None:
        raise ZeroDivisionError(moment)

    api.interrupt = broken
    rotator.run(lambda: NOW, waits := Waits(rounds=2))

    assert waits.seconds == [RETRY_SECONDS, RETRY_SECONDS]
    [record] = caplog.records
    assert record.exc_info
    assert "ZeroDivisionError" in rotator.facts().last_error


def test_the_thread_runs_at_once_and_stops_when_told() -> None:
    api, serving = FakeApi(), serving_at()
    presented = threading.Event()
    api.interrupt = lambda moment: presented.set() if moment == "after patch guard" else None
    rules = RotationRules(names=(NAME,), interval=timedelta(milliseconds=1))
    publisher = Publisher(api, namespace=NAMESPACE, secret=SECRET, configurations=(CONFIGURATION,))

    stop = Rotator(publisher, rules, serving).start(lambda: NOW)
    assert presented.wait(timeout=10)
    stop.set()
    [thread] = [thread for thread in threading.enumerate() if thread.name == "rotator"]
    thread.join(timeout=10)

    assert not thread.is_alive()
    assert serving.facts().loads == 1
