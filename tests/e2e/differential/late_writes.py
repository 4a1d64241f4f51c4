"""The races, one by one: what changes between a controller's write and its judgement."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.api import Json
from tests.e2e.cluster import Namespace, fresh_ips, pod, service
from tests.e2e.differential.rows import Row

PORTS = [{"name": "http", "port": 80, "targetPort": 8080}]
WEB = {"app": "web"}
SPARE_NODE = "node-spare"


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """A change after which a write is late, and what the strict webhook then says of it."""

    row: Row
    change: Callable[[Namespace, Json], object]
    """Gets the Pod that the write names."""
    refused: set[str] = field(default_factory=set)
    """The rules that refuse it; none where it is only warned about, or not even that."""
    warned: set[str] = field(default_factory=set)
    kinds: tuple[str, ...] = ("Endpoints", "EndpointSlice")
    family: int = 0
    """Which of the Pod's addresses the write must list: the first, IPv4, or the second, IPv6."""
    ready: bool = True
    spec: Json = field(default_factory=dict)
    """Of the Service."""


def delete_pod(namespace: Namespace, web: Json) -> None:
    namespace.delete("Pod", "web-0").must()


def recreate_pod(namespace: Namespace, web: Json) -> None:
    delete_pod(namespace, web)
    namespace.run(pod("web-0", labels=WEB, node=SPARE_NODE), *ips_of(web))


def pass_address_on(namespace: Namespace, web: Json) -> None:
    delete_pod(namespace, web)
    namespace.run(pod("other", labels={"app": "other"}), *ips_of(web))


def pass_address_on_to_a_neighbour(namespace: Namespace, web: Json) -> None:
    delete_pod(namespace, web)
    neighbour = Namespace(namespace.api, f"{namespace.name}-neighbour")
    neighbour.run(pod("other", labels=WEB), *ips_of(web))


def ips_of(web: Json) -> list[str]:
    return [entry["ip"] for entry in web["status"]["podIPs"]]


def report(**state: Any) -> Callable[[Namespace, Json], object]:
    return lambda namespace, web: namespace.set_status("web-0", ips_of(web), **state)


def relabel(namespace: Namespace, web: Json) -> None:
    namespace.patch("Pod", "web-0", {"metadata": {"labels": {"app": "other"}}})


def terminate(namespace: Namespace, web: Json) -> None:
    namespace.delete("Pod", "web-0", gracePeriodSeconds=300).must()


def service_with(**spec: Any) -> Callable[[Namespace, Json], object]:
    return lambda namespace, web: namespace.patch("Service", "web", {"spec": spec})


def port_with(**fields: Any) -> Callable[[Namespace, Json], object]:
    return service_with(ports=[{**PORTS[0], **fields}])


def delete_service(namespace: Namespace, web: Json) -> None:
    namespace.delete("Service", "web").must()


def recreate_service(namespace: Namespace, web: Json) -> None:
    delete_service(namespace, web)
    namespace.create(service("web", selector={"app": "other"}, ports=PORTS))


def delete_node(namespace: Namespace, web: Json) -> None:
    namespace.api.delete("Node", "", SPARE_NODE).must()


EXTERNAL_NAME = {
    "type": "ExternalName",
    "externalName": "example.com",
    "clusterIP": None,
    "clusterIPs": None,
    "ipFamilies": None,
    "ipFamilyPolicy": None,
}
RACES = {
    "R2 the Pod is gone": Race(row=Row.POD_GONE, change=delete_pod, refused={"EG201", "EG303"}),
    "R3 the Pod was created anew": Race(
        row=Row.POD_RECREATED, change=recreate_pod, refused={"EG303"}
    ),
    "R4 another Pod has the address": Race(
        row=Row.IP_REUSED, change=pass_address_on, refused={"EG201", "EG303"}
    ),
    "R4 another namespace's Pod has the address": Race(
        row=Row.IP_REUSED, change=pass_address_on_to_a_neighbour, refused={"EG201", "EG303"}
    ),
    "R5 the Pod has other addresses": Race(
        row=Row.POD_IPS,
        change=lambda namespace, _: namespace.set_status("web-0", fresh_ips()),
        refused={"EG201", "EG304"},
    ),
    "R6 the Pod is no longer ready": Race(
        row=Row.READINESS, change=report(ready=False), warned={"EG203"}
    ),
    "R6 the Pod is ready by now": Race(
        row=Row.READINESS, change=report(ready=True), warned={"EG203"}, ready=False
    ),
    "R7 the Pod terminates": Race(
        row=Row.TERMINATING, change=terminate, warned={"EG203"}, kinds=("EndpointSlice",)
    ),
    "R8 the Pod has failed": Race(
        row=Row.TERMINAL,
        change=report(phase="Failed", ready=False),
        refused={"EG201", "EG304"},
    ),
    "R9 the Pod has other labels": Race(row=Row.POD_LABELS, change=relabel, refused={"EG201"}),
    "R10 the Service selects others": Race(
        row=Row.SELECTOR, change=service_with(selector={"app": "other"}), refused={"EG201"}
    ),
    "R11 another targetPort": Race(
        row=Row.PORTS, change=port_with(targetPort=9090), refused={"EG402"}
    ),
    "R11 another port name": Race(row=Row.PORTS, change=port_with(name="web"), refused={"EG401"}),
    "R11 another appProtocol": Race(
        row=Row.PORTS, change=port_with(appProtocol="http"), refused={"EG403"}
    ),
    "R12 publishNotReadyAddresses is off": Race(
        row=Row.PUBLISH_NOT_READY,
        change=service_with(publishNotReadyAddresses=False),
        warned={"EG203"},
        ready=False,
        spec={"publishNotReadyAddresses": True},
    ),
    "R13 the family is dropped": Race(
        row=Row.FAMILIES,
        change=service_with(ipFamilyPolicy="SingleStack", ipFamilies=["IPv4"], clusterIPs=["None"]),
        warned={"EG202"},
        kinds=("EndpointSlice",),
        family=1,
        spec={
            "clusterIP": "None",
            "ipFamilyPolicy": "RequireDualStack",
            "ipFamilies": ["IPv4", "IPv6"],
        },
    ),
    "R14 the Service is an ExternalName": Race(
        row=Row.NOT_SELECTING, change=service_with(**EXTERNAL_NAME), refused={"EG102"}
    ),
    "R15 the Service is gone": Race(row=Row.SERVICE_GONE, change=delete_service, warned={"EG101"}),
    "R16 the Service was created anew": Race(
        row=Row.SERVICE_RECREATED, change=recreate_service, refused={"EG201"}
    ),
    "R17 the Node is gone": Race(row=Row.NODE, change=delete_node),
}
