"""Small requests that need no waiting are answered by the loop itself, all others by threads."""

import select
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fake_apiserver import wait_until
from tests.gateway.apps import LARGE_BYTES
from tests.gateway.clients import Wire, request
from tests.gateway_process import GatewayProcess, ServingCertificate


@pytest.fixture(scope="module")
def gateway(certificate: ServingCertificate) -> Iterator[GatewayProcess]:
    with GatewayProcess(
        app="tests.gateway.apps:app",
        prompt_app="tests.gateway.apps:prompt",
        certificate=certificate,
        limits={"threads": 2, "max_queued_requests": 2},
    ) as gateway:
        yield gateway


@pytest.fixture
def wire(gateway: GatewayProcess) -> Iterator[Wire]:
    with Wire(gateway.dial_tls()) as wire:
        yield wire


def thread_of(wire: Wire, path: str, body: bytes = b"") -> str:
    return wire.ask(request(path, body)).body.decode().rstrip("01")


@pytest.mark.parametrize(
    ("path", "body_bytes", "thread"),
    [
        ("/prompt/thread", 0, "MainThread"),
        ("/prompt/thread", 512 * 1024, "MainThread"),
        ("/prompt/thread", 512 * 1024 + 1, "request-"),
        ("/thread", 0, "request-"),
    ],
)
def test_the_loop_answers_what_is_small_and_needs_no_waiting(
    path: str, body_bytes: int, thread: str, wire: Wire
) -> None:
    assert [thread_of(wire, path, b"x" * body_bytes) for _ in range(3)] == [thread] * 3


def test_what_the_loop_leaves_reaches_the_thread_whole(wire: Wire) -> None:
    assert wire.ask(request("/", b"well")).body == b"well"


def test_a_prompt_application_that_fails_leaves_the_request_to_the_other(
    gateway: GatewayProcess, wire: Wire
) -> None:
    assert wire.ask(request("/prompt/fail", b"well")).body == b"well"
    assert "no prompt answer to POST /prompt/fail" in gateway.log


def test_requests_sent_at_once_are_answered_in_order_whoever_answers(wire: Wire) -> None:
    paths = ["/prompt/echo", "/", "/prompt/echo", "/prompt/echo", "/"] * 40
    bodies = [str(number).encode() for number in range(len(paths))]
    wire.sock.sendall(b"".join(map(request, paths, bodies)))
    assert [wire.response().body for _ in bodies] == bodies


def test_a_slow_reader_of_a_prompt_answer_holds_up_nobody(
    gateway: GatewayProcess, wire: Wire
) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(Wire(gateway.dial_tls())) for _ in range(4)]
        for each in slow:
            each.sock.sendall(request("/prompt/large"))
        assert thread_of(wire, "/prompt/thread") == "MainThread"
        assert [len(each.response().body) for each in slow] == [LARGE_BYTES] * 4


def test_prompt_answers_go_on_while_every_thread_is_busy(
    gateway: GatewayProcess, wire: Wire, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    wait = request(f"/wait?{go}")
    with ExitStack() as stack:
        busy = [stack.enter_context(Wire(gateway.dial_tls())) for _ in range(5)]
        for each in busy[:2]:
            each.sock.sendall(wait)
        wait_until(lambda: len(list(tmp_path.glob("go.*"))) == 2)
        for each in busy[2:]:
            each.sock.sendall(wait)
        # One is refused: two threads and two places in the queue are taken.
        assert select.select([each.sock for each in busy], [], [], 10)[0]
        assert thread_of(wire, "/prompt/thread") == "MainThread"
        go.touch()
        assert sorted(each.response().status for each in busy) == [200] * 4 + [503]
