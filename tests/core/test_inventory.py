"""What is known of the cluster can be asked for, whatever the order in which it became known."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.builders import (
    Json,
    empty_slice,
    endpoint_slice,
    endpoints,
    node,
    pod,
    service,
    state,
    subject,
    value_of,
)
from tests.strategies import IPV4, IPV6, NAMESPACES
from webhook.core.inventory import Inventory
from webhook.core.objects import ObjectRef, Pod


def names(pods: tuple[Pod, ...]) -> list[tuple[str, str]]:
    return [each.key for each in pods]


def test_an_object_is_found_by_its_name_in_its_own_namespace() -> None:
    known = state(service(), pod(), node(), endpoints(), endpoint_slice())
    assert known.service("shop", "web") == value_of(service())
    assert known.pod("shop", "web-1") == value_of(pod())
    assert known.node("node-1") == value_of(node())
    assert known.published(ObjectRef("Endpoints", "shop", "web")) == subject(endpoints())
    assert known.published(ObjectRef("EndpointSlice", "shop", "web-abcde")) is not None


def test_what_is_not_there_is_none() -> None:
    known = state(service(), pod(), node(), endpoints(), endpoint_slice())
    assert known.service("rival", "web") is None
    assert known.pod("rival", "web-1") is None
    assert known.node("node-2") is None
    assert known.published(ObjectRef("Endpoints", "rival", "web")) is None
    assert known.published(ObjectRef("EndpointSlice", "shop", "web")) is None
    assert known.live_pods_at("10.9.9.9") == ()
    assert known.nodes_at("10.9.9.9") == ()
    assert known.services_at("10.9.9.9") == ()


def test_pods_are_found_by_each_of_their_addresses_and_by_uid() -> None:
    known = state(pod(ips=["10.0.0.1", "fd00::1"]), pod("web-2", ip="10.0.0.2"))
    assert names(known.live_pods_at("10.0.0.1")) == [("shop", "web-1")]
    assert names(known.live_pods_at("fd00::1")) == [("shop", "web-1")]
    assert known.pod_with_uid("uid-of-shop-web-2") == value_of(pod("web-2", ip="10.0.0.2"))
    assert known.pod_with_uid("") is None


def test_pods_of_a_node_s_network_share_its_address() -> None:
    known = state(
        pod("a", ip="192.168.0.1", hostNetwork=True),
        pod("b", ip="192.168.0.1", hostNetwork=True, namespace="rival"),
    )
    assert names(known.live_pods_at("192.168.0.1")) == [("shop", "a"), ("rival", "b")]


def test_an_ended_pod_is_known_but_holds_no_address() -> None:
    known = state(pod("old", phase="Succeeded"), pod("new"), pod("older", phase="Failed"))
    assert names(known.live_pods_at("10.0.0.1")) == [("shop", "new")]
    assert known.pod("shop", "old") is not None


def test_services_are_found_by_cluster_external_and_load_balancer_address() -> None:
    manifest = service(
        clusterIPs=["172.20.0.10", "fd00:10::a"],
        externalIPs=["203.0.113.5"],
        status={"loadBalancer": {"ingress": [{"ip": "203.0.113.6"}]}},
    )
    known = state(manifest)
    for ip in ("172.20.0.10", "fd00:10::a", "203.0.113.5", "203.0.113.6"):
        assert known.services_at(ip) == (value_of(manifest),)


def test_a_headless_service_is_found_by_no_address() -> None:
    assert state(service(clusterIP="None")).services_at("None") == ()


def test_nodes_are_found_by_every_address_they_list() -> None:
    known = state(node("node-1", "192.168.0.1", "203.0.113.9"))
    assert [each.name for each in known.nodes_at("203.0.113.9")] == ["node-1"]


def test_the_latest_version_of_an_object_counts() -> None:
    known = state(pod(ip="10.0.0.1"), pod(ip="10.0.0.2", labels={"app": "other"}))
    assert known.live_pods_at("10.0.0.1") == ()
    assert [each.labels for each in known.live_pods_at("10.0.0.2")] == [{"app": "other"}]


def test_a_new_pod_of_the_same_name_is_found_by_its_own_uid_only() -> None:
    known = state(pod(uid="first"), pod(uid="second"))
    assert known.pod_with_uid("first") is None
    assert known.pod_with_uid("second") is not None


def test_what_is_removed_is_found_by_nothing() -> None:
    known = state(service(), pod(), node(), endpoints(), endpoint_slice())
    for kind, namespace, name in (
        ("Service", "shop", "web"),
        ("Pod", "shop", "web-1"),
        ("Node", "", "node-1"),
        ("Endpoints", "shop", "web"),
        ("EndpointSlice", "shop", "web-abcde"),
    ):
        known.remove(kind, namespace, name)
    assert known.service("shop", "web") is None
    assert known.services_at("172.20.0.10") == ()
    assert known.live_pods_at("10.0.0.1") == ()
    assert known.pod_with_uid("uid-of-shop-web-1") is None
    assert known.nodes_at("192.168.0.1") == ()
    assert known.published(ObjectRef("Endpoints", "shop", "web")) is None


def test_removing_what_is_not_there_is_fine() -> None:
    known = state(pod())
    known.remove("Pod", "shop", "web-2")
    assert known.live_pods_at("10.0.0.1")


def test_the_same_value_twice_is_there_once() -> None:
    known, value = Inventory(), value_of(pod())
    known.apply("Pod", value)
    known.apply("Pod", value)
    assert known.live_pods_at("10.0.0.1") == (value,)


def test_a_list_replaces_everything_of_its_kind_and_nothing_else() -> None:
    known = state(pod("a", ip="10.0.0.1"), pod("b", ip="10.0.0.2"), node())
    known.replace("Pod", [value_of(pod("b", ip="10.0.0.2")), value_of(pod("c", ip="10.0.0.3"))])
    assert [known.live_pods_at(f"10.0.0.{n}") != () for n in (1, 2, 3)] == [False, True, True]
    assert known.node("node-1") is not None


class _WatchedDict(dict[str, Any]):
    """Looks around after every change, as a reader in another thread might."""

    def __init__(self, look: Callable[[], None]) -> None:
        super().__init__()
        self._look = look

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._look()

    def pop(self, key: str, *default: Any) -> Any:
        value = super().pop(key, *default)
        self._look()
        return value


STAYS: dict[str, tuple[list[Json], list[Json]]] = {
    "a Pod becomes ready": ([pod(ready=False)], [pod(ready=True)]),
    "a Pod gets a second address": ([pod()], [pod(ips=["10.0.0.1", "fd00::1"])]),
    "a Pod loses its second address": ([pod(ips=["10.0.0.1", "fd00::1"])], [pod()]),
    "a Pod of that name is created anew": ([pod(uid="first")], [pod(uid="second")]),
    "one of two holders changes": ([pod("a"), pod("b")], [pod("a"), pod("b", ready=False)]),
}


@pytest.mark.parametrize("how", ["apply", "replace"])
@pytest.mark.parametrize(("before", "after"), STAYS.values(), ids=STAYS)
def test_an_address_that_stays_with_a_pod_is_never_unfindable(
    before: list[Json], after: list[Json], how: str
) -> None:
    seen: list[bool] = []
    known = Inventory()
    known._pods_by_ip._entries = _WatchedDict(lambda: seen.append(bool(known.live_pods_at(ip))))
    ip = "10.0.0.1"
    for manifest in before:
        known.apply("Pod", value_of(manifest))
    seen.clear()
    if how == "replace":
        known.replace("Pod", [value_of(manifest) for manifest in after])
    else:
        for manifest in after:
            known.apply("Pod", value_of(manifest))
    assert seen
    assert all(seen)


def test_readers_keep_what_they_were_given() -> None:
    known = state(pod())
    held = known.live_pods_at("10.0.0.1")
    known.remove("Pod", "shop", "web-1")
    assert names(held) == [("shop", "web-1")]


some_names = st.sampled_from(["a", "b"])
some_namespaces = st.sampled_from(NAMESPACES)
some_ips = st.lists(st.sampled_from((*IPV4[:2], *IPV6[:2])), max_size=2, unique=True)
UIDS = ("u-1", "u-2")


class InventoryMachine(RuleBasedStateMachine):
    """An inventory after any events equals one that was built from what is left."""

    @initialize()
    def begin(self) -> None:
        self.known = Inventory()
        self.left: dict[tuple[str, str, str], Json] = {}

    @rule(
        name=some_names,
        namespace=some_namespaces,
        ips=some_ips,
        uid=st.sampled_from(UIDS),
        phase=st.sampled_from(["Running", "Running", "Failed"]),
    )
    def pod_event(self, name: str, namespace: str, ips: list[str], uid: str, phase: str) -> None:
        self._apply(pod(name, namespace=namespace, ips=ips, uid=uid, phase=phase))

    @rule(name=some_names, namespace=some_namespaces, ip=st.sampled_from([*IPV4[:2], "None"]))
    def service_event(self, name: str, namespace: str, ip: str) -> None:
        self._apply(service(name, namespace=namespace, clusterIP=ip, externalIPs=[IPV4[0]]))

    @rule(name=some_names, ips=some_ips)
    def node_event(self, name: str, ips: list[str]) -> None:
        self._apply(node(name, *ips))

    @rule(name=some_names, namespace=some_namespaces, of_service=some_names)
    def published_event(self, name: str, namespace: str, of_service: str) -> None:
        self._apply(endpoints(name=name, namespace=namespace))
        self._apply(empty_slice(name=name, namespace=namespace, of_service=of_service))

    @rule(
        kind=st.sampled_from(["Pod", "Service", "Node", "Endpoints", "EndpointSlice"]),
        namespace=some_namespaces,
        name=some_names,
    )
    def deletion(self, kind: str, namespace: str, name: str) -> None:
        namespace = "" if kind == "Node" else namespace
        self.known.remove(kind, namespace, name)
        self.left.pop((kind, namespace, name), None)

    @rule(pods=st.lists(st.tuples(some_names, some_namespaces, some_ips), max_size=3))
    def relist_of_pods(self, pods: list[tuple[str, str, list[str]]]) -> None:
        listed = {(name, namespace): ips for name, namespace, ips in pods}
        made = [pod(name, namespace=space, ips=ips) for (name, space), ips in listed.items()]
        self.known.replace("Pod", [value_of(manifest) for manifest in made])
        self.left = {key: value for key, value in self.left.items() if key[0] != "Pod"}
        self.left.update({_key(manifest): manifest for manifest in made})

    @invariant()
    def equals_one_built_from_what_is_left(self) -> None:
        built = state(*self.left.values())
        assert _answers(self.known) == _answers(built)

    def _apply(self, manifest: Json) -> None:
        self.known.apply(manifest["kind"], value_of(manifest))
        self.left[_key(manifest)] = manifest


def _key(manifest: Json) -> tuple[str, str, str]:
    its = manifest["metadata"]
    return manifest["kind"], its.get("namespace", ""), its["name"]


def _answers(known: Inventory) -> dict[str, Any]:
    """Everything that can be asked; where several objects share a key, their order is free."""
    texts = ("a", "b")
    keys = [(namespace, name) for namespace in NAMESPACES for name in texts]
    ips = (*IPV4[:2], *IPV6[:2], "None")
    return {
        "services": [known.service(*key) for key in keys],
        "pods": [known.pod(*key) for key in keys],
        "nodes": [known.node(name) for name in texts],
        "published": [
            known.published(ObjectRef(kind, *key))
            for kind in ("Endpoints", "EndpointSlice")
            for key in keys
        ],
        "pods by address": [sorted(names(known.live_pods_at(ip))) for ip in ips],
        "nodes by address": [sorted(each.name for each in known.nodes_at(ip)) for ip in ips],
        "services by address": [
            sorted((each.namespace, each.name) for each in known.services_at(ip)) for ip in ips
        ],
        "uids": [(found := known.pod_with_uid(uid)) is not None and found.uid for uid in UIDS],
    }


InventoryMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=20, deadline=None
)
TestAnyHistory = InventoryMachine.TestCase
