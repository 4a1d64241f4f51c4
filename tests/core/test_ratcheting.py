"""An update is judged by what it adds: bad content from before warns, new bad content is denied.

Otherwise nobody could touch an object that was bad before the webhook came. What counts as new is
a claim: that traffic of one Service goes to one address and port on behalf of one targetRef.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    LEADER,
    SERVICE_NAME,
    SKIP_MIRROR,
    Json,
    address,
    endpoint,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    findings,
    manual_service,
    node,
    pod,
    pod_ref,
    port,
    request,
    said,
    service,
    state,
    subset,
)
from tests.strategies import clusters, law, shuffled, written_endpoints, written_slices
from webhook.core.decision import Reason, Verdict
from webhook.core.engine import decide
from webhook.core.policy import Policy

POLICY = Policy()
BAD = external("10.0.7.8")
RIVAL = pod("vault-0", namespace="rival", ip="10.0.7.8")
CLUSTER = (service(), manual_service("manual"), pod(), pod("web-2", ip="10.0.0.2"), RIVAL, node())


def decided(write: Json, old: Json, *cluster: Json) -> tuple[Reason, Verdict, set[str]]:
    decision = decide(request(write, old), state(*(cluster or CLUSTER)), POLICY)
    return decision.reason, decision.verdict, said(decision.findings)


# --- What leaves addresses, ports, type and owner as they were, passes: whatever it holds


def with_metadata(write: Json, **fields: object) -> Json:
    return {**write, "metadata": {**write["metadata"], **fields}}


BAD_ENDPOINTS = endpoints(subset(BAD))
BAD_SLICE = endpoint_slice(external_endpoint("10.0.7.8"))
METADATA_ONLY: dict[str, tuple[Json, Json]] = {
    "an annotation": (BAD_ENDPOINTS, with_metadata(BAD_ENDPOINTS, annotations={"idled-at": "now"})),
    "a label": (BAD_ENDPOINTS, with_metadata(BAD_ENDPOINTS, labels={"a": "b"})),
    "nothing": (BAD_ENDPOINTS, BAD_ENDPOINTS),
    "skip-mirror is added": (
        BAD_ENDPOINTS,
        with_metadata(BAD_ENDPOINTS, labels={SKIP_MIRROR: "true"}),
    ),
    "the leader annotation is renewed": (
        with_metadata(BAD_ENDPOINTS, annotations={LEADER: "a"}),
        with_metadata(BAD_ENDPOINTS, annotations={LEADER: "b"}),
    ),
    "skip-mirror takes over from the leader annotation": (
        with_metadata(BAD_ENDPOINTS, annotations={LEADER: "a"}),
        with_metadata(BAD_ENDPOINTS, labels={SKIP_MIRROR: "true"}),
    ),
    "another label of a slice": (
        BAD_SLICE,
        with_metadata(BAD_SLICE, labels={SERVICE_NAME: "web", "a": "b"}),
    ),
    "a slice loses its owner: --cascade=orphan": (
        with_metadata(BAD_SLICE, ownerReferences=[{"kind": "Service", "name": "web", "uid": "u"}]),
        BAD_SLICE,
    ),
    "hints, zone and topology": (
        BAD_SLICE,
        {
            **BAD_SLICE,
            "endpoints": [
                external_endpoint("10.0.7.8", zone="b", hints={"forZones": [{"name": "b"}]})
            ],
        },
    ),
    "an empty list in the place of null": (
        {**endpoint_slice(), "endpoints": [], "ports": None},
        {**endpoint_slice(), "endpoints": None, "ports": []},
    ),
}


@pytest.mark.parametrize(("old", "write"), METADATA_ONLY.values(), ids=METADATA_ONLY)
def test_a_change_of_metadata_passes_whatever_the_object_holds(old: Json, write: Json) -> None:
    assert decided(write, old) == (Reason.UNCHANGED, Verdict.ALLOW, set())


# --- What was there before


def slice_of(*listed: Json, **fields: Any) -> Json:
    return endpoint_slice(*listed, **{"of_service": "manual", **fields})


def manual(*subsets: Json) -> Json:
    return endpoints(*subsets, name="manual")


OLD_AND_NEW: dict[str, tuple[Json, Json, set[str]]] = {
    "an old bad address stays while a good one comes": (
        manual(subset(BAD)),
        manual(subset(BAD, external())),
        {"warn EG501 subsets[0].addresses[0].ip"},
    ),
    "an old bad address stays while a bad one comes": (
        manual(subset(BAD)),
        manual(subset(BAD, external("169.254.169.254"))),
        {
            "warn EG501 subsets[0].addresses[0].ip",
            "deny EG505 subsets[0].addresses[1].ip",
        },
    ),
    "a bad address goes": (manual(subset(BAD, external())), manual(subset(external())), set()),
    "a bad address comes": (
        manual(subset(external())),
        manual(subset(external(), BAD)),
        {"deny EG501 subsets[0].addresses[1].ip"},
    ),
    "a bad address moves to another subset with the same port": (
        manual(subset(BAD), subset(external())),
        manual(subset(external()), subset(BAD)),
        {"warn EG501 subsets[1].addresses[0].ip"},
    ),
    "a bad address is offered at another port": (
        manual(subset(BAD)),
        manual(subset(BAD, ports=[port(8200)])),
        {"deny EG501 subsets[0].addresses[0].ip"},
    ),
    "a bad address is offered at a further port": (
        manual(subset(BAD)),
        manual(subset(BAD, ports=[port(), port(8200, name="more")])),
        {
            "deny EG501 subsets[0].addresses[0].ip",
            "warn EG401 subsets[0].ports[1]",
        },
    ),
    "a bad address is offered over another protocol": (
        manual(subset(BAD)),
        manual(subset(BAD, ports=[port(protocol="UDP")])),
        {
            "deny EG501 subsets[0].addresses[0].ip",
            "warn EG401 subsets[0].ports[0]",
        },
    ),
    "a bad address is offered at every port of a slice": (
        slice_of(external_endpoint("10.0.7.8")),
        slice_of(external_endpoint("10.0.7.8"), ports=[port(None)]),
        {"deny EG501 endpoints[0].addresses[0]"},
    ),
    "two addresses trade their ports, one of them bad": (
        manual(subset(BAD), subset(external(), ports=[port(8200)])),
        manual(subset(external()), subset(BAD, ports=[port(8200)])),
        {"deny EG501 subsets[1].addresses[0].ip"},
    ),
    "a bad address gets a targetRef to look tame": (
        manual(subset(BAD)),
        manual(subset(external("10.0.7.8", targetRef=pod_ref()))),
        {
            "deny EG501 subsets[0].addresses[0].ip",
            "warn EG304 subsets[0].addresses[0].targetRef",
        },
    ),
    "a bad address loses its targetRef": (
        manual(subset(external("10.0.7.8", targetRef=pod_ref()))),
        manual(subset(BAD)),
        {"deny EG501 subsets[0].addresses[0].ip"},
    ),
    "the second address of an endpoint was there": (
        slice_of(external_endpoint("198.51.100.7", "10.0.7.8")),
        slice_of(external_endpoint("10.0.7.8"), external_endpoint("198.51.100.8")),
        {"warn EG501 endpoints[0].addresses[0]"},
    ),
    "a wrong targetRef was there": (
        endpoints(subset(address(targetRef=pod_ref(uid="old")))),
        endpoints(
            subset(address(targetRef=pod_ref(uid="old")), address(pod("web-2", ip="10.0.0.2")))
        ),
        {"warn EG303 subsets[0].addresses[0].targetRef.uid"},
    ),
    "a wrong targetRef becomes another wrong one": (
        endpoints(subset(address(targetRef=pod_ref(uid="old")))),
        endpoints(subset(address(targetRef=pod_ref(uid="older")))),
        {"deny EG303 subsets[0].addresses[0].targetRef.uid"},
    ),
    "a wrong port was there": (
        endpoints(subset(address(), ports=[port(22)])),
        endpoints(subset(address(), ports=[port(22)]), subset(address())),
        {"warn EG402 subsets[0].ports[0].port"},
    ),
    "a wrong port, and an address that was not offered there": (
        endpoints(subset(address(), ports=[port(22)])),
        endpoints(subset(address(), address(pod("web-2", ip="10.0.0.2")), ports=[port(22)])),
        {"deny EG402 subsets[0].ports[0].port"},
    ),
    "a port that the Service does not have was there": (
        endpoints(subset(address(), ports=[port(22, name="ssh")])),
        endpoints(subset(address(), ports=[port(22, name="ssh")]), subset(address())),
        {"warn EG401 subsets[0].ports[0]"},
    ),
    "a port that the Service does not have, for one address more": (
        endpoints(subset(address(), ports=[port(22, name="ssh")])),
        endpoints(
            subset(
                address(),
                address(pod("web-2", ip="10.0.0.2")),
                ports=[port(22, name="ssh")],
            )
        ),
        {"deny EG401 subsets[0].ports[0]"},
    ),
    "a wrong appProtocol was there": (
        endpoints(subset(address(), ports=[port(appProtocol="tls")])),
        endpoints(subset(address(), ports=[port(appProtocol="tls")]), subset(address())),
        {"warn EG403 subsets[0].ports[0].appProtocol"},
    ),
    "an appProtocol becomes wrong": (
        endpoints(subset(address())),
        endpoints(subset(address(), ports=[port(appProtocol="tls")])),
        {"deny EG403 subsets[0].ports[0].appProtocol"},
    ),
}


@pytest.mark.parametrize(("old", "write", "found"), OLD_AND_NEW.values(), ids=OLD_AND_NEW)
def test_only_new_claims_can_deny(old: Json, write: Json, found: set[str]) -> None:
    assert said(findings(write, *CLUSTER, old=old)) == found


FACETS: dict[str, tuple[Json, Json, set[str]]] = {
    "a wrong nodeName was there": (
        endpoints(subset(address(nodeName="node-9"))),
        endpoints(subset(address(nodeName="node-9")), subset(address())),
        {"warn EG204 subsets[0].addresses[0].nodeName"},
    ),
    "a nodeName becomes wrong": (
        endpoints(subset(address())),
        endpoints(subset(address(nodeName="node-9"))),
        {"deny EG204 subsets[0].addresses[0].nodeName"},
    ),
    "a wrong nodeName becomes another wrong one": (
        endpoints(subset(address(nodeName="node-9"))),
        endpoints(subset(address(nodeName="node-8"))),
        {"deny EG204 subsets[0].addresses[0].nodeName"},
    ),
    "a wrong hostname was there": (
        endpoint_slice(endpoint(hostname="web-9")),
        endpoint_slice(endpoint(hostname="web-9"), endpoint(pod("web-2", ip="10.0.0.2"))),
        {"warn EG205 endpoints[0].hostname"},
    ),
    "a hostname becomes wrong": (
        endpoint_slice(endpoint()),
        endpoint_slice(endpoint(hostname="web-9")),
        {"deny EG205 endpoints[0].hostname"},
    ),
    "an old nodeName does not excuse a new hostname": (
        endpoints(subset(address(nodeName="node-9"))),
        endpoints(subset(address(nodeName="node-9", hostname="web-9"))),
        {
            "warn EG204 subsets[0].addresses[0].nodeName",
            "deny EG205 subsets[0].addresses[0].hostname",
        },
    ),
    "a new hostname does not make an old bad address new": (
        endpoints(subset(external("10.0.7.8", targetRef=pod_ref()))),
        endpoints(subset(external("10.0.7.8", targetRef=pod_ref(), hostname="web-9"))),
        {
            "warn EG201 subsets[0].addresses[0].ip",
            "warn EG304 subsets[0].addresses[0].targetRef",
        },
    ),
    "the spelling of an address is kept": (
        manual(subset(external("198.051.100.007"))),
        manual(subset(external("198.051.100.007"), external("198.51.100.8"))),
        {"warn EG509 subsets[0].addresses[0].ip"},
    ),
    "a plain address gets leading zeros": (
        manual(subset(external("10.0.0.1"))),
        manual(subset(external("010.0.0.1"))),
        {"deny EG509 subsets[0].addresses[0].ip"},
    ),
    "a plain address is wrapped into IPv6": (
        manual(subset(external("10.0.0.1"))),
        manual(subset(external("::ffff:10.0.0.1"))),
        {"deny EG509 subsets[0].addresses[0].ip"},
    ),
    "an ambiguous spelling becomes another one": (
        manual(subset(external("010.0.0.1"))),
        manual(subset(external("::ffff:10.0.0.1"))),
        {"deny EG509 subsets[0].addresses[0].ip"},
    ),
    "an ambiguous address is spelled plainly": (
        manual(subset(external("010.0.0.1"))),
        manual(subset(external("10.0.0.1"))),
        set(),
    ),
}


@pytest.mark.parametrize(("old", "write", "found"), FACETS.values(), ids=FACETS)
def test_what_a_rule_looks_at_beyond_the_claim_counts_for_that_rule_only(
    old: Json, write: Json, found: set[str]
) -> None:
    assert said(findings(write, *CLUSTER, old=old)) == found


def test_what_was_there_before_is_marked_as_old() -> None:
    write = manual(subset(BAD, external("169.254.169.254")))
    found = findings(write, *CLUSTER, old=manual(subset(BAD)))
    assert [(f.rule.code, f.old) for f in found] == [("EG505", False), ("EG501", True)]


# --- Metadata that is content in disguise

HEADLESS = "service.kubernetes.io/headless"
OTHER_PROXY = "service.kubernetes.io/service-proxy-name"
MANUAL = {SERVICE_NAME: "manual"}
AFRESH: dict[str, tuple[Json, Json, str]] = {
    "a slice is moved to another Service": (
        slice_of(external_endpoint("198.51.100.7"), ports=[port()]),
        endpoint_slice(external_endpoint("198.51.100.7"), ports=[port()]),
        "deny EG201 endpoints[0].addresses[0]",
    ),
    "an orphaned slice is given to a Service": (
        endpoint_slice(external_endpoint("198.51.100.7"), of_service=None),
        endpoint_slice(external_endpoint("198.51.100.7")),
        "deny EG201 endpoints[0].addresses[0]",
    ),
    "a bad slice is moved to a Service where it is bad as well": (
        endpoint_slice(external_endpoint("10.0.7.8")),
        slice_of(external_endpoint("10.0.7.8")),
        "deny EG501 endpoints[0].addresses[0]",
    ),
    "skip-mirror is dropped": (
        with_metadata(manual(subset(BAD)), labels={SKIP_MIRROR: "true"}),
        manual(subset(BAD)),
        "deny EG501 subsets[0].addresses[0].ip",
    ),
    "skip-mirror is set to false": (
        with_metadata(manual(subset(BAD)), labels={SKIP_MIRROR: "true"}),
        with_metadata(manual(subset(BAD)), labels={SKIP_MIRROR: "false"}),
        "deny EG501 subsets[0].addresses[0].ip",
    ),
    "the leader annotation is dropped": (
        with_metadata(manual(subset(BAD)), annotations={LEADER: "{}"}),
        manual(subset(BAD)),
        "deny EG501 subsets[0].addresses[0].ip",
    ),
    "both are dropped": (
        with_metadata(manual(subset(BAD)), annotations={LEADER: ""}, labels={SKIP_MIRROR: "true"}),
        manual(subset(BAD)),
        "deny EG501 subsets[0].addresses[0].ip",
    ),
    "a slice gives up to be of a headless Service": (
        with_metadata(slice_of(external_endpoint("10.0.7.8")), labels=MANUAL | {HEADLESS: ""}),
        slice_of(external_endpoint("10.0.7.8")),
        "deny EG501 endpoints[0].addresses[0]",
    ),
    "a slice gives up to be of another proxy": (
        with_metadata(slice_of(external_endpoint("10.0.7.8")), labels=MANUAL | {OTHER_PROXY: "x"}),
        slice_of(external_endpoint("10.0.7.8")),
        "deny EG501 endpoints[0].addresses[0]",
    ),
    "skip-mirror is dropped while something else changes": (
        with_metadata(manual(subset(BAD)), labels={SKIP_MIRROR: "true"}),
        manual(subset(BAD, external())),
        "deny EG501 subsets[0].addresses[0].ip",
    ),
}


@pytest.mark.parametrize(("old", "write", "denied"), AFRESH.values(), ids=AFRESH)
def test_what_gives_old_content_to_somebody_new_makes_all_of_it_new(
    old: Json, write: Json, denied: str
) -> None:
    reason, verdict, found = decided(write, old)
    assert (reason, verdict) == (Reason.JUDGED, Verdict.DENY)
    assert denied in found


def test_dropping_the_label_of_a_good_object_is_fine() -> None:
    old = with_metadata(manual(subset(external())), labels={SKIP_MIRROR: "true"})
    assert decided(manual(subset(external())), old)[1] is Verdict.ALLOW


# --- Laws


@law
@given(clusters(), written_endpoints | written_slices, st.data())
def test_reordering_changes_nothing_and_denies_nothing(
    cluster: list[Json], old: Json, data: st.DataObject
) -> None:
    write = shuffled(data.draw, old)
    decision = decide(request(write, old), state(*cluster), POLICY)
    assert decision.allowed
    assert all(finding.old for finding in decision.findings)


@law
@given(clusters(), written_endpoints, written_endpoints)
def test_an_update_is_never_judged_more_severely_than_a_create(
    cluster: list[Json], old: Json, write: Json
) -> None:
    as_create, as_update = findings(write, *cluster), findings(write, *cluster, old=old)
    assert {(f.rule.code, f.violation) for f in as_create} == {
        (f.rule.code, f.violation) for f in as_update
    }
    assert sum(f.action == "deny" for f in as_update) <= sum(f.action == "deny" for f in as_create)


@law
@given(clusters(), written_endpoints)
def test_what_is_added_to_an_object_is_judged_as_if_it_were_alone(
    cluster: list[Json], write: Json
) -> None:
    """Against an old object that shares no claim with it, an update is a create."""
    old = manual(subset(external("203.0.113.99", targetRef=None)))
    old["metadata"]["name"] = "web"
    assert said(findings(write, *cluster, old=old)) == said(findings(write, *cluster))


# --- Size


def many(addresses: int, ports: int, first: int = 0) -> Json:
    listed = [external_endpoint(f"198.18.{n // 250}.{n % 250}") for n in range(first, addresses)]
    return slice_of(*listed, ports=[port(n, name=f"p{n}") for n in range(1, ports + 1)])


def seconds(call: Callable[[], object]) -> float:
    begun = time.process_time()
    call()
    return time.process_time() - begun


def test_an_update_of_many_addresses_at_many_ports_does_not_multiply_them() -> None:
    """A slice may have 20,000 ports and 100,000 addresses: their product must never be built."""
    old, write = many(500, 500, first=1), many(500, 500)
    cluster = manual_service("manual"), node()
    assert seconds(lambda: findings(write, *cluster, old=old)) < 0.5
