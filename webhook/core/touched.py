"""What one change in the cluster can change in an audit: for an audit that goes on and on.

Takes as long as the change reaches far, whatever the size of the cluster. More may be named than
really changes its verdict, but nothing less.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import reduce
from typing import Any, Final

from webhook.core.grants import bindings_to
from webhook.core.inventory import API_SERVER, Inventory
from webhook.core.objects import (
    Endpoints,
    EndpointSlice,
    Node,
    ObjectRef,
    Pod,
    Role,
    RoleBinding,
    Service,
)

Published = Endpoints | EndpointSlice


def touched(
    kind: str, before: object | None, after: object | None, inventory: Inventory
) -> frozenset[ObjectRef]:
    """What has to be judged again after an object has changed from `before` to `after` (None where
    there was none, or is none any more); `inventory` has the change already.

    Objects that do not exist may be among it: of those, `judge_ref` says None. The indexes that
    this takes are made with the first call; with changes in other threads, ask for
    `inventory.reach` and `inventory.for_audit` before.
    """
    versions = [value for value in (before, after) if value is not None]
    if before is not None and before == after:
        return frozenset()
    return frozenset(_BY_KIND[kind](versions, inventory))


def _by_published(versions: Iterable[Published], inventory: Inventory) -> Iterator[ObjectRef]:
    """Itself, its Service, and what else is published for that; if it says where API servers are,
    whoever leads there.
    """
    for value in versions:
        namespace, service_name = value.metadata.namespace, value.service_name
        yield value.ref
        yield ObjectRef("Service", namespace, service_name)
        yield from _refs(inventory.for_audit.published_of(namespace, service_name))
        if (namespace, service_name) == API_SERVER:
            listed = (each for part in value.parts for each in part.addresses)
            yield from _leading_to((each.address.value for each in listed), inventory)


def _by_service(versions: Iterable[Service], inventory: Inventory) -> Iterator[ObjectRef]:
    """Itself, what is published for it, and whoever leads to its addresses."""
    for service in versions:
        yield ObjectRef("Service", service.namespace, service.name)
        yield from _refs(inventory.for_audit.published_of(service.namespace, service.name))
        yield from _leading_to((*service.cluster_ips, *service.public_ips), inventory)


def _by_pod(versions: Iterable[Pod], inventory: Inventory) -> Iterator[ObjectRef]:
    """Itself, who shares its addresses, who leads to them or means it, and who selects it."""
    reach = inventory.reach
    for pod in versions:
        yield _pod_ref(pod)
        yield from (_pod_ref(other) for ip in pod.ips for other in inventory.live_pods_at(ip))
        yield from _leading_to(pod.ips, inventory)
        yield from _refs(reach.published_for(*pod.key))
        yield from _refs(reach.published_for_uid(pod.uid))
        yield from _selecting(pod, inventory)


def _by_node(versions: list[Node], inventory: Inventory) -> Iterator[ObjectRef]:
    """Who leads to it or into its Pod ranges; if it came or went, who selects the Pods on it."""
    reach = inventory.reach
    for node in versions:
        yield from _leading_to(node.ips, inventory)
    for cidr in reduce(set.symmetric_difference, (set(node.pod_cidrs) for node in versions)):
        yield from _refs(reach.published_near(cidr))
    if not versions[1:]:
        for pod in reach.pods_on(versions[0].name):
            yield from _selecting(pod, inventory)


def _by_role(versions: Iterable[Role], inventory: Inventory) -> Iterator[ObjectRef]:
    """The bindings to it, and to the roles that take it in."""
    return _by_binding((b for role in versions for b in bindings_to(role, inventory)), inventory)


def _by_binding(versions: Iterable[RoleBinding], inventory: Inventory) -> Iterator[ObjectRef]:
    """Only itself: what one binding gives, no other takes away."""
    return (ObjectRef(each.kind, each.namespace, each.name) for each in versions)


def _selecting(pod: Pod, inventory: Inventory) -> Iterator[ObjectRef]:
    """The Services that select a Pod, and their Endpoints, which are compared with slices."""
    for service in inventory.reach.services_in(pod.namespace):
        if service.selects(pod.labels):
            yield ObjectRef("Service", service.namespace, service.name)
            yield ObjectRef(Endpoints.kind, service.namespace, service.name)


def _leading_to(ips: Iterable[str], inventory: Inventory) -> Iterator[ObjectRef]:
    return (ref for ip in ips for ref in _refs(inventory.reach.published_at(ip)))


def _refs(published: Iterable[Published]) -> Iterator[ObjectRef]:
    return (each.ref for each in published)


def _pod_ref(pod: Pod) -> ObjectRef:
    return ObjectRef("Pod", pod.namespace, pod.name)


_BY_KIND: Final[Mapping[str, Callable[[Any, Inventory], Iterator[ObjectRef]]]] = {
    "Service": _by_service,
    "Pod": _by_pod,
    "Node": _by_node,
    "Endpoints": _by_published,
    "EndpointSlice": _by_published,
    "ClusterRole": _by_role,
    "Role": _by_role,
    "ClusterRoleBinding": _by_binding,
    "RoleBinding": _by_binding,
}
