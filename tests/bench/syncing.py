"""How long the webhook takes to know a cluster of a size, and what it then has in memory.

The cluster is the tests' own API server with its lists ready to be sent; how much of the time it
took itself is noted, to see that it is not what is measured. Then a review is timed in it, beside a
route that does nothing: what is done for one write should not grow with the number of Pods.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tests.bench import memory, programs, scene
from tests.bench.auditing import placed
from tests.bench.bulk import BulkState, Size, pods
from tests.bench.cores import Cores, on_cores
from tests.bench.plan import Plan
from tests.bench.results import Sync, Syncing
from tests.bench.scene import Write
from tests.bench.serving import (
    GATEWAY_FLOOR,
    WEBHOOK,
    Server,
    alone,
    check_verdicts,
    floors,
    reviews_of,
)
from tests.bench.vegeta import Trust, Vegeta
from tests.e2e.webhook_process import WebhookProcess
from tests.fake_apiserver import FakeApiServer

_LONGEST_SECONDS = 300.0
_SETTLE_SECONDS = 2.0
_ADDRESSES = 2
"""Of the write that is timed."""


def measure(cores: Cores, plan: Plan) -> Syncing:
    """Start the webhook once for each size of cluster. Raises LoadError."""
    return Syncing(syncs=tuple(_sync(cores, plan, Size.of(count)) for count in plan.cluster_pods))


def _sync(cores: Cores, plan: Plan, size: Size) -> Sync:
    plan.say(f"a cluster of {size.pods:,} Pods: rendering its lists")
    state = BulkState(size)
    plan.say(f"a cluster of {size.pods:,} Pods: starting the webhook")
    with on_cores(cores.rest):
        server = FakeApiServer(state=state)
        server.start()
    try:
        began, work = time.monotonic(), time.process_time()
        kubeconfig = Path(server.kubeconfig)
        running = WebhookProcess.running(kubeconfig, ready_seconds=_LONGEST_SECONDS)
        with on_cores(cores.server), running as webhook:
            seconds, spent = time.monotonic() - began, time.process_time() - work
            time.sleep(_SETTLE_SECONDS)
            return Sync(
                pods=size.pods,
                services=size.services,
                nodes=size.nodes,
                list_mib=state.bytes / 2**20,
                seconds=seconds,
                server_seconds=spent,
                resident_mib=memory.resident_mib(webhook.pid),
                peak_mib=memory.peak_mib(webhook.pid),
                costs=tuple(_costs(cores, plan, size, webhook)),
            )
    finally:
        server.stop()


def _costs(cores: Cores, plan: Plan, size: Size, webhook: WebhookProcess) -> Iterator[float]:
    """Time a review beside the floor, once a round."""
    if size.pods < _ADDRESSES:
        return
    with tempfile.TemporaryDirectory(prefix="eg-bench-") as name:
        folder = Path(name)
        authority = folder / "webhook.crt"
        authority.write_bytes(webhook.serving.ca.certificate)
        trust = Trust(authority=authority)
        mine = Server(name=WEBHOOK, url=webhook.url, trust=trust, pid=webhook.pid)
        check_verdicts([mine], [_write(size)])
        vegeta, write = Vegeta(programs.vegeta(), cores.rest, folder), _write(size)
        with floors(folder, cores.server) as flooring:
            servers = {WEBHOOK: mine, **flooring}
            for number in range(plan.rounds):
                plan.say(f"round {number + 1} of {plan.rounds}: a review in that cluster")
                order = (WEBHOOK, GATEWAY_FLOOR)
                speeds = {
                    name: _speed(vegeta, plan, servers, name, write)
                    for name in (order if number % 2 == 0 else order[::-1])
                }
                yield speeds[GATEWAY_FLOOR] / speeds[WEBHOOK]


def _speed(
    vegeta: Vegeta, plan: Plan, servers: dict[str, Server], name: str, write: Write
) -> float:
    """Answers a second."""
    requests, trust = reviews_of(servers[name], write), servers[name].trust
    with alone(servers, name):
        vegeta.closed_loop(requests, trust, workers=plan.workers, seconds=plan.seconds / 3)
        report = vegeta.closed_loop(requests, trust, workers=plan.workers, seconds=plan.seconds)
    return report.throughput


def _write(size: Size) -> Write:
    """Endpoints of the first Service with the first of its Pods."""
    rendered = list(islice(pods(size), _ADDRESSES))
    listed = [json.loads(each.stored) for each in rendered]
    service = listed[0]["metadata"]["labels"]["app"]
    return Write(
        name="Endpoints in a large cluster",
        kind="Endpoints",
        addresses=_ADDRESSES,
        allowed=True,
        object=placed(scene.endpoints(service, listed), rendered[0].namespace),
    )
