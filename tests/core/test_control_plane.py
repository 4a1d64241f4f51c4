"""Whatever the control plane writes is right, as long as it agrees with the state.

Its controllers are trusted by name at admission; but `check` and `audit` judge what they wrote, and
a rule that finds fault with it is wrong. Each case is a state; the writes are computed from it by
`controllers`, a model of the controllers that shares no code with the rules.
"""

from collections.abc import Sequence

import pytest
from hypothesis import given

from tests.builders import (
    LEADER,
    SKIP_MIRROR,
    Json,
    codes,
    container,
    container_port,
    empty_endpoints,
    empty_slice,
    endpoint,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    findings,
    manual_service,
    node,
    pod,
    port,
    said,
    service,
    service_port,
    subset,
)
from tests.core.controllers import endpoints_for, mirrors_of, slices_for, truncated
from tests.strategies import law, many_pods, services

HTTP = service_port(80, targetPort="http")
ADMIN = service_port(81, name="admin", targetPort="admin")
ADMIN_PORT = container_port(8081, "admin")


def offering(*ports: Json) -> list[Json]:
    return [container(*ports)]


STATES: dict[str, tuple[Json, Sequence[Json]]] = {
    "a ready Pod": (service(), [pod()]),
    "a Pod that is not ready": (service(), [pod(ready=False)]),
    "ready and not ready Pods together": (
        service(),
        [pod(), pod("w-2", ip="10.0.0.2", ready=False)],
    ),
    "a Pod that is still pending, with an address": (
        service(),
        [pod(phase="Pending", ready=False)],
    ),
    "a Pod whose kubelet is silent": (service(), [pod(phase="Unknown", ready=False)]),
    "a terminating Pod": (service(), [pod(deleting=True)]),
    "a terminating Pod that is not ready any more": (service(), [pod(deleting=True, ready=False)]),
    "publishNotReadyAddresses, not ready": (
        service(publishNotReadyAddresses=True),
        [pod(ready=False)],
    ),
    "publishNotReadyAddresses, terminating": (
        service(publishNotReadyAddresses=True),
        [pod(deleting=True, ready=False)],
    ),
    "no Pod at all": (service(), []),
    "Pods that have ended": (service(), [pod(phase="Succeeded"), pod("w-2", phase="Failed")]),
    "an ended Pod whose address a new one has": (
        service(),
        [pod("old", phase="Failed"), pod("new")],
    ),
    "a Pod without an address": (service(), [pod(ips=[])]),
    "a targetPort that no container declares": (
        service(ports=[service_port(80, targetPort=8080)]),
        [pod(containers=offering())],
    ),
    "no targetPort: the port itself": (service(ports=[service_port(80, targetPort=None)]), [pod()]),
    "targetPort 0: the port itself": (service(ports=[service_port(80, targetPort=0)]), [pod()]),
    "an empty targetPort: the port itself": (
        service(ports=[service_port(80, targetPort="")]),
        [pod()],
    ),
    "a named targetPort": (
        service(ports=[HTTP]),
        [pod(containers=offering(container_port(8080, "http")))],
    ),
    "a named targetPort with another number on each Pod": (
        service(ports=[HTTP]),
        [
            pod("w-1", ip="10.0.0.1", containers=offering(container_port(8080, "http"))),
            pod("w-2", ip="10.0.0.2", containers=offering(container_port(9090, "http"))),
        ],
    ),
    "a named targetPort that two containers offer": (
        service(ports=[HTTP]),
        [
            pod(
                containers=[
                    container(container_port(8080, "http"), name="first"),
                    container(container_port(9090, "http"), name="second"),
                ]
            )
        ],
    ),
    "a named targetPort of a restartable init container": (
        service(ports=[HTTP]),
        [
            pod(
                initContainers=[container(container_port(9000, "http"), restartPolicy="Always")],
            )
        ],
    ),
    "a named targetPort of a sidecar and of a container": (
        service(ports=[HTTP]),
        [
            pod(
                initContainers=[container(container_port(9000, "http"), restartPolicy="Always")],
                containers=offering(container_port(8080, "http")),
            )
        ],
    ),
    "one name for TCP and UDP": (
        service(ports=[service_port(53, name="udp", protocol="UDP", targetPort="dns")]),
        [
            pod(
                containers=[
                    container(container_port(5301, "dns", "TCP")),
                    container(container_port(5302, "dns", "UDP")),
                ]
            )
        ],
    ),
    "the same number for TCP and UDP": (
        service(
            ports=[
                service_port(53, name="dns-tcp", targetPort=53),
                service_port(53, name="dns", protocol="UDP", targetPort=53),
            ]
        ),
        [pod()],
    ),
    "a Pod on which no port resolves": (service(ports=[HTTP]), [pod(containers=offering())]),
    "Pods on which different ports resolve: subsets are repacked": (
        service(ports=[HTTP, ADMIN, service_port(82, name="fixed", targetPort=8082)]),
        [
            pod("w-1", ip="10.0.0.1", containers=offering(container_port(8080, "http"))),
            pod("w-2", ip="10.0.0.2", containers=offering(ADMIN_PORT)),
            pod(
                "w-3", ip="10.0.0.3", containers=offering(container_port(8080, "http")), ready=False
            ),
        ],
    ),
    "SCTP": (service(ports=[service_port(80, protocol="SCTP")]), [pod()]),
    "a single port without a name": (service(ports=[service_port(80, name="")]), [pod()]),
    "appProtocol": (
        service(
            ports=[
                service_port(80, appProtocol="kubernetes.io/h2c"),
                service_port(81, name="plain"),
            ]
        ),
        [pod()],
    ),
    "dual stack": (
        service(ipFamilies=["IPv4", "IPv6"]),
        [pod(ips=["10.0.0.1", "fd00::1"]), pod("w-2", ip="10.0.0.2")],
    ),
    "dual stack, IPv6 first": (
        service(ipFamilies=["IPv6", "IPv4"], clusterIP="fd00:10::a"),
        [pod(ips=["10.0.0.1", "fd00::1"])],
    ),
    "single stack with dual-stack Pods": (
        service(ipFamilies=["IPv6"], clusterIP="fd00:10::a"),
        [pod(ips=["10.0.0.1", "fd00::1"])],
    ),
    "families that the API server never filled in": (service(), [pod(ips=["10.0.0.1", "fd00::1"])]),
    "headless": (service(clusterIP="None"), [pod(ips=["10.0.0.1", "fd00::1"])]),
    "headless with a targetPort": (
        service(clusterIP="None", ports=[service_port(80, targetPort=8080)]),
        [pod()],
    ),
    "headless without ports": (service(clusterIP="None", ports=None), [pod()]),
    "addresses that the Pod's status spells in another way": (
        service(ipFamilies=["IPv4", "IPv6"]),
        [pod(ips=["10.0.0.1", "FD00:0::0001"])],
    ),
    "Pods that share their node's address": (
        service(ports=[HTTP]),
        [
            pod(
                "w-1",
                ip="192.168.0.1",
                hostNetwork=True,
                containers=offering(container_port(8080, "http")),
            ),
            pod(
                "w-2",
                ip="192.168.0.1",
                hostNetwork=True,
                containers=offering(container_port(9090, "http")),
            ),
            pod("n-1", ip="192.168.0.1", hostNetwork=True, labels={"app": "other"}),
            pod("n-1", ip="192.168.0.1", hostNetwork=True, namespace="rival"),
        ],
    ),
    "hostname and subdomain": (
        service(clusterIP="None"),
        [pod("web-0", hostname="web-0", subdomain="web")],
    ),
    "hostname and subdomain, not headless": (service(), [pod(hostname="web-0", subdomain="web")]),
    "a hostname under another Service": (service(), [pod(hostname="web-0", subdomain="peers")]),
    "a hostname without a subdomain": (service(), [pod(hostname="web-0")]),
    "a subdomain without a hostname": (service(), [pod(subdomain="web")]),
    "Pods on different nodes": (service(), [pod(), pod("w-2", ip="10.0.0.2", node="node-2")]),
    "a selector with an empty value": (
        service(selector={"app": ""}),
        [pod(labels={"app": ""}), pod("w-2", ip="10.0.0.2", labels={})],
    ),
    "Pods of other Services and namespaces beside it": (
        service(),
        [
            pod(),
            pod("o-1", ip="10.0.0.2", labels={"app": "other"}),
            pod("web-1", ip="10.0.0.3", namespace="rival"),
        ],
    ),
}


@pytest.mark.parametrize(("owner", "pods"), STATES.values(), ids=STATES)
def test_no_rule_finds_fault_with_the_controllers(owner: Json, pods: Sequence[Json]) -> None:
    for write in (endpoints_for(owner, pods), *slices_for(owner, pods)):
        assert said(findings(write, owner, *pods)) == set()


@law
@given(services(), many_pods())
def test_no_rule_ever_finds_fault_with_the_controllers(owner: Json, pods: list[Json]) -> None:
    for write in (endpoints_for(owner, pods), *slices_for(owner, pods)):
        assert said(findings(write, owner, *pods)) == set()


@law
@given(services(), many_pods(), many_pods())
def test_a_slice_may_be_recycled_for_another_content(
    owner: Json, before: list[Json], pods: list[Json]
) -> None:
    """Ports, endpoints, labels and annotations are all replaced by one unconditional UPDATE."""
    old = slices_for(owner, before)[0]
    for write in slices_for(owner, pods):
        name = old["metadata"]["name"]
        recycled = {**write, "metadata": {**write["metadata"], "name": name}}
        assert said(findings(recycled, owner, *pods, old=old)) == set()


def test_a_truncated_list_is_no_violation() -> None:
    pods = [pod(f"web-{n}", ip=f"10.0.{n // 250}.{n % 250}", ready=n % 9 > 0) for n in range(1200)]
    cut = truncated(endpoints_for(service(), pods))
    assert len(cut["subsets"][0]["addresses"]) == 1000
    assert said(findings(cut, service(), *pods)) == set()


API_SERVER = [
    manual_service(
        "kubernetes",
        namespace="default",
        ports=[service_port(443, name="https", targetPort=6443)],
    ),
    node("control-plane-1", "192.168.0.1"),
]
"""API servers commonly run on nodes, and publish themselves by the node's address."""

OTHER_WRITES: dict[str, tuple[Json, Sequence[Json]]] = {
    "a placeholder slice, null lists": (empty_slice(), [service()]),
    "a placeholder slice, empty lists": (
        {**endpoint_slice(), "endpoints": [], "ports": []},
        [service()],
    ),
    "Endpoints without subsets, null": (empty_endpoints(), [service()]),
    "Endpoints without subsets, left out": (
        {k: v for k, v in endpoints().items() if k != "subsets"},
        [service()],
    ),
    "a legacy endpoint: resourceVersion and topology": (
        endpoint_slice(
            endpoint(
                targetRef={
                    "kind": "Pod",
                    "namespace": "shop",
                    "name": "web-1",
                    "uid": "uid-of-shop-web-1",
                    "resourceVersion": "42",
                },
                deprecatedTopology={"kubernetes.io/hostname": "node-1"},
                hints={"forZones": [{"name": "elsewhere"}], "forNodes": [{"name": "node-9"}]},
            )
        ),
        [service(), pod()],
    ),
    "a name and protocol that are left to their defaults": (
        endpoint_slice(ports=[{"port": 80}]),
        [service(ports=[{"port": 80}]), pod()],
    ),
    "an endpoint whose Pod has no node yet": (
        endpoint_slice(endpoint(nodeName=None)),
        [service(publishNotReadyAddresses=True), pod(node="")],
    ),
    "a leader-election lock without a Service": (
        empty_endpoints(name="lock", annotations={LEADER: "{}"}),
        [],
    ),
    "the API servers' own Endpoints": (
        endpoints(
            subset(external("192.168.0.1"), ports=[port(6443, name="https")]),
            name="kubernetes",
            namespace="default",
            labels={SKIP_MIRROR: "true"},
        ),
        API_SERVER,
    ),
    "the API servers' own slice": (
        endpoint_slice(
            external_endpoint("192.168.0.1", conditions={"ready": True}),
            name="kubernetes",
            namespace="default",
            of_service="kubernetes",
            ports=[port(6443, name="https")],
        ),
        API_SERVER,
    ),
}


@pytest.mark.parametrize(("write", "cluster"), OTHER_WRITES.values(), ids=OTHER_WRITES)
def test_nor_denies_what_else_the_control_plane_has_stored(
    write: Json, cluster: Sequence[Json]
) -> None:
    found = findings(write, *cluster, writer="")
    assert codes(found, "deny") == set()


MIRRORED_BY_HAND: dict[str, Json] = {
    "addresses outside": endpoints(subset(external())),
    "one's own Pods, with targetRef": endpoints(),
    "one's own Pods, bare": endpoints(subset(external("10.0.0.1"))),
    "several subsets for one address": endpoints(
        subset(external(), ports=[port(80)]), subset(external(), ports=[port(81, name="admin")])
    ),
    "not ready": endpoints(subset(waiting=[external()])),
    "no ports": endpoints(subset(external(), ports=None)),
}


@pytest.mark.parametrize("write", MIRRORED_BY_HAND.values(), ids=MIRRORED_BY_HAND)
def test_what_is_right_in_endpoints_is_right_in_their_mirror(write: Json) -> None:
    cluster = (
        manual_service(ports=[service_port(80), service_port(81, name="admin")]),
        pod(),
        node(),
    )
    for each in (write, *mirrors_of(write)):
        assert said(findings(each, *cluster)) == set()
