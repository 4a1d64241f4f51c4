"""What tests put into the cluster: builders of plain JSON, and namespaces with a kubelet's hand.

There is no kubelet: `run` gives a Pod the status that one would have given it, and a Pod is gone at
once when it is deleted unless the deletion says otherwise.
"""

import itertools
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tests.e2e.api import Answer, Api, Json
from tests.e2e.webhook_process import JUDGED_BY

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLERS = "system:serviceaccount:kube-system:"
ENDPOINT_CONTROLLER = f"{CONTROLLERS}endpoint-controller"
SLICE_CONTROLLER = f"{CONTROLLERS}endpointslice-controller"
MIRRORING_CONTROLLER = f"{CONTROLLERS}endpointslicemirroring-controller"
NODES = ("node-1", "node-2", "node-3")

_numbers = itertools.count(1)
Found = TypeVar("Found")


def fresh_ips() -> tuple[str, str]:
    """An IPv4 and an IPv6 address that no other test has."""
    number = next(_numbers)
    return f"10.64.{number >> 8}.{number & 255}", f"fd00:64::{number:x}"


def eventually(
    condition: Callable[[], Found | None], seconds: float = 20.0, why: Callable[[], object] = str
) -> Found:
    """What `condition` returns, as soon as that is true; else fails, with what `why` returns."""
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert met, f"not within {seconds} s: {why()}"
    return met


def node(name: str, number: int, zone: str = "a") -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}},
        "status": {"addresses": [{"type": "InternalIP", "address": f"192.0.2.{100 + number}"}]},
    }


def service(
    name: str = "web",
    *,
    selector: Mapping[str, str] | None = None,
    ports: Sequence[Json] = ({"port": 80, "targetPort": 8080},),
    **spec: Any,
) -> Json:
    """A Service; without `selector` one whose endpoints people write."""
    chosen = {"selector": dict(selector)} if selector else {}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {"service": name}},
        "spec": {"ports": list(ports), **chosen, **spec},
    }


def pod(
    name: str,
    *,
    labels: Mapping[str, str],
    node: str = "node-1",
    ports: Iterable[Json] = ({"name": "http", "containerPort": 8080},),
    **spec: Any,
) -> Json:
    container = {"name": "main", "image": "main", "ports": list(ports)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {
            "nodeName": node,
            "containers": [container],
            "automountServiceAccountToken": False,
            **spec,
        },
    }


def status(ips: Sequence[str], *, ready: bool = True, phase: str = "Running") -> Json:
    """What a kubelet would say of a Pod."""
    return {
        "phase": phase,
        "podIP": ips[0] if ips else "",
        "podIPs": [{"ip": ip} for ip in ips],
        "conditions": [{"type": "Ready", "status": str(ready)}],
    }


def endpoints(name: str, *addresses: Json, ports: Sequence[Json] = ({"port": 8080},)) -> Json:
    subsets = [{"addresses": list(addresses), "ports": list(ports)}] if addresses else []
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": name},
        "subsets": subsets,
    }


def pod_address(of: Json, **fields: Any) -> Json:
    """An address of Endpoints that agrees with this Pod; a field given as None is left out."""
    entry = {
        "ip": of["status"]["podIP"],
        "nodeName": of["spec"]["nodeName"],
        "targetRef": pod_ref(of),
        **fields,
    }
    return {key: value for key, value in entry.items() if value is not None}


def pod_ref(of: Json) -> Json:
    its = of["metadata"]
    return {"kind": "Pod", **{key: its[key] for key in ("namespace", "name", "uid")}}


def entries(written: Json) -> list[Json]:
    """The entries of Endpoints or of a slice, ready or not."""
    if written["kind"] == "EndpointSlice":
        return list(written.get("endpoints") or [])
    return [
        entry
        for subset in written.get("subsets") or []
        for key in ("addresses", "notReadyAddresses")
        for entry in subset.get(key) or []
    ]


def stripped(stored: Json, **metadata: Any) -> Json:
    """A copy of a stored object that can be written anew: without what the server had added."""
    copy: Json = json.loads(json.dumps(stored))
    for key in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"):
        copy["metadata"].pop(key, None)
    copy["metadata"].update(metadata)
    return copy


class Namespace:
    """A namespace of a test."""

    def __init__(self, api: Api, name: str, *judged_by: str) -> None:
        self.api = api
        self.name = name
        labels = {f"{JUDGED_BY}-{webhook}": "yes" for webhook in judged_by}
        made = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": labels},
        }
        api.create(made).must()

    def placed(self, given: Json) -> Json:
        """The object, in this namespace."""
        return {**given, "metadata": {**given["metadata"], "namespace": self.name}}

    def create(self, given: Json) -> Json:
        return self.api.create(self.placed(given)).must()

    def run(self, given: Json, *ips: str, **state: Any) -> Json:
        """Create a Pod that runs with these addresses (new ones if none are given)."""
        # The service account of a new namespace comes a moment after it.
        eventually(lambda: self._created(given))
        return self.set_status(given["metadata"]["name"], ips or fresh_ips(), **state)

    def _created(self, given: Json) -> bool:
        answer = self.api.create(self.placed(given))
        if answer.status == 403 and "service account" in answer.message:
            return False
        return bool(answer.must())

    def set_status(self, name: str, ips: Sequence[str], **state: Any) -> Json:
        return self.patch("Pod", name, {"status": status(ips, **state)}, subresource="status")

    def patch(self, kind: str, name: str, change: Json, *, subresource: str = "") -> Json:
        return self.api.patch(kind, self.name, name, change, subresource=subresource).must()

    def delete(self, kind: str, name: str, **options: Any) -> Answer:
        return self.api.delete(kind, self.name, name, **options)

    def get(self, kind: str, name: str) -> Json:
        return self.api.get(kind, self.name, name).must()

    def endpoints(self, service: str) -> Json | None:
        """The Endpoints of a Service, once there are any."""
        answer = self.api.get("Endpoints", self.name, service)
        return answer.body if answer.ok else None

    def slices(self, service: str) -> list[Json]:
        selector = f"{SERVICE_NAME}={service}"
        return self.api.items("EndpointSlice", self.name, labelSelector=selector)

    def published(self, service: str, seconds: float = 20.0) -> tuple[Json, Json]:
        """A Service's Endpoints and the controller's one slice, as soon as both have an address."""

        def both() -> tuple[Json, Json] | None:
            listed = self.endpoints(service)
            slices = [s for s in self.slices(service) if MANAGED_BY in s["metadata"]["labels"]]
            if listed and listed.get("subsets") and any(s.get("endpoints") for s in slices):
                return listed, next(s for s in slices if s.get("endpoints"))
            return None

        return eventually(both, seconds)


NewNamespace = Callable[..., Namespace]
"""The fixture `new_namespace`: takes the names of the webhooks that are to judge it."""


def refuses(probe: Namespace) -> bool:
    """Whether a webhook refuses what is wrong in this namespace."""
    ref = {"kind": "Pod", "namespace": "kube-system", "name": "x"}
    bad = endpoints("bad", {"ip": "198.51.100.1", "targetRef": ref})
    return "EG302" in probe.api.create(probe.placed(bad), dry_run=True).rules


def knows_foreign(probe: Namespace, of: Json) -> bool:
    """Whether the webhook has heard of this Pod, whose address is not for this namespace."""
    claiming = endpoints("foreign", {"ip": of["status"]["podIP"]})
    return "EG501" in probe.api.create(probe.placed(claiming), dry_run=True).rules


def slice_by_hand(namespace: Namespace, address: Json, *, name: str = "") -> Json:
    """A slice of the Service `web` with this address, as a person would write it."""
    ref = address["targetRef"]
    entry = {"addresses": [address["ip"]], "nodeName": address["nodeName"], "targetRef": ref}
    metadata = {"name": name or f"by-hand-{ref['name']}", "labels": {SERVICE_NAME: "web"}}
    return namespace.placed(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata,
            "addressType": "IPv4",
            "endpoints": [entry],
            "ports": [{"name": "", "protocol": "TCP", "port": 8080}],
        }
    )
