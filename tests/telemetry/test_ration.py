"""How much of the log somebody who is denied all the time can take."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import law
from webhook.telemetry.ration import OF_PROCESS, OF_WRITER, REPORT_SECONDS, WRITERS, Ration


class Clock:
    """Time that a test makes pass; what is due then is called."""

    def __init__(self) -> None:
        self.now = 100.0
        self._due: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        return self.now

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        self._due.append((self.now + seconds, call))

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        due = [call for at, call in self._due if at <= self.now]
        self._due = [entry for entry in self._due if entry[0] > self.now]
        for call in due:
            call()


class Log:
    """A ration, and what it reported."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.reports: list[int] = []
        self.ration = Ration(self.reports.append, clock=self.clock, after=self.clock.after)

    def lines(self, writer: str, asked: int) -> int:
        """How many of so many lines may be written."""
        return sum(self.ration.allows(writer) for _ in range(asked))


@pytest.fixture
def log() -> Log:
    return Log()


def test_a_writer_gets_a_burst_and_then_a_few(log: Log) -> None:
    assert log.lines("mallory", 1000) == OF_WRITER.burst
    log.clock.pass_by(10)
    assert log.lines("mallory", 1000) == 10 * OF_WRITER.per_second


def test_one_writer_does_not_push_out_another(log: Log) -> None:
    log.lines("mallory", 1000)
    assert log.lines("alice", 1) == 1


def test_thousands_of_writers_together_get_what_the_process_has(log: Log) -> None:
    assert sum(log.lines(f"writer-{number}", 1) for number in range(5000)) == OF_PROCESS.burst
    log.clock.pass_by(2)
    others = sum(log.lines(f"another-{number}", 1) for number in range(5000))
    assert others == 2 * OF_PROCESS.per_second


def test_a_line_that_the_process_cannot_afford_does_not_cost_its_writer(log: Log) -> None:
    for number in range(5000):
        log.lines(f"writer-{number}", 1)
    log.lines("alice", 5)
    log.clock.pass_by(OF_PROCESS.burst / OF_PROCESS.per_second)
    assert log.lines("alice", 1000) == OF_WRITER.burst


def test_what_was_left_out_is_told_once_after_a_while(log: Log) -> None:
    log.lines("mallory", 50)
    log.clock.pass_by(REPORT_SECONDS / 2)
    log.lines("mallory", 50)
    assert log.reports == []
    log.clock.pass_by(REPORT_SECONDS / 2)
    assert log.reports == [log.ration.suppressed]
    log.clock.pass_by(REPORT_SECONDS * 2)
    assert len(log.reports) == 1


def test_only_so_many_writers_are_remembered(log: Log) -> None:
    for number in range(3 * WRITERS):
        log.ration.allows(f"writer-{number}")
    assert len(log.ration._writers) == WRITERS


@law
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5)), max_size=300))
def test_nothing_is_written_beyond_the_rate_nor_forgotten(asked: list[tuple[str, float]]) -> None:
    log = Log()
    written = dict.fromkeys("abc", 0)
    for writer, pause in asked:
        log.clock.pass_by(pause)
        written[writer] += log.lines(writer, 3)
    elapsed = log.clock.now - 100
    for count in written.values():
        assert count <= OF_WRITER.burst + elapsed * OF_WRITER.per_second
    total = sum(written.values())
    assert total <= OF_PROCESS.burst + elapsed * OF_PROCESS.per_second
    assert total + log.ration.suppressed == 3 * len(asked)
    log.clock.pass_by(REPORT_SECONDS)
    assert sum(log.reports) == log.ration.suppressed
