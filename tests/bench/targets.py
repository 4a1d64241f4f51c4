"""What was to be reached, and whether the measurements reach it."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.results import Auditing, Leg, Results, Serving, Syncing
from tests.bench.rounds import Spread, ratio, select
from tests.bench.serving import GATEKEEPER, GATEWAY_FLOOR, GTHREAD_FLOOR, WEBHOOK

_LARGEST_PODS = 150_000
_LARGEST_SECONDS = 60
_LARGEST_MIB = 300
_LINEAR = 1.3
"""How much dearer an address may be among a thousand than among a hundred, for noise."""
_FLAT = 1.15
"""How much dearer a review may be in the largest cluster, for noise."""
_PODS_AT_LEAST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A row of the table."""

    wanted: str
    measured: str
    reached: bool
    remark: str = ""
    """What stands behind the number, or in the way."""


def targets(results: Results) -> Iterator[Target]:
    """Yield those that this run has measured."""
    if results.serving:
        yield from _against_gatekeeper(results.serving)
        yield from _against_floors(results.serving)
        yield from _linear(results.serving)
    if results.syncing:
        yield from _flat(results.syncing)
        yield from _syncs(results.syncing)
    if results.auditing:
        yield _audits(results.auditing)


def throughput(leg: Leg) -> float:
    return leg.throughput


def cost(leg: Leg) -> float:
    """Seconds of the server's core for an answer."""
    return 1 / leg.throughput


def p50(leg: Leg) -> float:
    return leg.p50


def times(spread: Spread) -> str:
    """Write a ratio, with its range where it has one."""
    text = f"{number(spread.middle)}×"
    if spread.low == spread.high:
        return text
    return f"{text} ({number(spread.low)}–{number(spread.high)})"


def _fraction(spread: Spread) -> str:
    """Write the inverse of a ratio."""
    text = f"1/{number(spread.middle)}"
    if spread.low == spread.high:
        return text
    return f"{text} (1/{number(spread.high)}–1/{number(spread.low)})"


def number(value: float) -> str:
    """Write a number with three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _against_gatekeeper(serving: Serving) -> Iterator[Target]:
    for size, wanted in ((2, 3), (1000, 40)):
        write = f"Endpoints {size} allowed"
        if not select(serving.legs, write, WEBHOOK):
            continue
        faster = ratio(serving.legs, write, (WEBHOOK, GATEKEEPER), throughput)
        shorter = ratio(serving.legs, write, (GATEKEEPER, WEBHOOK), p50)
        yield Target(
            wanted=f"{size:,} addresses: ≥ {wanted}× the throughput of Gatekeeper",
            measured=times(faster),
            reached=faster.middle >= wanted,
            remark=_SMALL_REMARK if size == 2 else _LARGE_REMARK,
        )
        yield Target(
            wanted=f"{size:,} addresses: ≤ 1/{wanted} of the median latency of Gatekeeper",
            measured=_fraction(shorter),
            reached=shorter.middle >= wanted,
            remark=_SMALL_REMARK if size == 2 else _COLD_REMARK,
        )


_SMALL_REMARK = "most of it is TLS, HTTP and waking up, on either side"
_FLOOR_REMARK = "it judges for more, and answers reviews ahead of Flask's routing for less"
_LARGE_REMARK = (
    "its policy, too, looks each Pod up by name: that costs it the same for every address"
)
_COLD_REMARK = (
    "at the few requests a second that Gatekeeper bears, each finds cold caches, which costs work "
    "of a millisecond more than work of sixty"
)
_LINEAR_REMARK = "what a thousand need besides their own work is memory that no near cache holds"


def _against_floors(serving: Serving) -> Iterator[Target]:
    write = "Endpoints 2 allowed"
    for floor, named in ((GTHREAD_FLOOR, "under gthread"), (GATEWAY_FLOOR, "under our gateway")):
        if not select(serving.legs, write, floor):
            continue
        dearer = ratio(serving.legs, write, (WEBHOOK, floor), cost)
        yield Target(
            wanted=f"2 addresses: ≤ 1.3× the cost of a Flask route that does nothing, {named}",
            measured=times(dearer),
            reached=dearer.middle <= 1.3,
            remark=_FLOOR_REMARK,
        )


def _linear(serving: Serving) -> Iterator[Target]:
    try:
        early, late = (_per_address(serving, *sizes) for sizes in ((20, 100), (100, 1000)))
    except ValueError:
        return
    yield Target(
        wanted="Linear in addresses: one more costs the same among a thousand as among a hundred",
        measured=f"{late * 1e6:.1f} µs against {early * 1e6:.1f} µs",
        reached=late <= _LINEAR * early,
        remark=_LINEAR_REMARK,
    )


def _per_address(serving: Serving, fewer: int, more: int) -> float:
    """Seconds for one more address. Raises ValueError when that was not measured."""
    low, high = (
        Spread.of(map(cost, select(serving.legs, f"Endpoints {size} allowed", WEBHOOK))).middle
        for size in (fewer, more)
    )
    return (high - low) / (more - fewer)


def _flat(syncing: Syncing) -> Iterator[Target]:
    measured = [each for each in syncing.syncs if each.costs]
    if len(measured) < 2:
        return
    small, large = measured[0], measured[-1]
    before, after = Spread.of(small.costs), Spread.of(large.costs)
    yield Target(
        wanted="Nothing in the hot path grows with the number of Pods of the cluster",
        measured=f"{times(after)} the cost of a route that does nothing with {large.pods:,} Pods, "
        f"{times(before)} with {small.pods:,}",
        reached=after.middle <= _FLAT * before.middle,
    )


def _syncs(syncing: Syncing) -> Iterator[Target]:
    first, last = syncing.syncs[0], syncing.syncs[-1]
    if last.pods >= _PODS_AT_LEAST:
        kib = 1024 * (last.resident_mib - first.resident_mib) / (last.pods - first.pods)
        yield Target(
            wanted="≤ 1 KiB of resident memory for each Pod",
            measured=f"{kib:.2f} KiB",
            reached=kib <= 1,
            remark="with its share of a Service and a Node, and of what the allocator keeps",
        )
    if last.pods < _LARGEST_PODS:
        return
    yield Target(
        wanted=f"150,000 Pods, 10,000 Services, 5,000 Nodes: known in < {_LARGEST_SECONDS} s",
        measured=f"{last.seconds:.1f} s",
        reached=last.seconds < _LARGEST_SECONDS,
    )
    yield Target(
        wanted=f"The same: < {_LARGEST_MIB} MiB resident",
        measured=f"{last.resident_mib:.0f} MiB",
        reached=last.resident_mib < _LARGEST_MIB,
        remark="all processes together, shared pages counted once",
    )


def _audits(auditing: Auditing) -> Target:
    rates = Spread.of(auditing.addresses / each.judge_seconds for each in auditing.audits)
    return Target(
        wanted="Audit: 100,000 addresses a second",
        measured=f"{number(rates.middle)}/s ({number(rates.low)}–{number(rates.high)})"
        if rates.low != rates.high
        else f"{number(rates.middle)}/s",
        reached=rates.middle >= 100_000,
        remark="judging; reading the state comes before it, see below",
    )
