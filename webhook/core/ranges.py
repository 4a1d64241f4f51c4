"""Many CIDRs, asked whether they hold an address, in a time that does not grow with their
number.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from ipaddress import ip_network
from typing import Generic, TypeVar

from webhook.core.addresses import Address

Value = TypeVar("Value")

_BITS = {4: 32, 6: 128}


class CidrSet:
    """CIDRs by length: one dict lookup for each length in use, and clusters use very few."""

    def __init__(self, cidrs: Iterable[str] = ()) -> None:
        self._networks: dict[tuple[int, int], Counter[int]] = {}
        for cidr in cidrs:
            self.add(cidr)

    def add(self, cidr: str) -> None:
        """Put one in; text that is no CIDR holds no address."""
        key, prefix = _parsed(cidr)
        if key is not None:
            self._networks.setdefault(key, Counter())[prefix] += 1

    def discard(self, cidr: str) -> None:
        """Take one out that was put in; put in twice, it has to be taken out twice."""
        key, prefix = _parsed(cidr)
        if key is None or key not in self._networks:
            return
        prefixes = self._networks[key]
        prefixes[prefix] -= 1
        if prefixes[prefix] <= 0:
            del prefixes[prefix]

    def __contains__(self, address: Address) -> bool:
        return any(
            version == address.version and number >> (_BITS[version] - length) in prefixes
            for (version, length), prefixes in tuple(self._networks.items())
            for number in (address.number,)
        )


def _parsed(cidr: str) -> tuple[tuple[int, int] | None, int]:
    try:
        network = ip_network(cidr, strict=False)
    except ValueError:
        return None, 0
    shift = _BITS[network.version] - network.prefixlen
    return (network.version, network.prefixlen), int(network.network_address) >> shift


class RangeIndex(Generic[Value]):
    """The CIDRs that objects of one kind bring along, kept current like any other index."""

    def __init__(self, cidrs: Callable[[Value], Iterable[str]]) -> None:
        self._cidrs = cidrs
        self.ranges = CidrSet()

    def add(self, value: Value) -> None:
        """Put its CIDRs in."""
        for cidr in self._cidrs(value):
            self.ranges.add(cidr)

    def discard(self, value: Value) -> None:
        """Take its CIDRs out."""
        for cidr in self._cidrs(value):
            self.ranges.discard(cidr)
