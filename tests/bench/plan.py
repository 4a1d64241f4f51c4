"""How much is measured: everything, or just enough to see that it works."""

import sys
import time
from dataclasses import dataclass, field
from typing import Self

from tests.bench import scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The size of a run."""

    quick: bool
    sizes: tuple[int, ...] = scene.SIZES
    rounds: int = 3
    seconds: float = 1.5
    """Of a leg."""
    workers: int = 8
    """Connections of a closed loop."""
    latency_requests: int = 30
    """What an open loop should have at least, if that does not take too long."""
    longest_factor: int = 4
    """How many times `seconds` an open loop may take for that."""
    cluster_pods: tuple[int, ...] = (0, 10_000, 50_000, 150_000)
    """Pods of the clusters that come up with the webhook."""
    footprint_pods: int = 10_000
    """Pods of the cluster in which memory is compared."""
    audit_addresses: int = 100_000
    begun: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, *, quick: bool) -> Self:
        """Return the plan of a whole run, or of a smoke test."""
        if not quick:
            return cls(quick=False)
        return cls(
            quick=True,
            sizes=(2, 100),
            rounds=1,
            seconds=0.75,
            latency_requests=10,
            longest_factor=2,
            cluster_pods=(500, 2_000),
            footprint_pods=1000,
            audit_addresses=10_000,
        )

    def latency_seconds(self, rate: float) -> float:
        """Return how long an open loop at this rate is to take."""
        wanted = self.latency_requests / rate
        return min(max(wanted, self.seconds), self.longest_factor * self.seconds)

    def say(self, what: str) -> None:
        """Tell whoever waits what is going on."""
        print(f"bench {time.monotonic() - self.begun:4.0f} s: {what}", file=sys.stderr, flush=True)
