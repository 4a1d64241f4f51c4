"""What the control plane writes, computed from the state: the tests' own model of its controllers.

Follows the endpoints, endpointslice and mirroring controllers of Kubernetes 1.36 in everything that
a rule looks at (selection, family, ports, readiness, hostname), written for clarity and independent
of `webhook.core`. Works on plain JSON, as the API server would send it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from itertools import groupby
from typing import Any

from tests.builders import SERVICE_NAME, Json, given, pod_ref

ENDPOINTS_LIMIT = 1000


def family(ip: str) -> str:
    return f"IPv{ip_address(ip).version}"


def endpoints_for(service: Json, pods: Iterable[Json]) -> Json:
    """The endpoints controller's object: subsets repacked, in no meaningful order."""
    per_port: dict[tuple[Any, ...] | None, set[tuple[str, bool]]] = defaultdict(set)
    entries: dict[str, Json] = {}
    publish = service["spec"].get("publishNotReadyAddresses", False)
    for pod in _selected(service, pods):
        if "deletionTimestamp" in pod["metadata"] and not publish:
            continue
        ip = next((ip for ip in _ips(pod) if family(ip) == _primary(service, pod)), "")
        if not ip:
            continue
        uid = pod["metadata"]["uid"]
        entries[uid] = _entry(service, pod, ip)
        portless = () if service["spec"].get("ports") else (None,)
        for port in (*_ports(service, pod), *portless):
            per_port[port].add((uid, publish or _ready(pod)))
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {key: service["metadata"][key] for key in ("name", "namespace")},
        "subsets": list(_repacked(per_port, entries)),
    }


def slices_for(
    service: Json, pods: Iterable[Json], nodes: Iterable[Json] | None = None
) -> list[Json]:
    """The endpointslice controller's objects: one for each family and list of ports.

    Where `nodes` are given, Pods of others are left out until their Node appears.
    """
    pods, made = list(_on(nodes, service, pods)), list[Json]()
    for address_type in _address_types(service):
        groups: dict[tuple[tuple[Any, ...], ...], list[Json]] = defaultdict(list)
        for pod in _selected(service, pods):
            ips = [ip for ip in _ips(pod) if family(ip) == address_type]
            if ips:
                groups[tuple(_ports(service, pod))].append(_endpoint(service, pod, ips))
        for ports, listed in groups.items() or [((), [])]:
            made.append(_slice(service, address_type, listed, ports, len(made)))
    return made


def _on(nodes: Iterable[Json] | None, service: Json, pods: Iterable[Json]) -> Iterable[Json]:
    if nodes is None or service["spec"].get("publishNotReadyAddresses", False):
        return pods
    known = {each["metadata"]["name"] for each in nodes}
    return (pod for pod in pods if pod["spec"]["nodeName"] in known)


def mirrors_of(endpoints: Json) -> list[Json]:
    """The mirroring controller's objects for Endpoints of a Service without selector."""
    made: list[Json] = []
    for subset in endpoints["subsets"] or []:
        every = [(a, True) for a in subset.get("addresses") or []]
        every += [(a, False) for a in subset.get("notReadyAddresses") or []]
        ports = [_port_key(port) for port in subset.get("ports") or []]
        for address_type, group in groupby(
            sorted(every, key=lambda entry: family(entry[0]["ip"])),
            key=lambda entry: family(entry[0]["ip"]),
        ):
            listed = [_mirrored(address, ready) for address, ready in group]
            made.append(_slice(endpoints, address_type, listed, ports, len(made)))
    return made


def stored(made: Json, owner: Json) -> Json:
    """As the controller stores it: labelled as its own, and slices owned by what they come from."""
    of_pods = owner["kind"] == "Service"
    if made["kind"] == "Endpoints":
        marks = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"} if of_pods else {}
        return _with_metadata(made, marks)
    controller = "endpointslice" if of_pods else "endpointslicemirroring"
    marks = {"endpointslice.kubernetes.io/managed-by": f"{controller}-controller.k8s.io"}
    reference = {
        "apiVersion": "v1",
        "kind": owner["kind"],
        "controller": True,
        "blockOwnerDeletion": True,
        **{key: owner["metadata"].get(key) for key in ("name", "uid")},
    }
    return _with_metadata(made, marks, ownerReferences=[given(reference)])


def _with_metadata(made: Json, labels: Json, **fields: Any) -> Json:
    metadata = made["metadata"]
    labels = {**metadata.get("labels", {}), **labels}
    return {**made, "metadata": {**metadata, "labels": labels, **fields}}


def _selected(service: Json, pods: Iterable[Json]) -> Iterator[Json]:
    selector = service["spec"]["selector"]
    for pod in pods:
        labels = pod["metadata"].get("labels") or {}
        same_namespace = pod["metadata"]["namespace"] == service["metadata"]["namespace"]
        chosen = all(key in labels and labels[key] == value for key, value in selector.items())
        over = pod["status"]["phase"] in ("Succeeded", "Failed")
        if same_namespace and chosen and not over and _ips(pod):
            yield pod


def _ips(pod: Json) -> list[str]:
    return [str(ip_address(entry["ip"])) for entry in pod["status"]["podIPs"]]


def _primary(service: Json, pod: Json) -> str:
    families: list[str] = service["spec"].get("ipFamilies") or []
    cluster_ip = service["spec"].get("clusterIP", "")
    if families:
        return families[0]
    return family(_ips(pod)[0] if cluster_ip in ("", "None") else cluster_ip)


def _address_types(service: Json) -> list[str]:
    families: list[str] = service["spec"].get("ipFamilies") or []
    cluster_ip = service["spec"].get("clusterIP", "")
    if families:
        return families
    return ["IPv4", "IPv6"] if cluster_ip in ("", "None") else [family(cluster_ip)]


def _ready(pod: Json) -> bool:
    conditions = pod["status"].get("conditions") or []
    status = next((each["status"] for each in conditions if each["type"] == "Ready"), "")
    return bool(status == "True")


def _ports(service: Json, pod: Json) -> list[tuple[Any, ...]]:
    """The Service's ports as they are on this Pod: name, protocol, number, appProtocol."""
    resolved = []
    for port in service["spec"].get("ports") or []:
        target = port.get("targetPort") or port["port"]
        number = target if isinstance(target, int) else _named(pod, target, port["protocol"])
        if number is not None:
            key = port.get("name", ""), port["protocol"], number, port.get("appProtocol")
            resolved.append(key)
    return resolved


def _named(pod: Json, name: str, protocol: str) -> int | None:
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers", []) if c.get("restartPolicy") == "Always"]
    for container in [*spec["containers"], *sidecars]:
        for port in container.get("ports", []):
            if (port.get("name"), port.get("protocol", "TCP")) == (name, protocol):
                return int(port["containerPort"])
    return None


def _hostname(service: Json, pod: Json) -> str | None:
    under_service = pod["spec"].get("subdomain") == service["metadata"]["name"]
    return (pod["spec"].get("hostname") or None) if under_service else None


def _entry(service: Json, pod: Json, ip: str) -> Json:
    return given(
        {
            "ip": ip,
            "hostname": _hostname(service, pod),
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": pod_ref(pod),
        }
    )


def _repacked(
    per_port: dict[tuple[Any, ...] | None, set[tuple[str, bool]]], entries: dict[str, Json]
) -> Iterator[Json]:
    """Ports with the same addresses in the same state of readiness share a subset."""
    shared: dict[frozenset[tuple[str, bool]], list[tuple[Any, ...] | None]] = defaultdict(list)
    for port, members in per_port.items():
        shared[frozenset(members)].append(port)
    for together, ports in shared.items():
        lists = {
            key: [entries[uid] for uid, ready in sorted(together) if ready is wanted] or None
            for key, wanted in (("addresses", True), ("notReadyAddresses", False))
        }
        yield given({**lists, "ports": [_port(p) for p in ports if p is not None] or None})


def truncated(endpoints: Json, limit: int = ENDPOINTS_LIMIT) -> Json:
    """What is left of too many ready addresses: no more than the limit, and no others at all."""
    left, subsets = limit, []
    for subset in endpoints["subsets"]:
        kept = subset.get("addresses", [])[:left]
        left -= len(kept)
        if kept:
            subsets.append(given({"addresses": kept, "ports": subset.get("ports")}))
    annotations = {"endpoints.kubernetes.io/over-capacity": "truncated"}
    metadata = {**endpoints["metadata"], "annotations": annotations}
    return {**endpoints, "metadata": metadata, "subsets": subsets}


def _endpoint(service: Json, pod: Json, ips: list[str]) -> Json:
    serving, terminating = _ready(pod), "deletionTimestamp" in pod["metadata"]
    publish = service["spec"].get("publishNotReadyAddresses", False)
    return given(
        {
            "addresses": ips,
            "conditions": {
                "ready": publish or (serving and not terminating),
                "serving": serving,
                "terminating": terminating,
            },
            "hostname": _hostname(service, pod),
            "nodeName": pod["spec"]["nodeName"] or None,
            "targetRef": pod_ref(pod),
        }
    )


def _mirrored(address: Json, ready: bool) -> Json:
    copied = {key: address.get(key) or None for key in ("hostname", "nodeName", "targetRef")}
    ip = str(ip_address(address["ip"]))
    return given({"addresses": [ip], "conditions": {"ready": ready}, **copied})


def _slice(
    owner: Json,
    address_type: str,
    listed: list[Json],
    ports: Sequence[tuple[Any, ...]],
    number: int,
) -> Json:
    name, namespace = owner["metadata"]["name"], owner["metadata"]["namespace"]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-{number:05}",
            "generateName": f"{name}-",
            "namespace": namespace,
            "labels": {SERVICE_NAME: name},
        },
        "addressType": address_type,
        "endpoints": listed or None,
        "ports": [_port(port) for port in ports] or None,
    }


def _port_key(port: Json) -> tuple[Any, ...]:
    return port.get("name", ""), port.get("protocol", "TCP"), port["port"], port.get("appProtocol")


def _port(key: tuple[Any, ...]) -> Json:
    name, protocol, number, app_protocol = key
    return given({"name": name, "protocol": protocol, "port": number, "appProtocol": app_protocol})
