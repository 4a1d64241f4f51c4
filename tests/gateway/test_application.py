"""What the application sees of a request, and its clients when it fails or has too much to do."""

import json
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.apps import LARGE_BYTES
from tests.gateway.clients import Wire, post, request
from tests.gateway_process import GatewayProcess, ServingCertificate, eventually

APP = "tests.gateway.apps:app"


@pytest.fixture(scope="module")
def gateway(certificate: ServingCertificate) -> Iterator[GatewayProcess]:
    limits = {"threads": 2, "max_queued_requests": 2}
    with GatewayProcess(app=APP, certificate=certificate, limits=limits) as gateway:
        yield gateway


@pytest.fixture
def wire(gateway: GatewayProcess) -> Iterator[Wire]:
    with Wire(gateway.dial_tls()) as wire:
        yield wire


def test_a_response_of_unknown_length_comes_in_chunks(gateway: GatewayProcess) -> None:
    connection = gateway.https()
    connection.request("GET", "/generated")
    response = connection.getresponse()
    assert (response.headers["Transfer-Encoding"], response.read()) == ("chunked", b"one two")
    connection.close()


def test_the_answer_to_head_has_no_body(gateway: GatewayProcess) -> None:
    connection = gateway.https()
    connection.request("HEAD", "/large")
    response = connection.getresponse()
    assert (response.headers["Content-Length"], response.read()) == (str(LARGE_BYTES), b"")
    post(connection)
    connection.close()


@pytest.mark.parametrize("path", ["/fail", "/exit"])
def test_an_application_that_fails_is_answered_for_and_costs_no_thread(
    path: str, gateway: GatewayProcess
) -> None:
    for _ in range(3):
        with Wire(gateway.dial_tls()) as wire:
            assert wire.ask(request(path)).status == HTTPStatus.INTERNAL_SERVER_ERROR
            assert wire.ended()
    with Wire(gateway.dial_tls()) as wire:
        assert wire.ask(request(body=b"well")).body == b"well"
    assert f"the application failed on POST {path}" in gateway.log


@pytest.fixture
def crowd(gateway: GatewayProcess) -> Iterator[list[Wire]]:
    """Twice as many connections as there are threads and places in the queue."""
    with ExitStack() as stack:
        yield [stack.enter_context(Wire(gateway.dial_tls())) for _ in range(8)]


@pytest.fixture
def go(tmp_path: Path) -> Iterator[Path]:
    """The file for which requests to /wait wait."""
    file = tmp_path / "go"
    yield file
    file.touch()


def test_a_request_for_which_there_is_no_place_is_answered_503_at_once(
    crowd: list[Wire], go: Path
) -> None:
    with ThreadPoolExecutor(len(crowd)) as pool:
        futures = [pool.submit(wire.ask, request(f"/wait?{go}")) for wire in crowd]
        eventually(lambda: sum(future.done() for future in futures) >= 4)
        go.touch()
        responses = [future.result() for future in futures]
    refused = [response for response in responses if response.status != HTTPStatus.OK]
    assert len(refused) >= 4
    for response in refused:
        assert response.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert response.headers["Retry-After"] == "1"
    for wire in crowd:
        assert wire.ask(request(body=b"later")).body == b"later"


def test_pipelined_requests_for_which_there_is_no_place_are_refused_one_by_one(
    certificate: ServingCertificate,
) -> None:
    limits = {"max_queued_requests": 0}
    with (
        GatewayProcess(app=APP, certificate=certificate, limits=limits) as gateway,
        Wire(gateway.dial_tls()) as wire,
    ):
        wire.sock.sendall(b"GET / HTTP/1.1\r\n\r\n" * 900)
        responses = [wire.response() for _ in range(900)]
    assert {response.status for response in responses} == {HTTPStatus.SERVICE_UNAVAILABLE}
    assert {response.headers["Connection"] for response in responses} == {"keep-alive"}


def test_http_without_tls_is_dropped(gateway: GatewayProcess) -> None:
    with gateway.dial() as sock:
        sock.sendall(request())
        received = b""
        with suppress(ConnectionError):
            while data := sock.recv(1000):
                received += data
    assert b"HTTP" not in received


def test_the_environ_is_what_a_wsgi_application_expects(wire: Wire) -> None:
    environ = json.loads(
        wire.ask(
            request(
                "/environ?timeout=10s",
                b"one\ntwo\n",
                "Content-Type: application/json",
                "X-Two: a",
                "X-Two: b",
            )
        ).body
    )
    expected = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/environ",
        "QUERY_STRING": "timeout=10s",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "8",
        "HTTP_HOST": "gateway",
        "HTTP_X_TWO": "a,b",
        "REMOTE_ADDR": "127.0.0.1",
        "SCRIPT_NAME": "",
        "wsgi.url_scheme": "https",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "lines": ["one\n", "two\n"],
        "certificate": None,
    }
    assert {name: environ[name] for name in expected} == expected


def test_nobody_in_front_of_us_says_who_the_client_is(wire: Wire) -> None:
    """gunicorn trusts its own host with these, unless told otherwise."""
    forged = ("X-Forwarded-Proto: http", "X-Forwarded-For: 10.0.0.1", "SCRIPT_NAME: /environ")
    environ = json.loads(wire.ask(request("/environ", b"", *forged)).body)
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["SCRIPT_NAME"] == ""


def test_a_client_certificate_is_required_and_shown_to_the_application(
    certificate: ServingCertificate,
) -> None:
    with GatewayProcess(
        app=APP, certificate=certificate, client_authority=certificate.authority_file
    ) as gateway:
        with Wire(gateway.dial_tls(certificate.client_context(identified=True))) as wire:
            shown: dict[str, Any] = json.loads(wire.ask(request("/environ")).body)["certificate"]
            assert shown["subjectAltName"] == [["IP Address", "127.0.0.1"]]
        with Wire(gateway.dial_tls()) as wire, pytest.raises(ssl.SSLError, match="CERTIFICATE_REQ"):
            wire.ask(request())  # Refused while this is on its way.


def test_a_new_certificate_is_shown_to_the_next_connection(
    gateway: GatewayProcess, certificate: ServingCertificate
) -> None:
    def serial() -> str:
        with gateway.dial_tls() as sock:
            return str((sock.getpeercert() or {})["serialNumber"])

    kept = gateway.https()
    post(kept)
    before = serial()
    assert serial() == before
    certificate.renew()
    assert serial() != before
    post(kept)
    kept.close()


def test_while_there_is_no_certificate_connections_are_closed_and_the_log_says_why(
    gateway: GatewayProcess, certificate: ServingCertificate
) -> None:
    kept = gateway.https()
    post(kept)
    elsewhere = certificate.file.rename(certificate.file.with_suffix(".away"))
    try:
        with pytest.raises(OSError, match=r"EOF|reset"):
            gateway.dial_tls()
        eventually(lambda: "there is no TLS context" in gateway.log)
        post(kept)
    finally:
        elsewhere.rename(certificate.file)
    post(gateway.https())
    kept.close()
