"""Results as a run would have them, for tests of what is made of them."""

from typing import Any

from tests.bench.results import (
    Audit,
    Auditing,
    Footprint,
    Footprints,
    Leg,
    Machine,
    Results,
    Run,
    Serving,
    Sync,
    Syncing,
    Verdicts,
    Writing,
)
from tests.bench.serving import GATEKEEPER, GATEWAY_FLOOR, GTHREAD_FLOOR, JUDGES, WEBHOOK
from tests.bench.writing import ASKED, NOBODY

MACHINE = Machine(
    processor="Example 3000",
    cores=2,
    memory_gib=16,
    kernel="Linux 6.1",
    python="3.11.7",
    kubernetes="v1.37.2",
    gatekeeper="v3.23.1",
    vegeta="v12.13.0",
)
RUN = Run(commit="abc1234", quick=False, machine=MACHINE)

_SPEED = {WEBHOOK: 1.0, GATEKEEPER: 0.25, GATEWAY_FLOOR: 1.25, GTHREAD_FLOOR: 1.0}
"""Answers for each of the webhook's."""


def leg(**fields: Any) -> Leg:
    defaults: dict[str, Any] = {
        "write": "Endpoints 2 allowed",
        "kind": "Endpoints",
        "addresses": 2,
        "allowed": True,
        "server": WEBHOOK,
        "round": 0,
        "throughput": 1000.0,
        "rate": 100.0,
        "requests": 200,
        "p50": 1.0,
        "p90": 2.0,
        "p99": 3.0,
    }
    return Leg(**{**defaults, **fields})


def serving() -> Serving:
    """Two rounds: the webhook takes 0.5 ms for a write, and 5 µs for an address."""
    legs = []
    for addresses in (2, 20, 100, 1000):
        for allowed in (True, False):
            seconds = 0.0005 + 0.000005 * addresses
            for server in _SPEED if allowed else JUDGES:
                legs += [
                    leg(
                        write=f"Endpoints {addresses} {'allowed' if allowed else 'denied'}",
                        addresses=addresses,
                        allowed=allowed,
                        server=server,
                        round=number,
                        throughput=_SPEED[server] / seconds,
                        p50=1000 * seconds / _SPEED[server],
                    )
                    for number in range(2)
                ]
    return Serving(
        pods=1124,
        pod_bytes=7500,
        workers=8,
        seconds=2.0,
        verdicts=Verdicts(writes=100, allowed=40),
        legs=tuple(legs),
    )


def writing() -> Writing:
    slower = {NOBODY: 1.0, WEBHOOK: 1.5, GATEKEEPER: 3.0}
    return Writing(
        legs=tuple(
            leg(write="slice of 2", kind="EndpointSlice", server=asked, p50=4.0 * slower[asked])
            for asked in ASKED
        )
    )


def sync(pods: int, **fields: Any) -> Sync:
    defaults: dict[str, Any] = {
        "services": pods // 15,
        "nodes": pods // 30,
        "list_mib": pods / 200,
        "seconds": 1.5,
        "server_seconds": 0.15,
        "resident_mib": 60 + pods / 1024,
        "peak_mib": 70.0,
        "costs": (1.2, 1.25, 1.3) if pods else (),
    }
    return Sync(pods=pods, **{**defaults, **fields})


def syncing() -> Syncing:
    return Syncing(syncs=tuple(sync(pods) for pods in (0, 10_000, 150_000)))


def footprints() -> Footprints:
    speeds = {WEBHOOK: 1900.0, GATEKEEPER: 400.0}
    return Footprints(
        footprints=tuple(
            Footprint(server=server, pods=11_124, resident_mib=100.0, addresses=2, throughput=speed)
            for server, speed in speeds.items()
        )
    )


def auditing() -> Auditing:
    audit = Audit(objects=500, findings=0, read_seconds=1.5, judge_seconds=0.08)
    return Auditing(services=250, pods=5000, addresses=10_000, file_mib=17.0, audits=(audit,))


def results() -> Results:
    return Results(
        run=RUN,
        load=0.2,
        serving=serving(),
        writing=writing(),
        syncing=syncing(),
        footprints=footprints(),
        auditing=auditing(),
    )
