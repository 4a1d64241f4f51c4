"""The objects of `builders` as Hypothesis strategies: a small cluster in which much can collide.

Few names, addresses and ports, so that a write often meets the Pod it speaks of, and as often just
misses it. Everything drawn here is valid for the API server.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from tests.builders import (
    NAMESPACE,
    Json,
    container,
    container_port,
    endpoints,
    external,
    given,
    node,
    pod,
    port,
    service,
    service_port,
    subset,
)
from tests.core.controllers import mirrors_of

law = settings(max_examples=100, deadline=None)
"""For a law: a busy machine is no counterexample."""

NAMESPACES = (NAMESPACE, "rival")
IPV4 = tuple(f"10.0.0.{number}" for number in range(1, 7))
IPV6 = tuple(f"fd00::{number}" for number in range(1, 5))
ELSEWHERE = ("198.51.100.7", "2001:db8::7", "169.254.169.254", "192.168.0.1", "64:ff9b::a00:1")
NODES = ("node-1", "node-2")

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
"""Any JSON, and a bit more: NaN and lone surrogates are among it."""

labels = st.fixed_dictionaries(
    {"app": st.sampled_from(["web", "web", "other"])},
    optional={"tier": st.sampled_from(["", "front"])},
)
selectors = st.sampled_from([{"app": "web"}, {"app": "web"}, {"app": "web", "tier": ""}])
protocols = st.sampled_from(["TCP", "TCP", "UDP"])
app_protocols = st.sampled_from([None, None, "kubernetes.io/h2c"])
target_ports = st.sampled_from([None, 0, "", 8080, "http", "admin"])
port_names = st.sampled_from([[], ["a"], [""], ["a", "b"], ["b", "a", "c"]])
families = st.sampled_from([["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"], None])
rarely = st.sampled_from([False, False, True])


@st.composite
def service_ports(draw: st.DrawFn) -> list[Json]:
    return [
        service_port(
            80 + index,
            name=name,
            protocol=draw(protocols),
            targetPort=draw(target_ports),
            appProtocol=draw(app_protocols),
        )
        for index, name in enumerate(draw(port_names))
    ]


@st.composite
def services(
    draw: st.DrawFn, selector: st.SearchStrategy[dict[str, str] | None] = selectors
) -> Json:
    """The Service `web`, with a selector unless the caller says otherwise."""
    ports = draw(service_ports())
    return service(
        ports=ports or None,
        selector=draw(selector),
        clusterIP="None" if not ports or draw(rarely) else "172.20.0.10",
        ipFamilies=draw(families),
        publishNotReadyAddresses=draw(rarely) or None,
    )


manual_services = services(selector=st.none())

container_ports = st.lists(
    st.builds(
        container_port,
        st.sampled_from([8080, 9090]),
        st.sampled_from(["http", "admin", None]),
        protocols,
    ),
    max_size=2,
    unique_by=lambda each: each.get("name"),
)
containers = container_ports.map(lambda ports: container(*ports))
init_containers = st.builds(
    lambda ports, restart: container(*ports, **given({"restartPolicy": restart})),
    container_ports,
    st.sampled_from(["Always", None]),
)
pod_ips = st.one_of(
    *(
        st.tuples(*map(st.sampled_from, each))
        for each in ((), (IPV4,), (IPV4,), (IPV6,), (IPV4, IPV6), (IPV6, IPV4))
    )
)
pod_fields = st.fixed_dictionaries(
    {
        "namespace": st.sampled_from((NAMESPACE, *NAMESPACES)),
        "ips": pod_ips,
        "labels": st.none() | labels,
        "node": st.sampled_from(NODES),
        "ready": st.booleans(),
        "deleting": rarely,
        "phase": st.sampled_from(["Running", "Running", "Running", "Pending", "Succeeded"]),
        "hostNetwork": st.booleans(),
        "containers": st.lists(containers, min_size=1, max_size=2),
        "initContainers": st.lists(init_containers, max_size=1),
    }
)
named = st.sampled_from(["", "hostname", "hostname and subdomain"])


@st.composite
def many_pods(draw: st.DrawFn, prefix: str = "web") -> list[Json]:
    """Pods at any stage of their lives."""
    made = []
    for number, fields in enumerate(draw(st.lists(pod_fields, max_size=4))):
        name, how = f"{prefix}-{number}", draw(named)
        hostname, subdomain = name if how else None, "web" if "sub" in how else None
        made.append(pod(name, **fields, **given({"hostname": hostname, "subdomain": subdomain})))
    return made


nodes = [node(name, f"192.168.0.{number}") for number, name in enumerate(NODES, 1)]


@st.composite
def target_refs(draw: st.DrawFn) -> Json:
    """True, and false in every part."""
    name = draw(st.sampled_from(["web-0", "web-1", "web-2", "node-1"]))
    uid = draw(st.sampled_from([None, f"uid-of-{NAMESPACE}-{name}", "another"]))
    fields = draw(target_ref_fields)
    return given({**fields, "name": name, "uid": uid})


target_ref_fields = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["Pod", "Pod", "Pod", "Node", "Deployment"]),
        "namespace": st.sampled_from([None, NAMESPACE, NAMESPACE, "rival"]),
    }
)
addresses = st.builds(
    external,
    st.sampled_from((*IPV4, *IPV6, *ELSEWHERE)),
    hostname=st.sampled_from([None, None, "web-1"]),
    nodeName=st.sampled_from([None, *NODES]),
    targetRef=st.none() | target_refs(),
)
written_ports = st.lists(
    st.builds(
        port,
        st.sampled_from([80, 8080, 9090]),
        name=st.sampled_from(["", "a", "b"]),
        protocol=protocols,
        appProtocol=app_protocols,
    ),
    max_size=2,
    unique_by=lambda each: each["name"],
)
subsets = st.builds(
    lambda ready, waiting, ports: subset(*ready, waiting=waiting, ports=ports or None),
    st.lists(addresses, min_size=1, max_size=3),
    st.lists(addresses, max_size=2),
    written_ports,
)

written_endpoints = st.lists(subsets, min_size=1, max_size=2).map(lambda made: endpoints(*made))
"""Endpoints as anybody might write them: true, false, and mixed."""

written_slices = written_endpoints.map(mirrors_of).map(lambda slices: slices[0])
writes = written_endpoints | written_slices


owners = st.lists(services() | manual_services, max_size=1)


@st.composite
def clusters(draw: st.DrawFn) -> list[Json]:
    """A Service `web`, manual or not, or none; Pods around it; two Nodes."""
    return [*draw(owners), *draw(many_pods()), *nodes]


def shuffled(draw: Callable[..., Any], write: Json) -> Json:
    """The same object with each of its lists of addresses in another order."""
    if write["kind"] == "EndpointSlice":
        return {**write, "endpoints": draw(st.permutations(write["endpoints"]))}
    lists = ("addresses", "notReadyAddresses")
    mixed = [
        {**each, **{key: draw(st.permutations(each[key])) for key in lists if each.get(key)}}
        for each in write["subsets"]
    ]
    return {**write, "subsets": draw(st.permutations(mixed))}
