"""What Kubernetes objects mean: the values that rules ask, made from JSON as it stands."""

from typing import Any

import pytest
from msgspec import json

from tests.builders import (
    LEADER,
    SKIP_MIRROR,
    WEB,
    Json,
    body,
    container,
    container_port,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    manual_service,
    node,
    pod,
    port,
    service,
    service_port,
    subject,
    subset,
)
from webhook.core.objects import (
    ContainerPort,
    Node,
    ObjectRef,
    Pod,
    Service,
    convert,
)
from webhook.core.objects.decoding import MOST_ENTRIES, MOST_LABELS
from webhook.core.objects.node import WireNode
from webhook.core.objects.pod import WirePod, named_ports, resolve_port
from webhook.core.objects.service import WireService

# --- Services


def a_service(**fields: Any) -> Service:
    return convert(service(**fields), WireService).compact()


def test_a_service_keeps_what_rules_ask_for() -> None:
    made = a_service(
        clusterIPs=["172.20.0.10", "fd00:10::a"],
        externalIPs=["203.0.113.5"],
        loadBalancerIP="203.0.113.6",
        ipFamilies=["IPv4", "IPv6"],
        publishNotReadyAddresses=True,
        status={"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}, {"hostname": "lb.example"}]}},
    )
    assert made.selector == {"app": "web"}
    assert made.cluster_ips == ("172.20.0.10", "fd00:10::a")
    assert made.public_ips == ("203.0.113.5", "203.0.113.7")
    assert made.families == ("IPv4", "IPv6")
    assert made.publish_not_ready
    assert made.has_selector


TARGET_PORTS = {
    "a number": (8080, 8080),
    "a name": ("http", "http"),
    "absent: the port itself": (None, 80),
    "0: the port itself": (0, 80),
    "an empty name: the port itself": ("", 80),
}


@pytest.mark.parametrize(("given", "meant"), TARGET_PORTS.values(), ids=TARGET_PORTS)
def test_target_port_defaults_as_in_the_api_server(given: Any, meant: int | str) -> None:
    made = a_service(ports=[service_port(80, targetPort=given)])
    assert made.ports[0].target_port == meant


def test_a_port_s_name_protocol_and_app_protocol_default_to_what_endpoints_would_carry() -> None:
    made = a_service(ports=[{"port": 53}])
    assert made.ports[0].key == ("", "TCP")
    assert made.ports[0].app_protocol == ""


SELECTORS: dict[str, tuple[dict[str, str] | None, dict[str, str], bool]] = {
    "every pair equal": ({"app": "web", "tier": "a"}, {"app": "web", "tier": "a", "x": "y"}, True),
    "one pair differs": ({"app": "web", "tier": "a"}, {"app": "web", "tier": "b"}, False),
    "one key missing": ({"app": "web", "tier": "a"}, {"app": "web"}, False),
    "an empty value needs its key": ({"app": ""}, {}, False),
    "an empty value that is there": ({"app": ""}, {"app": ""}, True),
    "no selector selects nothing": (None, {"app": "web"}, False),
    "an empty one cannot be stored, and selects nothing": ({}, {"app": "web"}, False),
    "no labels": ({"app": "web"}, {}, False),
}


@pytest.mark.parametrize(("selector", "labels", "chosen"), SELECTORS.values(), ids=SELECTORS)
def test_a_selector_is_equality_on_every_pair(
    selector: dict[str, str] | None, labels: dict[str, str], chosen: bool
) -> None:
    assert a_service(selector=selector).selects(labels) is chosen


OWNED_BY_THE_CONTROL_PLANE: dict[str, tuple[Json, bool]] = {
    "a selector": (service(), True),
    "none": (manual_service(), False),
    "an empty one": (service(selector={}), False),
    "an alias with a selector": (service(type="ExternalName", externalName="a.example"), False),
    "headless": (service(clusterIP="None"), True),
}


@pytest.mark.parametrize(
    ("manifest", "has"), OWNED_BY_THE_CONTROL_PLANE.values(), ids=OWNED_BY_THE_CONTROL_PLANE
)
def test_a_selector_says_who_writes_the_endpoints(manifest: Json, has: bool) -> None:
    assert convert(manifest, WireService).compact().has_selector is has


FAMILIES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "as given": ({"ipFamilies": ["IPv6", "IPv4"]}, ("IPv6", "IPv4")),
    "from the cluster IP": ({"clusterIP": "fd00:10::a"}, ("IPv6",)),
    "from both cluster IPs": ({"clusterIPs": ["172.20.0.10", "fd00:10::a"]}, ("IPv4", "IPv6")),
    "unknown where headless": ({"clusterIP": "None", "clusterIPs": ["None"]}, ()),
    "unknown before the API server has chosen": ({"clusterIP": ""}, ()),
}


@pytest.mark.parametrize(("spec", "families"), FAMILIES.values(), ids=FAMILIES)
def test_the_families_of_a_service(spec: dict[str, Any], families: tuple[str, ...]) -> None:
    assert a_service(**spec).families == families


def test_headless_is_no_address() -> None:
    assert a_service(clusterIP="None", clusterIPs=["None"]).cluster_ips == ()


TOO_MANY = MOST_LABELS + 1


def test_of_a_service_no_more_is_kept_than_anybody_needs() -> None:
    ports = [service_port(number, name=f"p{number}") for number in range(1, 5000)]
    public = [f"198.18.{number // 250}.{number % 250}" for number in range(5000)]
    made = a_service(
        ports=ports, externalIPs=public, selector={f"k{number}": "" for number in range(TOO_MANY)}
    )
    assert (len(made.ports), len(made.public_ips)) == (MOST_ENTRIES, MOST_ENTRIES)
    assert made.has_selector
    assert not made.selects({f"k{number}": "" for number in range(TOO_MANY)})


# --- Pods


def test_of_a_pod_no_more_is_kept_than_anybody_needs() -> None:
    many = [container_port(number, f"p{number}") for number in range(1, 5000)]
    labels = {f"k{number}": "" for number in range(TOO_MANY)}
    made = a_pod(labels=labels, containers=[container(*many)])
    assert (len(made.ports), made.labels) == (MOST_ENTRIES, {})
    assert made.ips == ("10.0.0.1",)


def a_pod(**fields: Any) -> Pod:
    return convert(pod(**fields), WirePod).compact()


def with_status(**status: Any) -> Pod:
    manifest = pod()
    manifest["status"].update(status)
    return convert(manifest, WirePod).compact()


POD_IPS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "both agree": ({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]}, ("10.0.0.1",)),
    "dual stack": (
        {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "FD00::1"}]},
        ("10.0.0.1", "fd00::1"),
    ),
    "podIP contradicts podIPs, and wins": (
        {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.2"}, {"ip": "fd00::1"}]},
        ("10.0.0.1",),
    ),
    "podIP alone": ({"podIP": "10.0.0.1", "podIPs": None}, ("10.0.0.1",)),
    "podIPs alone": ({"podIP": "", "podIPs": [{"ip": "10.0.0.1"}]}, ("10.0.0.1",)),
    "none yet": ({"podIP": "", "podIPs": []}, ()),
    "padded": ({"podIP": "010.0.0.1", "podIPs": [{"ip": "010.0.0.1"}]}, ("10.0.0.1",)),
    "mapped": ({"podIP": "::ffff:a00:1", "podIPs": [{"ip": "::ffff:a00:1"}]}, ("10.0.0.1",)),
}


@pytest.mark.parametrize(("status", "ips"), POD_IPS.values(), ids=POD_IPS)
def test_the_addresses_of_a_pod(status: dict[str, Any], ips: tuple[str, ...]) -> None:
    assert with_status(**status).ips == ips


READY: dict[str, tuple[list[Json] | None, bool]] = {
    "True": ([{"type": "Ready", "status": "True"}], True),
    "False": ([{"type": "Ready", "status": "False"}], False),
    "Unknown": ([{"type": "Ready", "status": "Unknown"}], False),
    "no such condition": ([{"type": "ContainersReady", "status": "True"}], False),
    "no condition": (None, False),
    "the first of that type decides": (
        [{"type": "Ready", "status": "False"}, {"type": "Ready", "status": "True"}],
        False,
    ),
}


@pytest.mark.parametrize(("conditions", "ready"), READY.values(), ids=READY)
def test_the_condition_ready_decides(conditions: list[Json] | None, ready: bool) -> None:
    assert with_status(conditions=conditions).ready is ready


PHASES = {"Pending": False, "Running": False, "Unknown": False, "": False}
PHASES |= {"Succeeded": True, "Failed": True}


@pytest.mark.parametrize(("phase", "terminal"), PHASES.items(), ids=PHASES)
def test_a_pod_that_has_ended_is_terminal(phase: str, terminal: bool) -> None:
    assert with_status(phase=phase).terminal is terminal


def test_a_pod_with_a_deletion_timestamp_is_deleting() -> None:
    assert a_pod(deleting=True).deleting
    assert not a_pod().deleting


SIDECAR = {"restartPolicy": "Always"}
NAMED_PORTS: dict[str, tuple[list[Json], list[Json], int | None]] = {
    "declared once": ([container(container_port(8080, "http"))], [], 8080),
    "by two containers: the first one counts": (
        [container(container_port(8080, "http")), container(container_port(9090, "http"))],
        [],
        8080,
    ),
    "with another protocol, and again": (
        [container(container_port(8080, "http", "UDP")), container(container_port(9090, "http"))],
        [],
        9090,
    ),
    "with another protocol only": ([container(container_port(8080, "http", "UDP"))], [], None),
    "by a restartable init container": (
        [container()],
        [container(container_port(9000, "http"), **SIDECAR)],
        9000,
    ),
    "by both: ordinary containers come first": (
        [container(container_port(8080, "http"))],
        [container(container_port(9000, "http"), **SIDECAR)],
        8080,
    ),
    "by an ordinary init container, which is over": (
        [container()],
        [container(container_port(9000, "http"))],
        None,
    ),
    "under another name": ([container(container_port(8080, "web"))], [], None),
    "without a name": ([container(container_port(8080))], [], None),
    "nowhere": ([container()], [], None),
}


@pytest.mark.parametrize(("containers", "init", "number"), NAMED_PORTS.values(), ids=NAMED_PORTS)
def test_a_named_target_port_is_looked_up_in_containers_then_in_sidecars(
    containers: list[Json], init: list[Json], number: int | None
) -> None:
    made = a_pod(containers=containers, initContainers=init)
    assert resolve_port("http", "TCP", named_ports(made.ports)) == number


def test_ephemeral_containers_offer_no_port() -> None:
    debug = [container(container_port(8080, "http"))]
    assert resolve_port("http", "TCP", named_ports(a_pod(ephemeralContainers=debug).ports)) is None


def test_a_numeric_target_port_needs_no_declaration() -> None:
    assert resolve_port(12345, "TCP", named_ports(a_pod().ports)) == 12345


def test_a_pod_keeps_what_rules_ask_for_and_nothing_else() -> None:
    assert a_pod(
        hostNetwork=True,
        hostname="web-1",
        subdomain="web",
        containers=[container(container_port(8080, "http"), container_port(9090))],
    ) == Pod(
        namespace="shop",
        name="web-1",
        uid="uid-of-shop-web-1",
        node_name="node-1",
        ips=("10.0.0.1",),
        labels={"app": "web"},
        ready=True,
        hostname="web-1",
        subdomain="web",
        host_network=True,
        ports=(ContainerPort(name="http", container_port=8080),),
    )


# --- Nodes


def test_a_node_keeps_its_addresses_and_pod_ranges() -> None:
    manifest = node("node-1", "192.168.0.1", "FD00:1::1", podCIDR="10.0.0.0/24")
    manifest["spec"]["podCIDRs"] = ["10.0.0.0/24", "fd00:0:1::/64"]
    assert convert(manifest, WireNode).compact() == Node(
        name="node-1",
        uid="uid-of-node-1",
        ips=("192.168.0.1", "fd00:1::1"),
        pod_cidrs=("10.0.0.0/24", "fd00:0:1::/64"),
    )


# --- Endpoints and EndpointSlices


def test_a_subset_lists_ready_and_waiting_addresses_under_their_own_paths() -> None:
    manifest = endpoints(
        subset(external("198.51.100.1")),
        subset(
            external("198.51.100.2"),
            waiting=[external("198.51.100.3"), external("198.51.100.4")],
        ),
    )
    listed = [each for part in subject(manifest).parts for each in part.addresses]
    assert [(each.path, each.address.text, each.ready) for each in listed] == [
        ("subsets[0].addresses[0].ip", "198.51.100.1", True),
        ("subsets[1].addresses[0].ip", "198.51.100.2", True),
        ("subsets[1].notReadyAddresses[0].ip", "198.51.100.3", False),
        ("subsets[1].notReadyAddresses[1].ip", "198.51.100.4", False),
    ]


def test_a_slice_lists_every_address_of_every_endpoint() -> None:
    manifest = endpoint_slice(
        external_endpoint("198.51.100.1", "198.51.100.2"),
        external_endpoint("198.51.100.3", conditions={"ready": False}),
    )
    (part,) = subject(manifest).parts
    assert [(each.path, each.address.text, each.ready) for each in part.addresses] == [
        ("endpoints[0].addresses[0]", "198.51.100.1", True),
        ("endpoints[0].addresses[1]", "198.51.100.2", True),
        ("endpoints[1].addresses[0]", "198.51.100.3", False),
    ]


CONDITIONS: dict[str, tuple[Json | None, bool]] = {
    "ready": ({"ready": True}, True),
    "not ready": ({"ready": False}, False),
    "ready is null: consumers read true": ({"ready": None}, True),
    "no condition": ({}, True),
    "no conditions at all": (None, True),
    "terminating, and published all the same": ({"ready": True, "terminating": True}, True),
}


@pytest.mark.parametrize(("conditions", "ready"), CONDITIONS.values(), ids=CONDITIONS)
def test_readiness_of_an_endpoint(conditions: Json | None, ready: bool) -> None:
    (part,) = subject(endpoint_slice(external_endpoint(conditions=conditions))).parts
    assert part.addresses[0].ready is ready


OWNERS: dict[str, tuple[Json, str]] = {
    "Endpoints: their own name": (endpoints(name="web"), "web"),
    "Endpoints: no label changes that": (
        endpoints(name="web", labels={"kubernetes.io/service-name": "other"}),
        "web",
    ),
    "a slice: its label": (endpoint_slice(name="other-abcde", of_service="web"), "web"),
    "a slice: never its name": (endpoint_slice(name="web", of_service=None), ""),
    "a slice: never its owner": (
        endpoint_slice(of_service=None, ownerReferences=[{"kind": "Service", "name": "web"}]),
        "",
    ),
}


@pytest.mark.parametrize(("manifest", "name"), OWNERS.values(), ids=OWNERS)
def test_which_service_owns_it(manifest: Json, name: str) -> None:
    assert subject(manifest).service_name == name


IN_EFFECT: dict[str, tuple[Json, bool]] = {
    "ordinary Endpoints": (endpoints(), True),
    "told not to": (endpoints(labels={SKIP_MIRROR: "true"}), False),
    "told in the wrong words": (endpoints(labels={SKIP_MIRROR: "True"}), True),
    "a leader-election lock": (endpoints(annotations={LEADER: ""}), False),
    "a slice, which needs no mirror": (endpoint_slice(labels={SKIP_MIRROR: "true"}), True),
    "a slice of a headless Service": (
        endpoint_slice(labels={"service.kubernetes.io/headless": ""}),
        False,
    ),
    "a slice for another proxy": (
        endpoint_slice(labels={"service.kubernetes.io/service-proxy-name": "x"}),
        False,
    ),
}


@pytest.mark.parametrize(("manifest", "in_effect"), IN_EFFECT.values(), ids=IN_EFFECT)
def test_whether_proxies_come_to_read_it(manifest: Json, in_effect: bool) -> None:
    assert subject(manifest).in_effect is in_effect


NAMES: dict[str, tuple[Json, str]] = {
    "by its name": (endpoints(), "Endpoints/shop/web"),
    "by its generateName while it has no name": (
        endpoint_slice(name="", generateName="web-"),
        "EndpointSlice/shop/web-",
    ),
}


@pytest.mark.parametrize(("manifest", "text"), NAMES.values(), ids=NAMES)
def test_how_an_object_is_called(manifest: Json, text: str) -> None:
    assert str(subject(manifest).ref) == text


def test_a_cluster_wide_object_has_no_namespace_in_its_name() -> None:
    assert str(ObjectRef("Node", "", "node-1")) == "Node/node-1"


def test_a_port_says_what_it_is() -> None:
    ports = subject(endpoint_slice(ports=[port(), port(name=""), port(None), {}])).parts[0].ports
    assert [str(each) for each in ports] == [
        "http:80/TCP",
        "80",
        "http:every port/TCP",
        "every port",
    ]
    assert [each.service_port for each in ports[1:3]] == [("", "TCP"), ("http", "TCP")]


def test_pods_of_one_owner_share_what_is_equal_in_them() -> None:
    """A cluster has 150,000 Pods: equal labels and ports are kept once."""
    texts = (
        body(pod(f"web-{n}", ip=f"10.0.0.{n}", containers=[container(container_port(80, "http"))]))
        for n in (1, 2)
    )
    one, other = (json.decode(text, type=WirePod).compact() for text in texts)
    assert (one.labels, one.ports) == (WEB, (ContainerPort("http", "TCP", 80),))
    assert one.labels is other.labels
    assert one.ports is other.ports
