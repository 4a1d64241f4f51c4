"""A cluster as people keep it, and a scripted attack on it: what an audit has to find, and no more.

`peace` is what must not be blamed: Services with and without a selector, headless, external, a
Service without Pods. `attack` is done to it by tenants who may write endpoints, and by an
administrator who grants too much. Both return when the control plane has followed.
"""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.e2e.api import Api, Json
from tests.e2e.cluster import (
    NODES,
    SERVICE_NAME,
    Namespace,
    endpoints,
    eventually,
    node,
    pod,
    pod_ref,
    service,
)
from tests.e2e.controlplane import ControlPlane

SHOP, RIVAL = "shop", "rival"
NODE_ADDRESS = "192.0.2.101"
METADATA_ADDRESS = "100.100.100.200"
RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Two tenants of one cluster."""

    api: Api
    shop: Namespace
    rival: Namespace
    vault: Json
    """A Pod of the rival, which the shop has no business with."""


def make_nodes(api: Api) -> None:
    """The Nodes on which Pods run, the first of them at `NODE_ADDRESS`."""
    for number, name in enumerate(NODES, 1):
        made = node(name, number)
        api.create(made).must()
        api.patch("Node", "", name, {"status": made["status"]}, subresource="status").must()


def peace(api: Api) -> Scene:
    """Make the tenants and what they run, and wait until it is published."""
    shop, rival = Namespace(api, SHOP), Namespace(api, RIVAL)
    for name in ("web", "api"):
        shop.create(service(name, selector={"app": name}))
        for number in range(3):
            shop.run(pod(f"{name}-{number}", labels={"app": name}))
    shop.create(service("cluster-db", selector={"app": "api"}, clusterIP="None"))
    shop.create(service("nobody", selector={"app": "nobody"}))
    shop.create(service("database"))
    shop.create(endpoints("database", {"ip": "198.51.100.7"}, ports=[{"port": 8080}]))
    rival.create(service("vault", selector={"app": "vault"}))
    vault = rival.run(pod("vault-0", labels={"app": "vault"}))
    for namespace, name in ((shop, "web"), (shop, "api"), (shop, "cluster-db"), (rival, "vault")):
        namespace.published(name)
    eventually(lambda: shop.slices("database"))
    return Scene(api=api, shop=shop, rival=rival, vault=vault)


def attack(scene: Scene) -> frozenset[tuple[str, str]]:
    """Do it; gives what an audit must find, as object (without what is random in its name) and
    rule.
    """
    return frozenset(
        finding
        for step in (
            _foreign_pod,
            _node,
            _metadata,
            _stale,
            _selector_removed,
            _second_writer,
            _broad_role,
        )
        for finding in step(scene)
    )


Found = set[tuple[str, str]]


def slice_for(service_name: str, name: str, *entries: Json, port: int = 8080) -> Json:
    """A slice by hand."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {SERVICE_NAME: service_name}},
        "addressType": "IPv4",
        "endpoints": list(entries),
        "ports": [{"port": port, "protocol": "TCP"}],
    }


def _foreign_pod(scene: Scene) -> Found:
    """Endpoints lead to the rival's Pod; the control plane itself mirrors them into a slice."""
    shop, address = scene.shop, scene.vault["status"]["podIP"]
    shop.create(service("stolen"))
    shop.create(endpoints("stolen", {"ip": address}))
    eventually(lambda: any(each.get("endpoints") for each in shop.slices("stolen")))
    return {("Endpoints/shop/stolen", "EG501"), ("EndpointSlice/shop/stolen-*", "EG501")}


def _node(scene: Scene) -> Found:
    """A slice leads to the kubelet of a node."""
    scene.shop.create(service("kubelet"))
    scene.shop.create(slice_for("kubelet", "kubelet-1", {"addresses": [NODE_ADDRESS]}, port=10250))
    return {("EndpointSlice/shop/kubelet-1", "EG502")}


def _metadata(scene: Scene) -> Found:
    """A slice leads to the metadata server of a cloud; the API server refuses only link-local."""
    scene.shop.create(service("cloud"))
    scene.shop.create(slice_for("cloud", "cloud-1", {"addresses": [METADATA_ADDRESS]}))
    return {("EndpointSlice/shop/cloud-1", "EG505")}


def _stale(scene: Scene) -> Found:
    """Endpoints by hand outlive the Pod that they were written for."""
    shop = scene.shop
    shop.create(service("legacy"))
    old = shop.run(pod("legacy-0", labels={"app": "legacy"}))
    entry = {"addresses": [old["status"]["podIP"]], "targetRef": pod_ref(old)}
    shop.create(slice_for("legacy", "legacy-1", entry))
    shop.delete("Pod", "legacy-0").must()
    eventually(lambda: shop.api.get("Pod", SHOP, "legacy-0").status == 404)
    return {("EndpointSlice/shop/legacy-1", code) for code in ("EG303", "EG601")}


def _selector_removed(scene: Scene) -> Found:
    """Without its selector a Service keeps what was published, for ever."""
    shop = scene.shop
    shop.create(service("frozen", selector={"app": "frozen"}))
    shop.run(pod("frozen-0", labels={"app": "frozen"}))
    shop.published("frozen")
    shop.patch("Service", "frozen", {"spec": {"selector": None}})
    return {("Endpoints/shop/frozen", "EG602"), ("EndpointSlice/shop/frozen-*", "EG602")}


def _second_writer(scene: Scene) -> Found:
    """A slice by hand shadows a Service with a selector: part of its traffic goes elsewhere."""
    shop = scene.shop
    thief = shop.run(pod("thief-0", labels={"app": "thief"}))
    entry = {"addresses": [thief["status"]["podIP"]], "targetRef": pod_ref(thief)}
    shop.create(slice_for("web", "web-2", entry))
    return {("EndpointSlice/shop/web-2", "EG201")}


def _broad_role(scene: Scene) -> Found:
    """An administrator makes a service account admin of everything, to be done with it."""
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": SHOP}
    binding: Mapping[str, Any] = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "just-make-it-work"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [subject],
    }
    scene.api.create(dict(binding)).must()
    return {("ClusterRoleBinding/just-make-it-work", "EG604")}


def main(*formats: str) -> None:
    """`python -m tests.e2e.attack html=audit.html text`: what an audit says after the attack."""
    with ControlPlane.start() as plane:
        api = Api(plane.kubeconfig())
        make_nodes(api)
        attack(peace(api))
        outputs = [flag for each in formats for flag in ("-o", each)]
        command = (sys.executable, "-m", "webhook", "audit", "--fail-on", "never", *outputs)
        subprocess.run((*command, "--kubeconfig", str(plane.kubeconfig())), check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
