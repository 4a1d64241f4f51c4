"""What is known of the cluster, indexed by the questions that rules ask.

One writer per kind (an informer, or a reader of manifests) and any number of readers, without a
lock: every change is a single assignment into a dict, and index entries are replaced, never
mutated, so a reader sees the state before a change or after it. While an address moves between two
Pods it may see both or neither; confirm-before-deny covers that (docs/adr/0004).
"""

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from webhook.core.addresses import Address, family_of
from webhook.core.audit_index import AuditIndex, ReachIndex
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
from webhook.core.ranges import RangeIndex
from webhook.core.tables import Index, Key, Table, Tally

API_SERVER: Final[Key] = ("default", "kubernetes")
"""The Service whose endpoints are the API servers themselves."""


class Inventory:
    """Services, Pods, Nodes, and what publishes endpoints, as far as they are known."""

    def __init__(self, background: "Inventory | None" = None) -> None:
        """With a `background`, what that knows of the network counts here as well: a part of a
        cluster that was read anew lies in the same network as the rest.
        """
        self._background = background
        self._pods_by_ip = Index[Pod](lambda pod: () if pod.terminal else pod.ips)
        self._pods_by_uid = Index[Pod](lambda pod: (pod.uid,) if pod.uid else ())
        self._second_families = Tally[Pod](lambda pod: map(family_of, pod.ips[1:]))
        self._services_by_ip = Index[Service](lambda s: (*s.cluster_ips, *s.public_ips))
        self._nodes_by_ip = Index[Node](lambda node: node.ips)
        # Asked for every address of every write: a method around them would cost as much again.
        self.live_pods_at = self._pods_by_ip.at
        """The Pods that hold a canonical address; a terminal Pod holds none (kubernetes#135593)."""
        self.nodes_at = self._nodes_by_ip.at
        """The Nodes that list a canonical address."""
        self.services_at = self._services_by_ip.at
        """The Services with this canonical cluster, external or load-balancer address."""
        self._node_ranges = RangeIndex[Node](lambda node: node.pod_cidrs)
        self._api_servers = Index[Endpoints | EndpointSlice](_api_server_addresses)
        self.services = Table[Service](lambda s: (s.namespace, s.name), self._services_by_ip)
        self.pods = Table[Pod](
            lambda pod: pod.key, self._pods_by_ip, self._pods_by_uid, self._second_families
        )
        self.nodes = Table[Node](lambda node: ("", node.name), self._nodes_by_ip, self._node_ranges)
        self.endpoints = Table[Endpoints](_metadata_key, self._api_servers)
        self.endpoint_slices = Table[EndpointSlice](_metadata_key, self._api_servers)
        self.cluster_roles = Table[Role](_named_key)
        self.roles = Table[Role](_named_key)
        self.cluster_role_bindings = Table[RoleBinding](_named_key)
        self.role_bindings = Table[RoleBinding](_named_key)
        self._tables: Mapping[str, Table[Any]] = {
            "Service": self.services,
            "Pod": self.pods,
            "Node": self.nodes,
            "Endpoints": self.endpoints,
            "EndpointSlice": self.endpoint_slices,
            "ClusterRole": self.cluster_roles,
            "Role": self.roles,
            "ClusterRoleBinding": self.cluster_role_bindings,
            "RoleBinding": self.role_bindings,
        }

    @cached_property
    def for_audit(self) -> AuditIndex:
        """What only an audit asks; made, and from then on kept current, when it is first asked for.

        Whoever goes on changing the inventory in other threads asks for it before they start.
        """
        return AuditIndex(
            endpoints=self.endpoints, endpoint_slices=self.endpoint_slices, pods=self.pods
        )

    @cached_property
    def reach(self) -> ReachIndex:
        """Whom a change concerns; made and kept current like `for_audit`."""
        return ReachIndex(
            endpoints=self.endpoints,
            endpoint_slices=self.endpoint_slices,
            services=self.services,
            pods=self.pods,
        )

    def apply(self, kind: str, value: object) -> None:
        """Add or replace one object of this kind."""
        self._tables[kind].apply(value)

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Forget one object of this kind."""
        self._tables[kind].remove((namespace, name))

    def replace(
        self, kind: str, values: Iterable[object], namespaces: Collection[str] | None = None
    ) -> None:
        """Make these the only objects of this kind, or its only ones in these namespaces."""
        self._tables[kind].replace(values, namespaces)

    def get(self, kind: str, key: Key) -> object | None:
        """One object of this kind."""
        found: object | None = self._tables[kind].objects.get(key)
        return found

    def key_of(self, kind: str, value: object) -> Key:
        """Where an object of this kind is, or would be."""
        return self._tables[kind].key(value)

    def keys(self, kind: str) -> tuple[Key, ...]:
        """The names of all objects of this kind."""
        return tuple(self._tables[kind].objects)

    def service(self, namespace: str, name: str) -> Service | None:
        """The Service of this name."""
        return self.services.objects.get((namespace, name))

    def pod(self, namespace: str, name: str) -> Pod | None:
        """The Pod of this name, terminal ones included."""
        return self.pods.objects.get((namespace, name))

    def pod_with_uid(self, uid: str) -> Pod | None:
        """The Pod of this uid, whatever its name."""
        return next(iter(self._pods_by_uid.at(uid)), None)

    def node(self, name: str) -> Node | None:
        """The Node of this name."""
        return self.nodes.objects.get(("", name))

    def published(self, ref: ObjectRef) -> Endpoints | EndpointSlice | None:
        """The Endpoints or EndpointSlice of this name."""
        table = self.endpoints if ref.kind == "Endpoints" else self.endpoint_slices
        return table.objects.get((ref.namespace, ref.name))

    def binding(self, ref: ObjectRef) -> RoleBinding | None:
        """The RoleBinding or ClusterRoleBinding of this name."""
        wide = ref.kind == "ClusterRoleBinding"
        table = self.cluster_role_bindings if wide else self.role_bindings
        return table.objects.get((ref.namespace, ref.name))

    def is_api_server(self, ip: str) -> bool:
        """Whether a canonical address is among the endpoints of `default/kubernetes`."""
        return ip in self._api_servers

    def in_pod_range(self, address: Address) -> bool:
        """Whether a Node was given a Pod range that holds the address."""
        if address in self._node_ranges.ranges:
            return True
        return self._background is not None and self._background.in_pod_range(address)

    def may_be_second(self, ip: str) -> bool:
        """Whether a canonical address is of a family of which some Pod has its second address.

        There is none where all Pods have one address, and where both families are in use it is
        usually one of them: `status.podIP`, by which Pods can be asked for, is the first.
        """
        if family_of(ip) in self._second_families:
            return True
        return self._background is not None and self._background.may_be_second(ip)


def _api_server_addresses(value: Endpoints | EndpointSlice) -> Iterable[str]:
    if (value.metadata.namespace, value.service_name) != API_SERVER:
        return ()
    return (listed.address.value for part in value.parts for listed in part.addresses)


def _named_key(value: Role | RoleBinding) -> Key:
    return value.namespace, value.name


def _metadata_key(value: Endpoints | EndpointSlice) -> Key:
    return value.metadata.namespace, value.metadata.name
