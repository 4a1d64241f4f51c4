"""A head that was read from memory is what gunicorn would have read from its bytes."""

import io
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from webhook.gateway.heads import BufferedRequest, HeadReader, Refusal
from webhook.gateway.http import Applications, Responder, settled

ADDRESS = ("192.0.2.1", 1234)
SERVER = ("127.0.0.1", 8443)
MAX_BODY_BYTES = 5000


def config() -> SimpleNamespace:
    plain = Config()
    plain.set("forwarded_allow_ips", "")
    return settled(plain, is_ssl=True)


CFG = config()


def reader() -> HeadReader:
    return HeadReader(CFG, ADDRESS, MAX_BODY_BYTES)


def head(*lines: str, line: str = "POST /validate?timeout=10s HTTP/1.1") -> bytes:
    return "\r\n".join((line, "Host: webhook", *lines)).encode() + b"\r\n\r\n"


def usual(length: int, *more: str) -> bytes:
    return head(f"Content-Length: {length}", "Content-Type: application/json", *more)


def said(read: HeadReader, data: bytes) -> object:
    """All that anybody asks of a head, or why it is refused."""
    try:
        request, body_bytes = read.read(data)
    except Refusal as refusal:
        return refusal.status, str(refusal)
    about = ("method", "uri", "path", "query", "version", "scheme", "headers", "expects_continue")
    return body_bytes, request.should_close(), [getattr(request, name) for name in about]


LINES = st.sampled_from(
    [
        *("Content-Length: 7", "Content-Length: 8", "Content-Length: 0", "Content-Length: 08"),
        *("Content-Length: 4999", "Content-Length: 5001", "Content-Length: 1234567890"),
        *("content-length: 7", "Content-Length:7", "Content-Length: 7 ", "Content-Length: -7"),
        *("Content-Length: +7", "Content-Length: 7, 7", "Content-Length: ", " Content-Length: 7"),
        *("Transfer-Encoding: chunked", "Transfer-Encoding: identity", "Expect: 100-continue"),
        *("Connection: close", "Connection: keep-alive", "Content-Type: application/json"),
        *("X-Forwarded-Proto: http", "SCRIPT_NAME: /validate", "X-Long: " + "x" * 2100),
    ]
)
REQUEST_LINES = st.sampled_from(
    [
        "POST /validate?timeout=10s HTTP/1.1",
        "POST /validate HTTP/1.0",
        "GET / HTTP/1.1",
        "Content-Length: 7",
        "\r\nPOST / HTTP/1.1",
    ]
)
HEADS = st.builds(
    lambda lines, line: head(*lines, line=line), st.lists(LINES, max_size=4), REQUEST_LINES
)


@given(st.lists(HEADS | st.integers(0, 9999).map(usual), max_size=6))
def test_what_came_before_makes_no_difference(heads: list[bytes]) -> None:
    one = reader()
    for data in heads:
        assert said(one, data) == said(reader(), data)


def test_a_head_is_remembered_whatever_the_length_of_the_body() -> None:
    one = reader()
    first, second = one.read(usual(7)).request, one.read(usual(2345)).request
    assert first.environ is second.environ
    assert first is not second


@pytest.mark.parametrize(
    "another",
    [
        usual(7, "X-Two: 2"),
        usual(7).replace(b"timeout=10s", b"timeout=11s"),
        usual(7).replace(b"Content-Length", b"content-length"),
        usual(7, "Expect: 100-continue"),
    ],
)
def test_a_head_that_differs_in_anything_else_is_read_anew(another: bytes) -> None:
    one = reader()
    assert one.read(usual(7)).request.environ is not one.read(another).request.environ


def complete(request: BufferedRequest, body: bytes) -> BufferedRequest:
    request.body, request.body_bytes = io.BytesIO(body), len(body)
    return request


def plain(environ: dict[str, Any]) -> dict[str, Any]:
    """Without what is another object each time, and a callback that nobody promises."""
    without = ("wsgi.early_hints", "wsgi.errors", "wsgi.input", "wsgi.file_wrapper")
    return {name: value for name, value in environ.items() if name not in without}


def test_the_prompt_application_sees_the_environ_that_every_application_sees() -> None:
    seen: list[tuple[dict[str, Any], bytes]] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append((plain(environ), environ["wsgi.input"].read()))
        start_response("200 OK", [("Content-Length", "0")])
        return ()

    responder = Responder(Applications(application, application), CFG, SERVER)
    one = reader()
    for number, body in enumerate((b"one", b"another", b"")):
        certificate = {"serialNumber": number}
        request = complete(one.read(usual(len(body), "X-Two: a", "X-Two: b")).request, body)
        responder.respond_promptly(request, ADDRESS, certificate)
        request.body.seek(0)
        responder.respond(request, ADDRESS, certificate)
    assert seen[::2] == seen[1::2]
    assert [body for _, body in seen[::2]] == [b"one", b"another", b""]
    assert seen[0][0]["HTTP_X_TWO"] == "a,b"


def test_what_one_request_does_to_its_environ_is_not_seen_by_the_next() -> None:
    seen: list[bool] = []

    def application(environ: dict[str, Any], _start_response: Any) -> None:
        seen.append("mine" in environ)
        environ["mine"] = True

    responder = Responder(Applications(lambda *_: (), application), CFG, SERVER)
    one = reader()
    for _ in range(2):
        responder.respond_promptly(complete(one.read(usual(0)).request, b""), ADDRESS, None)
    assert seen == [False, False]
