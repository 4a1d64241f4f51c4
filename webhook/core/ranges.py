"""Many CIDRs, asked whether they hold an address, in a time that does not grow with their
number.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from ipaddress import ip_network
from typing import Final, Generic, Literal, TypeVar

from webhook.core.addresses import Address, Family

Value = TypeVar("Value")

_FAMILIES: Final[dict[int, Family]] = {4: "IPv4", 6: "IPv6"}


class CidrSet:
    """CIDRs by length: one dict lookup for each length in use, and clusters use very few."""

    def __init__(self, cidrs: Iterable[str] = ()) -> None:
        self._lengths: dict[str, tuple[tuple[int, Counter[int]], ...]] = {}
        """By family: how far to shift an address for a length, and the networks of this length."""
        for cidr in cidrs:
            self.add(cidr)

    def add(self, cidr: str) -> None:
        """Put one in; text that is no CIDR holds no address."""
        family, shift, prefix = _parsed(cidr)
        if not family:
            return
        networks = self._networks(family, shift)
        if networks is None:
            networks = Counter()
            self._lengths[family] = (*self._lengths.get(family, ()), (shift, networks))
        networks[prefix] += 1

    def discard(self, cidr: str) -> None:
        """Take one out that was put in; put in twice, it has to be taken out twice."""
        family, shift, prefix = _parsed(cidr)
        networks = self._networks(family, shift)
        if networks is None:
            return
        networks[prefix] -= 1
        if networks[prefix] <= 0:
            del networks[prefix]

    def __bool__(self) -> bool:
        return bool(self._lengths)

    def __contains__(self, address: Address) -> bool:
        for shift, networks in self._lengths.get(address.family, ()):
            if address.number >> shift in networks:
                return True
        return False

    def _networks(self, family: str, shift: int) -> Counter[int] | None:
        return dict(self._lengths.get(family, ())).get(shift)


def _parsed(cidr: str) -> tuple[Family | Literal[""], int, int]:
    try:
        network = ip_network(cidr, strict=False)
    except ValueError:
        return "", 0, 0
    shift = network.max_prefixlen - network.prefixlen
    return _FAMILIES[network.version], shift, int(network.network_address) >> shift


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
