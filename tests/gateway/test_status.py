"""What the gateway says about its port: who is there, who waits, whom it turned away."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.gateway.clients import BadClients, Wire, request
from tests.gateway_process import GatewayProcess, ServingCertificate, eventually

APPS = "tests.gateway.apps"
QUIET = {"connections": 0, "in_flight": 0, "queued": 0, "refused": 0, "slow": 0, "room": 0}


class Port:
    """A gateway with two threads, two places in its queue and six for connections."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self.gateway = gateway

    def status(self) -> dict[str, int]:
        health = self.gateway.health()
        health.request("GET", "/status")
        found: dict[str, int] = json.load(health.getresponse())
        health.close()
        return found

    def becomes(self, **numbers: int) -> None:
        eventually(lambda: self.status() == QUIET | numbers)


@pytest.fixture
def port(certificate: ServingCertificate) -> Iterator[Port]:
    limits = {
        "threads": 2,
        "max_queued_requests": 2,
        "max_connections": 6,
        "slow_client_seconds": 1.5,
    }
    with GatewayProcess(
        app=f"{APPS}:app",
        certificate=certificate,
        health_app=f"{APPS}:health",
        on_serving=f"{APPS}:serving",
        limits=limits,
    ) as gateway:
        yield Port(gateway)


def test_nobody_is_there(port: Port) -> None:
    assert port.status() == QUIET


def test_requests_in_flight_those_that_wait_and_those_refused(port: Port, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(port.gateway.dial_tls())) for _ in range(5)]
        pool = stack.enter_context(ThreadPoolExecutor(5))
        stack.callback(go.touch)
        for count, wire in enumerate(wires[:4], 1):
            pool.submit(wire.ask, request(f"/wait?{go}"))
            port.becomes(connections=5, in_flight=count, queued=max(0, count - 2))
        wires[4].ask(request())
        port.becomes(connections=5, in_flight=4, queued=2, refused=1)
        go.touch()
        port.becomes(connections=5, refused=1)
    port.becomes(refused=1)


def test_a_client_that_is_too_slow_is_counted(port: Port, certificate: ServingCertificate) -> None:
    with BadClients(port.gateway, certificate) as bad:
        bad.add_half_sent(b"POST / HTTP/1.1\r\nContent-")
        port.becomes(slow=1)


def test_a_client_that_has_to_make_room_is_counted(
    port: Port, certificate: ServingCertificate
) -> None:
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(Wire(port.gateway.dial_tls())).ask(request())
        port.becomes(connections=6, room=2)
    port.becomes(room=2)
