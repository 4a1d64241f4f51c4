"""What a rule looks at: the object, one of its ports, or one of its addresses.

A case holds the facts, gathered once, and the limits that the policy sets; it decides nothing.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Final

from msgspec import Struct

from webhook.core.addresses import Address
from webhook.core.as_published import pods_as_published
from webhook.core.holders import Holders, may_stand_behind
from webhook.core.inventory import API_SERVER, Inventory
from webhook.core.objects import (
    Endpoints,
    EndpointSlice,
    ListedAddress,
    Node,
    Part,
    Pod,
    Port,
    Service,
    ServicePort,
    TargetRef,
)
from webhook.core.objects.pod import NamedPorts, named_ports
from webhook.core.ranges import CidrSet
from webhook.core.rule import Ownership, Violation


class Limits(Struct, frozen=True, dict=True, kw_only=True):
    """What the policy allows in the namespace of the object."""

    forbidden_ports: tuple[int, ...] = ()
    allowed_ports: tuple[int, ...] | None = None
    allowed_names: tuple[str, ...] = ()
    allowed_cidrs: tuple[str, ...] | None = None
    forbidden_cidrs: tuple[str, ...] = ()
    pod_cidrs: tuple[str, ...] = ()

    @cached_property
    def allowed_networks(self) -> CidrSet | None:
        """`allowed_cidrs`, ready for questions; None allows every address."""
        return None if self.allowed_cidrs is None else CidrSet(self.allowed_cidrs)

    @cached_property
    def forbidden_networks(self) -> CidrSet:
        """`forbidden_cidrs`, ready for questions."""
        return CidrSet(self.forbidden_cidrs)

    def forbids(self, address: Address) -> bool:
        """Whether traffic to the address may reach one in `forbidden_cidrs`."""
        networks = self.forbidden_networks
        return any(each in networks for each in address.destinations) if networks else False

    @cached_property
    def pod_networks(self) -> CidrSet:
        """`pod_cidrs`, ready for questions."""
        return CidrSet(self.pod_cidrs)


NO_LIMITS: Final = Limits()


class ObjectCase:
    """An object with its Service and everything known of the cluster."""

    def __init__(
        self,
        subject: Endpoints | EndpointSlice,
        inventory: Inventory,
        *,
        limits: Limits = NO_LIMITS,
        writer: str = "",
    ) -> None:
        self.subject = subject
        self.inventory = inventory
        self.limits = limits
        self.writer = writer
        """Full user name; empty when no particular write is judged, but what is stored."""
        self.namespace: str = subject.metadata.namespace
        owner = subject.service_name
        self.service: Service | None = inventory.service(self.namespace, owner) if owner else None
        selects = self.service is not None and self.service.has_selector
        self.selecting = self.service if selects else None
        """The Service, if it selects the Pods whose endpoints these are."""
        self.ownership = Ownership.SELECTOR if selects else Ownership.MANUAL
        self.is_of_api_servers = (self.namespace, owner) == API_SERVER
        """Whether these are the endpoints of `default/kubernetes`."""
        self.has_addresses = any(part.addresses for part in subject.parts)
        """Whether there is anything to judge; leader-election Endpoints have no address."""
        self.service_ports: Mapping[tuple[str, str], ServicePort] = (
            {port.key: port for port in self.service.ports} if self.service is not None else {}
        )
        """The Service's ports by name and protocol, which is how proxies join them."""

    @cached_property
    def holders(self) -> Holders:
        """Who has the addresses that it lists, where that takes a look at several."""
        return Holders(self.inventory, self.namespace, self.selecting)


class AddressCase(Struct, gc=False):
    """One address, with the Pods that hold it."""

    object: ObjectCase
    part: Part
    listed: ListedAddress
    target_ref: TargetRef | None
    """What the writer says the address belongs to."""
    own_pods: tuple[Pod, ...]
    """Live Pods of the object's namespace that hold the address."""
    target_pod: Pod | None
    """The Pod of the object's namespace that targetRef names, whatever it holds."""
    pod: Pod | None
    """The Pod that stands behind the address: one that the Service selects, or, where there is no
    selector, one of the namespace; the one in targetRef where several share the address."""

    @property
    def text(self) -> str:
        """The address as written."""
        return self.listed.address.text

    def violation(self, message: str, *, detail: str = "", private: str = "") -> Violation:
        """A violation at the address."""
        return Violation(self.listed.path, message, detail, private)

    def violation_at(self, field: str, message: str, *, detail: str = "") -> Violation:
        """A violation at another field of the same entry, such as `targetRef.name`."""
        return Violation(f"{self.listed.endpoint_path}.{field}", message, detail)

    def target_node(self) -> Node | None:
        """The Node that targetRef names, if it is a Node of this cluster."""
        ref = self.listed.target_ref
        if ref is None or ref.kind != "Node":
            return None
        return self.object.inventory.node(ref.name)


def address_case(case: ObjectCase, part: Part, listed: ListedAddress) -> AddressCase:
    """Gather what is known of one address."""
    namespace = case.namespace
    own = case.inventory.live_pods_at(listed.address.value)
    # Usually one Pod of the namespace holds it, and no new tuple is needed.
    if own and (len(own) > 1 or own[0].namespace != namespace):
        own = case.holders.own_among(listed.address.value, own)
    ref = listed.target_ref
    target = _target_pod(case, ref)
    behind = _pod_behind(case, listed.address.value, own, target)
    return AddressCase(case, part, listed, ref, own, target, behind)


def _target_pod(case: ObjectCase, ref: TargetRef | None) -> Pod | None:
    if ref is None or not is_pod_ref(ref):
        return None
    if ref.namespace and ref.namespace != case.namespace:
        return None
    pod = case.inventory.pod(case.namespace, ref.name)
    if pod is None or (ref.uid and ref.uid != pod.uid):
        return None
    return pod


def _pod_behind(case: ObjectCase, ip: str, own: tuple[Pod, ...], target: Pod | None) -> Pod | None:
    selecting = case.selecting
    if len(own) == 1:
        return own[0] if may_stand_behind(own[0], selecting) else None
    if target is not None and target.holds(ip) and may_stand_behind(target, selecting):
        return target
    return case.holders.first_behind(ip, own) if own else None


def is_pod_ref(ref: TargetRef) -> bool:
    """Whether targetRef means a core/v1 Pod."""
    return ref.kind == "Pod" and ref.api_version in ("", "v1")


def _published(case: ObjectCase, part: Part) -> tuple[Pod | None, ...]:
    """The Pods of the addresses that stand there just as the control plane writes them."""
    if case.selecting is None:
        return (None,) * len(part.addresses)  # It writes nothing.
    return tuple(map(pods_as_published(case.selecting, case.inventory, part), part.addresses))


class PartCase:
    """Addresses that share ports, each with the Pods that hold it."""

    def __init__(self, case: ObjectCase, part: Part) -> None:
        self.object = case
        self.part = part
        self._published = _published(case, part)
        self.doubtful = () if all(self._published) else tuple(self._doubtful())
        """The addresses that do not stand there just as the control plane writes them."""

    def _doubtful(self) -> Iterator[AddressCase]:
        for listed, pod in zip(self.part.addresses, self._published, strict=True):
            if pod is None:
                yield address_case(self.object, self.part, listed)

    @cached_property
    def addresses(self) -> tuple[AddressCase, ...]:
        """All of them."""
        doubtful = iter(self.doubtful)
        return tuple(
            next(doubtful) if pod is None else address_case(self.object, self.part, listed)
            for listed, pod in zip(self.part.addresses, self._published, strict=True)
        )

    @cached_property
    def _pods(self) -> tuple[Pod | None, ...]:
        """The Pod behind each address."""
        if not self.doubtful:
            return self._published
        behind = (each.pod for each in self.doubtful)
        return tuple(next(behind) if pod is None else pod for pod in self._published)

    @cached_property
    def _ports_by_id(self) -> dict[int, NamedPorts]:
        """By the identity of `Pod.ports`: equal ones mostly are the same, and long to compare."""
        ports: dict[int, NamedPorts] = {}
        last = None  # They come group by group.
        for pod in self._pods:
            if pod is not None and pod.ports is not last:
                last = pod.ports
                if id(last) not in ports:
                    ports[id(last)] = named_ports(last)
        return ports

    @cached_property
    def pod_ports(self) -> tuple[NamedPorts, ...]:
        """The named ports of Pods behind addresses, each group of Pods once.

        A targetPort means the same on all Pods of a group, and a Service's Pods form one or two.
        """
        return tuple(self._ports_by_id.values())

    @cached_property
    def _joined(self) -> dict[tuple[int, ...], tuple[ListedAddress, ...]]:
        return {}

    def listed_with(self, groups: tuple[NamedPorts, ...]) -> tuple[ListedAddress, ...]:
        """The addresses with one of these `pod_ports`.

        The same value each time: thousands of ports may be wrong for the same addresses.
        """
        key = tuple(map(id, groups))
        if key not in self._joined:
            asked = frozenset(key)
            wanted = {at for at, ports in self._ports_by_id.items() if id(ports) in asked}
            listed = zip(self.part.addresses, self._pods, strict=True)
            self._joined[key] = tuple(
                each for each, pod in listed if pod is not None and id(pod.ports) in wanted
            )
        return self._joined[key]

    @cached_property
    def external(self) -> tuple[ListedAddress, ...]:
        """Addresses that no live Pod of the namespace holds."""
        return tuple(
            each.listed for each in self.doubtful if each.listed.address.value and not each.own_pods
        )


class PortCase(Struct, frozen=True, gc=False):
    """One port of one part."""

    object: ObjectCase
    part: PartCase
    index: int
    port: Port
    """The port in question."""
    service_port: ServicePort | None
    """The Service's port of this name and protocol."""

    @property
    def path(self) -> str:
        """Path of the port."""
        return f"{self.part.part.ports_path}[{self.index}]"


def port_case(case: PartCase, index: int, port: Port) -> PortCase:
    """Gather what is known of one port."""
    service_port = case.object.service_ports.get(port.service_port)
    return PortCase(case.object, case, index, port, service_port)
