"""Who has the addresses that one object lists, where several have one.

A slice may list one address 100,000 times, and hundreds may have it: all Pods on the network of a
node, or Services with one external address. So of each address it is found out once.
"""

from webhook.core.inventory import Inventory
from webhook.core.objects import Pod, Service


def may_stand_behind(pod: Pod, selecting: Service | None) -> bool:
    """Whether a Pod may stand behind an address that it has, given the Service that selects."""
    return selecting is None or selecting.selects(pod.labels)


class Holders:
    """Pods and Services by address, as a namespace sees them. Callers bring what there is."""

    def __init__(self, inventory: Inventory, namespace: str, selecting: Service | None) -> None:
        """`selecting` is the Service that selects the Pods of the object, if one does."""
        self._inventory = inventory
        self._namespace = namespace
        self._selecting = selecting
        self._own: dict[str, tuple[Pod, ...]] = {}
        self._behind: dict[str, Pod | None] = {}
        self._strangers: dict[str, Pod | None] = {}
        self._owners: dict[str, Service] = {}

    def own_among(self, ip: str, pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
        """Those of the namespace."""
        if ip not in self._own:
            self._own[ip] = tuple([pod for pod in pods if pod.namespace == self._namespace])
        return self._own[ip]

    def first_behind(self, ip: str, own: tuple[Pod, ...]) -> Pod | None:
        """The first of the namespace's own that may."""
        if ip not in self._behind:
            able = (pod for pod in own if may_stand_behind(pod, self._selecting))
            self._behind[ip] = next(able, None)
        return self._behind[ip]

    def stranger_among(self, ip: str, pods: tuple[Pod, ...]) -> Pod | None:
        """One of another namespace that has the address for itself, and not as its node's."""
        if ip not in self._strangers:
            of_node = bool(self._inventory.nodes_at(ip))
            strangers = (
                pod
                for pod in pods
                if pod.namespace != self._namespace and not (of_node and pod.host_network)
            )
            self._strangers[ip] = next(strangers, None)
        return self._strangers[ip]

    def owner_among(self, ip: str, services: tuple[Service, ...]) -> Service:
        """One of these, which are some; of another namespace, if one is."""
        if ip not in self._owners:
            foreign = (each for each in services if each.namespace != self._namespace)
            self._owners[ip] = next(foreign, services[0])
        return self._owners[ip]
