"""Rules are spared what the control plane publishes, because none has a word to say about it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.builders import (
    Json,
    address,
    endpoint,
    endpoint_slice,
    endpoints,
    manual_service,
    node,
    pod,
    pod_ref,
    service,
    state,
    subject,
    subset,
)
from tests.core.controllers import endpoints_for, slices_for
from tests.strategies import ELSEWHERE, IPV4, IPV6, NODES, containers, law, nodes, rarely, services
from webhook.core.case import AddressCase, ObjectCase, PartCase, address_case
from webhook.core.rules import RULES, asked_about

SPARING = [
    (rule, check)
    for rule in RULES.values()
    for check in rule.checks
    if rule.spares_published and asked_about(check) is AddressCase
]


def parts(write: Json, *cluster: Json) -> list[PartCase]:
    case = ObjectCase(subject(write), state(*cluster))
    return [PartCase(case, part) for part in case.subject.parts]


def doubtful(write: Json, *cluster: Json) -> list[str]:
    return [each.text for part in parts(write, *cluster) for each in part.doubtful]


# --- The law


def _entries(write: Json) -> list[Json]:
    if write["kind"] == "EndpointSlice":
        return list(write["endpoints"] or ())
    lists = ("addresses", "notReadyAddresses")
    return [
        each for part in write["subsets"] or () for key in lists for each in part.get(key) or []
    ]


def _with_address(entry: Json, ip: str) -> None:
    entry.update({"ip": ip} if "ip" in entry else {"addresses": [ip]})


def _with_ready(entry: Json, ready: bool | None) -> None:
    if "conditions" in entry:
        entry["conditions"] = {"ready": ready}


MISTAKES: tuple[tuple[Callable[[Json, Any], None], st.SearchStrategy[Any]], ...] = (
    (_with_address, st.sampled_from((*IPV4, *IPV6, *ELSEWHERE, "010.0.0.1", "::ffff:10.0.0.1"))),
    (_with_ready, st.sampled_from([True, False, None])),
    (lambda e, text: e.update(hostname=text), st.sampled_from(["", "web-1"])),
    (lambda e, name: e.update(nodeName=name), st.sampled_from([None, *NODES])),
    (lambda e, kind: e["targetRef"].update(kind=kind), st.sampled_from(["Node", "pod", ""])),
    (lambda e, name: e["targetRef"].update(name=name), st.sampled_from(["web-0", "web-1", ""])),
    (lambda e, uid: e["targetRef"].update(uid=uid), st.sampled_from(["another", ""])),
    (lambda e, space: e["targetRef"].update(namespace=space), st.sampled_from(["rival", ""])),
    (lambda e, group: e["targetRef"].update(apiVersion=group), st.sampled_from(["v1", "apps/v1"])),
    (lambda e, _: e.pop("targetRef"), st.none()),
)
NO_MISTAKE = (lambda _entry, _: None, st.none())


def selected_pods(number: int) -> st.SearchStrategy[Json]:
    """Pods that a Service `web` selects, at any stage of their lives."""
    return st.builds(
        pod,
        st.just(f"web-{number}"),
        ips=st.sampled_from([(IPV4[number],), (IPV6[number],), (IPV4[number], IPV6[number])]),
        labels=st.just({"app": "web", "tier": ""}),
        ready=st.booleans(),
        deleting=rarely,
        phase=st.sampled_from(["Running"] * 5 + ["Succeeded"]),
        subdomain=st.sampled_from(["", "", "web"]),
        hostname=st.just("web"),
        containers=st.lists(containers, min_size=1, max_size=2),
    )


@st.composite
def nearly_as_published(draw: st.DrawFn) -> tuple[Json, list[Json]]:
    """What a controller would write, with at most a few mistakes in it; and the cluster."""
    owner, pods = draw(services()), [draw(selected_pods(number)) for number in range(3)]
    truth = draw(st.sampled_from([endpoints_for(owner, pods), *slices_for(owner, pods)]))
    made = json.loads(json.dumps(truth))  # The same entry may stand in several subsets.
    for entry in _entries(made):
        spoil, values = draw(st.sampled_from((*MISTAKES, NO_MISTAKE)))
        spoil(entry, draw(values))
    if made["kind"] == "EndpointSlice":
        made["addressType"] = draw(st.sampled_from([made["addressType"]] * 3 + ["FQDN", "IPv6"]))
    return made, [owner, *pods, *nodes]


@settings(law, max_examples=200)
@given(nearly_as_published())
def test_no_rule_finds_anything_in_what_it_is_spared(written: tuple[Json, list[Json]]) -> None:
    write, cluster = written
    for part in parts(write, *cluster):
        asked = {id(each.listed) for each in part.doubtful}
        for listed in part.part.addresses:
            event("asked" if id(listed) in asked else "spared")
            if id(listed) not in asked:
                case = address_case(part.object, part.part, listed)
                assert [rule.code for rule, check in SPARING if check(case) is not None] == []


# --- What is spared, and what is not

OWNER, POD = service(), pod()
OTHER = pod("web-2", ip="10.0.0.2", labels={"app": "other"})


def test_what_a_controller_writes_of_a_running_pod_is_spared() -> None:
    dual = service(ipFamilies=["IPv4", "IPv6"])
    both = pod("web-3", ips=("10.0.0.3", "fd00::3"), ready=False)
    cluster = (dual, POD, both)
    for write in (endpoints_for(dual, [POD, both]), *slices_for(dual, [POD, both])):
        assert doubtful(write, *cluster) == []
        assert any(part.part.addresses for part in parts(write, *cluster))


NEAR_MISSES: dict[str, dict[str, Any]] = {
    "another Pod's address": {"ip": "10.0.0.2"},
    "another spelling": {"ip": "010.0.0.1"},
    "no targetRef": {"targetRef": None},
    "another kind": {"targetRef": pod_ref(kind="Node")},
    "another API": {"targetRef": pod_ref(apiVersion="apps/v1")},
    "another namespace": {"targetRef": pod_ref(namespace="rival")},
    "another name": {"targetRef": pod_ref(name="web-9")},
    "another uid": {"targetRef": pod_ref(uid="another")},
    "no uid": {"targetRef": pod_ref(uid="")},
    "another node": {"nodeName": "node-2"},
    "a host name": {"hostname": "web-1"},
    "a Pod that is not selected": {"ip": "10.0.0.2", "targetRef": pod_ref(OTHER)},
}


@pytest.mark.parametrize("fields", NEAR_MISSES.values(), ids=NEAR_MISSES)
def test_rules_are_asked_about_what_differs_in_anything(fields: dict[str, Any]) -> None:
    entry = address(**fields)
    assert doubtful(endpoints(subset(entry)), OWNER, POD, OTHER) == [entry["ip"]]


STAGES: dict[str, dict[str, Any]] = {
    "not ready": {"ready": False},
    "terminating": {"deleting": True},
    "ended": {"phase": "Succeeded"},
    "of a subdomain": {"subdomain": "web", "hostname": "web-1"},
    "at a special address": {"ip": "169.254.169.254"},
    "at a translated address": {"ip": "64:ff9b::a00:1"},
}


@pytest.mark.parametrize("fields", STAGES.values(), ids=STAGES)
def test_rules_are_asked_about_a_pod_that_is(fields: dict[str, Any]) -> None:
    its = pod(**fields)
    entry = address(its)
    dual = service(ipFamilies=["IPv4", "IPv6"])
    assert doubtful(endpoints(subset(entry)), dual, its) == [entry["ip"]]


def test_a_service_may_publish_what_is_not_ready_as_ready() -> None:
    owner, its = service(publishNotReadyAddresses=True), pod(ready=False)
    as_ready, as_waiting = subset(address(its)), subset(waiting=[address(its)])
    assert doubtful(endpoints(as_ready), owner, its) == []
    assert doubtful(endpoints(as_waiting), owner, its) == ["10.0.0.1"]


def test_rules_are_asked_about_an_address_of_a_family_that_the_service_has_not() -> None:
    six = pod(ip="fd00::1")
    assert doubtful(endpoints(subset(address(six))), OWNER, six) == ["fd00::1"]


def test_rules_are_asked_about_everything_in_a_slice_of_another_type() -> None:
    write = endpoint_slice(endpoint(), address_type="FQDN")
    assert doubtful(write, OWNER, POD) == ["10.0.0.1"]


def test_rules_are_asked_about_everything_without_a_selector() -> None:
    assert doubtful(endpoints(subset(address())), manual_service(), POD, node()) == ["10.0.0.1"]
