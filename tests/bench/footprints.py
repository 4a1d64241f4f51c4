"""Memory and speed side by side, in a larger cluster of a real API server."""

import time
from statistics import median

from tests.bench import memory, scene
from tests.bench.bulk import Size, pods
from tests.bench.plan import Plan
from tests.bench.results import Footprint, Footprints
from tests.bench.serving import JUDGES, alone, judges, reviews_of
from tests.bench.stage import Stage

_SETTLE_SECONDS = 5.0
_ADDRESSES = 2
"""Of the write that is timed."""


def measure(stage: Stage, plan: Plan) -> Footprints:
    """Fill the cluster, start both, and see what they take. Raises LoadError."""
    cluster = scene.Cluster(stage.stored_pods())
    plan.say(f"storing {plan.footprint_pods:,} Pods")
    stage.store(pods(Size.of(plan.footprint_pods), first_address=2**16))
    (write, *_) = cluster.writes((_ADDRESSES,))
    with judges(stage, cluster) as judging:
        time.sleep(_SETTLE_SECONDS)
        speeds: dict[str, list[float]] = {name: [] for name in JUDGES}
        for number in range(plan.rounds):
            for name in JUDGES if number % 2 == 0 else JUDGES[::-1]:
                server = judging[name]
                plan.say(f"round {number + 1} of {plan.rounds}: {name} in the larger cluster")
                with alone(judging, name):
                    report = stage.vegeta.closed_loop(
                        reviews_of(server, write),
                        server.trust,
                        workers=plan.workers,
                        seconds=plan.seconds,
                    )
                speeds[name].append(report.throughput)
        stored = len(stage.stored_pods())
        found = [
            Footprint(
                server=name,
                pods=stored,
                resident_mib=memory.resident_mib(judging[name].pid),
                addresses=_ADDRESSES,
                throughput=median(speeds[name]),
            )
            for name in JUDGES
        ]
    return Footprints(footprints=tuple(found))
