"""What only an audit asks of an inventory: the answers, and that they are always current."""

from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    NAMESPACE,
    WEB,
    Json,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    pod,
    pod_ref,
    service,
    state,
    subset,
    value_of,
)
from tests.strategies import IPV4, clusters, law, writes
from webhook.core.audit_index import AuditIndex, ReachIndex
from webhook.core.inventory import Inventory

BOTH = ["EndpointSlice/web-abcde", "Endpoints/web"]


def about(*cluster: Json) -> AuditIndex:
    return state(*cluster).for_audit


def reach(*cluster: Json) -> ReachIndex:
    return state(*cluster).reach


def names(published: Iterable[Any]) -> list[str]:
    return sorted({f"{each.kind}/{each.metadata.name}" for each in published})


def test_what_a_service_publishes_is_found_whether_it_exists_or_not() -> None:
    asked = about(endpoints(), endpoint_slice(), endpoint_slice(name="no", of_service=None))
    assert names(asked.published_of(NAMESPACE, "web")) == [
        "EndpointSlice/web-abcde",
        "Endpoints/web",
    ]
    assert asked.published_of("rival", "web") == ()
    assert asked.published_of(NAMESPACE, "") == ()


def test_an_address_is_found_once_in_each_object_and_inside_translated_forms() -> None:
    twice = endpoints(subset(external("10.0.0.1")), subset(external("10.0.0.1")))
    mapped = endpoint_slice(external_endpoint("64:ff9b::a00:1"), address_type="IPv6")
    assert len(reach(twice).published_at("10.0.0.1")) == 1
    assert names(reach(twice, mapped).published_at("10.0.0.1")) == BOTH


RANGES = {
    "10.0.0.0/24": True,
    "10.0.0.0/28": True,
    "10.0.0.0/16": True,
    "0.0.0.0/0": True,
    "10.0.1.0/24": False,
    "10.128.0.0/9": False,
    "::/0": False,
    "no range": False,
}


def test_addresses_are_found_by_range() -> None:
    asked = reach(endpoints(subset(external("10.0.0.7"))))
    assert {cidr: bool(list(asked.published_near(cidr))) for cidr in RANGES} == RANGES
    six = reach(endpoint_slice(external_endpoint("fd00::7"), address_type="IPv6"))
    assert [bool(list(six.published_near(c))) for c in ("fd00::/56", "fd00::/64", "::/8")] == [
        True,
        True,
        False,
    ]


def test_target_refs_are_found_by_name_in_the_namespace_of_the_object_and_by_uid() -> None:
    asked = reach(
        endpoints(subset(external(targetRef=pod_ref(namespace="rival", uid="x")))),
        endpoint_slice(external_endpoint(targetRef={"kind": "Node", "name": "node-1"})),
    )
    assert names(asked.published_for(NAMESPACE, "web-1")) == ["Endpoints/web"]
    assert asked.published_for("rival", "web-1") == ()
    assert asked.published_for(NAMESPACE, "node-1") == ()
    assert names(asked.published_for_uid("x")) == ["Endpoints/web"]


def test_pods_are_found_by_selector_and_by_node() -> None:
    pods = [
        pod("a"),
        pod("b", labels={**WEB, "tier": "front"}, node="node-2"),
        pod("c", labels={"app": "other"}),
        pod("d", namespace="rival"),
    ]
    asked = about(*pods)

    def selected(**selector: str) -> list[str]:
        (chosen,) = [value_of(service(selector=selector))]
        return sorted(each.name for each in asked.pods_of(chosen))  # type: ignore[arg-type]

    assert selected(app="web") == ["a", "b"]
    assert selected(app="web", tier="front") == ["b"]
    assert selected(app="nothing") == []
    assert selected() == []
    assert [each.name for each in reach(*pods).pods_on("node-2")] == ["b"]


STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 7)), max_size=8)


@law
@given(clusters(), st.lists(writes, min_size=1, max_size=4), STEPS)
def test_the_index_of_a_changing_inventory_is_that_of_its_end(
    cluster: list[Json], published: list[Json], steps: list[tuple[bool, int]]
) -> None:
    objects, inventory = [*cluster, *published], Inventory()
    _answers(inventory)
    held: dict[tuple[str, str, str], Json] = {}
    for add, number in [*((True, n) for n in range(len(objects))), *steps]:
        chosen = objects[number % len(objects)]
        key = chosen["kind"], chosen["metadata"].get("namespace", ""), chosen["metadata"]["name"]
        if add:
            held[key] = chosen
            inventory.apply(chosen["kind"], value_of(chosen))
        else:
            held.pop(key, None)
            inventory.remove(*key)
    assert _answers(inventory) == _answers(state(*held.values()))


def _answers(inventory: Inventory) -> list[object]:
    about, reach, web = inventory.for_audit, inventory.reach, value_of(service())
    return [
        names(about.published_of(NAMESPACE, "web")),
        sorted(each.name for each in about.pods_of(web)),  # type: ignore[arg-type]
        [names(reach.published_at(ip)) for ip in IPV4],
        names(reach.published_near("10.0.0.0/24")),
        [names(reach.published_for(NAMESPACE, f"web-{n}")) for n in range(3)],
        sorted(each.name for each in reach.services_in(NAMESPACE)),
        sorted(each.name for each in reach.pods_on("node-1")),
    ]
