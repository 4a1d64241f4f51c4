"""How an API server on loopback reaches a Service: through a proxy in front of "the cluster".

An API server may be told to reach everything in the cluster through an HTTP CONNECT proxy. It then
resolves the webhook's Service as ever, to the cluster IP and port, verifies the certificate for the
Service's name, and only the last step, what a kube-proxy does with a cluster IP, is ours.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

Address = tuple[str, int]
Route = Callable[[str], Address | None]
"""From "IP:port", as asked for, to where a replica listens; None: nobody is there."""


class Egress:
    """The proxy, on a socket in a directory."""

    def __init__(self, directory: Path) -> None:
        self._socket = directory / "egress.sock"
        self.route: Route = lambda _: None
        self.asked: list[str] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._socket))
        self._listener.listen(128)
        self._open: set[socket.socket] = set()

    @classmethod
    @contextmanager
    def running(cls, directory: Path) -> Iterator[Self]:
        proxy = cls(directory)
        threading.Thread(target=proxy._accept, daemon=True).start()
        try:
            yield proxy
        finally:
            with suppress(OSError):
                proxy._listener.shutdown(socket.SHUT_RDWR)
            proxy._listener.close()
            for end in tuple(proxy._open):
                _shut(end)

    def configuration(self, file: Path) -> Path:
        """Write the API server's EgressSelectorConfiguration."""
        connection = {
            "proxyProtocol": "HTTPConnect",
            "transport": {"uds": {"udsName": str(self._socket)}},
        }
        given = {
            "apiVersion": "apiserver.k8s.io/v1beta1",
            "kind": "EgressSelectorConfiguration",
            "egressSelections": [{"name": "cluster", "connection": connection}],
        }
        file.write_text(json.dumps(given), encoding="utf-8")
        return file

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            asked = _asked_for(client)
            self.asked.append(asked)
            target = self.route(asked)
            try:
                server = socket.create_connection(target, timeout=5) if target else None
            except OSError:
                server = None
            if server is None:
                with suppress(OSError):
                    client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                return
            with server:
                server.settimeout(None)
                self._join(client, server)

    def _join(self, client: socket.socket, server: socket.socket) -> None:
        self._open |= {client, server}
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        back = threading.Thread(target=_copy, args=(server, client), daemon=True)
        back.start()
        _copy(client, server)
        back.join()
        self._open -= {client, server}


def _asked_for(client: socket.socket) -> str:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = client.recv(4096)
        if not piece:
            return ""
        head += piece
    return head.split(b" ")[1].decode()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    _shut(source)
    _shut(target)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
