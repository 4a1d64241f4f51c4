"""How long the webhook takes to know a cluster of a size, and what it then has in memory.

The cluster is the tests' own API server with its lists ready to be sent; how much of the time it
took itself is noted, to see that it is not what is measured.
"""

import time
from pathlib import Path

from tests.bench import memory
from tests.bench.bulk import BulkState, Size
from tests.bench.cores import Cores, on_cores
from tests.bench.plan import Plan
from tests.bench.results import Sync, Syncing
from tests.e2e.webhook_process import WebhookProcess
from tests.fake_apiserver import FakeApiServer

_LONGEST_SECONDS = 300.0
_SETTLE_SECONDS = 2.0


def measure(cores: Cores, plan: Plan) -> Syncing:
    """Start the webhook once for each size of cluster."""
    return Syncing(syncs=tuple(_sync(cores, plan, Size.of(pods)) for pods in plan.cluster_pods))


def _sync(cores: Cores, plan: Plan, size: Size) -> Sync:
    plan.say(f"a cluster of {size.pods:,} Pods: rendering its lists")
    state = BulkState(size)
    plan.say(f"a cluster of {size.pods:,} Pods: starting the webhook")
    with on_cores(cores.rest):
        server = FakeApiServer(state=state)
        server.start()
    try:
        with on_cores(cores.server):
            began, work = time.monotonic(), time.process_time()
            running = WebhookProcess.running(
                Path(server.kubeconfig), ready_seconds=_LONGEST_SECONDS
            )
            with running as webhook:
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
                )
    finally:
        server.stop()
