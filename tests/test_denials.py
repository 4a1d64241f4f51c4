"""What is read before a denial is given: little, and enough that it is never given by mistake."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import cast

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.builders import (
    Json,
    address,
    endpoint,
    endpoint_slice,
    endpoints,
    external,
    manual_service,
    node,
    pod,
    port,
    request,
    service,
    state,
    subset,
)
from tests.fake_apiserver.wireless import Wireless
from tests.strategies import clusters, law, many_pods, writes
from webhook.cluster.api import ClusterApi
from webhook.cluster.confirm import confirm
from webhook.cluster.state import Condition, Confirmed
from webhook.core.decision import Decision, Indeterminate
from webhook.core.engine import decide
from webhook.core.excerpt import Excerpt
from webhook.core.inventory import Inventory
from webhook.core.objects import AdmissionRequest
from webhook.core.policy import Policy, parse_policy
from webhook.core.rule import Action
from webhook.core.rules import RULES
from webhook.server import Judge
from webhook.telemetry import Telemetry

slowly = settings(law, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
SHOP = "/api/v1/namespaces/shop"


class Counting(Wireless):
    """Remembers what was read."""

    def __init__(self, *cluster: Json) -> None:
        super().__init__(*cluster)
        self.read: list[str] = []

    def get(self, path: str, *, deadline: float) -> bytes | None:
        self.read.append(f"get {path}")
        return super().get(path, deadline=deadline)

    def list_all(self, path: str, *rest: object, **selectors: object) -> tuple[object, ...]:
        words = (selectors.get(f"{sort}_selector") for sort in ("label", "field"))
        self.read.append(" ".join(["list", path, *(str(word) for word in words if word)]))
        return super().list_all(path, *rest, **selectors)  # type: ignore[arg-type]


@dataclass(kw_only=True)
class Cluster:
    """What the cache knows, and what the API server has by now."""

    memory: Inventory
    now: Counting
    looks: list[Excerpt] = field(default_factory=list)

    def known(self) -> Inventory:
        return self.memory

    def confirmed(self, excerpt: Excerpt, deadline: float) -> Confirmed:
        self.looks.append(excerpt)
        return confirm(excerpt, self.memory, cast("ClusterApi", self.now), deadline)

    def may_restricted(self, request: AdmissionRequest, deadline: float) -> bool:
        return False

    def conditions(self) -> tuple[Condition, ...]:
        return ()

    def decide(
        self, asked: AdmissionRequest, policy: Policy | None = None
    ) -> Decision | Indeterminate:
        in_force = policy or Policy()
        return Judge(self, lambda: in_force, Telemetry()).decide(asked, monotonic() + 60)


def cluster_of(known: Sequence[Json], now: Sequence[Json] | None = None) -> Cluster:
    return Cluster(memory=state(*known), now=Counting(*(known if now is None else now)))


def asked(write: Json, old: Json | None) -> AdmissionRequest:
    return request(write, old if old is not None and old["kind"] == write["kind"] else None)


# --- What a denial costs

MANY = 1000
PODS = [pod(f"web-{n}", ip=f"10.1.{n // 250}.{n % 250 + 1}") for n in range(MANY)]
RIVAL = pod("vault-0", namespace="rival", ip="10.0.7.8")
ON_NODE = [
    pod(f"agent-{n}", namespace="rival", ip="192.168.0.1", hostNetwork=True) for n in range(20)
]
MANUAL = manual_service()
IMPOSTOR = address(PODS[-1], ip="10.0.7.8")
GET_SERVICE = f"get {SHOP}/services/web"
OUTSIDE = parse_policy({"external": {"allowedCIDRs": ["192.0.2.0/24"]}})
STRICT = parse_policy(
    {
        "podCIDRs": ["10.0.0.0/30"],
        "external": {"allowedCIDRs": ["10.0.0.0/8"], "allowedPorts": [80]},
        "rules": {"EG301": "off"},
    }
)
policies = st.sampled_from([Policy(), STRICT])
CHEAP: dict[str, tuple[Json, Sequence[Json], Policy, list[str]]] = {
    "a thousand addresses, one of them wrong": (
        endpoints(subset(*map(address, PODS[:-1]), IMPOSTOR)),
        (service(), RIVAL, *PODS),
        Policy(),
        [GET_SERVICE, f"get {SHOP}/pods/web-999"],
    ),
    "a slice of them": (
        endpoint_slice(*map(endpoint, PODS[:-1]), endpoint(PODS[-1], addresses=["10.0.7.8"])),
        (service(), RIVAL, *PODS),
        Policy(),
        [GET_SERVICE, f"get {SHOP}/pods/web-999"],
    ),
    "a thousand addresses, all wrong": (
        endpoints(subset(*(address(each, ip="10.0.7.8") for each in PODS))),
        (service(), RIVAL, *PODS),
        Policy(),
        [GET_SERVICE, f"get {SHOP}/pods/web-0"],
    ),
    "a thousand at a wrong port": (
        endpoints(subset(*map(address, PODS), ports=[port(22)])),
        (service(), *PODS),
        Policy(),
        [GET_SERVICE, f"get {SHOP}/pods/web-0"],
    ),
    "a thousand Pods that are gone": (
        endpoints(subset(*map(address, PODS))),
        (service(),),
        Policy(),
        [GET_SERVICE, f"get {SHOP}/pods/web-0"],
    ),
    "another tenant's, among a thousand of one's own": (
        endpoints(subset(*map(address, PODS), external("10.0.7.8"))),
        (MANUAL, RIVAL, *PODS),
        Policy(),
        [GET_SERVICE, "get /api/v1/namespaces/rival/pods/vault-0"],
    ),
    "a node, on whose network are many Pods": (
        endpoints(subset(external("192.168.0.1"))),
        (MANUAL, node(), *ON_NODE),
        Policy(),
        [GET_SERVICE, "get /api/v1/nodes/node-1"],
    ),
    "a thousand that nobody holds": (
        endpoints(subset(*(external(each["status"]["podIP"]) for each in PODS))),
        (MANUAL, node(podCIDRs=["10.1.0.0/16"])),
        Policy(),
        [GET_SERVICE, f"list {SHOP}/pods status.podIP=10.1.0.1"],
    ),
    "a thousand outside, where the policy allows none": (
        endpoints(subset(*(external(f"198.18.{n // 250}.{n % 250}") for n in range(MANY)))),
        (MANUAL, *PODS),
        OUTSIDE,
        [GET_SERVICE, f"list {SHOP}/pods status.podIP=198.18.0.0"],
    ),
    "a type that has no endpoints": (
        endpoints(subset(*map(address, PODS))),
        (service(type="ExternalName", selector=None, externalName="db.example"), *PODS),
        Policy(),
        [GET_SERVICE],
    ),
}


@pytest.mark.parametrize(("write", "cluster", "policy", "read"), CHEAP.values(), ids=CHEAP)
def test_a_denial_costs_a_few_reads_whatever_the_write(
    write: Json, cluster: Sequence[Json], policy: Policy, read: list[str]
) -> None:
    live = cluster_of(cluster)
    decision = live.decide(request(write), policy)
    assert isinstance(decision, Decision)
    assert not decision.allowed
    assert live.now.read == read
    assert decision.grounds is not None
    assert decision.grounds.live


@slowly
@given(clusters(), writes, writes, policies)
def test_one_look_is_enough_where_nothing_has_changed(
    cluster: list[Json], write: Json, old: Json, policy: Policy
) -> None:
    live, of = cluster_of(cluster), asked(write, old)
    decision = live.decide(of, policy)
    assert isinstance(decision, Decision)
    assert decision.findings == decide(of, live.memory, policy).findings
    assert len(live.looks) == (not decision.allowed)
    for look in live.looks:
        assert sum(len(part.addresses) for part in look.parts) <= 1


def test_the_address_that_is_new_is_looked_at_and_not_one_of_which_is_only_warned() -> None:
    """A wrong port is denied for what an update adds; the old addresses have it already."""
    wrong = [port(22)]
    write = endpoints(subset(*map(address, PODS[:3]), ports=wrong))
    old = endpoints(subset(*map(address, PODS[:2]), ports=wrong))
    live = cluster_of((service(), *PODS))
    decision = live.decide(request(write, old))
    assert isinstance(decision, Decision)
    assert not decision.allowed
    assert live.now.read == [GET_SERVICE, f"get {SHOP}/pods/web-2"]


# --- What becomes of it where the cache is behind


def test_an_absence_that_was_not_looked_at_denies_nothing() -> None:
    """The port is what is looked at first. It is right by now, and so is the address."""
    old_ports = [{"name": "old", "port": 80, "protocol": "TCP", "targetPort": 80}]
    live = cluster_of((service(ports=old_ports),), (service(), PODS[0]))
    write = endpoints(subset(external(PODS[0]["status"]["podIP"])))
    decision = live.decide(request(write), parse_policy({"rules": {"EG301": "off"}}))
    assert isinstance(decision, Decision)
    assert decision.allowed


@slowly
@given(clusters(), clusters(), writes, st.none() | writes, policies)
def test_no_write_is_denied_that_the_cluster_as_it_is_allows(
    before: list[Json], now: list[Json], write: Json, old: Json | None, policy: Policy
) -> None:
    assume(not any(len(pod_ips(each)) > 1 for each in now) or dual_stack(before))
    live, of = cluster_of(before, now), asked(write, old)
    decision = live.decide(of, policy)
    assert isinstance(decision, Decision)
    if not decision.allowed:
        assert not decide(of, state(*now), policy).allowed


THREE = PODS[:3]
some_of_them = st.lists(st.sampled_from(THREE), unique_by=id)


@law
@given(known=some_of_them, there=some_of_them, astray=some_of_them)
def test_a_denial_is_overturned_only_if_all_of_the_write_is_allowed_as_the_cluster_is(
    known: list[Json], there: list[Json], astray: list[Json]
) -> None:
    """Each Pod is known or not, there or not, and listed at its own address or at another's."""
    listed = (address(each, **({"ip": "10.0.7.8"} if each in astray else {})) for each in THREE)
    live = cluster_of((service(), *known), (service(), *there))
    of = request(endpoints(subset(*listed)))
    decision = live.decide(of)
    assert isinstance(decision, Decision)
    if not decide(of, live.memory, Policy()).allowed:
        assert decision.allowed == decide(of, state(service(), *there), Policy()).allowed


def pod_ips(manifest: Json) -> list[str]:
    return [each["ip"] for each in manifest["status"].get("podIPs", ())]


def dual_stack(cluster: Sequence[Json]) -> bool:
    """Whether the cache has heard of Pods with a second address of either family."""
    families = {":" in ip for each in cluster for ip in pod_ips(each)[1:]}
    return len(families) == 2


def test_pods_on_the_network_of_a_node_are_looked_at_once_the_node_is_gone() -> None:
    before = (MANUAL, node(), *ON_NODE)
    live = cluster_of(before, (MANUAL, ON_NODE[0]))
    decision = live.decide(request(endpoints(subset(external("192.168.0.1")))))
    assert isinstance(decision, Decision)
    denied = {f.rule.code for f in decision.findings if f.action is Action.DENY}
    assert denied == {"EG501"}


def test_a_thousand_new_pods_may_be_listed_at_once() -> None:
    live = cluster_of((service(),), (service(), *PODS))
    decision = live.decide(request(endpoints(subset(*map(address, PODS)))))
    assert isinstance(decision, Decision)
    assert decision.allowed
    assert live.now.read[-1] == f"list {SHOP}/pods app=web"
    assert len(live.now.read) == 4


def test_and_so_they_may_by_hand_without_naming_them() -> None:
    ranges = node(podCIDRs=["10.1.0.0/16"])
    live = cluster_of((MANUAL, ranges), (MANUAL, ranges, *PODS))
    write = endpoints(subset(*(external(each["status"]["podIP"]) for each in PODS)))
    decision = live.decide(request(write))
    assert isinstance(decision, Decision)
    assert decision.allowed
    assert live.now.read[-1] == f"list {SHOP}/pods"


def test_one_wrong_among_new_ones_is_found() -> None:
    """The first that is looked at turns out to be right: so all are looked at."""
    live = cluster_of((service(), RIVAL), (service(), RIVAL, *PODS))
    decision = live.decide(request(endpoints(subset(*map(address, PODS[:-1]), IMPOSTOR))))
    assert isinstance(decision, Decision)
    denied = {f.violation.field for f in decision.findings if f.action is Action.DENY}
    assert denied == {"subsets[0].addresses[999].ip", "subsets[0].addresses[999].targetRef"}


def test_where_the_cache_is_behind_nothing_is_reported_that_it_made_up() -> None:
    """It has not heard of any of the Pods, of which one is listed at a wrong address."""
    live = cluster_of((service(),), (service(), *PODS[:3]))
    write = endpoints(subset(address(PODS[0], ip="10.9.9.9"), address(PODS[1])))
    decision = live.decide(request(write))
    assert isinstance(decision, Decision)
    assert {finding.violation.field for finding in decision.findings} == {
        "subsets[0].addresses[0].ip",
        "subsets[0].addresses[0].targetRef",
    }


def test_a_new_pod_is_found_by_its_second_address() -> None:
    """The API server finds Pods by their first only."""
    known = (MANUAL, node(podCIDRs=["10.1.0.0/16"]), pod("old", ips=["fd00::1", "10.1.0.1"]))
    live = cluster_of(known, (*known, pod("new", ips=["fd00::2", "10.1.0.2"])))
    decision = live.decide(request(endpoints(subset(external("10.1.0.2")))))
    assert isinstance(decision, Decision)
    assert decision.allowed


# --- What tells whether all Pods have to be looked at


@slowly
@given(clusters(), many_pods("new"), writes, policies)
def test_only_rules_by_absence_are_content_once_a_pod_turns_up_at_an_address(
    cluster: list[Json], more: list[Json], write: Json, policy: Policy
) -> None:
    new = [
        each
        for each in more
        if each["metadata"]["namespace"] == "shop"
        and not any(set(pod_ips(each)) & set(pod_ips(other)) for other in cluster)
    ]

    def denied(*manifests: Json) -> set[tuple[str, str]]:
        of = request(write)
        found = decide(of, state(*manifests), policy).findings
        return {(f.rule.code, f.violation.field) for f in found if f.action is Action.DENY}

    gone = denied(*cluster) - denied(*cluster, *new)
    assert all(RULES[code].by_absence for code, _ in gone)
