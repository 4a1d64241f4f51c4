"""Reads anew what a verdict rests on: a few objects where that is enough, or a list.

Only a denial is worth it. So what could turn one over is read: the Service, the Pods of the
namespace that targetRefs name or that hold an address, and whoever is said to own an address. An
address that nobody is known to own needs no look at the rest of the cluster.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

from msgspec import Raw

from webhook.cluster.decoding import Resource
from webhook.cluster.paths import object_path
from webhook.cluster.resources import API_SERVER_SLICES, NODE, POD, SERVICE
from webhook.cluster.state import Confirmed
from webhook.core.excerpt import Excerpt
from webhook.core.inventory import Inventory
from webhook.core.objects import Pod, Service
from webhook.core.objects.endpoints import SERVICE_NAME_LABEL

READS: Final = 16
"""Objects read one by one for one write; beyond that a list is cheaper, or nothing more is read."""
ASKED: Final = 4
"""Addresses whose holder is asked for one by one. The API server looks through the namespace for
each, and may first wait a tenth of a second until its own cache is current.
"""

_LONGEST_NAME: Final = 253
"""Characters of a DNS subdomain, which names of objects are."""

_Key = tuple[Resource[Any], str, str]
"""Kind, namespace (empty for Nodes) and name."""


class Reads(Protocol):
    """What is used of a `ClusterApi`."""

    def get(self, path: str, *, deadline: float) -> bytes | None:
        """The object at this path, None when there is none."""

    def list_all(
        self,
        path: str,
        read: Callable[[Raw], object],
        *,
        label_selector: str = "",
        field_selector: str = "",
        deadline: float,
    ) -> tuple[object, ...]:
        """Every object of a collection."""


def confirm(excerpt: Excerpt, known: Inventory, api: Reads, deadline: float) -> Confirmed:
    """What the verdict on an excerpt depends on, as the API server has it now. Raises
    `ClusterUnavailable`, and `InvalidObject` for an answer that is not what it should be.
    """
    return _Reading(excerpt, known, api, deadline).result()


class _Reading:
    """The reads for one verdict, into an inventory of their own."""

    def __init__(self, excerpt: Excerpt, known: Inventory, api: Reads, deadline: float) -> None:
        self._known = known
        self._api = api
        self._deadline = deadline
        self._namespace = excerpt.subject.metadata.namespace
        self._service_name = excerpt.subject.service_name
        self._by_absence = excerpt.by_absence
        self._listed = tuple(excerpt.listed)
        self._ips = dict.fromkeys(ip for each in self._listed for ip in each.address.reaches)
        self._names = dict.fromkeys((*self._target_names("Pod"), *self._known_holders()))
        self._fresh = Inventory(background=known)
        self._looked_at_all = False
        self._complete = True

    def result(self) -> Confirmed:
        service = self._get(SERVICE, self._namespace, self._service_name)
        selecting = service if isinstance(service, Service) and service.has_selector else None
        self._read_named_pods(selecting)
        if self._by_absence and not self._looked_at_all:
            self._look_for_holders(selecting)
        if selecting is None:
            self._read_each(self._owners())
            self._read_api_servers()
        self._read_each((NODE, "", name) for name in self._target_names("Node"))
        return Confirmed(inventory=self._fresh, complete=self._complete)

    def _read_named_pods(self, selecting: Service | None) -> None:
        """The Pods that targetRefs name, and those that the cache has at the addresses."""
        if len(self._names) > READS and selecting is not None:
            self._list_pods(_selector_of(selecting))
        left = [name for name in self._names if self._fresh.pod(self._namespace, name) is None]
        if len(left) > READS:
            self._list_pods()
        else:
            for name in left:
                self._get(POD, self._namespace, name)

    def _look_for_holders(self, selecting: Service | None) -> None:
        """The Pods that the cache does not know yet, and that may hold one of the addresses."""
        unheld = [ip for ip in self._ips if not self._is_held(ip)]
        if len(unheld) > ASKED or any(map(self._fresh.may_be_second, unheld)):
            self._list_pods(_selector_of(selecting) if selecting is not None else "")
        else:
            for ip in unheld:
                self._list_pods(field_selector=f"status.podIP={ip}")

    def _is_held(self, ip: str) -> bool:
        return any(pod.namespace == self._namespace for pod in self._fresh.live_pods_at(ip))

    def _target_names(self, kind: str) -> Iterator[str]:
        for listed in self._listed:
            ref = listed.target_ref
            if ref is not None and ref.kind == kind and ref.namespace in ("", self._namespace):
                yield ref.name

    def _known_holders(self) -> Iterator[str]:
        """The namespace's own Pods that the cache has at the addresses."""
        for ip in self._ips:
            for pod in self._known.live_pods_at(ip):
                if pod.namespace == self._namespace:
                    yield pod.name

    def _owners(self) -> Iterator[_Key]:
        """Everything outside the namespace's own Pods that is said to own an address.

        A Pod on the network of a Node has its address: if it still is the Node's, that is enough.
        """
        for ip in self._ips:
            for node in self._known.nodes_at(ip):
                yield NODE, "", node.name
            for service in self._known.services_at(ip):
                yield SERVICE, service.namespace, service.name
            for pod in self._known.live_pods_at(ip):
                of_node = pod.host_network and self._fresh.nodes_at(ip)
                if pod.namespace != self._namespace and not of_node:
                    yield POD, pod.namespace, pod.name

    def _read_api_servers(self) -> None:
        """The addresses of the API servers, if one of them is in question."""
        if not any(map(self._known.is_api_server, self._ips)):
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
        """One after the other: what comes next may depend on what was read."""
        read: set[_Key] = set()
        for key in keys:
            if key in read:
                continue
            if len(read) == READS:
                self._complete = False
                return
            read.add(key)
            self._get(*key)

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

    def _list_pods(self, label_selector: str = "", field_selector: str = "") -> None:
        """Those of the namespace; what is not asked about is forgotten at once."""
        self._looked_at_all = not field_selector
        pods = self._api.list_all(
            object_path(POD.path, self._namespace),
            POD.read,
            label_selector=label_selector,
            field_selector=field_selector,
            deadline=self._deadline,
        )
        for pod in pods:
            if isinstance(pod, Pod) and self._is_asked_about(pod):
                self._fresh.apply(POD.kind, pod)

    def _is_asked_about(self, pod: Pod) -> bool:
        return pod.name in self._names or any(ip in self._ips for ip in pod.ips)


def _selector_of(service: Service) -> str:
    return ",".join(f"{key}={value}" for key, value in (service.selector or {}).items())
