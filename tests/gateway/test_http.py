"""What a client of the TLS port sees of HTTP."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus

import pytest

from tests.gateway.apps import LARGE_BYTES
from tests.gateway.clients import Wire, post, request
from tests.gateway_process import GatewayProcess, ServingCertificate

APP = "tests.gateway.apps:app"
MAX_BODY_BYTES = 100_000


@pytest.fixture(scope="module")
def gateway(certificate: ServingCertificate) -> Iterator[GatewayProcess]:
    limits = {
        "threads": 2,
        "max_body_bytes": MAX_BODY_BYTES,
        "slow_client_seconds": 3,
    }
    with GatewayProcess(app=APP, certificate=certificate, limits=limits) as gateway:
        yield gateway


@pytest.fixture
def wire(gateway: GatewayProcess) -> Iterator[Wire]:
    with Wire(gateway.dial_tls()) as wire:
        yield wire


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("size", [0, 1, 16_384, MAX_BODY_BYTES])
def test_a_body_comes_back_whole_on_a_connection_that_is_kept_alive(
    size: int, version: ssl.TLSVersion, gateway: GatewayProcess, certificate: ServingCertificate
) -> None:
    connection = gateway.https(certificate.client_context(version=version))
    connection.connect()
    sock = connection.sock
    for _ in range(3):
        post(connection, b"x" * size)
    assert connection.sock is sock
    connection.close()


def test_requests_in_one_packet_are_answered_one_after_the_other(wire: Wire) -> None:
    wire.sock.sendall(request("/sleep?0.05") + request(body=b"two") + request(body=b"three"))
    assert [wire.response().body for _ in range(3)] == [b"slept", b"two", b"three"]
    assert wire.ask(request(body=b"four")).body == b"four"


def test_a_request_sent_while_the_last_one_is_worked_on_is_answered_next(wire: Wire) -> None:
    wire.sock.sendall(request("/sleep?0.1"))
    time.sleep(0.02)
    wire.sock.sendall(request(body=b"next"))
    assert [wire.response().body for _ in range(2)] == [b"slept", b"next"]


def test_a_request_byte_by_byte_is_a_request(wire: Wire) -> None:
    for byte in request(body=b"drop by drop"):
        wire.sock.sendall(bytes([byte]))
    assert wire.response().body == b"drop by drop"


@pytest.mark.parametrize(
    ("data", "keeps"),
    {
        "HTTP/1.1": (request(), True),
        "HTTP/1.1, Connection: close": (request("/", b"", "Connection: close"), False),
        "HTTP/1.0": (request(line="POST {} HTTP/1.0"), False),
        "HTTP/1.0, Connection: keep-alive": (
            request("/", b"", "Connection: keep-alive", line="POST {} HTTP/1.0"),
            True,
        ),
    }.values(),
)
def test_the_connection_ends_when_the_client_asks_for_it(
    data: bytes, keeps: bool, wire: Wire
) -> None:
    response = wire.ask(data)
    assert response.status == HTTPStatus.OK
    assert response.headers["Connection"] == ("keep-alive" if keeps else "close")
    if keeps:
        assert wire.ask(request(body=b"again")).body == b"again"
    else:
        assert wire.ended()


REFUSALS = {
    "a body over the limit": (
        b"POST / HTTP/1.1\r\nContent-Length: 100001\r\n\r\n",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ),
    "a body of any size, in chunks": (
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        HTTPStatus.LENGTH_REQUIRED,
    ),
    "two lengths": (
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        HTTPStatus.BAD_REQUEST,
    ),
    "a length and chunks": (
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        HTTPStatus.BAD_REQUEST,
    ),
    "a negative length": (
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        HTTPStatus.BAD_REQUEST,
    ),
    "a length of more digits than a number may have": (
        b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        HTTPStatus.BAD_REQUEST,
    ),
    "no request line": (b"\r\n\r\n\r\n", HTTPStatus.BAD_REQUEST),
    "no HTTP": (b"hello\r\n\r\n", HTTPStatus.BAD_REQUEST),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTPStatus.BAD_REQUEST),
    "a header without a colon": (b"GET / HTTP/1.1\r\nHost\r\n\r\n", HTTPStatus.BAD_REQUEST),
    "an unknown transfer coding": (
        b"POST / HTTP/1.1\r\nTransfer-Encoding: magic\r\n\r\n",
        HTTPStatus.NOT_IMPLEMENTED,
    ),
    "an expectation we do not know": (
        b"POST / HTTP/1.1\r\nExpect: the-unexpected\r\n\r\n",
        HTTPStatus.EXPECTATION_FAILED,
    ),
    "a long target": (
        b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n",
        HTTPStatus.REQUEST_URI_TOO_LONG,
    ),
    "many headers": (
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n",
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    ),
    "a head without end": (
        b"GET / HTTP/1.1\r\nA: " + b"b" * 40_000,
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    ),
}


@pytest.mark.parametrize(("data", "status"), REFUSALS.values(), ids=REFUSALS)
def test_what_is_no_request_for_us_is_refused_and_the_connection_ends(
    data: bytes, status: HTTPStatus, wire: Wire
) -> None:
    response = wire.ask(data)
    assert response.status == status
    assert response.headers["Connection"] == "close"
    assert wire.ended()


def test_a_refusal_reaches_a_client_that_is_still_sending_its_body(wire: Wire) -> None:
    wire.sock.sendall(b"POST / HTTP/1.1\r\nContent-Length: 10000000\r\n\r\n")
    for _ in range(100):
        wire.sock.sendall(b"x" * 10_000)
    assert wire.response().status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_a_client_that_waits_for_100_continue_is_told_to(wire: Wire) -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    assert wire.ask(head).status == HTTPStatus.CONTINUE
    assert wire.ask(b"body").body == b"body"


def test_a_client_that_does_not_wait_is_not_told(wire: Wire) -> None:
    assert wire.ask(request("/", b"body", "Expect: 100-continue")).body == b"body"


def test_a_client_that_waits_with_a_large_body_is_refused_before_it_sends_it(wire: Wire) -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: 10000000\r\nExpect: 100-continue\r\n\r\n"
    assert wire.ask(head).status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def close_notify(sock: ssl.SSLSocket) -> None:
    sock.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):  # It would wait for the other side's.
        sock.unwrap()
    sock.setblocking(True)


def fin(sock: ssl.SSLSocket) -> None:
    socket.socket.shutdown(sock, socket.SHUT_WR)


@pytest.mark.parametrize("say_so", [close_notify, fin])
def test_a_client_that_says_it_will_send_no_more_is_still_answered(
    say_so: Callable[[ssl.SSLSocket], None], gateway: GatewayProcess
) -> None:
    sock = gateway.dial_tls()
    with Wire(sock) as wire:
        sock.sendall(request("/sleep?0.1"))
        say_so(sock)
        assert wire.response().body == b"slept"


def test_half_a_request_and_then_the_end_is_no_request(gateway: GatewayProcess) -> None:
    sock = gateway.dial_tls()
    with Wire(sock) as wire:
        sock.sendall(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf")
        close_notify(sock)
        assert wire.ended()


def test_a_slow_reader_gets_all_of_a_large_response(wire: Wire) -> None:
    wire.sock.sendall(request("/large"))
    received = 0
    while received < LARGE_BYTES:
        received += len(wire.sock.recv(2**18))
        time.sleep(0.002)
