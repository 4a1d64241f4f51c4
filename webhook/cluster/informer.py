"""Keeps a store equal to what the API server has: list, watch, and list again when that is needed.

One daemon thread for each kind. Whatever happens on the wire, the thread goes on, never faster than
its backoff allows, and says in `status` what is wrong. The store may be behind the API server but
never ahead of it, and no deletion is missed: after a gap a new list takes out what is gone.

An object that cannot be decoded is taken out of the store, even if an older version of it was fine:
absent is what a verdict looks up again before it denies, while a stale version would be believed.
"""

import logging
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, Protocol

from webhook.cluster.answers import WatchStream
from webhook.cluster.api import ClusterApi
from webhook.cluster.decoding import Resource, Undecodable, WatchEvent
from webhook.cluster.errors import ClusterUnavailable, ConnectionLost
from webhook.cluster.listwatch import DEFAULT_PACE, Backoff, Pace, WatchDriver

log: Final = logging.getLogger(__name__)


class Store(Protocol):
    """Where the objects go. Each kind has one writer."""

    def replace(self, kind: str, values: Iterable[object], /) -> None:
        """Make these the only objects of the kind.

        They come from the wire while this runs. If iterating raises, the list is not complete: let
        the exception through, and remove nothing.
        """

    def apply(self, kind: str, value: Any, /) -> object:
        """Add the object, or put it in the place of the one with its namespace and name."""

    def remove(self, kind: str, namespace: str, name: str, /) -> None:
        """Forget the object, if it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InformerStatus:
    """How one informer is doing."""

    kind: str
    synced: bool
    """A first complete list is in the store."""
    age: float
    """Seconds since the API server last said anything; infinite if it never did. Of a quiet kind a
    minute is normal: that is how long a watch lasts, and not every etcd lets bookmarks come.
    """
    lag: float
    """Seconds for which it has been unable to watch, 0 while it watches: how old what is in the
    store may be.
    """
    objects: int
    """What the API server has, as far as known; the undecodable ones included."""
    undecodable: int
    relists: int
    failures: int
    """Lists and watches that did not end well, 410 included."""
    last_error: str
    """Why it is not watching at this moment; empty when it is."""


class Informer:
    """Keeps one kind in the store."""

    def __init__(
        self,
        api: ClusterApi,
        resource: Resource[Any],
        store: Store,
        *,
        pace: Pace = DEFAULT_PACE,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._resource = resource
        self._store = store
        self._pace = pace
        self._driver = WatchDriver(resource)
        self._backoff = Backoff(pace.first_delay, pace.longest_delay, jitter)
        self.synced = threading.Event()
        """Set once the first complete list is in the store, and for ever."""
        self._stopping = threading.Event()
        self._stream: WatchStream | None = None
        self._contact = float("-inf")
        self._behind_since: float | None = monotonic()
        self._objects = 0
        self._undecodable: dict[tuple[str, str], str] = {}
        self._lists = 0
        self._failures = 0
        self._last_error = ""
        name = f"informer-{resource.kind}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own. Not before a fork: threads do not survive one."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; do not wait."""
        self._stopping.set()
        stream = self._stream
        if stream is not None:
            stream.close()

    def join(self, timeout: float) -> None:
        """Wait until it has ended, as long as that."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def status(self) -> InformerStatus:
        """How it is doing now; from any thread."""
        behind_since = self._behind_since
        return InformerStatus(
            kind=self._resource.kind,
            synced=self.synced.is_set(),
            age=monotonic() - self._contact,
            lag=0.0 if behind_since is None else monotonic() - behind_since,
            objects=self._objects,
            undecodable=len(self._undecodable),
            relists=max(0, self._lists - 1),
            failures=self._failures,
            last_error=self._last_error,
        )

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self._turn())

    def _turn(self) -> float:
        """List if need be, then watch until that ends. Gives the seconds to wait then."""
        try:
            if not self._driver.resource_version:
                self._list()
            self._watch()
        except ClusterUnavailable as error:
            self._note_failure(error.reason)
            return self._backoff.next(error.retry_after or 0.0)
        except Exception as error:
            # A defect of ours: what it left undone is not known, so only a list makes it good.
            self._driver.forget()
            self._note_failure(f"{type(error).__name__}: {error}")
            log.exception("the informer of %s goes on after an error", self._resource.kind)
        return self._backoff.next()

    def _list(self) -> None:
        version, objects = "", 0
        undecodable: dict[tuple[str, str], str] = {}

        def values() -> Iterator[object]:
            nonlocal version, objects
            for page in self._api.list_pages(self._resource.path, limit=self._pace.page):
                self._contact = monotonic()
                version = page.metadata.resource_version
                for item in page.items or ():
                    objects += 1
                    value = self._resource.read_item(item)
                    if isinstance(value, Undecodable):
                        self._note_undecodable(value, undecodable)
                    else:
                        yield value
                if self._stopping.is_set():
                    raise ClusterUnavailable("stopping")

        self._store.replace(self._resource.kind, values())
        self._driver.listed(version)
        self._objects, self._undecodable = objects, undecodable
        self._lists += 1
        self.synced.set()

    def _open(self) -> WatchStream:
        try:
            return self._api.watch(
                self._resource.path,
                resource_version=self._driver.resource_version,
                timeout_seconds=self._pace.watch,
                silence=self._pace.silence,
            )
        except ClusterUnavailable as error:
            self._driver.refused(error)
            raise

    def _watch(self) -> None:
        self._stream = stream = self._open()
        if self._stopping.is_set():
            stream.close()
        self._note_success()
        opened, quiet = self._contact, True
        try:
            for line in stream:
                self._contact, quiet = monotonic(), False
                self._take(self._driver.feed(line), line)
        finally:
            self._stream = None
            settled = monotonic() - opened >= self._pace.settled
            if settled:
                self._backoff.reset()
        if quiet and not settled:
            self._driver.forget()
            raise ConnectionLost(f"watch {self._resource.path}: ended at once, without a word")

    def _take(self, event: WatchEvent, line: bytes) -> None:
        if event.value is not None:
            self._store.apply(self._resource.kind, event.value)
            if self._undecodable:
                self._undecodable.pop(self._resource.key_of(line), None)
        elif event.type != "BOOKMARK":
            self._store.remove(self._resource.kind, event.namespace, event.name)
            if event.problem:
                bad = Undecodable(event.namespace, event.name, event.problem)
                self._note_undecodable(bad, self._undecodable)
            else:
                self._undecodable.pop((event.namespace, event.name), None)
        self._objects += (event.type == "ADDED") - (event.type == "DELETED")

    def _note_undecodable(self, bad: Undecodable, known: dict[tuple[str, str], str]) -> None:
        key = (bad.namespace, bad.name)
        if self._undecodable.get(key) != bad.problem:
            log.warning("%s %s/%s is left out: %s", self._resource.kind, *key, bad.problem)
        known[key] = bad.problem

    def _note_failure(self, reason: str) -> None:
        if self._stopping.is_set():
            return
        self._failures += 1
        if self._behind_since is None:
            self._behind_since = monotonic()
        if reason != self._last_error:
            log.warning("the informer of %s is behind: %s", self._resource.kind, reason)
        self._last_error = reason

    def _note_success(self) -> None:
        self._contact = monotonic()
        self._behind_since = None
        if self._last_error:
            log.info("the informer of %s watches again", self._resource.kind)
        self._last_error = ""


class InformerSet:
    """The informers of one process."""

    def __init__(self, informers: Iterable[Informer]) -> None:
        self._informers = tuple(informers)

    def start(self) -> None:
        """Begin all."""
        for informer in self._informers:
            informer.start()

    def add(self, informer: Informer) -> None:
        """Begin one more; they are not all synced until it is."""
        self._informers = (*self._informers, informer)
        informer.start()

    def stop(self, timeout: float = 2.0) -> None:
        """End all; a thread that waits for a connection is not waited for longer than that."""
        for informer in self._informers:
            informer.stop()
        deadline = monotonic() + timeout
        for informer in self._informers:
            informer.join(max(0.0, deadline - monotonic()))

    @property
    def synced(self) -> bool:
        """Every kind has been listed completely once. Never true of no informers at all."""
        return bool(self._informers) and all(i.synced.is_set() for i in self._informers)

    def wait_synced(self, deadline: float) -> bool:
        """Wait for that until a time of `time.monotonic()`."""
        for informer in self._informers:
            informer.synced.wait(max(0.0, deadline - monotonic()))
        return self.synced

    def status(self) -> tuple[InformerStatus, ...]:
        """One for each kind."""
        return tuple(informer.status() for informer in self._informers)
