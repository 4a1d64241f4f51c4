"""From the legs of several rounds to ratios: counterparts are compared within a round.

A machine is not equally fast all the time. The counterparts of a round ran within seconds of each
other, so what slowed one down mostly slowed the other down too; the median over the rounds is the
result, and their range says how far it can be trusted.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Self

from tests.bench.results import Leg

Measure = Callable[[Leg], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A quantity measured several times."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Median and range. Raises ValueError when there is no value."""
        found = sorted(values)
        if not found:
            raise ValueError("nothing was measured")
        return cls(middle=median(found), low=found[0], high=found[-1])


def select(legs: Sequence[Leg], write: str, server: str) -> list[Leg]:
    """Return the legs of one server under one load, by round."""
    found = [leg for leg in legs if (leg.write, leg.server) == (write, server)]
    return sorted(found, key=lambda leg: leg.round)


def ratio(legs: Sequence[Leg], write: str, servers: tuple[str, str], measure: Measure) -> Spread:
    """Of the first server's to the second's, round by round. Raises ValueError."""
    first, second = (select(legs, write, server) for server in servers)
    if [leg.round for leg in first] != [leg.round for leg in second]:
        raise ValueError(f"{write}: {servers[0]} and {servers[1]} do not have the same rounds")
    pairs = zip(first, second, strict=True)
    return Spread.of(measure(mine) / measure(theirs) for mine, theirs in pairs)
