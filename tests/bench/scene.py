"""The cluster that writes are judged in, and the writes: plain JSON, as an API server has it.

A tenant `shop` with a Service for each size, a tenant `bank`, and a few Nodes. A Pod is as long as
Pods are, some 5 kB with what the API server adds: probes, environment, volumes, conditions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests import builders

Json = dict[str, Any]

SIZES = (1, 2, 20, 100, 1000)
"""Addresses of the Endpoints that are written; there is a Service with as many Pods for each."""
SLICE_SIZE = 100
"""Endpoints of the slice that is written: what the control plane puts into one."""
TENANT = "shop"
OTHER_TENANT = "bank"
NAMED_PORT = "web-named"
"""A Service whose targetPort is a name, with the Pods of the Service of two."""
MANUAL = "database"
"""A Service without a selector."""
EXTERNAL_NAME = "elsewhere"
"""A Service of type ExternalName."""
PORT = {"name": "http", "port": 8080, "protocol": "TCP"}
_NODES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A write to be judged."""

    name: str
    """Such as "Endpoints 20 denied"; unique."""
    kind: str
    addresses: int
    allowed: bool
    """Whether it is to be allowed, by whoever judges."""
    object: Json


def service_of(size: int) -> str:
    """Return the name of the Service with so many Pods."""
    return f"web-{size}"


def namespaces() -> list[Json]:
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        for name in (TENANT, OTHER_TENANT)
    ]


def nodes(count: int = _NODES) -> list[Json]:
    return [node(number) for number in range(count)]


def node(number: int) -> Json:
    address = f"100.64.{number >> 8}.{number & 255}"
    return builders.node(f"node-{number}", address, zone="abc"[number % 3])


def services(sizes: Sequence[int] = SIZES) -> list[Json]:
    """One for each size, and one of each other sort."""
    named = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}]
    return [
        *(service(TENANT, service_of(size)) for size in sizes),
        service(TENANT, NAMED_PORT, selector={"app": service_of(2)}, ports=named),
        service(TENANT, MANUAL, selector=None),
        service(
            TENANT, EXTERNAL_NAME, type="ExternalName", externalName="db.example", selector=None
        ),
        service(OTHER_TENANT, "vault"),
    ]


def service(namespace: str, name: str, **spec: Any) -> Json:
    port = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": builders.given({"selector": {"app": name}, "ports": [port], **spec}),
    }


def pods(sizes: Sequence[int] = SIZES) -> Iterator[Json]:
    """Those of each Service, and the other tenant's one. Their addresses are all different."""
    owners = [(TENANT, service_of(size), n) for size in sizes for n in range(size)]
    for number, (namespace, app, n) in enumerate([*owners, (OTHER_TENANT, "vault", 0)]):
        yield pod(namespace, app, n, pod_address(number))


def pod_address(number: int) -> str:
    return f"10.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def pod(namespace: str, app: str, number: int, ip: str) -> Json:
    """A ready Pod as a Deployment makes it, with the status that its kubelet gives it."""
    node_number = number % _NODES
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{app}-7d9c6b5f4-{number:05d}",
            "namespace": namespace,
            "labels": {
                "app": app,
                "pod-template-hash": "7d9c6b5f4",
                "app.kubernetes.io/name": app,
                "app.kubernetes.io/part-of": "shop",
            },
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9102"},
        },
        "spec": {
            "nodeName": f"node-{node_number}",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [_container("main", 8080, "http"), _container("sidecar", 9102, "probe")],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
        },
        "status": _status(ip, node_number),
    }


def _container(name: str, port: int, port_name: str) -> Json:
    probe = {"httpGet": {"path": "/healthz", "port": port_name}, "periodSeconds": 10}
    return {
        "name": name,
        "image": f"registry.example/shop/{name}:v1.2.3",
        "ports": [{"name": port_name, "containerPort": port, "protocol": "TCP"}],
        "env": [{"name": f"SETTING_{n}", "value": f"value-{n}"} for n in range(3)],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        "livenessProbe": probe,
        "readinessProbe": probe,
        "volumeMounts": [{"name": "scratch", "mountPath": "/var/scratch"}],
    }


def _status(ip: str, node_number: int) -> Json:
    since = "2026-11-23T12:00:00Z"
    conditions = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")
    return {
        "phase": "Running",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "hostIP": f"100.64.0.{node_number}",
        "startTime": since,
        "qosClass": "Burstable",
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": since} for kind in conditions
        ],
        "containerStatuses": [
            {
                "name": name,
                "image": f"registry.example/shop/{name}:v1.2.3",
                "imageID": f"registry.example/shop/{name}@sha256:{'0123456789abcdef' * 4}",
                "containerID": f"containerd://{'0123456789abcdef' * 4}",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": since}},
            }
            for name in ("main", "sidecar")
        ],
    }


class Cluster:
    """The Pods as they are stored, with the uids that they were given."""

    def __init__(self, stored: Sequence[Json]) -> None:
        self._pods: dict[tuple[str, str], list[Json]] = {}
        for each in sorted(stored, key=lambda p: str(p["metadata"]["name"])):
            metadata: Mapping[str, Any] = each["metadata"]
            key = metadata["namespace"], metadata["labels"]["app"]
            self._pods.setdefault(key, []).append(each)

    def pods_of(self, size: int) -> list[Json]:
        """Return those of the Service with so many Pods."""
        return self._pods[TENANT, service_of(size)]

    @property
    def foreign_pod(self) -> Json:
        """The other tenant's."""
        return self._pods[OTHER_TENANT, "vault"][0]

    def writes(self, sizes: Sequence[int] = SIZES) -> list[Write]:
        """What is timed: for each size and for a slice, a good write and a bad one."""
        kinds = [*(("Endpoints", size) for size in sizes), ("EndpointSlice", SLICE_SIZE)]
        return [
            self._write(kind, size, allowed) for kind, size in kinds for allowed in (True, False)
        ]

    def _write(self, kind: str, size: int, allowed: bool) -> Write:
        listed = self.pods_of(size)
        if not allowed:
            listed = [*listed[:-1], self.impostor(listed[-1])]
        of_kind = endpoints if kind == "Endpoints" else endpoint_slice
        name = f"{kind} {size} {'allowed' if allowed else 'denied'}"
        written = of_kind(service_of(size), listed)
        return Write(name=name, kind=kind, addresses=size, allowed=allowed, object=written)

    def impostor(self, of: Json) -> Json:
        """Return what claims to be this Pod, and has the other tenant's address."""
        return {**of, "status": self.foreign_pod["status"]}


def endpoints(service: str, listed: Sequence[Json], **of_address: Any) -> Json:
    """Return the Endpoints of a Service with these Pods."""
    subset = builders.subset(
        *(builders.address(each, **of_address) for each in listed), ports=(PORT,)
    )
    return builders.endpoints(subset, name=service, namespace=TENANT)


def endpoint_slice(service: str, listed: Sequence[Json], **of_endpoint: Any) -> Json:
    """Return a slice of a Service with these Pods."""
    return builders.endpoint_slice(
        *(builders.endpoint(each, **of_endpoint) for each in listed),
        name=f"{service}-x7k2p",
        namespace=TENANT,
        of_service=service,
        ports=(PORT,),
    )
