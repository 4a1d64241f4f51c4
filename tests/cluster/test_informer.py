"""An informer on a healthy API server: what is in the store, and what it says of itself."""

from collections.abc import Callable
from time import monotonic

import pytest

from tests.cluster.samples import FAST, PODS, KeyedStore, decodable, informer_of, pod
from tests.fake_apiserver import ALWAYS, FakeApiServer, Fault, wait_until
from webhook.cluster.informer import InformerSet
from webhook.cluster.listwatch import Pace
from webhook.cluster.live import INFORMED
from webhook.cluster.paths import resource_of
from webhook.cluster.permissions import INFORMERS


def running(server: FakeApiServer, store: KeyedStore) -> InformerSet:
    informers = InformerSet([informer_of(server, store)])
    informers.start()
    assert informers.wait_synced(monotonic() + 5)
    wait_until(lambda: server.state.watching(PODS))
    return informers


def settled(server: FakeApiServer, store: KeyedStore) -> None:
    wait_until(lambda: store.pods == decodable(server))


class TestStore:
    def test_holds_what_was_there_before(self, server: FakeApiServer) -> None:
        for number in range(10):
            server.state.put(PODS, pod(f"pod-{number}"))
        store = KeyedStore()
        running(server, store).stop()
        assert store.pods == decodable(server)
        assert server.asked("list") == 4

    def test_follows_what_happens(self, server: FakeApiServer) -> None:
        server.state.put(PODS, pod("kept"))
        server.state.put(PODS, pod("deleted"))
        store = KeyedStore()
        informers = running(server, store)

        server.state.put(PODS, pod("added"))
        server.state.put(PODS, pod("kept", node="node-2"))
        server.state.delete(PODS, "team", "deleted")
        settled(server, store)
        informers.stop()

        assert store.pods == {"added": "node-1", "kept": "node-2"}
        assert store.replaced == 1

    def test_is_empty_when_there_is_nothing(self, server: FakeApiServer) -> None:
        store = KeyedStore()
        running(server, store).stop()
        assert store.pods == {}
        assert store.replaced == 1


class TestWatches:
    def test_that_end_in_good_order_are_contact_and_no_failure(self, server: FakeApiServer) -> None:
        server.state.longest_watch = 0.02
        store = KeyedStore()
        pace = Pace(first_delay=0.005, longest_delay=0.05, settled=0.0)
        informers = InformerSet([informer_of(server, store, pace)])
        informers.start()
        wait_until(lambda: server.asked("watch") >= 3)
        assert monotonic() - informers.status()[0].age >= server.requests[1].at
        server.state.put(PODS, pod("web"))
        settled(server, store)
        informers.stop()
        (status,) = informers.status()
        assert (status.relists, status.failures) == (0, 0)

    def test_go_on_after_the_last_event(self, server: FakeApiServer) -> None:
        store = KeyedStore()
        informers = running(server, store)
        version = server.state.put(PODS, pod("web"))
        settled(server, store)
        server.state.cut_watches()
        wait_until(lambda: server.asked("watch") == 2)
        informers.stop()
        assert server.requests[-1].query["resourceVersion"] == version

    def test_of_a_quiet_kind_go_on_after_the_last_bookmark(self, server: FakeApiServer) -> None:
        server.state.bookmark_every = 0.01
        informers = running(server, KeyedStore())
        version = server.state.put("/api/v1/services", pod("of another kind"))
        wait_until(lambda: version in server.state.bookmarks)
        server.state.cut_watches()
        wait_until(lambda: server.asked("watch") == 2)
        informers.stop()
        assert server.requests[-1].query["resourceVersion"] == version


class TestUndecodableObjects:
    def test_spoil_no_other_object_of_the_list(
        self, server: FakeApiServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        for name, node in (("a", "node-1"), ("b", 7), ("c", "refused"), ("d", "node-1")):
            server.state.put(PODS, pod(name, node))
        store = KeyedStore()
        informers = running(server, store)
        (status,) = informers.status()
        informers.stop()
        assert store.pods == {"a": "node-1", "d": "node-1"}
        assert (status.objects, status.undecodable) == (4, 2)
        assert caplog.messages == [
            "Pod team/b is left out: Expected `str`, got `int` - at `$.spec.nodeName`",
            "Pod team/c is left out: spec.nodeName: refused",
        ]

    def test_take_the_place_of_the_good_version_which_would_be_believed(
        self, server: FakeApiServer
    ) -> None:
        server.state.put(PODS, pod("web"))
        store = KeyedStore()
        informers = running(server, store)
        server.state.put(PODS, pod("web", node=7))
        wait_until(lambda: informers.status()[0].undecodable == 1)
        informers.stop()
        assert store.pods == {}
        assert informers.status()[0].objects == 1

    def test_are_forgotten_when_they_become_good_or_go(self, server: FakeApiServer) -> None:
        server.state.put(PODS, pod("mended", node=7))
        server.state.put(PODS, pod("deleted", node=7))
        store = KeyedStore()
        informers = running(server, store)
        server.state.put(PODS, pod("mended"))
        server.state.delete(PODS, "team", "deleted")
        wait_until(lambda: informers.status()[0].undecodable == 0)
        informers.stop()
        assert store.pods == {"mended": "node-1"}
        assert informers.status()[0].objects == 1

    def test_are_said_once_for_as_long_as_nothing_changes(
        self, server: FakeApiServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = KeyedStore()
        informers = running(server, store)
        for _ in range(5):
            server.state.put(PODS, pod("web", node=7))
        server.state.put(PODS, pod("marker"))
        settled(server, store)
        server.state.fail_watches(500)
        wait_until(lambda: store.replaced == 2)
        server.state.put(PODS, pod("last"))
        settled(server, store)
        informers.stop()
        assert sum("is left out" in message for message in caplog.messages) == 1


def test_an_object_that_is_nested_very_deep_stops_nothing(server: FakeApiServer) -> None:
    """Whoever may write a Pod may write such managedFields (see B49)."""
    deep = b'{"f:a":' * 9_990 + b"{}" + b"}" * 9_990
    for verb in ("list", "watch"):
        mangled = Fault(verb=verb, mangle=lambda data: data.replace(b'"DEEP"', deep), times=ALWAYS)
        server.inject(mangled)
    server.state.put(PODS, {**pod("listed"), "managedFields": "DEEP"})
    store = KeyedStore()
    informers = running(server, store)
    server.state.put(PODS, {**pod("watched"), "managedFields": "DEEP"})
    server.state.put(PODS, {**pod("gone"), "managedFields": "DEEP"})
    server.state.delete(PODS, "team", "gone")
    wait_until(lambda: store.pods == {"listed": "node-1", "watched": "node-1"})
    (status,) = informers.status()
    informers.stop()
    assert (status.undecodable, status.failures) == (0, 0)


class TestStatus:
    def test_before_it_was_ever_answered(self, server: FakeApiServer) -> None:
        informers = InformerSet([informer_of(server, KeyedStore())])
        (status,) = informers.status()
        assert not informers.synced
        assert not informers.wait_synced(monotonic() - 1)
        assert (status.kind, status.synced, status.age, status.objects) == (
            "Pod",
            False,
            float("inf"),
            0,
        )

    def test_counts_the_objects(self, server: FakeApiServer) -> None:
        store = KeyedStore()
        server.state.put(PODS, pod("before"))
        informers = running(server, store)
        server.state.put(PODS, pod("web"))
        server.state.put(PODS, pod("web", node="node-2"))
        server.state.put(PODS, pod("db"))
        server.state.delete(PODS, "team", "db")
        settled(server, store)
        wait_until(lambda: informers.status()[0].objects == 2)
        informers.stop()

    def test_says_how_long_ago_the_server_said_anything(self, server: FakeApiServer) -> None:
        store = KeyedStore()
        informers = running(server, store)
        wait_until(lambda: informers.status()[0].age > 0.05)
        news = monotonic()
        server.state.put(PODS, pod("web"))
        settled(server, store)
        assert monotonic() - informers.status()[0].age >= news
        informers.stop()


class TestInformerSet:
    def test_of_nothing_is_never_synced(self) -> None:
        assert not InformerSet([]).synced

    def test_is_synced_when_the_last_one_is(self, server: FakeApiServer) -> None:
        server.inject(Fault(verb="list", delay=0.1, after=1))
        informers = InformerSet([informer_of(server, KeyedStore()) for _ in range(2)])
        informers.start()
        assert informers.wait_synced(monotonic() + 5)
        informers.stop()
        assert all(status.synced for status in informers.status())

    def test_waits_no_longer_than_the_deadline(self, server: FakeApiServer) -> None:
        server.inject(Fault(verb="list", delay=0.2))
        informers = InformerSet([informer_of(server, KeyedStore())])
        informers.start()
        assert not informers.wait_synced(monotonic() + 0.05)
        informers.stop()

    def test_that_was_never_started_can_be_stopped(self, server: FakeApiServer) -> None:
        InformerSet([informer_of(server, KeyedStore())]).stop()


class TestStop:
    """It is over when `stop` comes back, whatever the informer was waiting for."""

    def stopped(self, server: FakeApiServer, when: Callable[[], bool], pace: Pace = FAST) -> bool:
        informer = informer_of(server, KeyedStore(), pace)
        informers = InformerSet([informer])
        informers.start()
        wait_until(when)
        informers.stop()
        return not informer._thread.is_alive()

    def test_under_a_watch_that_waits(self, server: FakeApiServer) -> None:
        assert self.stopped(server, lambda: server.state.watching(PODS))

    def test_while_a_watch_is_being_opened(self, server: FakeApiServer) -> None:
        server.inject(Fault(verb="watch", delay=0.1))
        assert self.stopped(server, lambda: server.asked("watch") == 1)

    def test_between_two_pages(self, server: FakeApiServer) -> None:
        for number in range(10):
            server.state.put(PODS, pod(f"pod-{number}"))
        server.inject(Fault(verb="list", delay=0.1))
        assert self.stopped(server, lambda: server.asked("list") == 1)
        assert server.asked("list") == 1

    def test_while_it_backs_off(self, server: FakeApiServer) -> None:
        server.inject(Fault(verb="list", status=500, times=ALWAYS))
        patient = Pace(first_delay=60.0, longest_delay=60.0)
        assert self.stopped(server, lambda: server.asked("list") == 1, patient)


def test_the_permissions_are_those_that_the_informers_of_the_webhook_need_and_no_more() -> None:
    granted = {(p.api_group, resource) for p in INFORMERS for resource in p.resources}
    assert granted == {resource_of(resource.path) for resource in INFORMED}
