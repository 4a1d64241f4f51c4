"""Which connections are to go when time, room or memory runs out."""

import socket
from collections.abc import Iterable, Iterator

import pytest
from gunicorn.config import Config

from webhook.gateway import Limits
from webhook.gateway.connection import Connection, Phase
from webhook.gateway.http import RequestBuffer, settled
from webhook.gateway.registry import Registry

MIB = 2**20
LIMITS = Limits(
    max_connections=4,
    max_buffered_bytes=16 * MIB,
    max_busy_bytes=8 * MIB,
    slow_client_seconds=10,
    keep_alive_seconds=100,
)
CFG = settled(Config(), is_ssl=False)


class Port:
    """A registry, and its connections by name."""

    def __init__(self) -> None:
        self.registry = Registry(LIMITS)
        self._names: dict[Connection | None, str | None] = {None: None}

    def add(
        self, name: str, phase: Phase, *, since: float = 0, served: bool = True, held: int = 0
    ) -> Connection:
        connection = Connection(socket.socket(), RequestBuffer(CFG, None, 0), None, since)
        connection.phase = phase
        connection.held = held
        self.registry.add(connection)
        if served:
            self.registry.mark_served(connection)
        self._names[connection] = name
        return connection

    def name(self, connection: Connection | None) -> str | None:
        return self._names[connection]

    def names(self, connections: Iterable[Connection]) -> list[str | None]:
        return [self._names[connection] for connection in connections]

    def close(self) -> None:
        for connection in self._names:
            if connection is not None:
                connection.close()


@pytest.fixture
def port() -> Iterator[Port]:
    port = Port()
    yield port
    port.close()


def test_it_is_full_when_as_many_connections_are_open_as_may_be(port: Port) -> None:
    for _ in range(4):
        assert not port.registry.full
        last = port.add("newcomer", Phase.HANDSHAKE, served=False)
    assert port.registry.full
    port.registry.remove(last)
    assert not port.registry.full


def test_the_newcomer_that_came_first_gives_way(port: Port) -> None:
    port.add("idle for very long", Phase.READING, since=0)
    port.add("early newcomer", Phase.READING, since=5, served=False)
    port.add("late newcomer", Phase.HANDSHAKE, since=6, served=False)
    assert port.name(port.registry.dispensable()) == "early newcomer"


def test_newcomers_that_are_few_have_time_to_say_what_they_want(port: Port) -> None:
    port.add("idle for long", Phase.READING, since=1)
    port.add("idle for longer", Phase.READING, since=0)
    port.add("newcomer", Phase.HANDSHAKE, since=0, served=False)
    assert port.name(port.registry.dispensable()) == "idle for longer"


def test_a_slow_client_gives_way_when_none_is_idle_and_none_when_all_are_busy(port: Port) -> None:
    port.add("busy", Phase.BUSY, since=0)
    assert port.registry.dispensable() is None
    port.add("in the middle of a request", Phase.READING, since=2, held=1)
    port.add("slower at reading", Phase.WRITING, since=1, held=1)
    assert port.name(port.registry.dispensable()) == "slower at reading"


@pytest.mark.parametrize(
    ("phase", "served", "held", "seconds"),
    {
        "a silent newcomer": (Phase.HANDSHAKE, False, 0, 10),
        "a newcomer silent after its handshake": (Phase.READING, False, 0, 10),
        "a newcomer in its first request": (Phase.READING, False, 5, 10),
        "a client in a later request": (Phase.READING, True, 5, 10),
        "a client that does not read its response": (Phase.WRITING, True, 5, 10),
        "an idle client": (Phase.READING, True, 0, 100),
        "a client that does not hang up": (Phase.LINGERING, True, 0, 2),
    }.values(),
)
def test_a_connection_is_overdue_after(
    phase: Phase, served: bool, held: int, seconds: float, port: Port
) -> None:
    port.add("it", phase, since=1000, served=served, held=held)
    assert port.names(port.registry.overdue(1000 + seconds)) == []
    assert port.names(port.registry.overdue(1000.01 + seconds)) == ["it"]


def test_a_connection_whose_request_is_worked_on_is_never_overdue(port: Port) -> None:
    port.add("busy", Phase.BUSY, since=0)
    assert port.names(port.registry.overdue(1_000_000)) == []


def test_when_the_port_stops_only_what_has_begun_may_go_on(port: Port) -> None:
    port.registry.stopping = True
    port.add("idle", Phase.READING)
    port.add("silent", Phase.HANDSHAKE, served=False)
    port.add("in the middle of a request", Phase.READING, held=5)
    port.add("slow reader", Phase.WRITING, held=5)
    assert port.names(port.registry.overdue(1.0)) == []
    assert set(port.names(port.registry.overdue(1.5))) == {"idle", "silent"}


def test_the_slowest_go_until_what_is_held_fits(port: Port) -> None:
    port.add("busy", Phase.BUSY, since=0, held=4 * MIB)
    port.add("slowest", Phase.READING, since=1, held=6 * MIB)
    port.add("slow", Phase.WRITING, since=2, held=6 * MIB)
    port.add("holds nothing", Phase.READING, since=0)
    fast = port.add("fast", Phase.READING, since=3, held=5 * MIB)
    assert port.names(port.registry.excessive(fast, grown=5 * MIB)) == ["slowest"]


def test_it_is_not_added_up_at_every_byte(port: Port) -> None:
    port.add("too much", Phase.READING, held=20 * MIB)
    growing = port.add("growing", Phase.READING, since=1, held=MIB)
    chunks = 0
    while not port.names(port.registry.excessive(growing, grown=MIB // 4)):
        chunks += 1
    assert chunks == 3


def test_small_requests_are_always_affordable_and_large_ones_up_to_a_limit(port: Port) -> None:
    port.add("busy", Phase.BUSY, held=4 * MIB)
    assert port.registry.affords(port.add("large", Phase.READING, held=4 * MIB))
    assert not port.registry.affords(port.add("larger", Phase.READING, held=4 * MIB + 1))
    port.add("busy too", Phase.BUSY, held=8 * MIB)
    assert port.registry.affords(port.add("small", Phase.READING, held=1000))


def test_the_largest_request_is_affordable_while_no_other_large_one_is_worked_on(
    port: Port,
) -> None:
    port.add("small", Phase.BUSY, held=1000)
    port.add("waiting", Phase.READING, held=8 * MIB)
    assert port.registry.affords(port.add("largest", Phase.READING, held=16 * MIB))
