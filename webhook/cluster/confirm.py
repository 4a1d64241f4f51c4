"""Reads anew what a verdict rests on: at most a handful of objects, or one list.

Only a denial is worth it. So what could turn one over is read: the Service, the Pods of the
namespace that targetRefs name or that hold an address, and whoever is said to own an address. An
address that nobody is known to own needs no look at the rest of the cluster.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from webhook.cluster.api import ClusterApi
from webhook.cluster.decoding import Resource
from webhook.cluster.paths import object_path
from webhook.cluster.resources import API_SERVER_SLICES, NODE, POD, SERVICE
from webhook.cluster.state import Confirmed
from webhook.core.inventory import Inventory
from webhook.core.objects import Endpoints, EndpointSlice, ListedAddress, Service
from webhook.core.objects.endpoints import SERVICE_NAME_LABEL

READS: Final = 16
"""Objects read one by one for one write; beyond that a list is cheaper, or nothing more is read."""

_LONGEST_NAME: Final = 253
"""Characters of a DNS subdomain, which names of objects are."""

Subject = Endpoints | EndpointSlice


_Key = tuple[Resource[Any], str, str]
"""Kind, namespace (empty for Nodes) and name."""


def confirm(subject: Subject, known: Inventory, api: ClusterApi, deadline: float) -> Confirmed:
    """What `subject` depends on, as the API server has it now. Raises `ClusterUnavailable`, and
    `InvalidObject` for an answer that is not what it should be.
    """
    return _Reading(subject, known, api, deadline).result()


class _Reading:
    """The reads for one write, into an inventory of their own."""

    def __init__(
        self, subject: Subject, known: Inventory, api: ClusterApi, deadline: float
    ) -> None:
        self._known = known
        self._api = api
        self._deadline = deadline
        self._namespace = subject.metadata.namespace
        self._service_name = subject.service_name
        self._listed = tuple(listed for part in subject.parts for listed in part.addresses)
        self._fresh = Inventory(background=known)
        self._complete = True

    def result(self) -> Confirmed:
        service = self._get(SERVICE, self._namespace, self._service_name)
        selecting = service if isinstance(service, Service) and service.has_selector else None
        self._read_own_pods(selecting)
        if selecting is None:
            self._read_each(self._owners())
            self._read_api_servers()
        self._read_each((NODE, "", name) for name in self._target_names("Node"))
        return Confirmed(inventory=self._fresh, complete=self._complete)

    def _read_own_pods(self, selecting: Service | None) -> None:
        names = tuple(dict.fromkeys((*self._target_names("Pod"), *self._known_holders())))
        if len(names) > READS:
            self._list_pods("")
            return
        for name in names:
            self._get(POD, self._namespace, name)
        if not self._unheld():
            return
        if selecting is None:
            self._list_pods("")
        else:
            pairs = (selecting.selector or {}).items()
            self._list_pods(",".join(f"{key}={value}" for key, value in pairs))

    def _target_names(self, kind: str) -> Iterator[str]:
        for listed in self._listed:
            ref = listed.target_ref
            if ref is not None and ref.kind == kind and ref.namespace in ("", self._namespace):
                yield ref.name

    def _known_holders(self) -> Iterator[str]:
        """The namespace's own Pods that the cache has at the addresses."""
        for ip in _values(self._listed):
            for pod in self._known.live_pods_at(ip):
                if pod.namespace == self._namespace:
                    yield pod.name

    def _unheld(self) -> bool:
        """Whether a Pod that the cache does not know yet may hold one of the addresses."""
        own = self._namespace
        return any(
            all(pod.namespace != own for pod in self._fresh.live_pods_at(listed.address.value))
            for listed in self._listed
            if listed.address.value and not listed.address.special
        )

    def _owners(self) -> Iterator[_Key]:
        """Everything outside the namespace's own Pods that is said to own an address."""
        for listed in self._listed:
            for ip in (address.value for address in listed.address.destinations):
                for pod in self._known.live_pods_at(ip):
                    if pod.namespace != self._namespace:
                        yield POD, pod.namespace, pod.name
                for node in self._known.nodes_at(ip):
                    yield NODE, "", node.name
                for service in self._known.services_at(ip):
                    yield SERVICE, service.namespace, service.name

    def _read_api_servers(self) -> None:
        """The addresses of the API servers, if one of them is in question."""
        destinations = (each for listed in self._listed for each in listed.address.destinations)
        if not any(self._known.is_api_server(address.value) for address in destinations):
            return
        slices = self._api.list_all(
            API_SERVER_SLICES.path,
            API_SERVER_SLICES.read,
            label_selector=f"{SERVICE_NAME_LABEL}=kubernetes",
            deadline=self._deadline,
        )
        for each in slices:
            self._fresh.apply(API_SERVER_SLICES.kind, each)

    def _read_each(self, keys: Iterable[_Key]) -> None:
        for count, (kind, namespace, name) in enumerate(dict.fromkeys(keys)):
            if count == READS:
                self._complete = False
                return
            self._get(kind, namespace, name)

    def _get(self, kind: Resource[Any], namespace: str, name: str) -> object | None:
        if not 0 < len(name) <= _LONGEST_NAME:
            return None
        try:
            path = object_path(kind.path, namespace, name)
        except ValueError:  # a targetRef may hold any text, and nothing has such a name
            return None
        body = self._api.get(path, deadline=self._deadline)
        if body is None:
            return None
        value = kind.read(body)
        self._fresh.apply(kind.kind, value)
        return value

    def _list_pods(self, label_selector: str) -> None:
        pods = self._api.list_all(
            object_path(POD.path, self._namespace),
            POD.read,
            label_selector=label_selector,
            deadline=self._deadline,
        )
        for pod in pods:
            self._fresh.apply(POD.kind, pod)


def _values(listed: Iterable[ListedAddress]) -> Iterator[str]:
    return (each.address.value for each in listed if each.address.value)
