"""What a write says, address by address and port by port, and what it could have said.

The second half asks the tests' own model of the controllers, which knows nothing of the webhook:
given one version of the Service and one of the Pod, what would a controller write about that Pod?
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address

from tests.core.controllers import endpoints_for, mirrors_of, slices_for
from tests.e2e.api import Json
from tests.e2e.cluster import MANAGED_BY, Namespace
from tests.e2e.differential.history import Version

SLICES = "endpointslice-controller.k8s.io"

Port = tuple[str, str, int | None, str]
"""Name, protocol, number and appProtocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One address at one port, with everything that is said of it."""

    address: str
    conditions: tuple[bool | None, ...]
    """ready; in slices also serving and terminating."""
    hostname: str
    node: str
    target: tuple[str, str, str, str]
    """Kind, namespace, name and uid."""
    port: Port | None
    """None where there are no ports at all."""
    entry: str = field(compare=False)
    """Path of the entry, such as `subsets[0].addresses[1]` or `endpoints[3]`."""
    port_path: str = field(compare=False)
    """Path of the port, such as `subsets[0].ports[1]`; that of the list where there is none."""

    @property
    def uid(self) -> str:
        return self.target[3]


def claims(written: Json) -> list[Claim]:
    """Everything that Endpoints or a slice says."""
    return list(_of_slice(written) if written["kind"] == "EndpointSlice" else _of_subsets(written))


def _of_subsets(written: Json) -> Iterator[Claim]:
    for index, subset in enumerate(written.get("subsets") or []):
        part = f"subsets[{index}]"
        for key, ready in (("addresses", True), ("notReadyAddresses", False)):
            for place, entry in enumerate(subset.get(key) or []):
                where = f"{part}.{key}[{place}]"
                for port_path, port in _ports(subset, f"{part}.ports"):
                    yield _claim(entry, entry["ip"], (ready,), port, where, port_path)


def _of_slice(written: Json) -> Iterator[Claim]:
    for place, entry in enumerate(written.get("endpoints") or []):
        given = entry.get("conditions") or {}
        conditions = tuple(given.get(key) for key in ("ready", "serving", "terminating"))
        where = f"endpoints[{place}]"
        for port_path, port in _ports(written, "ports"):
            for address in entry["addresses"]:
                yield _claim(entry, address, conditions, port, where, port_path)


def _ports(part: Json, path: str) -> list[tuple[str, Port | None]]:
    return [
        (f"{path}[{index}]", _port(port)) for index, port in enumerate(part.get("ports") or [])
    ] or [(path, None)]


def _port(port: Json) -> Port:
    name, protocol = port.get("name") or "", port.get("protocol") or "TCP"
    return name, protocol, port.get("port"), port.get("appProtocol") or ""


def _claim(
    entry: Json,
    address: str,
    conditions: tuple[bool | None, ...],
    port: Port | None,
    where: str,
    port_path: str,
) -> Claim:
    target = entry.get("targetRef") or {}
    kind, namespace, name, uid = (
        target.get(key, "") for key in ("kind", "namespace", "name", "uid")
    )
    return Claim(
        address=str(ip_address(address)),
        conditions=conditions,
        hostname=entry.get("hostname") or "",
        node=entry.get("nodeName") or "",
        target=(kind, namespace, name, uid),
        port=port,
        entry=where,
        port_path=port_path,
    )


@cache
def could_say(kind: str, service: Version, pod: Version) -> frozenset[Claim]:
    """What a controller would write of this Pod under this Service."""
    spec = service.object["spec"]
    if not spec.get("selector") or spec["type"] == "ExternalName":
        return frozenset()
    if not pod.object["status"].get("podIPs"):
        return frozenset()
    if kind == "Endpoints":
        return frozenset(claims(endpoints_for(service.object, [pod.object])))
    slices = slices_for(service.object, [pod.object])
    return frozenset(claim for each in slices for claim in claims(each))


@cache
def could_mirror(endpoints: Version) -> frozenset[Claim]:
    """What the mirroring controller would write of these Endpoints."""
    mirrors = mirrors_of({"subsets": [], **endpoints.object})
    return frozenset(claim for each in mirrors for claim in claims(each))


def astray(namespace: Namespace, services: Iterable[str]) -> list[str]:
    """Where endpoints are not (yet) what the model says, given all that there is now."""
    pods = namespace.api.items("Pod", namespace.name)
    return [
        f"{name} {kind}: {'missing' if claim in wanted else 'too many'}: {claim}"
        for name in services
        for kind, wanted, published in _compared(namespace, name, pods)
        for claim in wanted ^ published
    ]


def _compared(
    namespace: Namespace, name: str, pods: list[Json]
) -> Iterator[tuple[str, set[Claim], set[Claim]]]:
    """For each kind, what should be published and what is."""
    service = namespace.get("Service", name)
    stored = namespace.endpoints(name) or {"kind": "Endpoints"}
    yield "Endpoints", set(claims(endpoints_for(service, pods))), set(claims(stored))
    slices = [s for s in namespace.slices(name) if s["metadata"]["labels"][MANAGED_BY] == SLICES]
    wanted = {claim for each in slices_for(service, pods) for claim in claims(each)}
    yield "EndpointSlice", wanted, {claim for each in slices for claim in claims(each)}
