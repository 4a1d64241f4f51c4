"""A TLS listener on loopback that asks for the context of every connection, and its clients."""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from certs.serving import ServingCertificate
from tests.certs.builders import NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What the client saw, and whom the server saw."""

    serial: int
    version: str
    cipher: str
    protocol: str | None
    has_ticket: bool
    peer: dict[str, Any] | None


class Listener:
    def __init__(self, serving: ServingCertificate) -> None:
        self._serving = serving
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def connect(self, client: ssl.SSLContext, name: str = NAME) -> Handshake:
        """Raises ssl.SSLError or OSError when the two do not agree."""
        with (
            socket.create_connection(self._socket.getsockname(), timeout=5) as raw,
            client.wrap_socket(raw, server_hostname=name) as tls,
        ):
            line = b""
            while not line.endswith(b"\n"):  # TLS 1.3 tells a client only here that it is refused
                received = tls.recv(65536)
                if not received:
                    raise ConnectionError("the server hung up")
                line += received
            certificate = tls.getpeercert()
            cipher = tls.cipher()
            assert certificate
            assert cipher
            return Handshake(
                serial=int(str(certificate["serialNumber"]), 16),
                version=str(tls.version()),
                cipher=cipher[0],
                protocol=tls.selected_alpn_protocol(),
                has_ticket=tls.session is not None and tls.session.has_ticket,
                peer=json.loads(line),
            )

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                with self._serving.context().wrap_socket(connection, server_side=True) as tls:
                    tls.sendall(json.dumps(tls.getpeercert()).encode() + b"\n")


@contextlib.contextmanager
def listening(serving: ServingCertificate) -> Iterator[Listener]:
    listener = Listener(serving)
    try:
        yield listener
    finally:
        listener.close()


def trusting(ca: bytes) -> ssl.SSLContext:
    """A client's context that trusts these CAs and no other."""
    return ssl.create_default_context(cadata=ca.decode())
