"""Where the gateway listens and what it allows a client: values, and the binding of a socket."""

import errno
import ipaddress
import socket
from dataclasses import dataclass, field
from typing import Final, Self

_BACKLOG = 4096  # The kernel lowers it to net.core.somaxconn.


_REMEDIES: Final = {
    errno.EADDRINUSE: "; stop what listens there, or choose another port",
    errno.EACCES: "; choose a port above 1023",
    errno.EADDRNOTAVAIL: "; this machine has no such address",
}


class ListenError(Exception):
    """A listen address cannot be had: it is in use, not ours, not permitted or not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """An address to listen on, as given to `--listen` and `--health-listen`."""

    host: str
    """A name or an address, without brackets."""
    port: int
    """0 to 65535; 0 lets the kernel choose a free one."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `HOST:PORT`, where an IPv6 address stands in brackets.

        Raises ValueError with a sentence that names the text.
        """
        host, colon, port = text.rpartition(":")
        if not colon or not (port.isascii() and port.isdigit()):
            raise ValueError(f"{text!r} is not HOST:PORT, for example 0.0.0.0:8443 or [::]:8443")
        if int(port) > 65535:
            raise ValueError(f"{text!r}: a port is at most 65535")
        return cls(host=_unbracketed(host, text), port=int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def bind(self) -> socket.socket:
        """Return a listening, non-blocking socket. Raises ListenError."""
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
        except OSError as error:
            raise ListenError(f"cannot listen on {self}: {error.strerror}") from error
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            remedy = _REMEDIES.get(error.errno or 0, "")
            raise ListenError(f"cannot listen on {self}: {error.strerror}{remedy}") from error
        listener.setblocking(False)
        return listener


def _unbracketed(host: str, text: str) -> str:
    """Take the brackets off an IPv6 address, which must have them."""
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError as error:
            raise ValueError(f"{text!r}: {host!r} is not an IPv6 address") from error
    if ":" in host:
        raise ValueError(f"{text!r}: an IPv6 address stands in brackets, as in [::1]:8443")
    if not host:
        raise ValueError(f"{text!r}: the host is missing; every interface is 0.0.0.0 or [::]")
    return host


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one port spends on its clients."""

    threads: int = 32
    """How many requests the application works on at once."""
    max_queued_requests: int = 256
    """Complete requests that wait for a thread; the next one is answered 503."""
    max_connections: int = 1024
    """Open connections. An API server keeps up to 25 idle ones."""
    max_body_bytes: int = 16 * 2**20
    """A larger request body is answered 413. Two objects of etcd's size, as JSON, need 16 MiB."""
    max_buffered_bytes: int = 256 * 2**20
    """Requests and responses held in memory, over all connections together."""
    max_busy_bytes: int = 8 * 2**20
    """Large requests that are worked on at once, all together; the next one is answered 503. To
    judge one may take thirty times its size in memory."""
    slow_client_seconds: float = 10.0
    """From the first sign of a client to its complete request, and again to send a response."""
    keep_alive_seconds: float = 120.0
    """Above the 90 s after which Go's client closes an idle connection: it does not repeat a
    POST that met a connection which the server was just closing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortStatus:
    """How one port is doing. `refused`, `slow` and `room` count from the beginning."""

    connections: int
    in_flight: int
    """Complete requests that are being answered, or wait for a thread."""
    queued: int
    """Those of them that wait for a thread."""
    refused: int
    """Requests answered 503, because too many were waiting."""
    slow: int
    """Connections closed because the client took too long."""
    room: int
    """Connections closed because others needed their place or their memory."""


HEALTH_LIMITS = Limits(
    threads=4,
    max_queued_requests=32,
    max_connections=128,
    max_body_bytes=64 * 2**10,
    max_buffered_bytes=64 * 2**20,
)
"""For probes and metrics, which are few and have no body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """How the gateway runs."""

    listen: Listen = Listen(host="0.0.0.0", port=8443)  # noqa: S104 - a server in a container
    """The TLS port."""
    health_listen: Listen | None = Listen(host="0.0.0.0", port=8081)  # noqa: S104
    """The plain port for the health application; None: there is none."""
    limits: Limits = field(default_factory=Limits)
    """Of the TLS port."""
    health_limits: Limits = HEALTH_LIMITS
    """Of the health port."""
    drain_seconds: float = 5.0
    """After SIGTERM: how long new connections are still taken, while Services learn of it."""
    graceful_seconds: float = 20.0
    """After that: how long requests which have begun may take."""
