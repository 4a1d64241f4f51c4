"""What an API server can do to an informer, and what must be true of it all the same.

For every fault: the thread lives, asks no more often than its backoff allows, says what is wrong,
and holds what the server holds soon after the fault is over; what was deleted meanwhile is gone.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

import pytest

from tests.cluster.samples import FAST, PODS, KeyedStore, decodable, informer_of, pod
from tests.fake_apiserver import ALWAYS, FakeApiServer, Fault, wait_until
from webhook.cluster.informer import Informer, InformerStatus
from webhook.cluster.listwatch import Pace

WINDOW = 0.15
"""Seconds for which a fault lasts."""
MOST_REQUESTS = 30
"""In a window: delays of 5, 10, 20, 40, 50, 50… ms, cut by half at worst, make 9 turns of two pages
and a watch at most. A loop without them makes hundreds.
"""


@dataclass
class Running:
    server: FakeApiServer
    store: KeyedStore
    informer: Informer

    @property
    def status(self) -> InformerStatus:
        return self.informer.status()

    def settle(self) -> None:
        """Wait until it watches, and the store holds what the server holds."""
        wait_until(lambda: self.server.state.watching(PODS))
        wait_until(lambda: self.store.pods == decodable(self.server))
        wait_until(lambda: self.status.last_error == "")

    def change_everything(self) -> None:
        """One object of each fate."""
        self.server.state.delete(PODS, "team", "deleted")
        self.server.state.put(PODS, pod("changed", node="node-2"))
        self.server.state.put(PODS, pod("added"))


def begin(server: FakeApiServer, pace: Pace = FAST) -> Running:
    for name in ("kept", "changed", "deleted", "another"):
        server.state.put(PODS, pod(name))
    store = KeyedStore()
    running = Running(server, store, informer_of(server, store, pace))
    running.informer.start()
    return running


@pytest.fixture
def running(server: FakeApiServer) -> Iterable[Running]:
    running = begin(server)
    running.settle()
    yield running
    running.informer.stop()
    running.informer.join(5)


def inject(*faults: Fault) -> Callable[[FakeApiServer], None]:
    def strike(server: FakeApiServer) -> None:
        for fault in faults:
            server.inject(fault)
        server.state.cut_watches()

    return strike


def stop_and_start(server: FakeApiServer) -> None:
    server.stop()


def both(**fault: Any) -> Callable[[FakeApiServer], None]:
    return inject(
        Fault(verb="list", times=ALWAYS, **fault), Fault(verb="watch", times=ALWAYS, **fault)
    )


def relist_then(**fault: Any) -> Callable[[FakeApiServer], None]:
    def strike(server: FakeApiServer) -> None:
        server.inject(Fault(verb="list", times=ALWAYS, **fault))
        server.state.compact()
        server.state.cut_watches()

    return strike


LASTING = {
    "the server is down": (stop_and_start, "Connection refused"),
    "every request is cut off": (both(hang_up=True), "the connection broke"),
    "401 for everything": (both(status=401), "HTTP 401"),
    "403 for everything": (both(status=403), 'verbs: ["watch"]'),
    "403 for watches": (inject(Fault(verb="watch", status=403, times=ALWAYS)), 'verbs: ["watch"]'),
    "429 without Retry-After": (both(status=429), "HTTP 429"),
    "500 for everything": (both(status=500), "HTTP 500"),
    "504 for watches": (inject(Fault(verb="watch", status=504, times=ALWAYS)), "HTTP 504"),
    "410 and then 403 for lists": (relist_then(status=403), 'verbs: ["list"]'),
    "410 and then 500 for lists": (relist_then(status=500), "HTTP 500"),
    "410 and then truncated lists": (relist_then(mangle=lambda b: b[:-9]), "this is not a list"),
    "410 and then lists that break off": (relist_then(break_off=True), "the connection broke"),
    "410 and then lists that expire": (
        inject(
            Fault(verb="watch", status=410),
            *(Fault(verb="list", after=1, status=410) for _ in range(99)),
        ),
        "HTTP 410",
    ),
    "410 for every watch": (inject(Fault(verb="watch", status=410, times=ALWAYS)), "HTTP 410"),
    "404 for watches": (inject(Fault(verb="watch", status=404, times=ALWAYS)), "HTTP 404"),
    "HTML for everything": (both(mangle=lambda _: b"<html>\n"), ""),
    "watches that end at once": (inject(Fault(verb="watch", status=200, times=ALWAYS)), "at once"),
    "watches that break off": (inject(Fault(verb="watch", break_off=True, times=ALWAYS)), "broke"),
}


@pytest.mark.parametrize("name", LASTING)
def test_while_it_lasts_and_afterwards(running: Running, name: str) -> None:
    strike, visible = LASTING[name]
    server = running.server

    strike(server)
    running.change_everything()
    wait_until(lambda: running.status.failures > 0 and visible in running.status.last_error)
    before = len(server.requests)
    sleep(WINDOW)

    assert len(server.requests) - before <= MOST_REQUESTS
    assert running.status.synced

    healed = monotonic()
    server.heal()
    if name == "the server is down":
        server.start()
    running.settle()

    assert monotonic() - healed < 3
    assert running.store.pods == {
        "kept": "node-1",
        "changed": "node-2",
        "another": "node-1",
        "added": "node-1",
    }


def compacted(server: FakeApiServer) -> None:
    server.state.compact()
    server.state.cut_watches()


def compacted_and_told_by_http(server: FakeApiServer) -> None:
    server.gone_in_stream = False
    compacted(server)


PASSING: dict[str, tuple[Callable[[FakeApiServer], None], int]] = {
    "a watch is cut": (lambda server: server.state.cut_watches(), 0),
    "410 in the stream": (lambda server: server.state.fail_watches(410), 1),
    "500 in the stream": (lambda server: server.state.fail_watches(500), 1),
    "410 in the stream at once": (compacted, 1),
    "410 as HTTP status": (compacted_and_told_by_http, 1),
    "a line that is no JSON": (inject(Fault(verb="watch", mangle=lambda _: b"{oops\n")), 1),
    "a line that is cut short": (inject(Fault(verb="watch", mangle=lambda b: b[:-9] + b"\n")), 1),
    "an event of an unknown type": (
        inject(Fault(verb="watch", mangle=lambda b: b.replace(b"MODIFIED", b"RENAMED"))),
        1,
    ),
    "a watch that breaks off in a line": (inject(Fault(verb="watch", break_off=True)), 0),
    "a watch that ends at once": (inject(Fault(verb="watch", status=200)), 1),
}


@pytest.mark.parametrize("name", PASSING)
def test_afterwards(running: Running, name: str) -> None:
    strike, relists = PASSING[name]

    strike(running.server)
    running.change_everything()
    running.settle()

    assert running.status.relists >= relists
    assert running.status.failures >= 1
    assert len(running.server.requests) <= MOST_REQUESTS


def test_a_half_open_watch_is_given_up(server: FakeApiServer) -> None:
    running = begin(server, Pace(silence=0.15, first_delay=0.005, longest_delay=0.05))
    running.settle()

    server.state.silence_watches()
    running.change_everything()
    running.settle()
    running.informer.stop()

    assert running.status.failures >= 1
    assert running.status.relists == 0
    assert "deleted" not in running.store.pods
    assert server.asked("watch") <= MOST_REQUESTS


def test_a_half_open_watch_shows_in_the_age_until_then(server: FakeApiServer) -> None:
    server.state.bookmark_every = 0.01
    running = begin(server)
    running.settle()
    server.state.silence_watches()
    wait_until(lambda: running.status.age > 0.2)
    running.informer.stop()
    assert running.status.last_error == ""


def test_retry_after_is_respected_up_to_the_longest_delay(server: FakeApiServer) -> None:
    running = begin(server, Pace(first_delay=0.005, longest_delay=0.25, settled=0.0))
    running.settle()
    server.inject(Fault(verb="watch", status=429, headers={"Retry-After": "3600"}))
    server.state.cut_watches()
    wait_until(lambda: server.asked("watch") == 3)
    running.settle()
    running.informer.stop()

    refused, repeated = server.requests[-2:]
    assert 0.25 <= repeated.at - refused.at < 60


def test_a_cluster_restored_from_a_backup_is_seen_as_it_is(running: Running) -> None:
    server = running.server
    backup = server.state.backup()
    for _ in range(10):
        running.change_everything()
        server.state.put(PODS, pod("deleted"))
    running.settle()

    server.stop()
    server.state.restore(backup)
    server.state.put(PODS, pod("written after the restore"))
    wait_until(lambda: "refused" in running.status.last_error)
    server.start()
    running.settle()

    assert set(running.store.pods) == {
        "kept",
        "changed",
        "deleted",
        "another",
        "written after the restore",
    }


def test_a_watch_that_is_forbidden_becomes_a_list_now_and_then(running: Running) -> None:
    running.server.inject(Fault(verb="watch", status=403, times=ALWAYS))
    running.server.state.cut_watches()
    running.change_everything()
    wait_until(lambda: running.store.pods == decodable(running.server))
    assert 'verbs: ["watch"]' in running.status.last_error


@pytest.mark.parametrize("fault", [{"status": 200}, {"break_off": True}, {"status": 410}])
def test_a_server_that_never_keeps_a_watch_is_asked_less_and_less_often(
    server: FakeApiServer, fault: dict[str, Any]
) -> None:
    server.state.bookmark_every = 0.001  # so that there is something to break off
    server.inject(Fault(verb="watch", times=ALWAYS, **fault))
    running = begin(server, Pace(first_delay=0.005, longest_delay=60.0))
    wait_until(lambda: server.asked("watch") == 7)
    running.informer.stop()
    asked = [request.at for request in server.requests if request.verb == "watch"]
    # 5, 10, 20, 40, 80, 160 ms, cut by half at worst.
    assert asked[6] - asked[0] >= 0.157


def test_a_watch_that_went_well_makes_up_for_all_failures(server: FakeApiServer) -> None:
    running = begin(server, Pace(first_delay=0.005, longest_delay=60.0, settled=0.05))
    server.inject(Fault(verb="watch", status=500, times=7))
    running.settle()
    sleep(0.06)
    server.state.cut_watches()
    wait_until(lambda: server.asked("watch") == 9)
    running.informer.stop()
    # Without it, the eighth delay would have been 320 ms at least.
    cut, next_one = server.requests[-2:]
    assert next_one.at - cut.at < 0.3


def test_a_slow_server_is_waited_for(server: FakeApiServer) -> None:
    server.inject(Fault(verb="list", delay=0.1, times=2))
    server.inject(Fault(verb="watch", delay=0.1))
    running = begin(server)
    running.settle()
    running.informer.stop()
    assert running.status.failures == 0
    assert len(server.requests) == 3


def test_the_first_list_may_fail_for_as_long_as_it_likes(server: FakeApiServer) -> None:
    server.inject(Fault(verb="list", status=403, times=ALWAYS))
    running = begin(server)
    sleep(WINDOW)
    wait_until(lambda: running.status.failures > 0)

    assert not running.status.synced
    assert running.status.age == float("inf")
    assert 'verbs: ["list"]' in running.status.last_error
    assert len(server.requests) <= MOST_REQUESTS

    server.heal()
    running.settle()
    running.informer.stop()
    assert running.status.synced


def test_a_list_that_fails_on_its_second_page_removes_nothing(running: Running) -> None:
    server = running.server
    server.state.put(PODS, pod("fifth"))
    running.settle()
    server.inject(Fault(verb="list", after=1, status=500))
    server.state.fail_watches(410)
    wait_until(lambda: "HTTP 500" in running.status.last_error or running.status.relists == 1)
    assert set(running.store.pods) == {"kept", "changed", "deleted", "another", "fifth"}
    running.settle()


class BrokenStore(KeyedStore):
    """A store with a defect: it takes the second list only."""

    def replace(self, kind: str, values: Iterable[Any]) -> None:
        if self.replaced == 0:
            self.replaced += 1
            raise KeyError("a defect")
        super().replace(kind, values)

    def apply(self, kind: str, value: Any) -> None:
        if value.name == "poison" and self.replaced < 3:
            raise KeyError("another defect")
        super().apply(kind, value)


def test_a_defect_of_the_store_does_not_end_the_informer(
    server: FakeApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    store = BrokenStore()
    running = Running(server, store, informer_of(server, store))
    running.informer.start()
    running.settle()
    server.state.put(PODS, pod("poison"))
    wait_until(lambda: store.pods == {"poison": "node-1"})
    running.settle()
    running.informer.stop()
    assert running.status.failures == 2
    assert "KeyError: 'a defect'" in caplog.text
    assert "KeyError: 'another defect'" in caplog.text
