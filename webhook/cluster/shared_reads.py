"""One read for all who wait for the same: a flood of equal writes costs a few reads.

A read answers those who asked before it was sent, and nobody who asked later: what somebody is told
is never older than the question. So whoever comes while an object is being read waits for the next
read of it, together with all who come meanwhile.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from time import monotonic
from typing import Any, TypeVar

from msgspec import Raw

from webhook.cluster.api import ClusterApi
from webhook.cluster.errors import ClusterTimeout

Value = TypeVar("Value")

Key = tuple[str, str, str]
"""Path, label selector and field selector."""


class SharedReads:
    """The reads of a `ClusterApi`. Every method may be called from any thread."""

    def __init__(self, api: ClusterApi) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._under_way: dict[Key, Future[Any]] = {}
        self._next: dict[Key, Future[Any]] = {}

    def get(self, path: str, *, deadline: float) -> bytes | None:
        """The object at this path, None when there is none."""
        return self._shared(
            (path, "", ""), lambda: self._api.get(path, deadline=deadline), deadline
        )

    def list_all(
        self,
        path: str,
        read: Callable[[Raw], Value],
        *,
        label_selector: str = "",
        field_selector: str = "",
        deadline: float,
    ) -> tuple[Value, ...]:
        """Every object of a collection. Whoever lists it has to `read` it in the same way."""

        def listed() -> tuple[Value, ...]:
            return self._api.list_all(
                path,
                read,
                label_selector=label_selector,
                field_selector=field_selector,
                deadline=deadline,
            )

        return self._shared((path, label_selector, field_selector), listed, deadline)

    def _shared(self, key: Key, read: Callable[[], Value], deadline: float) -> Value:
        with self._lock:
            coming: Future[Value] | None = self._next.get(key)
            if coming is None:
                mine = self._next[key] = Future[Value]()
        if coming is None:
            return self._read(key, mine, read, deadline)
        try:
            return coming.result(_left(deadline))
        except (TimeoutError, ClusterTimeout):
            # Whoever reads may have had less time than we have.
            if monotonic() >= deadline:
                raise ClusterTimeout(f"{key[0]}: no answer in time") from None
            return self._shared(key, read, deadline)

    def _read(
        self, key: Key, mine: "Future[Value]", read: Callable[[], Value], deadline: float
    ) -> Value:
        """For all who wait. What is under way first ends: it may be older than our questions."""
        before = self._under_way.get(key)
        if before is not None:
            wait((before,), _left(deadline))
        with self._lock:
            del self._next[key]
            self._under_way[key] = mine
        try:
            mine.set_result(read())
        except BaseException as error:
            mine.set_exception(error)
        with self._lock:
            if self._under_way.get(key) is mine:
                del self._under_way[key]
        return mine.result()


def _left(deadline: float) -> float:
    return max(0.0, deadline - monotonic())
