"""What people and operators legitimately write by hand is never denied.

Each case is a shape that is in the field; a comment says what a naive check would trip over. Where
an operator does what the default policy refuses on purpose, a profile must be enough.
"""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.builders import (
    LEADER,
    SKIP_MIRROR,
    Json,
    codes,
    empty_endpoints,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    findings,
    headless,
    manual_service,
    node,
    pod,
    pod_ref,
    port,
    request,
    service,
    service_port,
    state,
    subset,
)
from tests.core.controllers import mirrors_of
from webhook.core.engine import decide
from webhook.core.policy import parse_policy

OWN = pod("db-0", ip="10.0.0.20", labels={"app": "db"})
CLUSTER = (
    manual_service("web"),
    OWN,
    pod("web-1"),
    pod("vault-0", namespace="rival", ip="10.0.7.8"),
    node("node-1", "192.168.0.1", podCIDRs=["10.0.0.0/16"]),
)


def web(**fields: Any) -> Json:
    return manual_service("web", **fields)


LEGITIMATE: dict[str, tuple[Json, Sequence[Json]]] = {
    # The endpoint's port is the real one, not the Service's.
    "an external database": (
        endpoints(subset(external(), ports=[port(5432)])),
        [web(ports=[service_port(80)])],
    ),
    "an external database, by a slice": (
        endpoint_slice(external_endpoint(), ports=[port(5432)]),
        [web(ports=[service_port(80)])],
    ),
    "an external database, IPv6": (
        endpoint_slice(external_endpoint("2001:db8::7"), address_type="IPv6"),
        [web(ipFamilies=["IPv6"])],
    ),
    # A single unnamed port while the Service's port has a name, as conformance tests do.
    "a port without a name": (
        endpoints(subset(external("203.0.113.3"), ports=[port(80, name=None)])),
        [web(ports=[service_port(80, name="example")])],
    ),
    # Before the Service: manifests list Endpoints first.
    "Endpoints without a Service": (endpoints(subset(external("203.0.113.24"))), []),
    "a slice with a label of its own only": (
        endpoint_slice(
            external_endpoint("203.0.113.1", "203.0.113.2"),
            of_service=None,
            labels={"special-label": "x"},
            ports=[],
        ),
        [],
    ),
    "slices of one Service with a port each": (
        endpoint_slice(
            external_endpoint("10.0.0.20"),
            ports=[port(8090, name="port80")],
            labels={"endpointslice.kubernetes.io/managed-by": "e2e-test.example"},
        ),
        [web(ports=[service_port(80, name="port80"), service_port(81, name="port81")])],
    ),
    # A leader that publishes itself, with all that a controller would write.
    "a database's leader": (
        endpoints(
            subset(
                external(
                    "10.0.0.20",
                    hostname="db-0",
                    nodeName="node-1",
                    targetRef=pod_ref(OWN, resourceVersion="42"),
                )
            )
        ),
        CLUSTER,
    ),
    "a database's leader, bare": (endpoints(subset(external("10.0.0.20"))), CLUSTER),
    "state in annotations, no addresses": (
        empty_endpoints(name="db-config", annotations={"history": "[]"}),
        [web(**headless(ports=None))],
    ),
    "a lock of old client libraries": (
        empty_endpoints(name="provisioner", annotations={LEADER: '{"renewTime": "now"}'}),
        [],
    ),
    "one's own Pod in the middle of its deletion": (
        endpoints(subset(external("10.0.0.20", targetRef=pod_ref(OWN)))),
        [web(), pod("db-0", ip="10.0.0.20", labels={"app": "db"}, deleting=True, ready=False)],
    ),
    # The address of a second network is not in the Pod's status.
    "a Pod on a storage network": (
        endpoints(subset(external("172.30.9.9", targetRef=pod_ref(OWN)))),
        CLUSTER,
    ),
    # Port 1 is a placeholder of storage drivers.
    "a silly port": (endpoints(subset(external("203.0.113.40"), ports=[port(1)])), [web()]),
    # Port 0, and no targetRef, for an address of one's own virtual machine.
    "a virtual machine behind a Pod": (
        endpoint_slice(
            external_endpoint("10.0.0.20", nodeName="node-1", conditions={"ready": True}),
            ports=[port(0)],
        ),
        CLUSTER,
    ),
    # Every port has the gateway's number; names are kept.
    "the gateway of another cluster": (
        endpoints(
            subset(external("203.0.113.50"), ports=[port(4143), port(4143, name="admin")]),
        ),
        [web(ports=[service_port(80), service_port(9990, name="admin")])],
    ),
    "a control plane elsewhere": (
        endpoints(subset(external("203.0.113.60"), ports=[port(15012, name="tcp-istiod")])),
        [web(**headless(ports=[service_port(15012, name="tcp-istiod")]))],
    ),
    # hostname holds a Pod's uid.
    "an egress proxy": (
        endpoint_slice(external_endpoint("10.0.0.20", hostname="7d1b9c1e-0000-4000")),
        CLUSTER,
    ),
    # uid is empty, because the Pod has another one in its virtual cluster.
    "a virtual cluster's Pod": (
        endpoints(subset(external("10.0.0.20", targetRef=pod_ref(OWN, uid="")))),
        CLUSTER,
    ),
    # nodeName chooses the announcing node; there is no Pod.
    "a node name without a Pod": (
        endpoints(subset(external(nodeName="node-1"))),
        CLUSTER,
    ),
    "a dummy that makes a load balancer get an address": (
        endpoint_slice(external_endpoint("192.192.192.192"), ports=[port(9999, name="")]),
        [web(type="LoadBalancer")],
    ),
    "endpoints of another cluster, by labels of their own": (
        endpoint_slice(
            external_endpoint("203.0.113.70"),
            of_service=None,
            labels={
                "multicluster.kubernetes.io/service-name": "web",
                "multicluster.kubernetes.io/source-cluster": "b",
            },
        ),
        [],
    ),
    "a Service that has no ports to compare with": (
        endpoints(subset(external(), ports=[port(2049, name="nfs")])),
        [web(**headless(ports=None))],
    ),
    "addresses of both families in one object": (
        endpoints(subset(external(), external("2001:db8::7"))),
        [web(ipFamilies=["IPv4", "IPv6"])],
    ),
    "not ready yet": (endpoints(subset(waiting=[external()])), [web()]),
    "not to be mirrored": (
        endpoints(subset(external()), labels={SKIP_MIRROR: "true"}),
        [web()],
    ),
    "an own hostNetwork Pod's proxy in front of an own Pod": (
        endpoints(subset(external("10.0.0.20"))),
        [*CLUSTER, pod("proxy", ip="192.168.0.1", hostNetwork=True)],
    ),
}


@pytest.mark.parametrize(("write", "cluster"), LEGITIMATE.values(), ids=LEGITIMATE)
def test_what_is_legitimate_by_hand_is_not_denied(write: Json, cluster: Sequence[Json]) -> None:
    mirrors = mirrors_of(write) if write["kind"] == "Endpoints" else []
    for each in (write, *mirrors):
        assert codes(findings(each, *cluster), "deny") == set()


QUIET = {
    "an external database",
    "an external database, by a slice",
    "an external database, IPv6",
    "a database's leader",
    "a database's leader, bare",
    "state in annotations, no addresses",
    "a lock of old client libraries",
    "a silly port",
    "the gateway of another cluster",
    "a control plane elsewhere",
    "an egress proxy",
    "a virtual cluster's Pod",
    "a node name without a Pod",
    "a Service that has no ports to compare with",
    "addresses of both families in one object",
    "not ready yet",
    "not to be mirrored",
}


@pytest.mark.parametrize("name", sorted(QUIET))
def test_and_the_common_ones_do_not_even_earn_a_warning(name: str) -> None:
    write, cluster = LEGITIMATE[name]
    assert findings(write, *cluster) == ()


def account(namespace: str, name: str) -> str:
    return f"system:serviceaccount:{namespace}:{name}"


OPERATORS: dict[str, tuple[str, str, Json, Sequence[Json]]] = {
    "kubelets, with targetRef kind Node": (
        "prometheus-operator",
        account("monitoring", "prometheus-operator"),
        endpoints(
            subset(
                external(
                    "192.168.0.1",
                    targetRef={"kind": "Node", "name": "node-1", "uid": "u", "apiVersion": "v1"},
                    nodeName="node-1",
                ),
                ports=[port(10250, name="https-metrics")],
            )
        ),
        [web(**headless(ports=[service_port(10250, name="https-metrics")])), node()],
    ),
    "the activator, in the operator's own namespace": (
        "knative-serving",
        account("knative-serving", "controller"),
        endpoints(
            subset(
                external(
                    "10.0.9.1",
                    targetRef=pod_ref(pod("activator-0", namespace="knative-serving")),
                ),
                ports=[port(8012)],
            )
        ),
        [web(), pod("activator-0", namespace="knative-serving", ip="10.0.9.1")],
    ),
    "remote Pods of a Service with a selector": (
        "cilium-clustermesh",
        account("kube-system", "cilium-operator"),
        endpoint_slice(
            external_endpoint("10.9.0.1", targetRef=pod_ref(name="fake-pod-10.9.0.1", uid=None)),
            labels={
                "endpointslice.kubernetes.io/managed-by": (
                    "endpointslice-mesh-controller.cilium.io"
                ),
                "multicluster.kubernetes.io/source-cluster": "b",
            },
        ),
        [service("web"), pod()],
    ),
    "global addresses of other clusters": (
        "submariner-lighthouse",
        account("submariner-operator", "submariner-lighthouse-agent"),
        endpoint_slice(
            external_endpoint("242.0.0.5"),
            of_service=None,
            labels={"multicluster.kubernetes.io/service-name": "web"},
        ),
        [],
    ),
    "addresses of a second network, and of a node": (
        "ovn-kubernetes",
        account("ovn-kubernetes", "ovn-kubernetes-cluster-manager"),
        endpoint_slice(
            external_endpoint("10.200.0.7", targetRef=pod_ref(OWN)),
            external_endpoint("192.168.0.1"),
            of_service=None,
            labels={"k8s.ovn.org/service-name": "web"},
        ),
        CLUSTER,
    ),
    "Services of other clusters, where ranges overlap": (
        "antrea-multicluster",
        account("kube-system", "antrea-mc-controller"),
        endpoints(subset(external("172.20.0.99"))),
        [web(), service("vault", namespace="rival", clusterIP="172.20.0.99")],
    ),
}


@pytest.mark.parametrize(("profile", "user", "write", "cluster"), OPERATORS.values(), ids=OPERATORS)
def test_an_operator_that_does_more_needs_its_profile(
    profile: str, user: str, write: Json, cluster: Sequence[Json]
) -> None:
    known, policy = state(*cluster), parse_policy({"profiles": [{"name": profile}]})
    assert not decide(request(write, user=user), known, parse_policy({})).allowed
    assert decide(request(write, user=user), known, policy).allowed
    assert not decide(request(write, user="mallory"), known, policy).allowed
