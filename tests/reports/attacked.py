"""A cluster of several teams in which much is as it should be, and much is not.

    python -m tests.reports.attacked > cluster.yaml

What the HTML page is tried with.
"""

from collections.abc import Iterator

import yaml

from tests.builders import (
    POLICY,
    Json,
    address,
    cluster_role,
    cluster_role_binding,
    endpoint,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    group,
    manual_service,
    node,
    pod,
    pod_ref,
    policy_rule,
    port,
    role_binding,
    service,
    service_account,
    service_port,
    state,
    subset,
)
from webhook.core.audit import audit
from webhook.core.report import Report

NODES = tuple(node(f"node-{index}", f"192.168.0.{index}") for index in range(1, 5))
TEAMS = {"checkout": 1, "search": 2, "catalog": 3, "accounts": 4, "mail": 5}


def cluster() -> tuple[Json, ...]:
    """All of its objects."""
    parts = (
        NODES,
        _healthy(),
        _foreign(),
        _infrastructure(),
        _disagreeing(),
        _left_over(),
        _granted(),
    )
    return tuple(each for part in parts for each in part)


def report() -> Report:
    """What the audit says of it."""
    return Report(objects=tuple(audit(state(*cluster()), POLICY)))


def _app(name: str, namespace: str, ip: str) -> tuple[Json, Json]:
    labels = {"app": name}
    its = pod(f"{name}-0", namespace=namespace, ip=ip, labels=labels, node="node-1")
    return service(name, namespace=namespace, selector=labels), its


def _published(name: str, its: Json) -> tuple[Json, Json]:
    namespace = its["metadata"]["namespace"]
    return (
        endpoints(subset(address(its)), name=name, namespace=namespace),
        endpoint_slice(endpoint(its), name=f"{name}-x7k2p", namespace=namespace, of_service=name),
    )


def _healthy() -> Iterator[Json]:
    for team, number in TEAMS.items():
        for index, name in enumerate(("web", "api", "worker")):
            its_service, its_pod = _app(name, team, f"10.0.{number}.{index + 1}")
            yield from (its_service, its_pod, *_published(name, its_pod))
    yield manual_service("database", namespace="accounts")
    yield endpoints(
        subset(external("198.51.100.7"), ports=[port(5432)]), name="database", namespace="accounts"
    )


def _by_hand(name: str, namespace: str, *ips: str, number: int = 80) -> Iterator[Json]:
    yield manual_service(name, namespace=namespace, ports=None)
    listed = [external(ip) for ip in ips]
    yield endpoints(subset(*listed, ports=[port(number)]), name=name, namespace=namespace)


def _foreign() -> Iterator[Json]:
    """Services that lead to the Pods of others."""
    yield from _by_hand("cache", "checkout", "10.0.4.1", "10.0.4.2")
    yield from _by_hand("mirror", "sandbox", *(f"10.0.{n}.{i}" for n in (1, 2, 3) for i in (1, 2)))
    yield endpoint_slice(
        external_endpoint("10.0.4.3"), name="sneaky-1", namespace="sandbox", of_service="mirror"
    )


def _infrastructure() -> Iterator[Json]:
    """Services that lead to nodes, the metadata server, the API server, other Services."""
    yield from _by_hand("kubelets", "sandbox", *(f"192.168.0.{n}" for n in (1, 2, 3)), number=10250)
    yield from _by_hand("metadata", "sandbox", "169.254.169.254")
    yield from _by_hand("loopback", "mail", "127.0.0.1", number=8001)
    https = [service_port(443, name="https", targetPort=6443)]
    yield manual_service("kubernetes", namespace="default", clusterIP="172.20.0.1", ports=https)
    yield endpoints(
        subset(external("192.168.0.250"), ports=[port(6443, name="https")]),
        name="kubernetes",
        namespace="default",
    )
    yield from _by_hand("control", "sandbox", "192.168.0.250", number=6443)
    yield from _by_hand("detour", "search", "172.20.0.1", number=443)


def _disagreeing() -> Iterator[Json]:
    """Services with a selector whose endpoints are not what the control plane would write."""
    labels = {"app": "pay"}
    its = pod("pay-0", namespace="checkout", ip="10.0.1.9", labels=labels)
    yield from (service("pay", namespace="checkout", selector=labels), its)
    yield endpoints(
        subset(address(its), ports=[port(22)]),
        subset(external("10.0.4.9")),
        name="pay",
        namespace="checkout",
    )
    yield endpoint_slice(
        endpoint(its, targetRef=pod_ref(its, namespace="accounts"), nodeName="node-9"),
        name="pay-9qzvd",
        namespace="checkout",
        of_service="pay",
    )
    yield from _by_hand("nobody", "mail", "10.0.250.1")


def _left_over() -> Iterator[Json]:
    """What nobody cleaned up."""
    gone = pod("old-0", namespace="catalog", ip="10.0.3.77", labels={"app": "old"})
    yield manual_service("old", namespace="catalog")
    yield endpoint_slice(
        endpoint(gone),
        name="old-5hw2c",
        namespace="catalog",
        of_service="old",
        labels={"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
    )
    yield endpoints(subset(external("203.0.113.9")), name="forgotten", namespace="mail")
    for name in ("left", "right"):
        yield pod(f"twin-{name}", namespace="search", ip="10.0.2.50", labels={"app": "twin"})


def _granted() -> Iterator[Json]:
    """Who may do all of this."""
    yield cluster_role("endpoints-editor", policy_rule("endpoints"), policy_rule("endpointslices"))
    yield cluster_role_binding("everybody-edits", "endpoints-editor", group("developers"))
    yield role_binding(
        "sandbox-edits",
        "endpoints-editor",
        service_account("ci", namespace="sandbox"),
        namespace="sandbox",
        kind="ClusterRole",
    )


if __name__ == "__main__":
    print(yaml.safe_dump_all(cluster()), end="")
