"""How long a write takes through the real API server, with nobody asked, and with a webhook asked.

The same slices are written again and again, each time with all other Pods, so that every write is a
change and every address in it a new claim. One connection writes, one request at a time: what is
measured is how long a writer waits. A label on the slice says which webhook is asked about it.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.bench import scene
from tests.bench.plan import Plan
from tests.bench.results import Leg, Writing
from tests.bench.serving import GATEKEEPER, WEBHOOK, Server, judges
from tests.bench.stage import Stage, place
from tests.bench.vegeta import Request
from tests.e2e.cluster import eventually
from tests.e2e.webhook_process import configuration, registered

Json = dict[str, Any]

NOBODY = "no webhook"
ASKED = (NOBODY, WEBHOOK, GATEKEEPER)
_JUDGED_BY = "bench.endpoints-guard/judged-by"
_LABELS = {NOBODY: "nobody", WEBHOOK: "endpoints-guard", GATEKEEPER: "gatekeeper"}


def sizes(plan: Plan) -> tuple[int, ...]:
    """Return how many endpoints the slices have: half of the Pods there are, and fewer."""
    most = max(plan.sizes) // 2
    return tuple(size for size in (*plan.sizes, most) if 2 <= size <= most)


def measure(stage: Stage, plan: Plan) -> Writing:
    """Run every leg. Raises LoadError."""
    cluster = scene.Cluster(stage.stored_pods())
    pods = cluster.pods_of(max(scene.SIZES))
    with judges(stage, cluster) as judging, _registrations(stage, judging):
        for name in judging:
            _await_enforcement(stage, name, cluster)
        legs = [
            leg
            for number in range(plan.rounds)
            for size in sizes(plan)
            for leg in _round(stage, plan, pods, size, number)
        ]
    return Writing(legs=tuple(legs))


@contextmanager
def _registrations(stage: Stage, judging: dict[str, Server]) -> Iterator[None]:
    with ExitStack() as stack:
        for name, server in judging.items():
            authority = server.trust.authority.read_bytes()
            given = configuration(_LABELS[name], server.url, authority)
            (webhook,) = given["webhooks"]
            del webhook["namespaceSelector"]
            webhook["objectSelector"] = {"matchLabels": {_JUDGED_BY: _LABELS[name]}}
            stack.enter_context(registered(stage.api, given, lambda: True))
        yield


def _await_enforcement(stage: Stage, name: str, cluster: scene.Cluster) -> None:
    """Wait until the API server asks this webhook."""
    bad = _slice([cluster.impostor(cluster.pods_of(1)[0])], 1, name)
    eventually(lambda: not stage.api.create(bad, dry_run=True).ok, 60)


def _slice(pods: list[Json], size: int, asked: str) -> Json:
    service = scene.service_of(max(scene.SIZES))
    made = scene.endpoint_slice(service, pods)
    made["metadata"]["name"] = f"{service}-{size}-{_LABELS[asked]}"
    made["metadata"]["labels"][_JUDGED_BY] = _LABELS[asked]
    return made


def _round(stage: Stage, plan: Plan, pods: list[Json], size: int, number: int) -> Iterator[Leg]:
    plan.say(f"round {number + 1} of {plan.rounds}: writes of {size} endpoints")
    for asked in ASKED if number % 2 == 0 else ASKED[::-1]:
        both = [_slice(half, size, asked) for half in (pods[:size], pods[size : 2 * size])]
        if number == 0:
            stage.api.create(both[0]).must()
        report = stage.vegeta.closed_loop(
            [_put(stage, each) for each in reversed(both)],
            stage.trust,
            workers=1,
            seconds=plan.seconds,
        )
        yield Leg(
            write=f"slice of {size}",
            kind="EndpointSlice",
            addresses=size,
            allowed=True,
            server=asked,
            round=number,
            throughput=report.throughput,
            rate=0.0,
            requests=report.requests,
            p50=report.p50,
            p90=report.p90,
            p99=report.p99,
        )


def _put(stage: Stage, written: Json) -> Request:
    return Request(
        method="PUT",
        url=f"{stage.plane.server}{place(written)}",
        body=json.dumps(written).encode(),
    )
