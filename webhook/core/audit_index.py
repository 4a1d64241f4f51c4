"""What only an audit asks of an inventory: who publishes what, and which Pods a Service selects.

Admission judges one object at a time and never needs these indexes, so it does not pay for them.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from webhook.core.objects import Endpoints, EndpointSlice, ListedAddress, Pod, Service
from webhook.core.tables import Index, Key, Table

Published = Endpoints | EndpointSlice

_SHIFT: Final = {"IPv4": 8, "IPv6": 64}
"""Addresses are grouped by /24 and /64, the ranges that Nodes usually get."""


class AuditIndex:
    """What an audit asks about a Service."""

    def __init__(
        self,
        *,
        endpoints: Table[Endpoints],
        endpoint_slices: Table[EndpointSlice],
        pods: Table[Pod],
    ) -> None:
        self._published = Index[Published](_service_key)
        self._pods = _PodsByLabels()
        endpoints.add_index(self._published)
        endpoint_slices.add_index(self._published)
        pods.add_index(self._pods)

    def published_of(self, namespace: str, service_name: str) -> tuple[Published, ...]:
        """The Endpoints and EndpointSlices of a Service, whether it exists or not."""
        return self._published.at(f"{namespace}/{service_name}")

    def pods_of(self, service: Service) -> Iterator[Pod]:
        """The Pods that a Service selects, at whatever stage of their lives."""
        return self._pods.matching(service.namespace, service.selector or {})


class ReachIndex:
    """What an audit that goes on asks about a change: whom it may concern."""

    def __init__(
        self,
        *,
        endpoints: Table[Endpoints],
        endpoint_slices: Table[EndpointSlice],
        services: Table[Service],
        pods: Table[Pod],
    ) -> None:
        self._by_address = Index[Published](lambda value: _each_once(_values(value)))
        self._by_network = Index[Published](lambda value: _each_once(_networks(value)))
        self._by_target = Index[Published](lambda value: _each_once(_targets(value)))
        self._services = Index[Service](lambda service: (service.namespace,))
        self._pods_on = Index[Pod](lambda pod: (pod.node_name,))
        for index in (self._by_address, self._by_network, self._by_target):
            endpoints.add_index(index)
            endpoint_slices.add_index(index)
        services.add_index(self._services)
        pods.add_index(self._pods_on)

    def published_at(self, ip: str) -> tuple[Published, ...]:
        """Those that lead to a canonical address, in a translated form included."""
        return self._by_address.at(ip)

    def published_near(self, cidr: str) -> Iterator[Published]:
        """Those that lead to an address within a range, and perhaps a few more.

        For a range that is wider than those which Nodes usually get, the time grows with the
        number of addresses that there are.
        """
        try:
            network = ip_network(cidr, strict=False)
        except ValueError:
            return
        for group in self._groups_within(network):
            yield from self._by_network.at(group)

    def published_for(self, namespace: str, pod_name: str) -> tuple[Published, ...]:
        """Those of this namespace with a targetRef to a Pod of this name."""
        return self._by_target.at(f"{namespace}/{pod_name}")

    def published_for_uid(self, uid: str) -> tuple[Published, ...]:
        """Those with a targetRef that gives this uid."""
        return self._by_target.at(uid)

    def services_in(self, namespace: str) -> tuple[Service, ...]:
        """The Services of a namespace."""
        return self._services.at(namespace)

    def pods_on(self, node_name: str) -> tuple[Pod, ...]:
        """The Pods that were given to a Node, whether it exists or not."""
        return self._pods_on.at(node_name)

    def _groups_within(self, network: IPv4Network | IPv6Network) -> Iterator[str]:
        family = f"IPv{network.version}"
        first, last = int(network.network_address), int(network.broadcast_address)
        if last - first < 1 << _SHIFT[family]:
            yield _group(family, first)
            return
        for group in tuple(self._by_network):
            its_family, _, number = group.partition("/")
            if its_family == family and first <= int(number) << _SHIFT[family] <= last:
                yield group


class _PodsByLabels:
    """Pods by namespace and labels. Most share their labels with others of the same ReplicaSet, so
    a selector is compared with far fewer sets of labels than there are Pods.
    """

    def __init__(self) -> None:
        self._groups: dict[str, dict[frozenset[tuple[str, str]], dict[Key, Pod]]] = {}

    def add(self, pod: Pod) -> None:
        """Make it findable."""
        groups = self._groups.setdefault(pod.namespace, {})
        groups.setdefault(frozenset(pod.labels.items()), {})[pod.key] = pod

    def discard(self, pod: Pod) -> None:
        """Make it unfindable again; it must be the very object that was added."""
        groups = self._groups.get(pod.namespace, {})
        labels = frozenset(pod.labels.items())
        group = groups.get(labels, {})
        if group.get(pod.key) is pod:
            del group[pod.key]
        if not group:
            groups.pop(labels, None)

    def matching(self, namespace: str, selector: Mapping[str, str]) -> Iterator[Pod]:
        """The Pods with every label of a selector; an empty one selects none."""
        wanted = frozenset(selector.items())
        if not wanted:
            return
        for labels, pods in tuple(self._groups.get(namespace, {}).items()):
            if wanted <= labels:
                yield from tuple(pods.values())


def _each_once(keys: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(keys)


def _service_key(value: Published) -> Iterable[str]:
    return (f"{value.metadata.namespace}/{value.service_name}",) if value.service_name else ()


def _listed(value: Published) -> Iterator[ListedAddress]:
    return (listed for part in value.parts for listed in part.addresses)


def _values(value: Published) -> Iterator[str]:
    return (ip for listed in _listed(value) for ip in listed.address.reaches)


def _networks(value: Published) -> Iterator[str]:
    for listed in _listed(value):
        for address in listed.address.destinations:
            yield _group(address.family, address.number)


def _group(family: str, number: int) -> str:
    return f"{family}/{number >> _SHIFT[family]}"


def _targets(value: Published) -> Iterator[str]:
    for listed in _listed(value):
        ref = listed.target_ref
        if ref is not None and ref.kind == "Pod":
            yield f"{value.metadata.namespace}/{ref.name}"
            yield ref.uid
