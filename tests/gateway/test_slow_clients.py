"""No number of silent or slow clients holds up an honest request."""

import statistics
import time
from collections.abc import Iterator

import pytest

from tests.gateway.clients import BadClients, Wire, post
from tests.gateway_process import GatewayProcess, ServingCertificate, eventually

APP = "tests.gateway.apps:app"
THREADS = 4


@pytest.fixture(scope="module")
def gateway(certificate: ServingCertificate) -> Iterator[GatewayProcess]:
    """Bears with slow clients for longer than any test here takes."""
    limits = {"threads": THREADS, "slow_client_seconds": 60, "max_buffered_bytes": 2**29}
    with GatewayProcess(app=APP, certificate=certificate, limits=limits) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def impatient(certificate: ServingCertificate) -> Iterator[GatewayProcess]:
    limits = {"threads": THREADS, "slow_client_seconds": 0.5, "max_connections": 300}
    with GatewayProcess(app=APP, certificate=certificate, limits=limits) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def stock(certificate: ServingCertificate) -> Iterator[GatewayProcess]:
    """gunicorn's own threaded worker."""
    limits = {"threads": THREADS}
    with GatewayProcess(app=APP, certificate=certificate, limits=limits, stock=True) as stock:
        yield stock


def assert_prompt(gateway: GatewayProcess, certificate: ServingCertificate) -> None:
    """Both new connections and one that is kept alive are answered as by an idle server."""
    context = certificate.client_context()
    kept = gateway.https(context)
    seconds = []
    for _ in range(15):
        fresh = gateway.https(context)
        seconds += [post(fresh), post(kept)]
        fresh.close()
    kept.close()
    assert statistics.median(seconds) < 0.1
    assert max(seconds) < 1.0


@pytest.mark.parametrize("kind", BadClients.kinds)
def test_honest_requests_are_prompt_among_fifteen_bad_clients_per_thread(
    kind: str, gateway: GatewayProcess, certificate: ServingCertificate
) -> None:
    with BadClients(gateway, certificate) as bad:
        bad.add(kind, 15 * THREADS)
        assert_prompt(gateway, certificate)
        assert bad.open() == 15 * THREADS


@pytest.mark.parametrize("kind", ["one_byte", "handshake_then_silence", "half_head", "half_body"])
def test_gunicorns_own_worker_is_blocked_by_one_bad_client_per_thread(
    kind: str, stock: GatewayProcess, certificate: ServingCertificate
) -> None:
    """So the test above proves something."""
    with BadClients(stock, certificate) as bad:
        bad.add(kind, THREADS)
        eventually(lambda: not answers(stock, certificate, seconds=0.4))
    eventually(lambda: answers(stock, certificate, seconds=2))


def answers(gateway: GatewayProcess, certificate: ServingCertificate, *, seconds: float) -> bool:
    with gateway.dial() as sock:
        sock.settimeout(seconds)
        try:
            with certificate.client_context().wrap_socket(sock, server_hostname="127.0.0.1") as tls:
                tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
                return tls.recv(1) == b"H"
        except TimeoutError:
            return False


def test_clients_that_complete_no_request_are_closed_in_time(
    impatient: GatewayProcess, certificate: ServingCertificate
) -> None:
    with BadClients(impatient, certificate) as bad:
        for kind in BadClients.kinds:
            if kind != "slow_reader":
                bad.add(kind, 10)
        assert bad.open() > 0
        eventually(lambda: bad.open() == 0, seconds=3)


def test_a_client_that_completes_one_request_gets_no_more_time_for_the_next(
    impatient: GatewayProcess,
) -> None:
    with Wire(impatient.dial_tls()) as wire:
        assert wire.ask(b"GET / HTTP/1.1\r\n\r\n").status == 200
        start = time.monotonic()
        wire.sock.sendall(b"GET / HTTP/1.1\r\n")
        assert wire.ended()
        assert time.monotonic() - start < 3


def test_the_time_for_a_request_begins_with_its_first_byte(impatient: GatewayProcess) -> None:
    with Wire(impatient.dial_tls()) as wire:
        assert wire.ask(b"GET / HTTP/1.1\r\n\r\n").status == 200
        time.sleep(0.8)  # Idle for longer than a request may take.
        wire.sock.sendall(b"GET / HTTP/1.1\r\n")
        time.sleep(0.3)
        assert wire.ask(b"\r\n").status == 200


def test_a_client_that_does_not_read_its_response_is_closed_in_time(
    impatient: GatewayProcess, certificate: ServingCertificate
) -> None:
    before = impatient.descriptors
    with BadClients(impatient, certificate) as bad:
        bad.add("slow_reader", 10)
        eventually(lambda: impatient.descriptors >= before + 10)
        eventually(lambda: impatient.descriptors <= before, seconds=5)


def test_more_clients_than_connections_are_allowed_do_not_matter_either(
    certificate: ServingCertificate,
) -> None:
    limits = {"threads": THREADS, "slow_client_seconds": 60, "max_connections": 200}
    with GatewayProcess(app=APP, certificate=certificate, limits=limits) as gateway:
        kept = gateway.https()
        post(kept)
        before = gateway.descriptors
        with BadClients(gateway, certificate) as bad:
            for _ in range(5):
                for kind in BadClients.kinds:
                    bad.add(kind, 40 if kind in {"silent", "one_byte"} else 10)
                assert_prompt(gateway, certificate)
            bad.add("silent", 1000)
            assert_prompt(gateway, certificate)
            assert gateway.descriptors <= before + 200
        post(kept)  # It completes requests, so it had not to make room.
        kept.close()


@pytest.mark.parametrize("hook", [None, "tests.gateway.apps:hoard_files"])
def test_more_clients_than_file_descriptors_do_not_matter_either(
    hook: str | None, certificate: ServingCertificate
) -> None:
    """Whether or not the rest of the process stays within what is reserved for it."""
    with GatewayProcess(
        app=APP,
        certificate=certificate,
        limits={"threads": THREADS},
        open_files=320,
        on_worker_start=hook,
    ) as gateway:
        with BadClients(gateway, certificate) as bad:
            bad.add("silent", 300)
            assert_prompt(gateway, certificate)
        assert "only 320 open files are allowed: at most 64 connections" in gateway.log


def test_a_crowd_of_half_sent_bodies_is_held_to_the_memory_allowed(
    certificate: ServingCertificate,
) -> None:
    limits = {"max_buffered_bytes": 2**20, "max_body_bytes": 2**20, "slow_client_seconds": 60}
    half = b"POST / HTTP/1.1\r\nContent-Length: 400000\r\n\r\n" + b"x" * 200_000
    with (
        GatewayProcess(app=APP, certificate=certificate, limits=limits) as gateway,
        BadClients(gateway, certificate) as bad,
    ):
        for _ in range(20):
            bad.add_half_sent(half)
        eventually(lambda: bad.open() <= 6)
        connection = gateway.https()
        post(connection, b"x" * 300_000)
        connection.close()
        assert bad.open() >= 3
