"""What an object claims, so that an update is judged by what it adds.

A claim is that traffic of one Service goes to one address and port, on behalf of one targetRef. The
objects of a running cluster may hold bad claims from before this webhook: those must not block the
next update of somebody who did not make them, so they are warned about, and only new ones can be
denied. The API server calls this ratcheting.
"""

from collections.abc import Iterable, Iterator

from webhook.core.objects import Endpoints, EndpointSlice, ListedAddress, Part, Port, TargetRef
from webhook.core.rule import Facet

PortClaim = tuple[str, str, int | None, str]
Claim = tuple[str, TargetRef | None, PortClaim | None, Facet | None, str | bool]
"""Address, targetRef, port (None: a part without ports), and one further field with its value."""


def claims(subject: Endpoints | EndpointSlice) -> frozenset[Claim]:
    """Everything that an object claims, each facet included."""
    return frozenset(
        claim
        for part in subject.parts
        for listed in part.addresses
        for port in part.ports or (None,)
        for facet in (None, *Facet)
        for claim in (_claim(listed, port, facet),)
    )


def claims_behind(
    part: Part, listed: ListedAddress | None, port: Port | None, facet: Facet | None
) -> Iterator[Claim]:
    """The claims on which a violation rests: of one address or all, at one port or all."""
    addresses: Iterable[ListedAddress] = (listed,) if listed is not None else part.addresses
    ports: Iterable[Port | None] = (port,) if port is not None else (part.ports or (None,))
    return (_claim(address, each, facet) for address in addresses for each in ports)


def starts_afresh(new: Endpoints | EndpointSlice, old: Endpoints | EndpointSlice) -> bool:
    """Whether the update gives all of the old claims to somebody new, so that none counts as old.

    Another service-name label moves a slice to another Service; dropping the skip-mirror label or
    the leader annotation lets the mirroring controller publish what nobody read before.
    """
    return new.service_name != old.service_name or (new.mirrored and not old.mirrored)


def _claim(listed: ListedAddress, port: Port | None, facet: Facet | None) -> Claim:
    address = listed.address.value or listed.address.text
    return address, listed.target_ref, _port_claim(port), facet, _facet_value(listed, facet)


def _port_claim(port: Port | None) -> PortClaim | None:
    if port is None:
        return None
    return (*port.service_port, port.port, port.app_protocol or "")


def _facet_value(listed: ListedAddress, facet: Facet | None) -> str | bool:
    if facet is Facet.NODE_NAME:
        return listed.node_name
    if facet is Facet.HOSTNAME:
        return listed.hostname
    return listed.ready if facet is Facet.READY else ""
