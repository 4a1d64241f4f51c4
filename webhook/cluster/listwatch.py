"""The protocol of list-and-watch as state and numbers: no I/O, no clock, no thread."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from webhook.cluster.decoding import Resource, WatchEvent
from webhook.cluster.errors import ClusterUnavailable, MalformedAnswer, TooManyRequests


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient an informer is. Times are in seconds."""

    watch: int = 60
    """After this long the server is asked to end a watch. The next one goes on where it ended."""
    silence: float = 75.0
    """After this long without a byte a watch counts as dead: more than `watch`, so that only a
    connection that is half open gets there.
    """
    first_delay: float = 0.5
    """Before the next request, after a watch has ended; doubles with every failure, with jitter."""
    longest_delay: float = 8.0
    """An API server that comes back is watched again within this time. Until then denials are
    confirmed by live reads, but what is allowed rests on what was known before.
    """
    settled: float = 1.0
    """A watch that lived this long was a success: the delays start anew."""
    page: int = 500
    """Objects in one answer to a list."""


DEFAULT_PACE: Final = Pace()


class WatchDriver:
    """Where list-and-watch stands. Lines in, events out."""

    def __init__(self, resource: Resource[Any]) -> None:
        self._resource = resource
        self._version = ""
        self._line = b""

    @property
    def resource_version(self) -> str:
        """Where the next watch starts; empty when a list must come first."""
        # Read from the last line only when asked, which is once for each watch.
        if self._line:
            self._version, self._line = self._resource.version_of(self._line), b""
        return self._version

    def listed(self, resource_version: str) -> None:
        """A complete list of this version is in the store."""
        if not resource_version:
            raise MalformedAnswer(f"list {self._resource.path}: a list without resourceVersion")
        self._version, self._line = resource_version, b""

    def feed(self, line: bytes) -> WatchEvent:
        """The next line of the watch. Raises `ClusterUnavailable` if it is an error."""
        try:
            event = self._resource.read_event(line)
        except ClusterUnavailable:
            # From here on the stream cannot be trusted to have said everything.
            self.forget()
            raise
        self._line = line
        return event

    def refused(self, error: ClusterUnavailable) -> None:
        """A watch from here could not be opened at all.

        The version may be to blame. Or the server was away: what comes back may be a cluster
        restored from a backup, which takes a version from its lost future without a word.
        A server that only sheds load is not asked for more than a watch.
        """
        if not isinstance(error, TooManyRequests):
            self.forget()

    def forget(self) -> None:
        """Start with a list next time."""
        self._version, self._line = "", b""


class Backoff:
    """Delays that double from `first` up to `longest`, each cut by up to a half at random."""

    def __init__(self, first: float, longest: float, jitter: Callable[[], float]) -> None:
        """`jitter` gives numbers from 0 up to 1."""
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._delay = self._first

    def next(self, at_least: float = 0.0) -> float:
        """Seconds to wait; a server may ask for more, but not for more than the longest."""
        delay, self._delay = self._delay, min(self._delay * 2, self._longest)
        return max(delay * (1 + self._jitter()) / 2, min(at_least, self._longest))
