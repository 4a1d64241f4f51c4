"""Clients as an API server is one: connections that stay open, and what is not answered counts."""

import http.client
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from tests.builders import (
    Json,
    address,
    body,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    pod,
    review,
    subset,
)
from tests.e2e.webhook_process import WebhookProcess

PODS = "/api/v1/pods"
_FAILED = (OSError, http.client.HTTPException)
_RETRIES = 10
"""How often an API server repeats a call that was answered 503 with Retry-After."""


def allowed() -> Json:
    """A write that the control plane's own would not differ from."""
    return review(endpoints())


def renamed() -> Json:
    """A change of nothing but metadata."""
    return review(endpoints(labels={"team": "a"}), endpoints())


def denied(number: int) -> Json:
    """A write that is denied, unlike any other."""
    ip = f"198.18.{number >> 8 & 255}.{number & 255}"
    if number % 2:
        return review(endpoints(subset(address(), external(ip))), user=f"user-{number}")
    return review(endpoint_slice(external_endpoint(ip), name=f"web-{number}"))


def member(number: int) -> Json:
    """A Pod of a Service of its own kind, of which there are many."""
    ip = f"10.1.{number >> 8 & 255}.{number & 255}"
    return pod(f"member-{number}", ip=ip, labels={"app": "other", "number": str(number % 50)})


class Tally:
    """What came of requests; counted from many threads."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0
        """Seconds."""
        self.problems: list[str] = []
        self._lock = threading.Lock()

    def count(self, what: str, seconds: float = 0.0) -> None:
        with self._lock:
            self.counts[what] += 1
            self.slowest = max(self.slowest, seconds)

    def problem(self, text: str) -> None:
        with self._lock:
            self.counts["lost"] += 1
            self.problems.append(text)

    @property
    def answered(self) -> int:
        return self.counts.total() - self.counts["lost"] - self.counts["put off"]


class Client:
    """One connection at a time, kept while the server keeps it."""

    def __init__(self, choose: Callable[[], WebhookProcess], tally: Tally) -> None:
        """`choose` says to which replica the next connection goes."""
        self._choose = choose
        self._tally = tally
        self._connection: http.client.HTTPSConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def ask(self, asked: Json, expected: bool) -> None:
        """Ask until there is an answer, as an API server does, and note what came of it."""
        data, began = body(asked), time.monotonic()
        try:
            for _ in range(_RETRIES):
                status, answer = self._post(data)
                if status != 503:
                    break
                self._tally.count("put off")
                time.sleep(0.2)
        except _FAILED as error:
            self._close()
            self._tally.problem(f"{type(error).__name__}: {error}")
            return
        said = "allowed" if b'"allowed":true' in answer else "denied"
        if status != 200 or (said == "allowed") is not expected:
            self._tally.problem(f"{status} {answer[:200]!r}")
            return
        self._tally.count(said, time.monotonic() - began)

    def _post(self, data: bytes) -> tuple[int, bytes]:
        connection = self._connected()
        connection.request(
            "POST", "/validate?timeout=10s", data, {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        answer = response.read()
        if response.will_close:
            self._close()
        return response.status, answer

    def _connected(self) -> http.client.HTTPSConnection:
        if self._connection is None:
            server = self._choose()
            self._connection = http.client.HTTPSConnection(
                *server.address, context=server.serving.client_context(), timeout=30
            )
            self._connection.connect()
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def at_work(*jobs: Callable[[int], None], pause: float) -> Iterator[None]:
    """Call each job again and again with 0, 1, 2 ..., in a thread of its own, until the end."""
    stop, failures = threading.Event(), []

    def work(job: Callable[[int], None]) -> None:
        for number in itertools.count():
            if stop.wait(pause):
                return
            try:
                job(number)
            except Exception as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
