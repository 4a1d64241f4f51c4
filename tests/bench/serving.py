"""How fast reviews are answered over TLS, by the webhook and beside it.

Four servers on one core, of which those that are not measured are stopped meanwhile: the webhook;
Gatekeeper with an equivalent policy; and a Flask route that does nothing, under the webhook's own
gateway and under gunicorn's own gthread worker. The last two are floors: what TLS, HTTP and Flask
cost before anything is judged.

For every write and in every round each server has its turn, right after one another. A closed loop
with a fixed number of connections finds its throughput. Then an open loop gives the latency of
those that judge, at one rate for both, which the slower of them can bear.
"""

import http.client
import json
import os
import signal
import ssl
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests import builders
from tests.bench import memory, scene
from tests.bench.cores import on_cores
from tests.bench.corpus import corpus
from tests.bench.gatekeeper import Gatekeeper
from tests.bench.plan import Plan
from tests.bench.results import Leg, Serving, Verdicts
from tests.bench.scene import Write
from tests.bench.stage import Stage
from tests.bench.vegeta import Request, Trust
from tests.e2e.cluster import eventually
from tests.e2e.webhook_process import WebhookProcess
from tests.gateway_process import GatewayProcess, ServingCertificate

Json = dict[str, Any]

WEBHOOK = "endpoints-guard"
GATEKEEPER = "Gatekeeper"
GATEWAY_FLOOR = "no-op, own gateway"
GTHREAD_FLOOR = "no-op, gthread"
SERVERS = (WEBHOOK, GATEKEEPER, GATEWAY_FLOOR, GTHREAD_FLOOR)
JUDGES = (WEBHOOK, GATEKEEPER)

_BODIES = 16
"""Different requests of one write, so that nobody gains from having seen the very same one."""
_SHARE = 0.4
"""How much of the throughput of the slowest server the open loop asks for."""


class DisagreementError(RuntimeError):
    """The judges do not agree, so that there is nothing to compare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Something that answers reviews."""

    name: str
    url: str
    trust: Trust
    pid: int

    def ask(self, review: Json) -> Json:
        """Return the response to a review. Raises DisagreementError when there is none."""
        url = urlsplit(self.url)
        assert url.hostname
        context = ssl.create_default_context(cafile=self.trust.authority)
        connection = http.client.HTTPSConnection(
            url.hostname, url.port, context=context, timeout=60
        )
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", url.path, builders.body(review), headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise DisagreementError(f"{self.name}: {answer.status} {text.decode()[:500]}")
        response: Json = json.loads(text)["response"]
        return response

    def allows(self, written: Json) -> bool:
        """Return the verdict on an object that is created."""
        return bool(self.ask(builders.review(written))["allowed"])


@contextmanager
def judges(stage: Stage, cluster: scene.Cluster) -> Iterator[dict[str, Server]]:
    """Start the webhook and Gatekeeper, and wait until both know the cluster and the policy."""
    with stage.webhook() as webhook, stage.gatekeeper() as gatekeeper:
        found = {
            WEBHOOK: _server(stage, WEBHOOK, webhook),
            GATEKEEPER: _server(stage, GATEKEEPER, gatekeeper),
        }
        last = cluster.pods_of(max(scene.SIZES))
        good = scene.endpoints(scene.service_of(max(scene.SIZES)), last)
        bad = scene.endpoints("web-1", [cluster.impostor(last[0])])
        for server in found.values():
            eventually(partial(_knows, server, good, bad), 120)
        yield found


def _knows(server: Server, good: Json, bad: Json) -> bool:
    """Whether this server has heard of the Pods that make one write good, and judges another."""
    return server.allows(good) and not server.allows(bad)


def _server(stage: Stage, name: str, process: WebhookProcess | Gatekeeper) -> Server:
    authority = stage.folder / f"{name}.crt"
    authority.write_bytes(process.serving.ca.certificate)
    return Server(name=name, url=process.url, trust=Trust(authority=authority), pid=process.pid)


@contextmanager
def floors(folder: Path, cores: Sequence[int]) -> Iterator[dict[str, Server]]:
    """Start the Flask route that does nothing, twice."""
    with ExitStack() as stack:
        found = {}
        for name, stock in ((GATEWAY_FLOOR, False), (GTHREAD_FLOOR, True)):
            own = folder / ("gthread" if stock else "gateway")
            own.mkdir(exist_ok=True)
            certificate = ServingCertificate(own)
            process = GatewayProcess(
                app="tests.bench.noop:app",
                certificate=certificate,
                limits={"threads": 32},
                stock=stock,
            )
            with on_cores(cores):
                stack.enter_context(process)
            host, port = process.address
            found[name] = Server(
                name=name,
                url=f"https://{host}:{port}/validate",
                trust=Trust(authority=certificate.authority_file),
                pid=process.pid,
            )
        yield found


@contextmanager
def alone(servers: Mapping[str, Server], name: str) -> Iterator[None]:
    """Stop all other servers meanwhile: they share a core, and have work even when nobody asks."""
    others = [p for s in servers.values() if s.name != name for p in memory.family(s.pid)]
    try:
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


def check_verdicts(servers: Sequence[Server], writes: Sequence[Write]) -> Verdicts:
    """Have everybody judge everything. Raises DisagreementError with what they disagree about."""
    wrong = [
        f"{server.name} {'denies' if write.allowed else 'allows'}: {write.name}"
        for write in writes
        for server in servers
        if server.allows(write.object) is not write.allowed
    ]
    if wrong:
        raise DisagreementError("\n".join(wrong))
    return Verdicts(writes=len(writes), allowed=sum(write.allowed for write in writes))


def measure(stage: Stage, plan: Plan) -> Serving:
    """Run every leg. Raises DisagreementError, LoadError."""
    stored = stage.stored_pods()
    cluster = scene.Cluster(stored)
    with judges(stage, cluster) as judging, floors(stage.folder, stage.cores.server) as flooring:
        cases = [*cluster.writes(), *corpus(cluster)]
        verdicts = check_verdicts(list(judging.values()), cases)
        servers = {**judging, **flooring}
        writes = cluster.writes(plan.sizes)
        legs = [
            leg
            for number in range(plan.rounds)
            for write in writes
            for leg in _round(stage, plan, servers, write, number)
        ]
    return Serving(
        pods=len(stored),
        pod_bytes=len(json.dumps(stored[0], separators=(",", ":"))),
        workers=plan.workers,
        seconds=plan.seconds,
        verdicts=verdicts,
        legs=tuple(legs),
    )


def _round(
    stage: Stage, plan: Plan, servers: dict[str, Server], write: Write, number: int
) -> Iterator[Leg]:
    """Every server under this load; forwards in one round, backwards in the next."""
    order: Sequence[str] = SERVERS if number % 2 == 0 else SERVERS[::-1]
    if not write.allowed:
        order = tuple(name for name in order if name in JUDGES)
    plan.say(f"round {number + 1} of {plan.rounds}: {write.name}")
    requests = {name: reviews_of(servers[name], write) for name in order}
    closed = {}
    for name in order:
        trust = servers[name].trust
        with alone(servers, name):
            if number == 0:
                stage.vegeta.closed_loop(requests[name], trust, workers=plan.workers, seconds=0.5)
            closed[name] = stage.vegeta.closed_loop(
                requests[name], trust, workers=plan.workers, seconds=plan.seconds
            )
    rate = _SHARE * min(closed[name].throughput for name in JUDGES)
    for name in order:
        latency = closed[name]
        if name in JUDGES:
            seconds = plan.latency_seconds(rate)
            trust = servers[name].trust
            with alone(servers, name):
                latency = stage.vegeta.open_loop(requests[name], trust, rate=rate, seconds=seconds)
        yield Leg(
            write=write.name,
            kind=write.kind,
            addresses=write.addresses,
            allowed=write.allowed,
            server=name,
            round=number,
            throughput=closed[name].throughput,
            rate=rate if name in JUDGES else 0.0,
            requests=latency.requests,
            p50=latency.p50,
            p90=latency.p90,
            p99=latency.p99,
        )


def reviews_of(server: Server, write: Write) -> list[Request]:
    """Return requests for the verdict on a write."""
    reviews = [builders.review(write.object, uid=str(uuid.UUID(int=n))) for n in range(_BODIES)]
    return [Request(method="POST", url=server.url, body=builders.body(each)) for each in reviews]
