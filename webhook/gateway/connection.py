"""One client: its TLS, the request it is sending, the response it is being sent.

Nothing here waits: every method does what the socket allows now. Who may touch a connection is
told by its phase: in BUSY the thread that answers it, in every other phase the loop.
"""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from webhook.gateway.heads import BufferedRequest
from webhook.gateway.http import CONTINUE, Reply, RequestBuffer

TlsContext = Callable[[], ssl.SSLContext]

# The largest TLS record: reading as much leaves nothing decrypted inside OpenSSL, where the
# selector would not see it.
_RECORD_BYTES = 16 * 1024
_RECORDS_PER_TURN = 16
_SEND_BYTES = 256 * 1024
_NOTHING = memoryview(b"")


class Phase(Enum):
    """What a connection is doing."""

    HANDSHAKE = auto()
    """TLS is not set up; perhaps nothing has come yet."""
    READING = auto()
    """Between requests, or part of one is here."""
    BUSY = auto()
    """A complete request is with the application, or waits for a thread."""
    WRITING = auto()
    """The client is slower at reading than we at writing."""
    ANSWERED = auto()
    """The last response is sent; the loop has yet to end the connection."""
    LINGERING = auto()
    """We are done; what still comes is thrown away, until the client closes too."""
    CLOSED = auto()


class Connection:
    """One accepted socket. Methods raise OSError when the client is gone or talks nonsense."""

    __slots__ = (
        "address", "buffer", "certificate", "fd", "held", "keep_alive", "phase", "served", "since",
        "sock", "unsent", "watched",
    )  # fmt: skip

    def __init__(
        self, sock: socket.socket, buffer: RequestBuffer, address: Any, now: float
    ) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.address = address
        self.buffer = buffer
        self.phase = Phase.HANDSHAKE
        self.since = now
        """When it began what it is doing: to send a request, to read a response, to be idle."""
        self.served = False
        """Whether it ever sent a complete request."""
        self.certificate: Any = None
        self.unsent = _NOTHING
        self.keep_alive = True
        self.held = 0
        """Bytes of requests and responses in memory on its behalf."""
        self.watched = 0
        """The events the selector reports; 0 when it is not registered."""

    @property
    def idle(self) -> bool:
        """Whether the client owes us nothing: between requests, none begun."""
        return self.phase is Phase.READING and self.held == 0

    @property
    def waits_for_next(self) -> bool:
        """Whether the selector looks out for the client's next request, of which nothing is here.

        This is the usual end of a request, and the loop need not see to it.
        """
        return self.phase is Phase.READING and bool(self.watched) and not self.buffer.unread

    def shake(self, tls_context: TlsContext | None) -> int:
        """Go on with the TLS handshake. Return the event to wait for, or 0 when it is complete.

        The context is asked for when the first byte is here: a silent client costs a socket only.
        """
        if tls_context is not None:
            if not isinstance(self.sock, ssl.SSLSocket):
                self.sock = _context(tls_context).wrap_socket(
                    self.sock, server_side=True, do_handshake_on_connect=False
                )
            try:
                self.sock.do_handshake()
            except ssl.SSLWantReadError:
                return EVENT_READ
            except ssl.SSLWantWriteError:
                return EVENT_WRITE
            if self.sock.context.verify_mode is not ssl.CERT_NONE:
                self.certificate = self.sock.getpeercert()
        self.phase = Phase.READING
        return 0

    def receive(self) -> BufferedRequest | None:
        """Read what is there, at most 256 KiB; return a request once it is complete.

        Raises Refusal, and ConnectionResetError at the end of the stream.
        """
        try:
            for _ in range(_RECORDS_PER_TURN):
                data = self.sock.recv(_RECORD_BYTES)
                if not data:
                    raise ConnectionResetError
                request = self.feed(data)
                if request is not None:
                    return request
        except (BlockingIOError, ssl.SSLWantReadError):
            if self.buffer.take_expectation():
                self.sock.send(CONTINUE)
        return None

    def feed(self, data: bytes = b"") -> BufferedRequest | None:
        """Take bytes of the client; without any, look whether a request came with the last one."""
        request = self.buffer.feed(data)
        self.held = self.buffer.size + (request.body_bytes if request is not None else 0)
        return request

    def answer(self, reply: Reply, now: float) -> None:
        """Send a response, or as much of it as the client takes now, and enter the next phase."""
        self.keep_alive = reply.keep_alive
        self.unsent = memoryview(reply.data)
        self.held = len(reply.data)  # All of it stays in memory until the last byte is sent.
        self.since = now
        self.flush(now)

    def flush(self, now: float) -> None:
        """Go on sending. The phase is WRITING while something is left, then READING or ANSWERED.

        The phase is set last: with it a thread gives the connection back.
        """
        with suppress(BlockingIOError, ssl.SSLWantWriteError):
            while self.unsent:
                sent = self.sock.send(self.unsent[:_SEND_BYTES])
                self.unsent = self.unsent[sent:]
        if self.unsent:
            self.phase = Phase.WRITING
            return
        self.unsent = _NOTHING
        self.held = 0
        self.since = now
        self.phase = Phase.READING if self.keep_alive else Phase.ANSWERED

    def end(self, now: float) -> None:
        """Say that nothing more will come, and wait for the client to say so too.

        Closing at once, with bytes unread, makes the kernel send a reset that can overtake our
        last response (RFC 9112, section 9.6).
        """
        self.phase = Phase.LINGERING
        self.since = now
        self.unsent = _NOTHING
        if isinstance(self.sock, ssl.SSLSocket):
            with suppress(OSError, ValueError):
                self.sock.unwrap()
        self.sock.shutdown(socket.SHUT_WR)

    def discard(self) -> None:
        """Throw away what the client still sends. Raises ConnectionResetError at its end."""
        with suppress(BlockingIOError):
            for _ in range(_RECORDS_PER_TURN):
                if not socket.socket.recv(self.sock, _RECORD_BYTES):
                    raise ConnectionResetError

    def close(self) -> None:
        """Close the socket, at once."""
        self.phase = Phase.CLOSED
        self.sock.close()


def _context(tls_context: TlsContext) -> ssl.SSLContext:
    """Ask for the context; that there is none must not look like the client's fault."""
    try:
        return tls_context()
    except Exception as error:
        raise RuntimeError("there is no TLS context") from error
