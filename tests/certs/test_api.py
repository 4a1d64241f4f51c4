"""What goes over the wire to an API server, and what its answers mean."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from kubernetes.client import ApiClient, Configuration

from certs import api
from certs.api import ApiRefusal, KubernetesApi

SECRET = "/api/v1/namespaces/system/secrets/guard-certs"
CONFIGURATION = (
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/guard.example.org"
)


@dataclass
class Server:
    """Answers every request alike, and remembers them."""

    status: int = 200
    answer: Any = field(default_factory=dict)
    date: str = "Mon, 23 Nov 2026 12:00:00 GMT"
    requests: list[tuple[str, str, dict[str, list[str]], str | None, Any]] = field(
        default_factory=list
    )

    def handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                url = urlsplit(self.path)
                kind = self.headers.get("Content-Type") if length else None
                body = json.loads(self.rfile.read(length)) if length else None
                server.requests.append((self.command, url.path, parse_qs(url.query), kind, body))
                content = server.answer
                if not isinstance(content, bytes):
                    content = json.dumps(content).encode()
                self.send_response(server.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = handle_any  # noqa: N815

            def date_time_string(self, timestamp: float | None = None) -> str:
                return server.date

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def speaking_to(server: Server) -> Iterator[KubernetesApi]:
    listener = ThreadingHTTPServer(("127.0.0.1", 0), server.handler())
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        with client_of(listener.server_port) as client:
            yield KubernetesApi(client)
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def client_of(port: int) -> ApiClient:
    configuration = Configuration(host=f"http://127.0.0.1:{port}")
    configuration.retries = False
    return ApiClient(configuration)


def encoded(text: bytes) -> str:
    return base64.b64encode(text).decode()


def test_a_secret_is_read_with_its_version() -> None:
    server = Server(
        answer={"metadata": {"resourceVersion": "7"}, "data": {"ca.crt": encoded(b"pem")}}
    )

    with speaking_to(server) as kubernetes:
        secret = kubernetes.get_secret("system", "guard-certs")

    assert server.requests == [("GET", SECRET, {}, None, None)]
    assert secret
    assert (secret.resource_version, secret.data) == ("7", {"ca.crt": b"pem"})
    assert "pem" not in repr(secret)


def test_a_secret_without_data_is_empty() -> None:
    with speaking_to(Server(answer={"metadata": {"resourceVersion": "7"}})) as kubernetes:
        secret = kubernetes.get_secret("system", "guard-certs")

    assert secret
    assert secret.data == {}


def test_what_is_not_found_is_none() -> None:
    with speaking_to(Server(404, {"kind": "Status", "message": "not found"})) as kubernetes:
        assert kubernetes.get_secret("system", "guard-certs") is None
        assert kubernetes.get_configuration("guard.example.org") is None


def test_a_secret_is_created_with_its_data() -> None:
    server = Server(201)

    with speaking_to(server) as kubernetes:
        kubernetes.create_secret("system", "guard-certs", {"ca.crt": b"pem"})

    [(method, path, query, kind, body)] = server.requests
    assert (method, path) == ("POST", "/api/v1/namespaces/system/secrets")
    assert (kind, query) == ("application/json", {"fieldManager": ["endpoints-guard"]})
    assert (body["kind"], body["type"]) == ("Secret", "Opaque")
    assert body["metadata"]["name"] == "guard-certs"
    assert body["data"] == {"ca.crt": encoded(b"pem")}


def test_a_secret_is_merged_at_one_version() -> None:
    server = Server()

    with speaking_to(server) as kubernetes:
        kubernetes.patch_secret("system", "guard-certs", "7", {"ca.crt": b"pem", "next": None})

    [(method, path, _, kind, body)] = server.requests
    assert (method, path, kind) == ("PATCH", SECRET, "application/merge-patch+json")
    assert body == {
        "metadata": {"resourceVersion": "7"},
        "data": {"ca.crt": encoded(b"pem"), "next": None},
    }


def test_a_configuration_is_read_by_webhook() -> None:
    server = Server(
        answer={
            "metadata": {"resourceVersion": "7", "generation": 3},
            "webhooks": [
                {"name": "a", "clientConfig": {"caBundle": encoded(b"pem")}},
                {"name": "b", "clientConfig": {"service": {}}},
            ],
        }
    )

    with speaking_to(server) as kubernetes:
        found = kubernetes.get_configuration("guard.example.org")

    assert server.requests == [("GET", CONFIGURATION, {}, None, None)]
    assert found
    assert (found.resource_version, found.generation) == ("7", 3)
    assert found.ca_bundles == {"a": b"pem", "b": b""}


def test_ca_bundles_are_merged_by_webhook_at_one_version() -> None:
    server = Server()

    with speaking_to(server) as kubernetes:
        kubernetes.patch_ca_bundles("guard.example.org", "7", {"a": b"pem"})

    [(method, path, _, kind, body)] = server.requests
    assert (method, path) == ("PATCH", CONFIGURATION)
    assert kind == "application/strategic-merge-patch+json"
    assert body == {
        "metadata": {"resourceVersion": "7"},
        "webhooks": [{"name": "a", "clientConfig": {"caBundle": encoded(b"pem")}}],
    }


NO_API_SERVER = ", and no answer of an API server; is a proxy in between?"
REFUSALS: dict[str, tuple[int, Any, str]] = {
    "conflict": (409, {"message": "the object has been modified"}, "the object has been modified"),
    "forbidden": (403, {"message": "cannot patch"}, "cannot patch"),
    "a proxy's page": (502, b"<html>", f"HTTP status 502{NO_API_SERVER}"),
    "no object": (200, b"[]", f"HTTP status 200{NO_API_SERVER}"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_keeps_status_and_message(case: str) -> None:
    status, answer, message = REFUSALS[case]

    with speaking_to(Server(status, answer)) as kubernetes, pytest.raises(ApiRefusal) as raised:
        kubernetes.patch_secret("system", "guard-certs", "7", {})

    assert (raised.value.status, str(raised.value)) == (status, message)


def test_nobody_there_is_a_refusal_that_reads_the_same_each_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    kubernetes = KubernetesApi(client_of(port))

    problems = set()
    for _ in range(2):
        with pytest.raises(ApiRefusal) as raised:
            kubernetes.get_secret("system", "guard-certs")
        problems.add((raised.value.status, str(raised.value)))

    [(status, text)] = problems
    assert status == 0
    assert "refused" in text


def test_silence_is_a_refusal_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "REQUEST_TIMEOUT", 0.05)

    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ApiRefusal) as raised:
        KubernetesApi(client_of(silent.getsockname()[1])).get_secret("system", "guard-certs")

    assert raised.value.status == 0


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 23 Nov 2026 12:00:00 -0000"])
def test_a_clock_that_cannot_be_read_is_none(date: str) -> None:
    with speaking_to(Server(404, date=date)) as kubernetes:
        kubernetes.get_secret("system", "guard-certs")

        assert kubernetes.server_time() is None


def test_the_clock_of_the_api_server_is_that_of_its_answers() -> None:
    with speaking_to(Server(404)) as kubernetes:
        before = kubernetes.server_time()
        kubernetes.get_secret("system", "guard-certs")

        assert (before, kubernetes.server_time()) == (
            None,
            datetime(2026, 11, 23, 12, 0, tzinfo=UTC),
        )
