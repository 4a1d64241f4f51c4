"""Where list-and-watch stands after each line, and how long it waits after each failure."""

import json

import pytest

from tests.cluster.samples import POD, pod
from webhook.cluster.errors import (
    ClusterTimeout,
    ClusterUnavailable,
    Forbidden,
    MalformedAnswer,
    ResourceExpired,
    TooManyRequests,
)
from webhook.cluster.listwatch import Backoff, WatchDriver


def line(kind: str, version: str, name: str = "web") -> bytes:
    obj = pod(name)
    obj["metadata"]["resourceVersion"] = version
    return json.dumps({"type": kind, "object": obj}).encode()


ERROR_500 = b'{"type":"ERROR","object":{"code":500,"message":"etcd"}}'
ERROR_410 = b'{"type":"ERROR","object":{"code":410,"message":"too old"}}'


def driver_at(version: str) -> WatchDriver:
    driver = WatchDriver(POD)
    driver.listed(version)
    return driver


class TestWatchDriver:
    def test_begins_with_a_list(self) -> None:
        assert WatchDriver(POD).resource_version == ""

    def test_watches_from_the_version_of_the_list(self) -> None:
        assert driver_at("7").resource_version == "7"

    def test_goes_on_after_the_last_line_whatever_it_was(self) -> None:
        driver = driver_at("7")
        seen = []
        for kind, version in (("ADDED", "8"), ("BOOKMARK", "12"), ("DELETED", "13")):
            driver.feed(line(kind, version))
            seen.append(driver.resource_version)
        assert seen == ["8", "12", "13"]

    def test_does_not_compare_versions(self) -> None:
        driver = driver_at("999")
        driver.feed(line("MODIFIED", "1000"))
        assert driver.resource_version == "1000"

    @pytest.mark.parametrize("bad", [ERROR_410, ERROR_500, b"{", line("RENAMED", "9")])
    def test_lists_again_after_an_error_in_the_stream(self, bad: bytes) -> None:
        driver = driver_at("7")
        driver.feed(line("ADDED", "8"))
        with pytest.raises(ClusterUnavailable):
            driver.feed(bad)
        assert driver.resource_version == ""

    @pytest.mark.parametrize(
        ("error", "version"),
        [
            (TooManyRequests("busy", status=429), "8"),
            (ResourceExpired("too old", status=410), ""),
            (ClusterUnavailable("bad version", status=500), ""),
            (ClusterUnavailable("no backend", status=503), ""),
            (ClusterUnavailable("connection refused"), ""),
            (ClusterTimeout("nobody there"), ""),
            # A list may be allowed where a watch is not: better than knowing less and less.
            (Forbidden("no", status=403), ""),
        ],
    )
    def test_lists_again_when_a_watch_cannot_be_opened_unless_the_server_is_busy(
        self, error: ClusterUnavailable, version: str
    ) -> None:
        driver = driver_at("7")
        driver.feed(line("ADDED", "8"))
        driver.refused(error)
        assert driver.resource_version == version

    def test_a_list_without_a_version_cannot_be_watched_on(self) -> None:
        with pytest.raises(MalformedAnswer):
            WatchDriver(POD).listed("")

    def test_a_line_without_a_version_leads_to_a_list(self) -> None:
        driver = driver_at("7")
        driver.feed(line("ADDED", ""))
        assert driver.resource_version == ""


class TestBackoff:
    def test_doubles_up_to_the_longest(self) -> None:
        backoff = Backoff(0.5, 30.0, lambda: 1.0)
        assert [backoff.next() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]

    def test_begins_anew_after_a_success(self) -> None:
        backoff = Backoff(0.5, 30.0, lambda: 1.0)
        backoff.next()
        backoff.next()
        backoff.reset()
        assert backoff.next() == 0.5

    def test_waits_as_long_as_the_server_asks_but_no_longer_than_the_longest(self) -> None:
        backoff = Backoff(0.5, 30.0, lambda: 1.0)
        assert backoff.next(at_least=7.0) == 7.0
        assert backoff.next(at_least=0.1) == 1.0
        assert backoff.next(at_least=3600.0) == 30.0

    @pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
    def test_stays_between_half_and_all_of_the_longest_for_ever(self, jitter: float) -> None:
        backoff = Backoff(0.5, 30.0, lambda: jitter)
        delays = [backoff.next() for _ in range(5000)]
        assert min(delays) >= 0.25
        assert all(15.0 <= delay <= 30.0 for delay in delays[6:])
