"""The wire of a fake API server: HTTP/1.1 on loopback, with or without TLS."""

import gzip
import json
import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.fake_apiserver.faults import NO_FAULT, Fault, Request
from tests.fake_apiserver.state import EXPIRED, Gzipped, Object, status

if TYPE_CHECKING:
    from tests.fake_apiserver import FakeApiServer

ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class Server(ThreadingHTTPServer):
    """Remembers its connections, so that it can break them."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, port: int, handler: Callable[..., BaseHTTPRequestHandler], tls: ssl.SSLContext | None
    ) -> None:
        self._tls = tls
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        # In the connection's own thread: a slow handshake holds up nobody else.
        if self._tls:
            request = self._tls.wrap_socket(request, server_side=True)
        self._connections.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            self._connections.discard(request)
            request.close()

    def break_connections(self) -> None:
        for connection in tuple(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients that go away, or do not trust our certificate, are what this server is for.
        if not isinstance(sys.exc_info()[1], OSError | ValueError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, api: "FakeApiServer", *rest: Any) -> None:
        self.api = api
        super().__init__(*rest)

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        path, namespace, name = parse_path(url.path)
        verb = "get" if name else "watch" if query.get("watch") else "list"
        fault = self._begin(verb, url.path, query)
        if self._refused(fault):
            return
        if not self.api.state.serves(path):
            self._send(404, status(404, "the server could not find the requested resource"))
        elif path.removeprefix("/apis/") in self.api.state.groups:
            self._send(200, {"kind": "APIResourceList"}, fault)
        elif verb == "watch":
            self._watch(path, query, fault)
        elif verb == "get":
            self._send(*self.api.state.get(path, namespace, name), fault)
        else:
            self._send(*self.api.state.page(path, namespace, query), fault)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault = self._begin("create", self.path, {})
        if self._refused(fault):
            return
        if self.path == ACCESS_REVIEWS:
            allowed = self.api.allowed(body["spec"])
            self._send(201, {**body, "status": {"allowed": allowed}}, fault)
        elif self.path.endswith("/events"):
            self.api.events.append(body)
            self._send(201, body, fault)
        else:
            self._send(405, status(405, "not here"))

    def do_PATCH(self) -> None:
        """Server-side apply, of an object as a whole."""
        url = urlsplit(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault = self._begin("patch", url.path, dict(parse_qsl(url.query)))
        if self._refused(fault):
            return
        path, namespace, name = parse_path(url.path)
        assert self.headers["Content-Type"] == "application/apply-patch+yaml"
        assert body["metadata"]["name"] == name
        metadata = {"uid": f"uid-of-{namespace}", **body["metadata"]}
        self.api.state.put(path, {**body, "metadata": metadata})
        self._send(200, body, fault)

    def do_DELETE(self) -> None:
        """With a uid as its precondition."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault = self._begin("delete", self.path, {})
        if self._refused(fault):
            return
        path, namespace, name = parse_path(self.path)
        there = self.api.state.objects(path).get((namespace, name))
        if there is None:
            self._send(404, status(404, f'"{name}" not found', "NotFound", name=name))
        elif there["metadata"].get("uid") != body["preconditions"]["uid"]:
            self._send(409, status(409, "Precondition failed: UID", "Conflict", name=name))
        else:
            self.api.state.delete(path, namespace, name)
            self._send(200, {"kind": "Status", "status": "Success"}, fault)

    def _begin(self, verb: str, path: str, query: Mapping[str, str]) -> Fault:
        headers = dict(self.headers)
        request = Request(
            verb=verb,
            path=path,
            query=query,
            headers=headers,
            at=monotonic(),
            connection=self.client_address[1],
        )
        fault = self.api.receive(request)
        sleep(fault.delay)
        return fault

    def _refused(self, fault: Fault) -> bool:
        bearer = self.headers.get("Authorization", "").lower()
        if fault.hang_up:
            self.close_connection = True
        elif fault.status:
            self._send(fault.status, status(fault.status, fault.message), fault)
        elif self.api.token and bearer != f"bearer {self.api.token}".lower():
            self._send(401, status(401, "Unauthorized"))
        else:
            return False
        return True

    def _send(self, code: int, answer: Object | Gzipped, fault: Fault = NO_FAULT) -> None:
        self.send_response(code)
        body = self._rendered(answer, fault)
        if isinstance(body, Gzipped):
            self.send_header("Content-Encoding", "gzip")
        for key, value in fault.headers.items():
            self.send_header(key, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault.break_off:
            body = body[: len(body) // 2]
            self.close_connection = True
        for piece in (body[i : i + 1] for i in range(len(body))) if fault.drip else (body,):
            sleep(fault.drip)
            self.wfile.write(piece)

    def _rendered(self, answer: Object | Gzipped, fault: Fault) -> bytes:
        if isinstance(answer, Gzipped):
            return answer
        body = json.dumps(answer, separators=(",", ":")).encode()
        if fault.mangle:
            body = fault.mangle(body)
        accepts = "gzip" in self.headers.get("Accept-Encoding", "")
        return Gzipped(gzip.compress(body)) if accepts else body

    def _watch(self, path: str, query: Mapping[str, str], fault: Fault) -> None:
        gone = self.api.state.is_gone(int(query["resourceVersion"]))
        if gone and not self.api.gone_in_stream:
            self._send(410, EXPIRED)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if gone:
            self._chunk(_line({"type": "ERROR", "object": EXPIRED}))
        else:
            for event in self.api.state.events(path, query, fault.silent):
                if event is None:
                    self.close_connection = True
                    return
                line = _line(event)
                if fault.break_off:
                    self._chunk(line[: len(line) // 2])
                    self.close_connection = True
                    return
                self._chunk(fault.mangle(line) if fault.mangle else line)
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


def _line(event: Object) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def parse_path(path: str) -> tuple[str, str, str]:
    """Collection, namespace and name; the last two may be empty."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    prefix, rest = (parts[:3], parts[3:]) if parts[0] == "apis" else (parts[:2], parts[2:])
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    return "/".join(["", *prefix, *rest[:1]]), namespace, rest[1] if len(rest) > 1 else ""
