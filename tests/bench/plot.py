"""The one picture of docs/benchmarks.md: how the time of an answer grows with the addresses."""

import math
from collections.abc import Sequence

import leather

from tests.bench.results import Leg, Serving
from tests.bench.rounds import Spread, select
from tests.bench.serving import SERVERS

_TITLE = "Milliseconds of a core for an answer, by the addresses of good Endpoints"


def as_svg(serving: Serving) -> str:
    """Draw cost against size, both by powers of ten, a line for each server."""
    chart = leather.Chart(_TITLE)
    costs = []
    for server in SERVERS:
        points = _points(serving.legs, server)
        costs += [milliseconds for _, milliseconds in points]
        chart.add_line([(math.log10(x), math.log10(y)) for x, y in points], name=server)
    sizes = [leg.addresses for leg in serving.legs]
    chart.add_x_axis(name="addresses", ticks=_powers(sizes), tick_formatter=_label)
    chart.add_y_axis(name="milliseconds", ticks=_powers(costs), tick_formatter=_label)
    return f"{chart.to_svg(width=760, height=440)}\n"


def _points(legs: Sequence[Leg], server: str) -> list[tuple[int, float]]:
    """Pairs of addresses and milliseconds."""
    sizes = sorted({leg.addresses for leg in legs if leg.kind == "Endpoints"})
    found = ((size, select(legs, f"Endpoints {size} allowed", server)) for size in sizes)
    return [(n, Spread.of(1000 / leg.throughput for leg in each).middle) for n, each in found]


def _powers(values: Sequence[float]) -> list[int]:
    """Exponents of the powers of ten around these values."""
    low, high = math.log10(min(values)), math.log10(max(values))
    return list(range(math.floor(low), math.ceil(high) + 1))


def _label(exponent: float, _index: int, _count: int) -> str:
    return f"{10**exponent:,g}"
