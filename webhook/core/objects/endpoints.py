"""Endpoints and EndpointSlices, and the one shape in which rules see both.

An Endpoints object is read as the EndpointSlices that it would be mirrored to: one `Part` a subset.
Each `ListedAddress` knows the field that it came from, so messages speak of the object as written.
Sources: core/v1 Endpoints, discovery.k8s.io/v1 EndpointSlice, KEP-752.
"""

from functools import cached_property
from typing import ClassVar, Final

from msgspec import Struct

from webhook.core.addresses import Address, parse
from webhook.core.objects.decoding import Metadata, ObjectRef, api_name

SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"
SKIP_MIRROR_LABEL: Final = "endpointslice.kubernetes.io/skip-mirror"
LEADER_ANNOTATION: Final = "control-plane.alpha.kubernetes.io/leader"
_UNPROXIED_LABELS: Final = frozenset(
    {"service.kubernetes.io/headless", "service.kubernetes.io/service-proxy-name"}
)
"""With one of them, whatever its value, kube-proxy leaves a slice alone (the second one only does
so in older versions)."""
OVER_CAPACITY_ANNOTATION: Final = "endpoints.kubernetes.io/over-capacity"
_SLICE_MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"

Mark = tuple[str, str]
"""A label and its value by which a controller knows its own objects. Anybody can set it."""
ENDPOINTS_MARK: Final[Mark] = ("endpoints.kubernetes.io/managed-by", "endpoint-controller")
SLICE_MARK: Final[Mark] = (_SLICE_MANAGED_BY, "endpointslice-controller.k8s.io")
MIRROR_MARK: Final[Mark] = (_SLICE_MANAGED_BY, "endpointslicemirroring-controller.k8s.io")


class OwnerReference(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    """metav1.OwnerReference."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""


class PublishedMetadata(Metadata, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    """metav1.ObjectMeta of what publishes endpoints; who owns Pods, no rule asks."""

    owner_references: tuple[OwnerReference, ...] | None = None

    def carries(self, mark: Mark) -> bool:
        """Whether it is labelled as the object of a controller."""
        label, value = mark
        return self.labels is not None and self.labels.get(label) == value


NO_PUBLISHED_METADATA: Final = PublishedMetadata()


class TargetRef(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    """core/v1 ObjectReference; nobody has validated any of it before."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""


class EndpointAddress(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    """core/v1 EndpointAddress."""

    ip: str = ""
    hostname: str | None = None
    node_name: str | None = None
    target_ref: TargetRef | None = None


class Port(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    """A port of a subset or slice. `port` None means every port (slices only)."""

    name: str | None = None
    protocol: str | None = None
    port: int | None = None
    app_protocol: str | None = None

    @property
    def service_port(self) -> tuple[str, str]:
        """The Service port that it belongs to, by name and protocol, as kube-proxy joins them."""
        return self.name or "", self.protocol or "TCP"

    def __str__(self) -> str:
        number = "every port" if self.port is None else str(self.port)
        return f"{self.name}:{number}/{self.protocol or 'TCP'}" if self.name else number


class Subset(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    """core/v1 EndpointSubset."""

    addresses: tuple[EndpointAddress, ...] | None = None
    not_ready_addresses: tuple[EndpointAddress, ...] | None = None
    ports: tuple[Port, ...] | None = None


class Conditions(Struct, frozen=True, omit_defaults=True, gc=False):
    """discovery/v1 EndpointConditions; consumers read a missing `ready` as true."""

    ready: bool | None = None


class Endpoint(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    """discovery/v1 Endpoint."""

    addresses: tuple[str, ...] | None = None
    conditions: Conditions | None = None
    hostname: str | None = None
    node_name: str | None = None
    target_ref: TargetRef | None = None


class ListedAddress(Struct, frozen=True, gc=False):
    """One address that an object publishes, with all that the object says of it."""

    address: Address
    ready: bool
    hostname: str
    node_name: str
    target_ref: TargetRef | None
    list_path: str
    index: int
    address_index: int = -1
    """Place in `addresses` of a slice's endpoint; -1 in Endpoints, whose entries have one `ip`."""

    @property
    def endpoint_path(self) -> str:
        """Path of the entry, such as `subsets[0].notReadyAddresses[2]`."""
        return f"{self.list_path}[{self.index}]"

    @property
    def path(self) -> str:
        """Path of the address itself."""
        leaf = "ip" if self.address_index < 0 else f"addresses[{self.address_index}]"
        return f"{self.endpoint_path}.{leaf}"


class Part(Struct, frozen=True, gc=False, kw_only=True):
    """Addresses that share a list of ports: a subset, or a whole slice."""

    ports_path: str
    ports: tuple[Port, ...]
    addresses: tuple[ListedAddress, ...]
    address_type: str = ""
    """IPv4, IPv6 or FQDN for a slice; empty for Endpoints, which may mix families."""


class Endpoints(Struct, frozen=True, omit_defaults=True, dict=True):
    """core/v1 Endpoints."""

    kind: ClassVar[str] = "Endpoints"
    metadata: PublishedMetadata = NO_PUBLISHED_METADATA
    subsets: tuple[Subset, ...] | None = None

    @property
    def ref(self) -> ObjectRef:
        """Its kind, namespace and name."""
        return _ref(self.kind, self.metadata)

    @property
    def service_name(self) -> str:
        """The owning Service has the same name."""
        return self.metadata.name

    @property
    def in_effect(self) -> bool:
        """Whether proxies come to read it, given its metadata: whether the mirroring controller
        would republish it as slices (KEP-752).
        """
        skip = (self.metadata.labels or {}).get(SKIP_MIRROR_LABEL) == "true"
        return not skip and LEADER_ANNOTATION not in (self.metadata.annotations or {})

    @property
    def content(self) -> object:
        """What may not change if an update is to count as metadata only."""
        return self.subsets or ()

    def is_larger_than(self, most: int) -> bool:
        """Whether it has more subsets, addresses or ports than that."""
        subsets = self.subsets or ()
        if len(subsets) > most:
            return True
        ports = sum([len(each.ports or ()) for each in subsets])
        lists = ((each.addresses, each.not_ready_addresses) for each in subsets)
        return ports > most or sum(len(listed or ()) for both in lists for listed in both) > most

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The one shape that rules see."""
        return tuple(_subset_part(i, subset) for i, subset in enumerate(self.subsets or ()))


class EndpointSlice(Struct, frozen=True, omit_defaults=True, dict=True, rename=api_name):
    """discovery.k8s.io/v1 EndpointSlice."""

    kind: ClassVar[str] = "EndpointSlice"
    metadata: PublishedMetadata = NO_PUBLISHED_METADATA
    address_type: str = ""
    endpoints: tuple[Endpoint, ...] | None = None
    ports: tuple[Port, ...] | None = None

    @property
    def ref(self) -> ObjectRef:
        """Its kind, namespace and name."""
        return _ref(self.kind, self.metadata)

    @property
    def service_name(self) -> str:
        """The label names the owning Service; neither the name nor ownerReferences do."""
        return (self.metadata.labels or {}).get(SERVICE_NAME_LABEL, "")

    @property
    def in_effect(self) -> bool:
        """Whether kube-proxy reads it, given its metadata."""
        return _UNPROXIED_LABELS.isdisjoint(self.metadata.labels or ())

    @property
    def content(self) -> object:
        """What may not change if an update is to count as metadata only."""
        return self.address_type, self.endpoints or (), self.ports or ()

    def is_larger_than(self, most: int) -> bool:
        """Whether it has more endpoints, addresses or ports than that."""
        endpoints = self.endpoints or ()
        if max(len(endpoints), len(self.ports or ())) > most:
            return True
        return sum([len(each.addresses or ()) for each in endpoints]) > most

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The one shape that rules see."""
        part = Part(
            ports_path="ports",
            ports=self.ports or (),
            addresses=tuple(_slice_addresses(self.endpoints or ())),
            address_type=self.address_type or "IPv4",
        )
        return (part,)


def _ref(kind: str, metadata: Metadata) -> ObjectRef:
    return ObjectRef(kind, metadata.namespace, metadata.name or metadata.generate_name)


def _subset_part(index: int, subset: Subset) -> Part:
    path = f"subsets[{index}]"
    ready = _subset_addresses(f"{path}.addresses", subset.addresses, ready=True)
    waiting = _subset_addresses(
        f"{path}.notReadyAddresses", subset.not_ready_addresses, ready=False
    )
    return Part(ports_path=f"{path}.ports", ports=subset.ports or (), addresses=(*ready, *waiting))


def _subset_addresses(
    path: str, addresses: tuple[EndpointAddress, ...] | None, *, ready: bool
) -> list[ListedAddress]:
    return [
        ListedAddress(
            parse(entry.ip),
            ready,
            entry.hostname or "",
            entry.node_name or "",
            entry.target_ref,
            path,
            index,
        )
        for index, entry in enumerate(addresses or ())
    ]


def _slice_addresses(endpoints: tuple[Endpoint, ...]) -> list[ListedAddress]:
    return [
        ListedAddress(
            parse(text),
            endpoint.conditions is None or endpoint.conditions.ready is not False,
            endpoint.hostname or "",
            endpoint.node_name or "",
            endpoint.target_ref,
            "endpoints",
            index,
            address_index,
        )
        for index, endpoint in enumerate(endpoints)
        for address_index, text in enumerate(endpoint.addresses or ())
    ]
