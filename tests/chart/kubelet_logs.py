"""The one thing that API servers ask kubelets for in these tests: the log of a container.

They reach it as they reach everything in the cluster, through `tests.chart.egress`, and do not
verify its certificate unless told how (`--kubelet-certificate-authority`).
"""

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit

import trustme

PORT = 10250
Read = Callable[[str], str | None]
"""From the name of a Pod to its log; None: there is no such Pod."""


class KubeletLogs:
    """An HTTPS server on loopback while it is entered."""

    def __init__(self, read: Read) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(read))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", self._server.server_port

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(read: Read) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers /containerLogs/NAMESPACE/POD/CONTAINER."""

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            words = asked.path.split("/")
            log = read(words[3]) if words[1:2] == ["containerLogs"] else None
            lines = (log or "").splitlines(keepends=True)
            tail = int(parse_qs(asked.query).get("tailLines", [str(len(lines))])[0])
            body = "".join(lines[len(lines) - tail :] if tail < len(lines) else lines).encode()
            self.send_response(404 if log is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: a test's output is its own."""

    return Handler
