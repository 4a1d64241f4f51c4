"""Clients of a gateway: honest ones, and those which take as long as they like."""

import http.client
import select
import socket
import ssl
import threading
import time
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import NamedTuple, Protocol, Self

_HALF_HEAD = b"POST /echo HTTP/1.1\r\nHost: gateway\r\nContent-"
_HALF_BODY = b"POST /echo HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1000\r\n\r\n" + b"x" * 500


def post(connection: http.client.HTTPConnection, body: bytes = b"hello", path: str = "/") -> float:
    """Have `body` echoed. Return the seconds that took."""
    start = time.monotonic()
    connection.request("POST", path, body)
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, body)
    return time.monotonic() - start


def request(
    path: str = "/", body: bytes = b"", *headers: str, line: str = "POST {} HTTP/1.1"
) -> bytes:
    head = [line.format(path), "Host: gateway", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class Response(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Wire:
    """Sends exactly the bytes it is given, and reads the responses one after the other."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._file = sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        self.sock.close()

    def ask(self, data: bytes) -> Response:
        self.sock.sendall(data)
        return self.response()

    def response(self) -> Response:
        status = int(self._file.readline().split()[1])
        headers = http.client.parse_headers(self._file)
        return Response(status, headers, self._file.read(int(headers.get("Content-Length", 0))))

    def ended(self) -> bool:
        """Whether the gateway says, now, that nothing more will come."""
        return self._file.read(1) == b""


class Door(Protocol):
    """What can be connected to."""

    def dial(self) -> socket.socket: ...
    def dial_tls(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket: ...


class Trust(Protocol):
    """What says whom to trust."""

    def client_context(self) -> ssl.SSLContext: ...


class BadClients:
    """A crowd of connections to one gateway, each left half done."""

    kinds = (
        "silent",
        "one_byte",
        "handshake_then_silence",
        "half_head",
        "half_body",
        "drip",
        "slow_reader",
    )

    def __init__(self, gateway: Door, certificate: Trust) -> None:
        self._gateway = gateway
        self._context = certificate.client_context()
        self._stack = ExitStack()
        self._sockets: list[socket.socket] = []
        self._drips: list[ssl.SSLSocket] = []
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        thread = threading.Thread(target=self._drip_forever)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(self._stop.set)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
        for sock in self._sockets:
            sock.close()

    def add(self, kind: str, number: int) -> None:
        for _ in range(number):
            # When there are too many, the gateway closes one while it is being made.
            with suppress(ConnectionError, ssl.SSLEOFError):
                getattr(self, f"_{kind}")()

    def add_half_sent(self, data: bytes) -> None:
        """Sends `data` and nothing more."""
        with suppress(ConnectionError):
            self._tls(data)

    def open(self) -> int:
        """How many connections the gateway has not ended."""
        return sum(_is_open(sock) for sock in self._sockets)

    def _silent(self) -> None:
        self._sockets.append(self._gateway.dial())

    def _one_byte(self) -> None:
        """The first byte of a TLS record."""
        self._silent()
        self._sockets[-1].sendall(b"\x16")

    def _handshake_then_silence(self) -> None:
        self._tls(b"")

    def _half_head(self) -> None:
        self._tls(_HALF_HEAD)

    def _half_body(self) -> None:
        self._tls(_HALF_BODY)

    def _drip(self) -> None:
        """Goes on for ever, a byte at a time."""
        self._drips.append(self._tls(_HALF_HEAD))

    def _slow_reader(self) -> None:
        """Asks for 5 MB and reads none of it."""
        self._tls(b"GET /large HTTP/1.1\r\nHost: gateway\r\n\r\n")

    def _tls(self, data: bytes) -> ssl.SSLSocket:
        sock = self._gateway.dial_tls(self._context)
        self._sockets.append(sock)
        sock.sendall(data)
        return sock

    def _drip_forever(self) -> None:
        while not self._stop.wait(0.05):
            for sock in tuple(self._drips):
                with suppress(OSError):
                    sock.sendall(b"x")


def _is_open(sock: socket.socket) -> bool:
    """Whether the peer has not ended a connection; reads, beneath TLS, what has come."""
    waiting = select.poll()  # Not select(): there may be more than 1,024 of them.
    waiting.register(sock, select.POLLIN)
    try:
        while waiting.poll(0):
            if not socket.socket.recv(sock, 2**20):
                return False
    except ConnectionError:
        return False
    return True
