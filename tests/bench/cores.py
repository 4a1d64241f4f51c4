"""Which core does what: the server measured has one for itself, everything else has another."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """Two sets that share no core."""

    server: tuple[int, ...]
    """One core, for the server that is measured."""
    rest: tuple[int, ...]
    """For the load generator and the API server; one core too, so that machines compare."""

    @classmethod
    def choose(cls, allowed: Sequence[int]) -> Self:
        """Take the first and the last of the cores that we may use. Raises ValueError."""
        if len(allowed) < 2:
            raise ValueError("two cores are needed: one for the server, one for the load")
        ordered = sorted(allowed)
        return cls(server=(ordered[0],), rest=(ordered[-1],))


@contextmanager
def on_cores(cores: Sequence[int]) -> Iterator[None]:
    """Start on these cores every process that is started inside."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
