"""Writes on which whoever judges them has to agree, before anything is timed.

They are what the policy for Gatekeeper is about: Services, Pods, ports and targetRefs. Beyond it,
endpoints-guard judges more: hostnames, ambiguous spellings, Pod ranges, API servers, and what an
update leaves as it was. None of that is here, nor in what is timed.
"""

from collections.abc import Callable, Iterator
from typing import Any

from tests import builders
from tests.bench import scene
from tests.bench.scene import PORT, TENANT, Cluster, Json, Write

WEB = scene.service_of(2)
EXTERNAL = "198.51.100.7"


def corpus(cluster: Cluster) -> list[Write]:
    """Return all of them, each as Endpoints and as a slice."""
    pods = cluster.pods_of(2)
    strangers = cluster.pods_of(20)
    builders_of = {"Endpoints": _endpoints, "EndpointSlice": _slice}
    return [
        Write(
            name=f"{kind}: {name}", kind=kind, addresses=len(entries), allowed=allowed, object=made
        )
        for kind, build in builders_of.items()
        for name, allowed, service, entries, ports in (
            *_selected(pods),
            *_not_selected(pods, strangers, cluster.foreign_pod),
            *_wrong_ports(pods),
            *_manual(pods, cluster.foreign_pod),
        )
        for made in (build(service, entries, ports),)
    ]


Entry = tuple[str, dict[str, Any]]
"""An address and the fields beside it."""
Case = tuple[str, bool, str, list[Entry], list[Json]]
"""Name, whether it is allowed, Service, entries, ports."""


def _entry(of: Json, **fields: Any) -> Entry:
    its = {"nodeName": of["spec"]["nodeName"], "targetRef": builders.pod_ref(of), **fields}
    return of["status"]["podIP"], builders.given(its)


def _ref(of: Json, **fields: Any) -> Json:
    return builders.pod_ref(of, **fields)


def _selected(pods: list[Json]) -> Iterator[Case]:
    first, second = pods
    for name, entries in {
        "both Pods": [_entry(first), _entry(second)],
        "one of two": [_entry(second)],
        "no uid": [_entry(first, targetRef=_ref(first, uid=None))],
        "no namespace in targetRef": [_entry(first, targetRef=_ref(first, namespace=None))],
        "apiVersion in targetRef": [_entry(first, targetRef=_ref(first, apiVersion="v1"))],
        "no nodeName": [_entry(first, nodeName=None)],
    }.items():
        yield name, True, WEB, entries, [PORT]
        yield f"{name}, by a named port", True, scene.NAMED_PORT, entries, [PORT]


def _not_selected(pods: list[Json], strangers: list[Json], foreign: Json) -> Iterator[Case]:
    first, second = pods
    good = _entry(first)
    for name, bad in {
        "a Pod that is not selected": _entry(strangers[0]),
        "another tenant's Pod": _entry(foreign),
        "another tenant's address": (foreign["status"]["podIP"], _entry(second)[1]),
        "an address of nobody": (EXTERNAL, _entry(second)[1]),
        "another Pod's name": _entry(first, targetRef=_ref(second)),
        "another uid": _entry(first, targetRef=_ref(first, uid="of-somebody-else")),
        "a Pod that is not there": _entry(first, targetRef=_ref(first, name="nobody", uid=None)),
        "another namespace": _entry(first, targetRef=_ref(first, namespace="bank")),
        "a Deployment": _entry(first, targetRef={"kind": "Deployment", "name": "web"}),
        "no targetRef": _entry(first, targetRef=None),
        "another node": _entry(first, nodeName="node-9"),
        "the metadata server": ("169.254.169.254", {}),
    }.items():
        yield name, False, WEB, [bad], [PORT]
        yield f"{name}, after a good one", False, WEB, [good, bad], [PORT]


def _wrong_ports(pods: list[Json]) -> Iterator[Case]:
    entries = [_entry(each) for each in pods]
    for name, ports in {
        "another number": [{**PORT, "port": 22}],
        "another name": [{**PORT, "name": "admin"}],
        "another protocol": [{**PORT, "protocol": "UDP"}],
        "an appProtocol": [{**PORT, "appProtocol": "kubernetes.io/h2c"}],
        "one too many": [PORT, {"name": "debug", "port": 9102, "protocol": "TCP"}],
    }.items():
        yield f"port: {name}", False, WEB, entries, ports
        yield f"port: {name}, named", False, scene.NAMED_PORT, entries, ports


def _manual(pods: list[Json], foreign: Json) -> Iterator[Case]:
    elsewhere = scene.EXTERNAL_NAME
    yield "of an ExternalName", False, elsewhere, [(EXTERNAL, {})], [PORT]
    mysql = [{"name": "http", "port": 3306, "protocol": "TCP"}]
    outside: Callable[..., Entry] = lambda ip=EXTERNAL, **fields: (ip, fields)  # noqa: E731
    for name, allowed, entry in (
        ("an external address", True, outside()),
        ("a Pod of one's own", True, _entry(pods[0])),
        ("a Pod of one's own, by address", True, outside(pods[0]["status"]["podIP"])),
        ("another tenant's Pod", False, outside(foreign["status"]["podIP"])),
        ("a node", False, outside(scene.node(3)["status"]["addresses"][0]["address"])),
        ("the metadata server", False, outside("169.254.169.254")),
        ("multicast", False, outside("224.0.0.251")),
        ("a targetRef elsewhere", False, outside(targetRef=_ref(pods[0], namespace="bank"))),
        ("a targetRef to no Pod", False, outside(targetRef=_ref(pods[0], name="x", uid=None))),
    ):
        yield f"by hand: {name}", allowed, scene.MANUAL, [entry], mysql


def _endpoints(service: str, entries: list[Entry], ports: list[Json]) -> Json:
    listed = [builders.external(ip, **fields) for ip, fields in entries]
    subset = builders.subset(*listed, ports=ports)
    return builders.endpoints(subset, name=service, namespace=TENANT)


def _slice(service: str, entries: list[Entry], ports: list[Json]) -> Json:
    listed = [builders.external_endpoint(ip, **fields) for ip, fields in entries]
    name = f"{service}-by-hand"
    return builders.endpoint_slice(
        *listed, name=name, namespace=TENANT, of_service=service, ports=ports
    )
