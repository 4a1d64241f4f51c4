"""Every open connection of a port, and which of them is to go when time, room or memory runs out.

It decides only; the loop closes. A connection in Phase.BUSY is never among those that are to go.
"""

from collections.abc import Iterator

from webhook.gateway.connection import Connection, Phase
from webhook.gateway.settings import Limits, PortStatus

_LINGER_SECONDS = 2.0
# How long a loop that stops keeps a connection on which no request has begun.
_LAST_CALL_SECONDS = 1.0
# Smaller requests are bounded by the number of connections; larger ones are added up.
_LARGE_BYTES = 64 * 1024


class Registry:
    """The connections of one port."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._all: set[Connection] = set()
        # Those that never sent a complete request, oldest first.
        self._newcomers: dict[Connection, None] = {}
        self._grown = 0
        self._dropped = {"slow": 0, "room": 0}
        self.stopping = False
        """Whether connections are to end as soon as they can."""

    def __len__(self) -> int:
        return len(self._all)

    @property
    def full(self) -> bool:
        """Whether there are as many as may be."""
        return len(self._all) >= self._limits.max_connections

    def add(self, connection: Connection) -> None:
        """Note a connection just accepted."""
        self._all.add(connection)
        self._newcomers[connection] = None

    def remove(self, connection: Connection, cause: str = "") -> None:
        """Forget a connection; with a cause, it was we who dropped it, unless it had ended."""
        if cause and connection.phase is not Phase.LINGERING:
            self._dropped[cause] += 1
        self._all.discard(connection)
        self._newcomers.pop(connection, None)

    def status(self, *, queued: int, refused: int) -> PortStatus:
        """How the port is doing; from any thread. `queued` and `refused` are requests."""
        busy = sum(connection.phase is Phase.BUSY for connection in tuple(self._all))
        return PortStatus(
            connections=len(self._all),
            in_flight=busy,
            queued=queued,
            refused=refused,
            slow=self._dropped["slow"],
            room=self._dropped["room"],
        )

    def mark_served(self, connection: Connection) -> None:
        """Note that a connection has sent a complete request."""
        connection.served = True
        self._newcomers.pop(connection, None)

    def dispensable(self) -> Connection | None:
        """Return the one that has waited longest without ever completing a request.

        Newcomers that are fewer than half give way to nobody: else a client that keeps the rest
        idle could push out each new one before it has said what it wants. Then it is the one idle
        for longest; failing that, the slowest; None when all are busy.
        """
        if 2 * len(self._newcomers) >= self._limits.max_connections:
            return next(iter(self._newcomers))
        return min(
            self._waiting(), key=lambda c: (not (c.served and c.idle), c.since), default=None
        )

    def overdue(self, now: float) -> Iterator[Connection]:
        """Yield those that have been what they are for longer than they may."""
        for connection in tuple(self._waiting()):
            if now - connection.since > self._patience(connection):
                yield connection

    def affords(self, connection: Connection) -> bool:
        """Whether this request may be worked on now: a small one, or the only large one, or one of
        few.
        """
        if connection.held < _LARGE_BYTES:
            return True
        large = (c.held for c in self._all if c.phase is Phase.BUSY and c.held >= _LARGE_BYTES)
        busy = sum(large)
        return not busy or busy + connection.held <= self._limits.max_busy_bytes

    def excessive(self, connection: Connection, grown: int) -> Iterator[Connection]:
        """Note that a connection holds `grown` bytes more; yield the slowest while it is too much.

        Adding everything up is left for when a sixteenth of what is allowed may have been added.
        """
        if connection.held < _LARGE_BYTES:
            return
        self._grown += grown
        if self._grown < self._limits.max_buffered_bytes // 16:
            return
        self._grown = 0
        held = sum(c.held for c in self._all)
        holders = (c for c in self._waiting() if c.held)
        for holder in sorted(holders, key=lambda c: c.since):
            if held <= self._limits.max_buffered_bytes:
                return
            held -= holder.held
            yield holder

    def _waiting(self) -> Iterator[Connection]:
        return (c for c in self._all if c.phase is not Phase.BUSY)

    def _patience(self, connection: Connection) -> float:
        """How many seconds a connection may stay as it is."""
        if connection.phase is Phase.LINGERING:
            return _LINGER_SECONDS
        if self.stopping and not connection.held:
            return _LAST_CALL_SECONDS
        if connection.served and connection.idle:
            return self._limits.keep_alive_seconds
        return self._limits.slow_client_seconds
