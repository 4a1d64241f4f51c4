"""How the process starts, stops, and is started anew; and its health port."""

import http.client
import json
import os
import signal
import socket
import threading
import time
from http import HTTPStatus

import pytest

from tests.gateway.clients import BadClients, Wire, post, request
from tests.gateway_process import GatewayProcess, ServingCertificate, eventually

APP = "tests.gateway.apps:app"
HEALTH = "tests.gateway.apps:health"
START_DRAINING = "tests.gateway.apps:start_draining"


def get(connection: http.client.HTTPConnection, path: str = "/") -> tuple[int, bytes]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read()


class Load:
    """Clients that go on asking over connections kept alive, until nobody accepts any more."""

    def __init__(self, gateway: GatewayProcess, clients: int) -> None:
        self._gateway = gateway
        self.answered = 0
        self.lost: list[Exception] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(20)

    def _ask(self) -> None:
        connection = self._gateway.https()
        while True:
            try:
                if connection.sock is None:
                    connection.connect()
            except OSError:
                return  # No request was sent.
            try:
                assert get(connection, "/sleep?0.01") == (HTTPStatus.OK, b"slept")
            except Exception as error:
                self.lost.append(error)
                return
            self.answered += 1


@pytest.mark.parametrize("drain_seconds", [0.0, 0.5])
def test_sigterm_under_load_loses_no_request(
    drain_seconds: float, certificate: ServingCertificate
) -> None:
    with GatewayProcess(app=APP, certificate=certificate, drain_seconds=drain_seconds) as gateway:
        load = Load(gateway, clients=8)
        eventually(lambda: load.answered > 50)
        gateway.send_signal(signal.SIGTERM)
        at_signal = load.answered
        load.join()
        assert load.lost == []
        assert load.answered >= at_signal + 50 * drain_seconds
        assert gateway.wait() == 0
        assert "Traceback" not in gateway.log


def test_a_worker_that_is_told_to_stop_before_it_listens_to_signals_stops(
    certificate: ServingCertificate,
) -> None:
    """Forgotten, the signal would leave the arbiter waiting for the whole of its patience."""
    with GatewayProcess(
        app="tests.gateway.told_to_stop:app", certificate=certificate, graceful_seconds=60
    ) as gateway:
        assert gateway.wait() == 0
        assert "Traceback" not in gateway.log


def test_while_it_drains_it_is_not_ready_but_answers_and_says_goodbye(
    certificate: ServingCertificate,
) -> None:
    with GatewayProcess(
        app=APP,
        health_app=HEALTH,
        certificate=certificate,
        drain_seconds=0.6,
        on_drain=START_DRAINING,
    ) as gateway:
        kept, probe = gateway.https(), gateway.health()
        post(kept)
        assert get(probe) == (HTTPStatus.OK, b"ready")
        gateway.send_signal(signal.SIGTERM)
        eventually(lambda: get(probe) == (HTTPStatus.SERVICE_UNAVAILABLE, b"draining"))
        for connection in (kept, gateway.https()):
            connection.request("POST", "/", b"hello")
            response = connection.getresponse()
            assert (response.read(), response.headers["Connection"]) == (b"hello", "close")
        assert gateway.wait() == 0
        probe.close()


def test_a_request_in_progress_is_finished_after_sigterm(certificate: ServingCertificate) -> None:
    with GatewayProcess(app=APP, certificate=certificate) as gateway:
        with Wire(gateway.dial_tls()) as wire:
            wire.sock.sendall(b"GET /sleep?1.2 HTTP/1.1\r\n\r\n")
            gateway.send_signal(signal.SIGTERM)
            response = wire.response()
            assert (response.body, response.headers["Connection"]) == (b"slept", "close")
        assert gateway.wait() == 0


@pytest.mark.parametrize(
    ("number", "graceful_seconds"), [(signal.SIGINT, 30), (signal.SIGTERM, 0.2)]
)
def test_a_request_that_takes_too_long_is_not_waited_for(
    number: signal.Signals, graceful_seconds: float, certificate: ServingCertificate
) -> None:
    with (
        GatewayProcess(
            app=APP, certificate=certificate, graceful_seconds=graceful_seconds
        ) as gateway,
        Wire(gateway.dial_tls()) as wire,
    ):
        wire.sock.sendall(b"GET /sleep?60 HTTP/1.1\r\n\r\n")
        start = time.monotonic()
        assert gateway.stop(number) == 0
        assert time.monotonic() - start < 3


def test_a_worker_that_dies_is_replaced(certificate: ServingCertificate) -> None:
    with GatewayProcess(app=APP, certificate=certificate, health_app=HEALTH) as gateway:
        first = int(get(gateway.https(), "/process")[1])
        os.kill(first, signal.SIGKILL)
        eventually(lambda: gateway.workers not in ([], [first]))
        assert [int(get(gateway.https(), "/process")[1])] == gateway.workers
        assert get(gateway.health()) == (HTTPStatus.OK, b"ready")
        # What gunicorn says comes through the root logger, in its format.
        assert f"ERROR:gunicorn.error:Worker (pid:{first}) was sent SIGKILL!" in gateway.log


def test_sighup_replaces_the_worker_and_no_signal_adds_one(certificate: ServingCertificate) -> None:
    with GatewayProcess(app=APP, certificate=certificate) as gateway:
        first = int(get(gateway.https(), "/process")[1])
        for number in (signal.SIGTTIN, signal.SIGUSR2, signal.SIGHUP):
            gateway.send_signal(number)
        eventually(lambda: first not in gateway.workers)
        assert len(gateway.workers) == 1
        assert [int(get(gateway.https(), "/process")[1])] == gateway.workers


def test_a_worker_that_cannot_start_ends_the_process(certificate: ServingCertificate) -> None:
    with GatewayProcess(
        app=APP, certificate=certificate, on_worker_start="tests.gateway.apps:fail_to_start"
    ) as gateway:
        assert gateway.wait() == 3
        assert "cannot start: the moon is in the wrong phase" in gateway.log


def test_a_port_in_use_is_said_to_be_before_anything_starts(
    certificate: ServingCertificate,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with GatewayProcess(app=APP, certificate=certificate, listen=listen) as gateway:
            assert gateway.wait() == 2
            assert gateway.log.startswith(f"cannot listen on {listen}: Address already in use; ")


def test_the_health_port_answers_whatever_happens_on_both_ports(
    certificate: ServingCertificate,
) -> None:
    with (
        GatewayProcess(
            app=APP,
            health_app=HEALTH,
            certificate=certificate,
            limits={"threads": 2, "max_queued_requests": 2, "slow_client_seconds": 60},
            health_limits={"threads": 2, "max_connections": 20, "slow_client_seconds": 60},
        ) as gateway,
        BadClients(gateway, certificate) as bad,
    ):
        for kind in BadClients.kinds:
            bad.add(kind, 10)
        busy = [Wire(gateway.dial_tls()) for _ in range(4)]
        for wire in busy:
            wire.sock.sendall(b"GET /sleep?3 HTTP/1.1\r\n\r\n")
        silent = [socket.create_connection(gateway.health_address) for _ in range(50)]
        for sock in silent[::2]:
            sock.sendall(b"GET /livez HTTP/1.1\r\n")
        for _ in range(10):
            start = time.monotonic()
            probe = gateway.health()
            assert get(probe) == (HTTPStatus.OK, b"ready")
            probe.close()
            assert time.monotonic() - start < 0.5
        for wire in busy:
            wire.__exit__(None, None, None)
        for sock in silent:
            sock.close()


def test_no_other_thread_and_no_collection_holds_up_requests_for_long(
    certificate: ServingCertificate,
) -> None:
    with (
        GatewayProcess(app=APP, certificate=certificate) as gateway,
        Wire(gateway.dial_tls()) as wire,
    ):
        interpreter = json.loads(wire.ask(request("/interpreter")).body)
    assert interpreter["switch"] == pytest.approx(0.0005)
    assert interpreter["frozen"] > 10_000
