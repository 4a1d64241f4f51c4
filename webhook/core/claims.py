"""What an object claims, so that an update is judged by what it adds.

A claim is that traffic of one Service goes to one address and port, on behalf of one targetRef. The
objects of a running cluster may hold bad claims from before this webhook: those must not block the
next update of somebody who did not make them, so they are warned about, and only new ones can be
denied. The API server calls this ratcheting.

A slice may have 100,000 addresses and 20,000 ports. Their product is never built: addresses are
looked up one by one, and the ports of a part are one value that is compared as a whole.
"""

from collections.abc import Iterable

from webhook.core.objects import Endpoints, EndpointSlice, ListedAddress, Port, TargetRef
from webhook.core.rule import Facet

PortClaim = tuple[str, str, int | None, str]
Ports = frozenset[PortClaim | None]
"""What a list of ports claims; an empty list claims the one port None."""
AddressClaim = tuple[str, TargetRef | None, str | bool]
"""Canonical address, targetRef, and the value of the facet."""


def port_claims(ports: Iterable[Port]) -> Ports:
    """The ports of a part as they are compared."""
    claims = ((*port.service_port, port.port, port.app_protocol or "") for port in ports)
    return frozenset(claims) or frozenset({None})


def starts_afresh(new: Endpoints | EndpointSlice, old: Endpoints | EndpointSlice) -> bool:
    """Whether the update gives all of the old claims to somebody new, so that none counts as old.

    Another service-name label moves a slice to another Service; dropping the skip-mirror label or
    the leader annotation lets the mirroring controller publish what nobody read before.
    """
    return new.service_name != old.service_name or (new.mirrored and not old.mirrored)


class OldClaims:
    """The claims of the object that an update replaces."""

    def __init__(self, old: Endpoints | EndpointSlice) -> None:
        self._old = old
        self._by_facet: dict[Facet | None, dict[AddressClaim, tuple[Ports, ...]]] = {}
        self._unions: dict[tuple[Ports, ...], Ports] = {}
        self._shared: dict[tuple[int, Facet | None], tuple[object, Ports]] = {}

    def cover(
        self, addresses: tuple[ListedAddress, ...], ports: Ports, facet: Facet | None
    ) -> bool:
        """Whether each of the addresses was there at each of the ports."""
        if len(addresses) == 1:
            return ports <= self._ports_of(addresses[0], facet)
        return ports <= self._ports_of_all(addresses, facet)

    def _ports_of_all(self, addresses: tuple[ListedAddress, ...], facet: Facet | None) -> Ports:
        """The ports that all of them had. Remembered: each port of a part asks for the same."""
        key = (id(addresses), facet)
        if key not in self._shared:
            each = {self._ports_of(listed, facet) for listed in addresses}
            shared = frozenset.intersection(*each) if each else frozenset()
            self._shared[key] = (addresses, shared)  # holding them keeps their id theirs
        return self._shared[key][1]

    def _ports_of(self, listed: ListedAddress, facet: Facet | None) -> Ports:
        """The ports at which the old object had the address, in whatever subsets."""
        if facet not in self._by_facet:
            self._by_facet[facet] = self._index(facet)
        lists = self._by_facet[facet].get(_address_claim(listed, facet), ())
        if lists not in self._unions:
            self._unions[lists] = frozenset().union(*lists)
        return self._unions[lists]

    def _index(self, facet: Facet | None) -> dict[AddressClaim, tuple[Ports, ...]]:
        index: dict[AddressClaim, dict[Ports, None]] = {}
        for part in self._old.parts:
            ports = port_claims(part.ports)
            for listed in part.addresses:
                index.setdefault(_address_claim(listed, facet), {})[ports] = None
        return {claim: tuple(lists) for claim, lists in index.items()}


def _address_claim(listed: ListedAddress, facet: Facet | None) -> AddressClaim:
    address = listed.address.value or listed.address.text
    return address, listed.target_ref, _facet_value(listed, facet)


def _facet_value(listed: ListedAddress, facet: Facet | None) -> str | bool:
    match facet:
        case Facet.NODE_NAME:
            return listed.node_name
        case Facet.HOSTNAME:
            return listed.hostname
        case Facet.READY:
            return listed.ready
        case Facet.SPELLING:
            return listed.address.text
    return ""
