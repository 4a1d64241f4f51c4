"""Serves one port: a loop that never waits for a client, and threads that only get whole requests.

The loop accepts, shakes hands, reads and, where a client reads slowly, writes, without blocking. It
shows small requests to the application that never waits, because waking a thread takes longer. A
thread of the pool gets what that leaves (Phase.BUSY), and owns the connection until it has sent
what the socket takes. Usually it then only sets the phase back to READING: the socket has stayed
with the selector. Otherwise the connection comes back through `_give_back`.
"""

import logging
import os
import queue
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from types import SimpleNamespace

from webhook.gateway.connection import Connection, Phase, TlsContext
from webhook.gateway.heads import BufferedRequest, Refusal
from webhook.gateway.http import Applications, RequestBuffer, Responder, plain_reply
from webhook.gateway.pool import RequestPool
from webhook.gateway.registry import Registry
from webhook.gateway.settings import Limits, PortStatus

_TICK_SECONDS = 0.25
_ACCEPTS_PER_TURN = 128
_LAST_ACCEPT_TURNS = 32
# Handshakes cost a millisecond each; requests on connections that have theirs go first.
_HANDSHAKE_SLICE_SECONDS = 0.005

_log = logging.getLogger(__name__)


class ConnectionLoop:
    """The connections of one listening socket. `turn` is to be called for ever."""

    def __init__(
        self,
        listener: socket.socket,
        apps: Applications,
        *,
        tls_context: TlsContext | None,
        limits: Limits,
        cfg: SimpleNamespace,
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._listener = listener
        self._tls_context = tls_context
        self._limits = limits
        self._cfg = cfg
        self._on_tick = on_tick
        self._next_tick = 0.0
        self._selector = DefaultSelector()
        self._connections = Registry(limits)
        self._returned: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._wake_reader, self._wake_writer = os.pipe()
        for end in (self._wake_reader, self._wake_writer):
            os.set_blocking(end, False)
        self._selector.register(self._wake_reader, EVENT_READ, self._take_back)
        self._accepting = False
        self._responder = Responder(apps, cfg, listener.getsockname()[:2])
        self._pool = RequestPool(
            self._responder,
            threads=limits.threads,
            max_queued_requests=limits.max_queued_requests,
            give_back=self._give_back,
        )
        self._set_accepting(True)

    def status(self) -> PortStatus:
        """How the port is doing; from any thread."""
        return self._connections.status(queued=self._pool.waiting, refused=self._responder.refused)

    def wake(self) -> None:
        """Make `turn` return soon. For other threads, and for signal handlers."""
        with suppress(BlockingIOError):  # The pipe is full: it will wake up.
            os.write(self._wake_writer, b"\0")

    def drain(self) -> None:
        """From now on tell each client, with its next response, to close its connection."""
        self._responder.draining = True

    def stop_accepting(self) -> None:
        """Take what has connected already, then no more; connections end as soon as they can."""
        self._connections.stopping = True
        for _ in range(_LAST_ACCEPT_TURNS):
            if not self._accept():
                break
        self._set_accepting(False)
        self._listener.close()

    def turn(self) -> None:
        """Wait for something to do, at most a quarter of a second, and do it."""
        handshakes = []
        for key, _ in self._selector.select(_TICK_SECONDS):
            if not isinstance(key.data, Connection):
                key.data()
            elif key.data.phase is Phase.HANDSHAKE:
                handshakes.append(key.data)
            else:
                self._attempt(self._advance, key.data)
        self._shake(handshakes)
        self._tick(time.monotonic())

    def _set_accepting(self, accepting: bool) -> None:
        if accepting and not self._accepting:
            self._selector.register(self._listener, EVENT_READ, self._accept)
        elif self._accepting and not accepting:
            self._selector.unregister(self._listener)
        self._accepting = accepting

    def _accept(self) -> bool:
        """Take new connections; return whether there may be more."""
        # Fewer than there is room for, else those just accepted would push out each other.
        for _ in range(min(_ACCEPTS_PER_TURN, self._limits.max_connections // 2 + 1)):
            victim = self._connections.dispensable() if self._connections.full else None
            if self._connections.full and victim is None:
                self._set_accepting(False)
                return False
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return False
            except OSError as error:
                self._make_room(error)
                return False
            if victim is not None:
                self._close(victim, "room")
            self._welcome(sock, address)
        return True

    def _make_room(self, error: OSError) -> None:
        """Deal with a want of file descriptors or memory."""
        victim = self._connections.dispensable()
        if victim is not None:
            self._close(victim, "room")
            return
        _log.warning("cannot accept connections: %s", error.strerror)
        self._set_accepting(False)

    def _welcome(self, sock: socket.socket, address: object) -> None:
        sock.setblocking(False)
        with suppress(OSError):  # Not everywhere allowed once the client has gone again.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = RequestBuffer(self._cfg, address, self._limits.max_body_bytes)
        connection = Connection(sock, buffer, address, time.monotonic())
        self._connections.add(connection)
        self._watch(connection, EVENT_READ)

    def _shake(self, connections: list[Connection]) -> None:
        """Go on with handshakes for a while; those left are reported again, and then first."""
        until = time.monotonic() + _HANDSHAKE_SLICE_SECONDS
        for connection in connections:
            self._attempt(self._shake_one, connection)
            if time.monotonic() > until:
                return

    def _shake_one(self, connection: Connection) -> None:
        if connection.phase is not Phase.HANDSHAKE:
            return
        try:
            events = connection.shake(self._tls_context)
        except ssl.SSLError as error:
            _log.debug("connection of %s: %s", connection.address, error)
            self._end(connection)  # Gently: the alert, which tells the client why, shall arrive.
            return
        self._watch(connection, events or EVENT_READ)
        if not events:
            self._take(connection, connection.receive)

    def _attempt(self, step: Callable[[Connection], None], connection: Connection) -> None:
        """Take one step with a connection; close it when its client is gone or talks nonsense."""
        try:
            step(connection)
        except OSError as error:
            _log.debug("connection of %s: %s", connection.address, error)
            self._close(connection)
        except Exception:
            _log.exception("connection of %s", connection.address)
            self._close(connection)

    def _advance(self, connection: Connection) -> None:
        """Do what the selector says can be done."""
        match connection.phase:
            case Phase.READING:
                self._take(connection, connection.receive)
            case Phase.BUSY:
                self._pause(connection)
            case Phase.WRITING:
                connection.flush(time.monotonic())
                self._settle(connection)
            case Phase.LINGERING:
                connection.discard()

    def _take(self, connection: Connection, receive: Callable[[], BufferedRequest | None]) -> None:
        """Take what the client has sent; hand over the request that is complete by it."""
        held = connection.held
        try:
            request = receive()
        except Refusal as refusal:
            reply = plain_reply(refusal.status, str(refusal)[:200], keep_alive=False)
            connection.answer(reply, time.monotonic())
            self._settle(connection)
            return
        if connection.served and not held:
            connection.since = time.monotonic()
        self._make_fit(connection, connection.held - held)
        if request is not None and connection.phase is Phase.READING:
            self._dispatch(connection, request)

    def _dispatch(self, connection: Connection, request: BufferedRequest) -> None:
        """Answer a complete request, hand it to a thread, or say that there is too much to do."""
        self._connections.mark_served(connection)
        if self._pool.answer_promptly(connection, request):
            return
        if not self._pool.full and self._connections.affords(connection):
            connection.phase = Phase.BUSY
            self._pool.put(connection, request)
            return
        connection.answer(self._responder.overloaded(request), time.monotonic())
        self._give_back(connection)  # And not `_settle`: another request may be here already.

    def _settle(self, connection: Connection) -> None:
        """Wait for what the phase after a response asks for. Harmless when done twice."""
        match connection.phase:
            case Phase.WRITING if connection.watched != EVENT_WRITE:
                self._watch(connection, EVENT_WRITE)
                self._make_fit(connection, connection.held)
            case Phase.ANSWERED:
                connection.end(time.monotonic())
                self._watch(connection, EVENT_READ)
            case Phase.READING:
                self._watch(connection, EVENT_READ)
                if connection.buffer.unread:
                    self._take(connection, connection.feed)

    def _pause(self, connection: Connection) -> None:
        """Ignore a client that goes on sending, or has gone, while its request is worked on."""
        self._watch(connection, 0)
        # The thread may have given it back before it could see that nobody watches any more.
        if connection.phase is not Phase.BUSY:
            self._settle(connection)

    def _watch(self, connection: Connection, events: int) -> None:
        if events == connection.watched:
            return
        if not events:
            self._selector.unregister(connection.fd)
        elif connection.watched:
            self._selector.modify(connection.fd, events, connection)
        else:
            self._selector.register(connection.fd, events, connection)
        connection.watched = events

    def _close(self, connection: Connection, cause: str = "") -> None:
        self._watch(connection, 0)
        self._connections.remove(connection, cause)
        connection.close()

    def _make_fit(self, connection: Connection, grown: int) -> None:
        """Close the slowest when, with what a connection has grown by, too much is in memory."""
        for excessive in self._connections.excessive(connection, grown):
            self._close(excessive, "room")

    def _give_back(self, connection: Connection) -> None:
        """Let the loop settle a connection in its next turn. For threads."""
        self._returned.put(connection)
        self.wake()

    def _take_back(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._wake_reader, 4096)
        with suppress(queue.Empty):
            while True:
                self._attempt(self._settle, self._returned.get_nowait())

    def _tick(self, now: float) -> None:
        """Do, four times a second, what time asks for."""
        if now < self._next_tick:
            return
        self._next_tick = now + _TICK_SECONDS
        self._on_tick()
        for connection in self._connections.overdue(now):
            end = self._end if connection.idle else partial(self._close, cause="slow")
            self._attempt(end, connection)
        self._set_accepting(not self._connections.stopping)

    def _end(self, connection: Connection) -> None:
        connection.phase = Phase.ANSWERED
        self._settle(connection)
