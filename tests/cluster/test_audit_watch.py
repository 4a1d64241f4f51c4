"""An audit that goes on: what changes is judged again, what lasts is told, what is gone, too."""

from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any

import pytest

from tests.builders import (
    cluster_role,
    cluster_role_binding,
    endpoint_slice,
    endpoints,
    external_endpoint,
    manual_service,
    node,
    pod,
    policy_rule,
    service,
    user,
)
from tests.cluster.samples import FAST, api_of
from tests.cluster.test_reading import put
from tests.fake_apiserver import ALWAYS, FakeApiServer, Fault, wait_until
from webhook.cluster.audit_watch import AuditWatch, News
from webhook.cluster.auditor import Scope
from webhook.cluster.resources import ENDPOINT_SLICE, POD, ROLE
from webhook.core.fingerprint import identity
from webhook.core.policy import Policy, parse_policy
from webhook.core.rule import Action

RULES = Policy().rules_in_force()
METADATA = endpoint_slice(external_endpoint("169.254.169.254"), name="db-2", of_service="db")
FOREIGN = endpoint_slice(external_endpoint("10.0.7.8"), name="db-1", of_service="db")
VAULT = pod("vault-0", namespace="rival", ip="10.0.7.8")


class Watched:
    """A watch, and everything that it has told so far."""

    def __init__(self, server: FakeApiServer, settle: float = 0.05, **rest: Any) -> None:
        self.policy = rest.pop("policy", Policy())
        scope = rest.pop("scope", Scope(rules=RULES, settle=settle))
        self.watch = AuditWatch(api_of(server), lambda: self.policy, scope, pace=FAST, **rest)
        self.news: list[News] = []

    def turn(self) -> None:
        self.news += self.watch.turn()

    @property
    def told(self) -> list[tuple[str, str, bool]]:
        return [(str(n.judged.ref), n.finding.rule.code, n.resolved) for n in self.news]

    @property
    def wrong(self) -> set[tuple[str, str]]:
        report = self.watch.report()
        return {(str(j.ref), f.rule.code) for j in report.objects for f in j.findings}

    def until(self, condition: Callable[[], bool]) -> None:
        def turned() -> bool:
            self.turn()
            return condition()

        wait_until(turned)

    def go_on(self, seconds: float) -> None:
        end = monotonic() + seconds
        while monotonic() < end:
            self.turn()
            sleep(0.005)


@pytest.fixture
def cluster(server: FakeApiServer) -> FakeApiServer:
    put(server, service(), pod(), node(), endpoints(), endpoint_slice())
    put(server, manual_service("db"), VAULT)
    return server


@pytest.fixture
def watched(cluster: FakeApiServer) -> Iterator[Watched]:
    made = Watched(cluster)
    made.watch.start()
    made.until(lambda: made.watch.settled)
    yield made
    made.watch.stop()


METADATA_FOUND = ("EndpointSlice/shop/db-2", "EG505")
FOREIGN_FOUND = ("EndpointSlice/shop/db-1", "EG501")


def test_nothing_is_told_of_what_is_as_it_should_be(watched: Watched) -> None:
    watched.go_on(0.2)
    assert watched.told == []
    assert watched.watch.numbers().full_runs == 1


def test_a_new_finding_is_told_once(cluster: FakeApiServer, watched: Watched) -> None:
    put(cluster, METADATA)
    watched.until(lambda: bool(watched.news))
    watched.go_on(0.2)
    assert watched.told == [(*METADATA_FOUND, False)]
    assert watched.wrong == {METADATA_FOUND}


def test_what_is_gone_is_told_as_resolved(cluster: FakeApiServer, watched: Watched) -> None:
    put(cluster, METADATA)
    watched.until(lambda: watched.wrong == {METADATA_FOUND})
    cluster.state.delete(ENDPOINT_SLICE.path, "shop", "db-2")
    watched.until(lambda: watched.wrong == set())
    assert watched.told == [(*METADATA_FOUND, False), (*METADATA_FOUND, True)]


def test_a_change_elsewhere_makes_an_address_wrong_and_right_again(
    cluster: FakeApiServer, watched: Watched
) -> None:
    cluster.state.delete(POD.path, "rival", "vault-0")
    put(cluster, FOREIGN)
    watched.go_on(0.2)
    assert FOREIGN_FOUND not in watched.wrong
    put(cluster, VAULT)
    watched.until(lambda: FOREIGN_FOUND in watched.wrong)
    cluster.state.delete(POD.path, "rival", "vault-0")
    watched.until(lambda: FOREIGN_FOUND not in watched.wrong)


def test_only_what_a_change_touches_is_judged_again(
    cluster: FakeApiServer, watched: Watched
) -> None:
    before = watched.watch.numbers().objects_judged
    put(cluster, METADATA)
    watched.until(lambda: bool(watched.news))
    numbers = watched.watch.numbers()
    assert numbers.full_runs == 1
    assert numbers.objects_judged - before <= 6


def test_a_second_finding_of_an_object_is_told_after_the_first(
    cluster: FakeApiServer, watched: Watched
) -> None:
    addresses = [external_endpoint(f"127.0.0.{number}") for number in range(1, 6)]
    for number in range(1, 6):
        put(cluster, endpoint_slice(*addresses[:number], name="db-2", of_service="db"))
        watched.go_on(0.03)
    watched.until(lambda: len(watched.news) == 5)
    assert {n.finding.listed.address.text for n in watched.news if n.finding.listed} == {
        f"127.0.0.{number}" for number in range(1, 6)
    }


def test_what_does_not_last_is_never_told(cluster: FakeApiServer) -> None:
    watched = Watched(cluster, settle=3600)
    watched.watch.start()
    try:
        watched.until(lambda: watched.watch.settled)
        put(cluster, METADATA)
        watched.until(lambda: watched.watch.numbers().suspects > 0)
        assert not watched.watch.settled
        cluster.state.delete(ENDPOINT_SLICE.path, "shop", "db-2")
        watched.until(lambda: watched.watch.numbers().suspects == 0)
        assert watched.told == []
    finally:
        watched.watch.stop()


def test_what_the_informers_are_late_to_know_is_not_told(
    cluster: FakeApiServer, watched: Watched
) -> None:
    """The watch of Pods is half open: it says nothing, and nobody has noticed yet."""
    cluster.inject(Fault(verb="watch", path=POD.path, silent=True, times=ALWAYS))
    cluster.state.cut_watches()
    wait_until(lambda: sum(r.path == POD.path and r.verb == "watch" for r in cluster.requests) > 1)
    cluster.state.delete(POD.path, "rival", "vault-0")
    put(cluster, pod("vault-1", namespace="shop", ip="10.0.7.8"), FOREIGN)
    watched.until(lambda: watched.watch.numbers().suspects > 0)
    watched.until(lambda: watched.watch.numbers().suspects == 0)
    assert watched.told == []


def test_what_cannot_be_confirmed_waits(cluster: FakeApiServer, watched: Watched) -> None:
    cluster.inject(Fault(verb="list", status=403, times=ALWAYS))
    put(cluster, METADATA)
    watched.until(lambda: watched.watch.numbers().suspects > 0)
    watched.go_on(0.3)
    assert watched.told == []
    cluster.heal()
    watched.until(lambda: watched.wrong == {METADATA_FOUND})


def test_a_new_policy_judges_everything_anew(cluster: FakeApiServer, watched: Watched) -> None:
    put(cluster, METADATA)
    watched.until(lambda: watched.wrong == {METADATA_FOUND})
    watched.policy = parse_policy({"rules": {"EG505": "off"}})
    watched.until(lambda: watched.wrong == set())
    assert watched.watch.numbers().full_runs == 2
    assert watched.told[-1] == (*METADATA_FOUND, True)


ROLES_OFF = parse_policy({"rules": {"EG604": "off"}})
BINDING = (
    cluster_role("writer", policy_rule()),
    cluster_role_binding("writers", "writer", user()),
)
BINDING_FOUND = ("ClusterRoleBinding/writers", "EG604")


def test_a_rule_that_comes_into_force_later_has_its_kinds_read_then(
    cluster: FakeApiServer,
) -> None:
    put(cluster, *BINDING)
    made = Watched(cluster, policy=ROLES_OFF)
    made.watch.start()
    made.until(lambda: made.watch.settled)
    assert "ClusterRole" not in {status.kind for status in made.watch.informers.status()}
    made.policy = Policy()
    made.until(lambda: made.wrong == {BINDING_FOUND})
    made.watch.stop()


def test_until_they_are_read_the_policy_before_holds(cluster: FakeApiServer) -> None:
    made = Watched(cluster, policy=ROLES_OFF)
    made.watch.start()
    made.until(lambda: made.watch.settled)
    cluster.inject(Fault(verb="list", path=ROLE.path, status=403, times=ALWAYS))
    made.policy = parse_policy({"rules": {"EG505": "off"}})
    put(cluster, METADATA)
    made.until(lambda: made.wrong == {METADATA_FOUND})
    assert any(not each.ready and "Role" in each.part for each in made.watch.conditions())
    cluster.heal()
    made.until(lambda: made.wrong == set())
    made.watch.stop()


def test_what_is_known_is_never_told(cluster: FakeApiServer, watched: Watched) -> None:
    put(cluster, METADATA)
    watched.until(lambda: bool(watched.news))
    news = watched.news[0]
    again = Watched(cluster, known=frozenset({identity(news.judged, news.finding)}))
    again.watch.start()
    try:
        again.until(lambda: again.watch.settled)
        again.go_on(0.2)
        assert again.told == []
    finally:
        again.watch.stop()


def test_only_the_namespaces_and_rules_that_are_wanted_are_judged(cluster: FakeApiServer) -> None:
    put(cluster, METADATA, FOREIGN)
    scope = Scope(rules=frozenset({"EG501"}), settle=0.05)
    watched = Watched(cluster, scope=scope)
    watched.watch.start()
    try:
        watched.until(lambda: bool(watched.news))
        watched.go_on(0.2)
        assert watched.wrong == {FOREIGN_FOUND}
    finally:
        watched.watch.stop()


def test_it_is_ready_when_everything_was_judged_once(cluster: FakeApiServer) -> None:
    cluster.inject(Fault(verb="list", path=POD.path, status=403, times=ALWAYS))
    watched = Watched(cluster)
    watched.watch.start()
    try:
        watched.go_on(0.1)
        lines = {c.part: c for c in watched.watch.conditions()}
        assert not lines["audit"].ready
        assert "HTTP 403" in lines["informer Pod"].text
        cluster.heal()
        watched.until(lambda: all(c.ready for c in watched.watch.conditions()))
    finally:
        watched.watch.stop()


def test_the_numbers_count_what_is_wrong_by_rule_and_action(
    cluster: FakeApiServer, watched: Watched
) -> None:
    put(cluster, METADATA, FOREIGN)
    watched.until(lambda: watched.wrong == {METADATA_FOUND, FOREIGN_FOUND})
    numbers = watched.watch.numbers()
    assert numbers.findings == {("EG505", Action.DENY): 1, ("EG501", Action.DENY): 1}
    assert numbers.last_run <= monotonic()
    assert numbers.seconds >= 0
