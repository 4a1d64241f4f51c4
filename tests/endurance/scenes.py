"""The scenes: a long time, a flood, and a stop. Each says what it measured and what it promised."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median

from msgspec import Struct

from tests.bench.memory import resident_mib
from tests.builders import body, endpoints, external, node, pod, review, service, subset
from tests.e2e.webhook_process import WebhookProcess
from tests.endurance.clients import PODS, Client, Tally, allowed, at_work, denied, member, renamed
from tests.fake_apiserver import FakeApiServer
from tests.gateway.clients import BadClients, request
from webhook.validation import MAX_BODY_BYTES

_MEMBERS = 2_000
_GROWTH_MIB = 4.0
"""What the allocator may still gather after the warm-up; a leak of a kilobyte a request is more."""
_BAD_CLIENTS = 300
"""Of each kind: 1,800 in all, where the webhook has room for some 1,000 connections."""
_DRAIN_SECONDS = 3
_ENDPOINT_LAG_SECONDS = 1.0
"""How long callers still go to a replica that was told to stop."""


class Result(Struct, frozen=True):
    """One promise, what was measured, and whether it was kept."""

    scene: str
    promise: str
    measured: str
    kept: bool


@contextmanager
def cluster() -> Iterator[FakeApiServer]:
    """A cluster with a Service, its Pod, and many Pods that have nothing to do with it."""
    with FakeApiServer() as api:
        for path, obj in (
            ("/api/v1/services", service()),
            ("/api/v1/nodes", node()),
            (PODS, pod()),
            *((PODS, member(number)) for number in range(_MEMBERS)),
        ):
            api.state.put(path, obj)
        yield api


def _serving(api: FakeApiServer, *flags: str) -> AbstractContextManager[WebhookProcess]:
    return WebhookProcess.running(Path(api.kubeconfig), *flags)


def _churn(api: FakeApiServer) -> Callable[[int], None]:
    """Pods come, change and go."""

    def change(number: int) -> None:
        which = number * 7919 % _MEMBERS
        if number % 3:
            api.state.put(PODS, member(which) | {"spec": {"nodeName": f"node-{number % 9}"}})
        else:
            with suppress(KeyError):
                api.state.delete(PODS, "shop", f"member-{which}")

    return change


def soak(seconds: float) -> Iterator[Result]:
    """Mixed load for a while: memory does not grow, and every request is answered."""
    tally, sizes = Tally(), []
    with cluster() as api, _serving(api) as webhook, ExitStack() as stack:
        steady, busy, fresh = (
            stack.enter_context(Client(lambda: webhook, tally)) for _ in range(3)
        )

        def once(number: int) -> None:
            with Client(lambda: webhook, tally) as client:
                client.ask(allowed(), expected=True)

        jobs = (
            _churn(api),
            lambda number: steady.ask(allowed() if number % 2 else renamed(), expected=True),
            lambda number: busy.ask(denied(number), expected=False),
            lambda number: fresh.ask(allowed(), expected=True),
            once,
        )
        with at_work(*jobs, pause=0.002):
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(1.0)
                sizes.append(resident_mib(webhook.pid))
    third = len(sizes) // 3
    growth = median(sizes[-third:]) - median(sizes[third : 2 * third])
    yield Result(
        "mixed load with Pod churn",
        f"memory is flat after a warm-up: under {_GROWTH_MIB:.0f} MiB more",
        f"{growth:+.1f} MiB, at {median(sizes[-third:]):.0f} MiB, in {seconds * 2 / 3:.0f} s",
        growth < _GROWTH_MIB,
    )
    yield _all_answered("mixed load with Pod churn", tally)


def _all_answered(scene: str, tally: Tally) -> Result:
    lost = "; ".join(tally.problems[:3])
    return Result(
        scene,
        "every honest request is answered, and rightly",
        f"{tally.answered:,} answered, {tally.counts['lost']} lost, "
        f"{tally.counts['put off']} asked again, slowest {tally.slowest * 1000:.0f} ms"
        + (f" ({lost})" if lost else ""),
        not tally.counts["lost"] and tally.answered > 0,
    )


def overload(seconds: float) -> Iterator[Result]:
    """More of everything than it can bear, and honest requests all the same."""
    honest, flood = Tally(), Tally()
    with cluster() as api, _serving(api) as webhook, ExitStack() as stack:
        before = resident_mib(webhook.pid)
        with ExitStack() as attack:
            crowd = attack.enter_context(BadClients(webhook, webhook.serving))
            for kind in BadClients.kinds[:-1]:
                crowd.add(kind, _BAD_CLIENTS)
            for number in range(8):
                crowd.add_half_sent(_denials(number))
            client = stack.enter_context(Client(lambda: webhook, honest))
            angry = [stack.enter_context(Client(lambda: webhook, flood)) for _ in range(4)]
            large = stack.enter_context(Client(lambda: webhook, flood))
            jobs = [
                *(lambda n, a=a, i=i: a.ask(denied(n * 4 + i), False) for i, a in enumerate(angry)),
                lambda _: large.ask(_largest(), expected=False),
            ]
            with (
                at_work(*jobs, pause=0.001),
                at_work(lambda _: client.ask(allowed(), expected=True), pause=0.02),
            ):
                time.sleep(seconds)
            refused = webhook.metric("endpoints_guard_connections_dropped_total")
            open_then = crowd.open()
        yield _all_answered("overload", honest)
        yield Result(
            "overload",
            "what is too much is turned away",
            f"{open_then:,} of {_BAD_CLIENTS * 6 + 8:,} bad connections left; "
            f"{flood.answered:,} denials meanwhile; {refused:,.0f} connections closed",
            open_then < _BAD_CLIENTS * 6,
        )
        yield from _recovery(webhook, before)


def _recovery(webhook: WebhookProcess, before: float) -> Iterator[Result]:
    time.sleep(2.0)
    after = Tally()
    with Client(lambda: webhook, after) as client:
        for _ in range(200):
            client.ask(allowed(), expected=True)
    status, _ = webhook.get("/readyz")
    grown = resident_mib(webhook.pid) - before
    yield Result(
        "after the overload",
        "it is as before: ready, quick, and connections are gone",
        f"/readyz {status}, 200 requests, slowest {after.slowest * 1000:.0f} ms, "
        f"{webhook.metric('endpoints_guard_connections'):.0f} connections, {grown:+.0f} MiB",
        status == 200 and not after.counts["lost"],
    )


def _denials(number: int) -> bytes:
    """Many requests of one connection, whose answers nobody reads."""
    kind = "Content-Type: application/json"
    one = request("/validate?timeout=10s", body(denied(number)), kind)
    return one * 40


def _largest() -> dict[str, object]:
    """A body just below the limit, all of it claims that are denied."""
    entries = [external(f"198.18.{i >> 8 & 255}.{i & 255}") for i in range(20_000)]
    asked = review(endpoints(subset(*entries)))
    room = MAX_BODY_BYTES - len(body(asked)) - 1024
    asked["request"]["options"] = {"padding": "x" * room}
    return asked


def restarts(rounds: int) -> Iterator[Result]:
    """One of two replicas is stopped under load, again and again, and no request is lost."""
    tally = Tally()
    drain = ("--drain-seconds", str(_DRAIN_SECONDS))
    with cluster() as api, ExitStack() as stack:
        replicas = [stack.enter_context(_serving(api, *drain)) for _ in range(2)]
        service_of = list(replicas)
        clients = [
            stack.enter_context(Client(lambda: random.choice(service_of), tally)) for _ in range(8)
        ]
        jobs = [
            *(lambda n, c=c: c.ask(allowed(), expected=True) for c in clients[:6]),
            *(lambda n, c=c: c.ask(denied(n), expected=False) for c in clients[6:]),
        ]
        with at_work(*jobs, pause=0.005):
            for number in range(rounds):
                _restart(replicas[number % 2], service_of)
    yield _all_answered(f"{rounds} restarts of one of two replicas", tally)


def _restart(replica: WebhookProcess, service_of: list[WebhookProcess]) -> None:
    with at_work(lambda _: _leave(replica, service_of), pause=_ENDPOINT_LAG_SECONDS):
        replica.stop()
    replica.start()
    replica.wait_ready()
    service_of.append(replica)
    time.sleep(0.5)


def _leave(replica: WebhookProcess, service_of: list[WebhookProcess]) -> None:
    if replica in service_of:
        service_of.remove(replica)
