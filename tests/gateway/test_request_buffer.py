"""Bytes become requests, however they are cut up; and what we need of gunicorn for that."""

import io
from contextlib import suppress
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import gunicorn.arbiter
import gunicorn.glogging
import gunicorn.http.body
import gunicorn.http.message
import gunicorn.http.unreader
import gunicorn.http.wsgi
import gunicorn.workers.base
import pytest
from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from webhook.gateway.heads import BufferedRequest, Refusal
from webhook.gateway.http import RequestBuffer, settled

ADDRESS = ("192.0.2.1", 1234)
CFG = settled(Config(), is_ssl=True)


def buffer(max_body_bytes: int = 2**20) -> RequestBuffer:
    return RequestBuffer(CFG, ADDRESS, max_body_bytes)


def request(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def feed(buffer: RequestBuffer, data: bytes) -> list[bytes]:
    """Return the bodies of the requests completed by `data`, as a loop would take them."""
    bodies = []
    complete = buffer.feed(data)
    while complete is not None:
        bodies.append(complete.body.read())
        assert complete.body_bytes == len(bodies[-1])
        complete = buffer.feed(b"")
    return bodies


@given(
    bodies=st.lists(st.binary(max_size=50) | st.just(b"\r\n\r\n"), max_size=5),
    cuts=st.lists(st.integers(min_value=0, max_value=400), max_size=20),
)
def test_however_the_bytes_are_cut_up_the_requests_are_the_same(
    bodies: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(request(body) for body in bodies)
    edges = [0, *sorted(cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(edges) if start < end]
    one = buffer()
    assert [body for piece in pieces for body in feed(one, piece)] == bodies
    assert one.size == 0
    assert one.unread == b""


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_refusal_or_not_enough(data: bytes) -> None:
    with suppress(Refusal):
        complete = buffer().feed(data + b"\r\n\r\n")
        assert complete is None or isinstance(complete, BufferedRequest)


def test_what_is_held_is_counted() -> None:
    one = buffer()
    one.feed(b"POST / HTTP/1.1\r\n")
    assert one.size == 17
    one.feed(b"Content-Length: 100\r\n\r\n" + b"x" * 60)
    assert one.size >= 60
    one.feed(b"x" * 50)
    assert one.size == len(one.unread) == 10


@pytest.mark.parametrize("pieces", [1, 3])
def test_the_body_is_read_without_being_copied(pieces: int) -> None:
    """BytesIO gives out its own bytes when all of them are read at once."""
    one = buffer()
    complete = one.feed(b"POST / HTTP/1.1\r\nContent-Length: 30000\r\n\r\n")
    for _ in range(pieces):
        complete = one.feed(b"x" * (30_000 // pieces))
    assert complete is not None
    first = complete.body.read()
    complete.body.seek(0)
    assert first is complete.body.read()


def parsed(head: bytes) -> Any:
    unreader = gunicorn.http.unreader.IterUnreader((head,))
    return gunicorn.http.message.Request(CFG, unreader, ADDRESS)


def test_gunicorn_tells_the_length_of_a_body_where_we_look_for_it() -> None:
    reader = parsed(b"POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\n").body.reader
    assert isinstance(reader, gunicorn.http.body.LengthReader)
    assert reader.length == 7
    assert parsed(b"GET / HTTP/1.1\r\n\r\n").body.reader.length == 0
    chunked = parsed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").body.reader
    assert not isinstance(chunked, gunicorn.http.body.LengthReader)


@pytest.mark.parametrize(("version", "expected"), [(b"1.1", True), (b"1.0", False)])
def test_gunicorn_notes_an_expectation_where_we_look_for_it(version: bytes, expected: bool) -> None:
    request = parsed(b"POST / HTTP/%s\r\nExpect: 100-continue\r\n\r\n" % version)
    assert request._expected_100_continue is expected


def test_gunicorn_writes_a_response_with_sendall_alone() -> None:
    written = io.BytesIO()
    sock = SimpleNamespace(sendall=written.write)
    request = parsed(b"GET / HTTP/1.1\r\n\r\n")
    response, environ = gunicorn.http.wsgi.create(request, sock, ADDRESS, ("127.0.0.1", 1), CFG)
    assert environ["gunicorn.socket"] is sock
    response.start_response("200 OK", [("Content-Length", "2")])
    response.write(b"ok")
    response.close()
    assert written.getvalue().endswith(b"\r\n\r\nok")
    assert not response.should_close()
    response.force_close()
    assert response.should_close()


def test_gunicorn_has_the_methods_that_we_override_or_call() -> None:
    names = {
        gunicorn.workers.base.Worker: ("init_process", "run", "notify", "handle_exit"),
        gunicorn.arbiter.Arbiter: (
            "handle_ttin",
            "handle_ttou",
            "handle_usr2",
            "WORKER_BOOT_ERROR",
        ),
        gunicorn.glogging.Logger: ("setup",),
    }
    missing = [name for owner in names for name in names[owner] if not hasattr(owner, name)]
    assert missing == []
