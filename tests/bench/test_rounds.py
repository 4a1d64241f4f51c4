"""Ratios: within a round, the median over rounds, and their range."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.results import Leg
from tests.bench.rounds import Spread, ratio, select
from tests.bench.samples import leg
from tests.bench.serving import GATEKEEPER, WEBHOOK

WRITE = "Endpoints 2 allowed"
SPEEDS = st.floats(min_value=0.001, max_value=1e6)


def throughput(of: Leg) -> float:
    return of.throughput


def legs(mine: list[float], theirs: list[float]) -> list[Leg]:
    return [
        leg(server=server, round=number, throughput=speed)
        for server, speeds in ((WEBHOOK, mine), (GATEKEEPER, theirs))
        for number, speed in enumerate(speeds)
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0], Spread(middle=3, low=3, high=3)),
        ([3.0, 1.0, 2.0], Spread(middle=2, low=1, high=3)),
        ([4.0, 1.0], Spread(middle=2.5, low=1, high=4)),
    ],
)
def test_a_spread_is_median_and_range(values: list[float], expected: Spread) -> None:
    assert Spread.of(values) == expected


def test_nothing_measured_is_no_zero() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Spread.of([])
    with pytest.raises(ValueError, match="nothing was measured"):
        ratio([], WRITE, (WEBHOOK, GATEKEEPER), throughput)


def test_counterparts_are_compared_within_a_round() -> None:
    """The machine was twice as fast in the second round, and ten times in the third."""
    measured = legs([300.0, 600.0, 3000.0], [100.0, 200.0, 1000.0])
    expected = Spread(middle=3, low=3, high=3)
    assert ratio(measured, WRITE, (WEBHOOK, GATEKEEPER), throughput) == expected


def test_a_round_without_its_counterpart_is_an_error() -> None:
    with pytest.raises(ValueError, match="do not have the same rounds"):
        ratio(legs([1.0, 2.0], [1.0]), WRITE, (WEBHOOK, GATEKEEPER), throughput)


def test_legs_of_other_writes_and_servers_do_not_count() -> None:
    other = leg(write="Endpoints 20 allowed", throughput=7.0)
    assert select([*legs([1.0], [2.0]), other], WRITE, WEBHOOK) == [leg(throughput=1.0)]


def test_rounds_come_in_order() -> None:
    found = select([leg(round=2), leg(round=0), leg(round=1)], WRITE, WEBHOOK)
    assert [each.round for each in found] == [0, 1, 2]


@given(st.lists(st.tuples(SPEEDS, SPEEDS), min_size=1, max_size=9))
def test_a_ratio_lies_within_its_range(pairs: list[tuple[float, float]]) -> None:
    measured = legs([mine for mine, _ in pairs], [theirs for _, theirs in pairs])
    found = ratio(measured, WRITE, (WEBHOOK, GATEKEEPER), throughput)
    assert found.low <= found.middle <= found.high
