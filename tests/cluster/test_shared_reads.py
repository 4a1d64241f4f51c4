"""Reads that several wait for: each is told what was read after it asked."""

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, cast

import pytest

from tests.builders import pod
from tests.fake_apiserver import wait_until
from tests.fake_apiserver.wireless import Wireless
from webhook.cluster import shared_reads
from webhook.cluster.api import ClusterApi
from webhook.cluster.errors import ClusterTimeout, ClusterUnavailable, Forbidden
from webhook.cluster.shared_reads import SharedReads

PODS = "/api/v1/namespaces/shop/pods"
ASKING = 5

Ask = Callable[[SharedReads], object]
SORTS: dict[str, Ask] = {
    "an object": lambda reads: reads.get(f"{PODS}/web-1", deadline=monotonic() + 10),
    "a list": lambda reads: reads.list_all(
        PODS, bytes, field_selector="status.podIP=10.0.0.1", deadline=monotonic() + 10
    ),
}


@dataclass(kw_only=True)
class Held:
    """An API that answers when it is told to."""

    asked: list[Future[Any]] = field(default_factory=list)

    def get(self, *_: object, **__: object) -> object:
        self.asked.append(Future())
        return self.asked[-1].result(10)

    list_all = get


class Crowd:
    """One read is under way, and several ask for the same meanwhile."""

    def __init__(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api = Held()
        self.reads = SharedReads(cast("ClusterApi", self.api))
        waiting: list[float] = []

        def left(deadline: float) -> float:
            waiting.append(deadline)
            return deadline - monotonic()

        monkeypatch.setattr(shared_reads, "_left", left)
        self.threads = ThreadPoolExecutor(ASKING + 2)
        self.first = self.threads.submit(ask, self.reads)
        wait_until(lambda: len(self.api.asked) == 1)
        self.others = [self.threads.submit(ask, self.reads) for _ in range(ASKING)]
        wait_until(lambda: len(waiting) == ASKING)

    def answer(self, number: int, answer: object) -> None:
        """Let a read end, as soon as it has begun."""
        wait_until(lambda: len(self.api.asked) > number)
        if isinstance(answer, Exception):
            self.api.asked[number].set_exception(answer)
        else:
            self.api.asked[number].set_result(answer)

    def all_told(self, answer: object) -> bool:
        """Let every read end that is under way; whether nobody waits any more."""
        for each in self.api.asked:
            if not each.done():
                each.set_result(answer)
        return all(each.done() for each in self.others)


@pytest.fixture(params=list(SORTS))
def crowd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Crowd:
    return Crowd(SORTS[request.param], monkeypatch)


def test_all_who_ask_meanwhile_share_one_later_read(crowd: Crowd) -> None:
    crowd.answer(0, "old")
    crowd.answer(1, "new")
    assert crowd.first.result() == "old"
    assert [each.result() for each in crowd.others] == ["new"] * ASKING
    assert len(crowd.api.asked) == 2


def test_and_its_error(crowd: Crowd) -> None:
    crowd.answer(0, ClusterUnavailable("an error of its own"))
    crowd.answer(1, Forbidden("no"))
    assert isinstance(crowd.first.exception(), ClusterUnavailable)
    assert {type(each.exception()) for each in crowd.others} == {Forbidden}
    assert len(crowd.api.asked) == 2


def test_but_not_that_somebody_had_less_time(crowd: Crowd) -> None:
    crowd.answer(0, "old")
    crowd.answer(1, ClusterTimeout("no time left"))
    wait_until(lambda: crowd.all_told("new"))
    told = [each.exception() or each.result() for each in crowd.others]
    assert sorted(map(str, told)) == ["new"] * (ASKING - 1) + ["no time left"]


def test_nobody_waits_longer_than_he_can() -> None:
    reads = SharedReads(cast("ClusterApi", api := Held()))
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(SORTS["an object"], reads)
        wait_until(lambda: len(api.asked) == 1)
        reader = threads.submit(reads.get, f"{PODS}/web-1", deadline=monotonic() + 10)
        wait_until(lambda: bool(reads._next))
        with pytest.raises(ClusterTimeout):
            reads.get(f"{PODS}/web-1", deadline=monotonic() + 0.01)
        api.asked[0].set_result("old")
        wait_until(lambda: len(api.asked) == 2)
        api.asked[1].set_result("new")
        assert [first.result(), reader.result()] == ["old", "new"]


def test_nobody_waits_for_the_read_of_another_object() -> None:
    reads = SharedReads(cast("ClusterApi", api := Held()))
    with ThreadPoolExecutor(2) as threads:
        one, other = (threads.submit(ask, reads) for ask in SORTS.values())
        wait_until(lambda: len(api.asked) == 2)
        for number, each in enumerate(api.asked):
            each.set_result(number)
        assert {one.result(), other.result()} == {0, 1}


def test_nobody_is_told_what_is_older_than_the_question() -> None:
    """Eight ask as fast as they can, while the object changes as fast as it can."""
    api = Wireless(pod())
    reads = SharedReads(cast("ClusterApi", api))

    def version(found: bytes | None) -> int:
        return int(json.loads(found or b"")["metadata"]["resourceVersion"])

    def ask(_: int) -> bool:
        change = int(api.state.put("/api/v1/pods", pod()))
        return version(reads.get(f"{PODS}/web-1", deadline=monotonic() + 10)) >= change

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(2000)))
