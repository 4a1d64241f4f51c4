"""A TCP proxy in front of the API server which can hold back what the API server says.

What is inside is TLS and stays so. Yet watch events are easily told from answers: an answer comes
on a connection on which something was asked just before, an event comes unasked.
"""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit


class Hold(Enum):
    """What does not get through."""

    NOTHING = 0
    EVENTS = 1
    EVERYTHING = 2


@dataclass(slots=True, eq=False)
class _Connection:
    client: socket.socket
    server: socket.socket
    asked: float = 0.0

    def close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Proxy:
    """Listens on loopback, and passes on to the server of a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = json.loads(kubeconfig.read_text(encoding="utf-8"))
        url = urlsplit(self._kubeconfig["clusters"][0]["cluster"]["server"])
        self._target = (url.hostname, url.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._changed = threading.Condition()
        self._hold, self._since = Hold.NOTHING, 0.0
        self._connections: set[_Connection] = set()
        self._closed = False

    @classmethod
    @contextmanager
    def running(cls, kubeconfig: Path) -> Iterator[Self]:
        proxy = cls(kubeconfig)
        thread = threading.Thread(target=proxy._accept, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy._close()
            thread.join(5)

    def write_kubeconfig(self, file: Path) -> None:
        """The same user and CA, by way of this proxy."""
        port = self._listener.getsockname()[1]
        self._kubeconfig["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
        file.touch(mode=0o600)
        file.write_text(json.dumps(self._kubeconfig), encoding="utf-8")

    @contextmanager
    def holding(self, what: Hold) -> Iterator[None]:
        """Hold this back, and let it all through in the end."""
        self._set(what)
        try:
            yield
        finally:
            self._set(Hold.NOTHING)

    def cut(self) -> None:
        """Break every connection that there is."""
        with self._changed:
            connections = list(self._connections)
        for connection in connections:
            connection.close()

    def _set(self, hold: Hold) -> None:
        with self._changed:
            self._hold, self._since = hold, time.monotonic()
            self._changed.notify_all()

    def _close(self) -> None:
        with self._changed:
            self._closed, self._hold = True, Hold.NOTHING
            self._changed.notify_all()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One connection, from beginning to end."""
        with client, suppress(OSError), socket.create_connection(self._target) as server:
            connection = _Connection(client, server)
            with self._changed:
                self._connections.add(connection)
            back = threading.Thread(target=self._pass_back, args=(connection,), daemon=True)
            back.start()
            try:
                self._pass_on(connection)
            finally:
                connection.close()
                back.join()
                with self._changed:
                    self._connections.discard(connection)

    def _pass_on(self, connection: _Connection) -> None:
        while data := connection.client.recv(65536):
            connection.asked = time.monotonic()
            connection.server.sendall(data)

    def _pass_back(self, connection: _Connection) -> None:
        with suppress(OSError):
            while data := connection.server.recv(65536):
                with self._changed:
                    self._changed.wait_for(lambda: not self._holds(connection))
                connection.client.sendall(data)
        connection.close()

    def _holds(self, connection: _Connection) -> bool:
        if self._hold is Hold.EVENTS:
            return connection.asked < self._since
        return self._hold is Hold.EVERYTHING
