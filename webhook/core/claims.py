"""What an object claims, so that an update is judged by what it adds.

A claim is that traffic of one Service goes to one address and port, on behalf of one targetRef. The
objects of a running cluster may hold bad claims from before this webhook: those must not block the
next update of somebody who did not make them, so they are warned about, and only new ones can be
denied. The API server calls this ratcheting.

A slice may have 100,000 addresses and 20,000 ports. Their product is never built: addresses are
looked up one by one, and the ports of a part are one value that is compared as a whole.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from webhook.core.objects import Endpoints, EndpointSlice, ListedAddress, Port, TargetRef
from webhook.core.rule import Facet

PortClaim = tuple[str, str, int | None, str]
Ports = frozenset[PortClaim | None]
"""What a list of ports claims; an empty list claims the one port None."""
AddressClaim = tuple[str, TargetRef | None, str | bool]
"""Canonical address, targetRef, and the value of the facet."""


_MOST_GROUPS: Final = 64
"""Ways in which the addresses of one part may have been spread over port lists before. Controllers
and people need a handful; with more, a violation at a port counts as new.
"""
_FEW: Final = 16
"""Port lists of one address that are looked through; the union of more is kept."""


def port_claims(ports: Iterable[Port]) -> Ports:
    """The ports of a part as they are compared."""
    claims = ((*port.service_port, port.port, port.app_protocol or "") for port in ports)
    return frozenset(claims) or frozenset({None})


def starts_afresh(new: Endpoints | EndpointSlice, old: Endpoints | EndpointSlice) -> bool:
    """Whether the update gives all of the old claims to somebody new, so that none counts as old.

    Another service-name label moves a slice to another Service; dropping the skip-mirror label or
    the leader annotation lets the mirroring controller publish what nobody read before, and
    dropping the label of a headless Service lets kube-proxy read it.
    """
    return new.service_name != old.service_name or (new.in_effect and not old.in_effect)


def counted_as_old(
    new: Endpoints | EndpointSlice, old: Endpoints | EndpointSlice | None
) -> Endpoints | EndpointSlice | None:
    """The object before the update, if what it claimed counts as old."""
    return None if old is None or starts_afresh(new, old) else old


class OldClaims:
    """The claims of the object that an update replaces."""

    def __init__(self, old: Endpoints | EndpointSlice) -> None:
        self._old = old
        self._by_facet: dict[Facet | None, dict[AddressClaim, tuple[Ports, ...]]] = {}
        self._unions: dict[int, Ports] = {}
        self._groups: dict[tuple[int, Facet | None], tuple[object, set[tuple[Ports, ...]]]] = {}

    def cover(
        self, addresses: tuple[ListedAddress, ...], ports: Ports, facet: Facet | None
    ) -> bool:
        """Whether each of the addresses was there at each of the ports."""
        if len(addresses) == 1:
            return self._hold(self._lists_of(addresses[0], facet), ports)
        groups = self._lists_of_all(addresses, facet)
        return len(groups) <= _MOST_GROUPS and all(self._hold(lists, ports) for lists in groups)

    def _hold(self, lists: tuple[Ports, ...], ports: Ports) -> bool:
        """Whether port lists that belong to one address have all of the ports."""
        if len(lists) <= _FEW:
            return any(ports <= each for each in lists) or ports <= frozenset().union(*lists)
        if id(lists) not in self._unions:
            self._unions[id(lists)] = frozenset().union(*lists)
        return ports <= self._unions[id(lists)]

    def _lists_of_all(
        self, addresses: tuple[ListedAddress, ...], facet: Facet | None
    ) -> set[tuple[Ports, ...]]:
        """What they had, each once. Remembered: each port of a part asks for the same."""
        key = (id(addresses), facet)
        if key not in self._groups:
            groups = {self._lists_of(listed, facet) for listed in addresses}
            self._groups[key] = (addresses, groups)  # holding them keeps their id theirs
        return self._groups[key][1]

    def _lists_of(self, listed: ListedAddress, facet: Facet | None) -> tuple[Ports, ...]:
        """The port lists at which the old object had the address."""
        if facet not in self._by_facet:
            self._by_facet[facet] = self._index(facet)
        return self._by_facet[facet].get(_address_claim(listed, facet), ())

    def _index(self, facet: Facet | None) -> dict[AddressClaim, tuple[Ports, ...]]:
        index: dict[AddressClaim, dict[Ports, None]] = {}
        value_of = _FACET_VALUES[facet]
        for part in self._old.parts:
            ports = port_claims(part.ports)
            for listed in part.addresses:
                claim = _claimed(listed), listed.target_ref, value_of(listed)
                index.setdefault(claim, {})[ports] = None
        return {claim: tuple(lists) for claim, lists in index.items()}


def _address_claim(listed: ListedAddress, facet: Facet | None) -> AddressClaim:
    return _claimed(listed), listed.target_ref, _FACET_VALUES[facet](listed)


def _claimed(listed: ListedAddress) -> str:
    return listed.address.value or listed.address.text


_FACET_VALUES: Final[Mapping[Facet | None, Callable[[ListedAddress], str | bool]]] = {
    None: lambda _: "",
    Facet.NODE_NAME: lambda listed: listed.node_name,
    Facet.HOSTNAME: lambda listed: listed.hostname,
    Facet.READY: lambda listed: listed.ready,
    Facet.SPELLING: lambda listed: listed.address.text,
}
