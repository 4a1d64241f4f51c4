"""Which targets are reached, from results made so that the answer is known."""

import pytest
from msgspec.structs import replace

from tests.bench.results import Audit, Results
from tests.bench.samples import (
    RUN,
    auditing,
    footprints,
    leg,
    results,
    serving,
    sync,
    syncing,
)
from tests.bench.serving import GATEKEEPER, WEBHOOK
from tests.bench.targets import Target, number, targets


def measured(found: Results) -> dict[str, tuple[str, bool]]:
    return {each.wanted: (each.measured, each.reached) for each in targets(found)}


def test_every_target_is_told_with_what_was_measured() -> None:
    """The samples: four times Gatekeeper's speed at any size, as fast as gthread's floor."""
    assert measured(results()) == {
        "2 addresses: ≥ 3× the throughput of Gatekeeper": ("4.00×", True),
        "2 addresses: ≤ 1/3 of the median latency of Gatekeeper": ("1/4.00", True),
        "1,000 addresses: ≥ 40× the throughput of Gatekeeper": ("4.00×", False),
        "1,000 addresses: ≤ 1/40 of the median latency of Gatekeeper": ("1/4.00", False),
        "2 addresses: ≤ 1.3× the cost of a Flask route that does nothing, under gthread": (
            "1.00×",
            True,
        ),
        "2 addresses: ≤ 1.3× the cost of a Flask route that does nothing, under our gateway": (
            "1.25×",
            True,
        ),
        "Linear in addresses: one more costs the same among a thousand as among a hundred": (
            "5.0 µs against 5.0 µs",
            True,
        ),
        "Nothing in the hot path grows with the number of Pods of the cluster": (
            (
                "1.25× (1.20–1.30) the cost of a route that does nothing with 150,000 Pods, "
                "1.25× (1.20–1.30) with 10,000"
            ),
            True,
        ),
        "≤ 1 KiB of resident memory for each Pod": ("1.00 KiB", True),
        "150,000 Pods, 10,000 Services, 5,000 Nodes: known in < 60 s": ("1.5 s", True),
        "The same: < 300 MiB resident": ("206 MiB", True),
        "Audit: 100,000 addresses a second": ("125,000/s", True),
    }


def test_nothing_is_said_of_what_was_not_measured() -> None:
    assert list(targets(Results(run=RUN))) == []
    small = replace(syncing(), syncs=(sync(0), sync(2000)))
    assert list(targets(Results(run=RUN, syncing=small))) == []
    assert list(targets(Results(run=RUN, footprints=footprints()))) == []


def only(found: Results) -> Target:
    (target,) = targets(found)
    return target


def test_a_slow_audit_misses_its_target() -> None:
    slow = Audit(objects=500, findings=0, read_seconds=1.5, judge_seconds=0.11)
    found = only(Results(run=RUN, auditing=replace(auditing(), audits=(slow,))))
    assert (found.measured, found.reached) == ("90,909/s", False)


@pytest.mark.parametrize(
    ("fields", "missed"),
    [
        ({"resident_mib": 301.0}, {"≤ 1 KiB of resident memory for each Pod", "The same"}),
        ({"seconds": 60.0}, {"150,000 Pods, 10,000 Services, 5,000 Nodes"}),
    ],
)
def test_a_large_cluster_may_be_too_much(fields: dict[str, float], missed: set[str]) -> None:
    many = sync(150_000, **fields)
    found = Results(run=RUN, syncing=replace(syncing(), syncs=(sync(0), many)))
    assert {t.wanted.partition(":")[0] for t in targets(found) if not t.reached} == missed


def test_what_grows_faster_than_the_addresses_is_not_linear() -> None:
    legs = [
        leg(write=f"Endpoints {n} allowed", addresses=n, server=server, throughput=1e6 / n**2)
        for n in (2, 20, 100, 1000)
        for server in (WEBHOOK, GATEKEEPER)
    ]
    found = Results(run=RUN, serving=replace(serving(), legs=tuple(legs)))
    assert [t.measured for t in targets(found) if t.wanted.startswith("Linear")] == [
        "1100.0 µs against 120.0 µs"
    ]
    assert not any(t.reached for t in targets(found) if t.wanted.startswith("Linear"))


def test_a_larger_cluster_may_not_slow_it_down() -> None:
    clusters = sync(10_000, costs=(1.0,)), sync(20_000, costs=(9.0,)), sync(30_000, costs=(1.2,))
    found = Results(run=RUN, syncing=replace(syncing(), syncs=clusters))
    assert [t.measured for t in targets(found) if t.wanted.startswith("Nothing")] == [
        "1.20× the cost of a route that does nothing with 30,000 Pods, 1.00× with 10,000"
    ]
    assert [t.reached for t in targets(found) if t.wanted.startswith("Nothing")] == [False]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123, "0.12"), (1.0, "1.00"), (12.34, "12.3"), (123.4, "123"), (12345.6, "12,346")],
)
def test_numbers_have_the_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text
