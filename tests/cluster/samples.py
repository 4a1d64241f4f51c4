"""Pods and stores, as small as the tests of this folder need them."""

from collections.abc import Iterable
from typing import Any

import msgspec

from tests.fake_apiserver import FakeApiServer
from webhook.cluster.api import ClusterApi, connect
from webhook.cluster.decoding import Resource
from webhook.cluster.informer import Informer
from webhook.cluster.listwatch import Pace

PODS = "/api/v1/pods"
FAST = Pace(first_delay=0.005, longest_delay=0.05, settled=0.2, page=3)
"""Recovers within a fraction of a second; a list of more than three Pods has pages."""


class Metadata(msgspec.Struct, frozen=True):
    name: str
    namespace: str = ""


class Spec(msgspec.Struct, frozen=True, rename="camel"):
    node_name: str = ""


class WirePod(msgspec.Struct, frozen=True):
    metadata: Metadata
    spec: Spec = Spec()


class Pod(msgspec.Struct, frozen=True):
    namespace: str
    name: str
    node: str


def compact(wire: WirePod) -> Pod:
    if wire.spec.node_name == "refused":
        raise ValueError("spec.nodeName: refused")
    return Pod(wire.metadata.namespace, wire.metadata.name, wire.spec.node_name)


POD = Resource(kind="Pod", path=PODS, wire=WirePod, convert=compact)


def pod(name: str, node: Any = "node-1") -> dict[str, Any]:
    """As JSON; a node that is not text makes it undecodable."""
    return {"metadata": {"name": name, "namespace": "team"}, "spec": {"nodeName": node}}


class KeyedStore:
    """The least that a store can be, and what it was told."""

    def __init__(self) -> None:
        self.pods: dict[str, str] = {}
        self.replaced = 0

    def replace(self, kind: str, values: Iterable[Any]) -> None:
        assert kind == "Pod"
        self.pods = {pod.name: pod.node for pod in values}
        self.replaced += 1

    def apply(self, kind: str, value: Pod) -> None:
        assert kind == "Pod"
        self.pods[value.name] = value.node

    def remove(self, kind: str, namespace: str, name: str) -> None:
        assert (kind, namespace) == ("Pod", "team")
        self.pods.pop(name, None)


def decodable(server: FakeApiServer) -> dict[str, str]:
    """What a store should hold of this server."""
    found = {}
    for (_, name), obj in server.state.objects(PODS).items():
        node = obj["spec"]["nodeName"]
        if isinstance(node, str) and node != "refused":
            found[name] = node
    return found


def api_of(server: FakeApiServer) -> ClusterApi:
    return connect(kubeconfig=server.kubeconfig)


def informer_of(server: FakeApiServer, store: KeyedStore, pace: Pace = FAST) -> Informer:
    return Informer(api_of(server), POD, store, pace=pace)
