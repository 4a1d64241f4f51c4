"""A user without trust copies what the controllers have written and changes one thing.

Whatever is changed, the copy is refused, as a new object and as an update of the real one, and for
the reason that fits. The copy with nothing changed is not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.api import Answer, Api, Json
from tests.e2e.cluster import (
    SERVICE_NAME,
    Namespace,
    endpoints,
    entries,
    eventually,
    fresh_ips,
    knows_foreign,
    pod,
    pod_address,
    pod_ref,
    service,
    stripped,
)
from tests.e2e.controlplane import ControlPlane
from tests.e2e.webhook_process import WebhookProcess, writer

pytestmark = pytest.mark.e2e

PORTS = (
    {"name": "http", "port": 80, "targetPort": "http"},
    {"name": "metrics", "port": 9090, "targetPort": 9090},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Two Services and their objects, the Pods behind them, and a neighbour's Pod."""

    mallory: Api
    originals: dict[str, Json]
    """By name: what a controller has written."""
    second: Json
    unselected: Json
    foreign: Json


@pytest.fixture(scope="module")
def scene(plane: ControlPlane, admin: Api, webhook: WebhookProcess) -> Iterator[Scene]:
    tenant = Namespace(admin, "mutations", "default")
    neighbour = Namespace(admin, "mutations-neighbour")
    tenant.create(service("web", selector={"app": "web"}, ports=PORTS))
    tenant.create(service("beside", selector={"app": "other"}))
    tenant.run(pod("web-1", labels={"app": "web"}, subdomain="web", hostname="one"))
    second = tenant.run(pod("web-2", labels={"app": "web"}, node="node-2"))
    unselected = tenant.run(pod("other", labels={"app": "other"}))
    foreign = neighbour.run(pod("vault", labels={"app": "vault"}))
    tenant.create(service("manual", ports=[{"port": 80}]))
    tenant.create(endpoints("manual", pod_address(unselected)))
    listed, sliced = eventually(lambda: complete(tenant, "web"))
    eventually(lambda: knows_foreign(tenant, foreign))
    mallory = Api(writer(plane, admin, "mallory"))
    yield Scene(
        mallory=mallory,
        originals={
            "Endpoints": listed,
            "EndpointSlice": sliced,
            "mirrored EndpointSlice": tenant.published("manual")[1],
        },
        second=second,
        unselected=unselected,
        foreign=foreign,
    )
    mallory.close()


def complete(tenant: Namespace, name: str) -> tuple[Json, Json] | None:
    """The Service's objects if each lists both Pods."""
    listed, sliced = tenant.published(name)
    return (listed, sliced) if len(entries(listed)) == len(entries(sliced)) == 2 else None


def first(written: Json) -> Json:
    """The entry that is changed: that of the Pod with a hostname, or the only one."""
    every = entries(written)
    return next((entry for entry in every if entry.get("hostname")), every[0])


def ports(written: Json) -> list[Json]:
    found: list[Json] = (
        written["ports"] if written["kind"] == "EndpointSlice" else written["subsets"][0]["ports"]
    )
    return found


def with_ip(choose: Callable[[Scene], str]) -> "Change":
    def change(written: Json, scene: Scene) -> None:
        key, value = ("ip", choose(scene)), ("addresses", [choose(scene)])
        first(written).update([value if written["kind"] == "EndpointSlice" else key])

    return change


def with_target(**fields: str) -> "Change":
    return lambda written, _: first(written)["targetRef"].update(fields)


def with_port(**fields: Any) -> "Change":
    return lambda written, _: ports(written)[0].update(fields)


def with_entry(**fields: str) -> "Change":
    return lambda written, _: first(written).update(fields)


def without(key: str) -> "Change":
    return lambda written, _: first(written).pop(key)


def as_the_neighbour(written: Json, scene: Scene) -> None:
    with_ip(ip_of("foreign"))(written, scene)
    first(written)["targetRef"] = pod_ref(scene.foreign)


def ip_of(which: str) -> Callable[[Scene], str]:
    return lambda scene: str(getattr(scene, which)["status"]["podIP"])


def one_port_more(written: Json, _: Scene) -> None:
    ports(written).append({"name": "debug", "protocol": "TCP", "port": 8080})


def no_port_number(written: Json, _: Scene) -> None:
    del ports(written)[0]["port"]


def one_entry_more(written: Json, scene: Scene) -> None:
    extra = pod_address(scene.foreign)
    if written["kind"] == "Endpoints":
        written["subsets"][0].setdefault("notReadyAddresses", []).append(extra)
    else:
        written["endpoints"].append({"addresses": [extra.pop("ip")], **extra})


def moved_to(service: str) -> "Change":
    return lambda written, _: written["metadata"]["labels"].update({SERVICE_NAME: service})


NODE_IP = "192.0.2.100"
Change = Callable[[Json, Scene], Any]

SELECTED: dict[str, tuple[Change, set[str]]] = {
    "the address of nobody": (with_ip(lambda _: fresh_ips()[0]), {"EG201", "EG304"}),
    "the address of a neighbour's Pod": (with_ip(ip_of("foreign")), {"EG201", "EG304"}),
    "the address of a Pod not selected": (with_ip(ip_of("unselected")), {"EG201", "EG304"}),
    "the address of another selected Pod": (with_ip(ip_of("second")), {"EG304"}),
    "the address of a Node": (with_ip(lambda _: NODE_IP), {"EG201", "EG304"}),
    "an address outside": (with_ip(lambda _: "198.51.100.9"), {"EG201", "EG304"}),
    "one entry more, of a neighbour's Pod": (one_entry_more, {"EG201", "EG302"}),
    "address and targetRef of a neighbour's Pod": (as_the_neighbour, {"EG201", "EG302"}),
    "another port number": (with_port(port=22), {"EG402"}),
    "another port name": (with_port(name="debug"), {"EG401"}),
    "another protocol": (with_port(protocol="UDP"), {"EG401"}),
    "another appProtocol": (with_port(appProtocol="kubernetes.io/h2c"), {"EG403"}),
    "one port more": (one_port_more, {"EG401"}),
    "targetRef.name of another selected Pod": (with_target(name="web-2"), {"EG303"}),
    "targetRef.name of nobody": (with_target(name="nobody"), {"EG303"}),
    "targetRef.namespace": (with_target(namespace="mutations-neighbour"), {"EG302"}),
    "targetRef.uid": (with_target(uid="00000000-0000-4000-8000-000000000000"), {"EG303"}),
    "targetRef.kind Node": (with_target(kind="Node"), {"EG305"}),
    "targetRef.kind Service": (with_target(kind="Service"), {"EG305"}),
    "no targetRef": (without("targetRef"), {"EG301"}),
    "another nodeName": (with_entry(nodeName="node-3"), {"EG204"}),
    "another hostname": (with_entry(hostname="two"), {"EG205"}),
    "no hostname": (without("hostname"), {"EG205"}),
}
SLICES_ONLY: dict[str, tuple[Change, set[str]]] = {
    "no port number": (no_port_number, {"EG402"}),
    "the label of another Service": (moved_to("beside"), {"EG201"}),
}
MIRRORED: dict[str, tuple[Change, set[str]]] = {
    "the address of a neighbour's Pod": (with_ip(ip_of("foreign")), {"EG501"}),
    "the address of a Node": (with_ip(lambda _: NODE_IP), {"EG502"}),
    "targetRef.namespace": (with_target(namespace="mutations-neighbour"), {"EG302"}),
    "targetRef.name of nobody": (with_target(name="nobody"), {"EG303"}),
    "targetRef.uid": (with_target(uid="00000000-0000-4000-8000-000000000000"), {"EG303"}),
    "the label of another Service": (moved_to("web"), {"EG201"}),
}
CASES = [
    pytest.param(kind, change, rules, id=f"{kind}: {name}")
    for kind, table in (
        ("Endpoints", SELECTED),
        ("EndpointSlice", SELECTED | SLICES_ONLY),
        ("mirrored EndpointSlice", MIRRORED),
    )
    for name, (change, rules) in table.items()
]


def write(mallory: Api, copy: Json, operation: str, *, dry_run: bool = False) -> Answer:
    if operation == "UPDATE":
        return mallory.replace(copy, dry_run=dry_run)
    # Admission comes before the API server looks whether the Endpoints exist.
    if copy["kind"] == "EndpointSlice":
        copy["metadata"]["name"] += "-copy"
    return mallory.create(copy, dry_run=dry_run)


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
@pytest.mark.parametrize(("kind", "change", "rules"), CASES)
def test_a_changed_copy_is_refused(
    scene: Scene, kind: str, change: Change, rules: set[str], operation: str
) -> None:
    copy = stripped(scene.originals[kind])
    change(copy, scene)
    answer = write(scene.mallory, copy, operation)
    assert answer.status in (403, 422), answer.message
    assert rules <= answer.rules, answer.message


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
@pytest.mark.parametrize("kind", ["Endpoints", "EndpointSlice", "mirrored EndpointSlice"])
def test_an_unchanged_copy_is_not(scene: Scene, kind: str, operation: str) -> None:
    copy = stripped(scene.originals[kind])
    answer = write(scene.mallory, copy, operation, dry_run=True)
    exists = kind == "Endpoints" and operation == "CREATE"
    assert answer.status == 409 if exists else answer.ok, answer.message
