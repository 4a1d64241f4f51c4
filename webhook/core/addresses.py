"""IP addresses as values: parsed once, compared by meaning, classified by where they lead.

Kubernetes compares addresses as text, while its readers (Go, libc, eBPF, L7 proxies) parse them,
and not all alike: KEP-4858. Everything else in `core` therefore works on `Address.value`, the
canonical text of what Go reads, and learns from `Address.ambiguity` when others may read it
otherwise.
"""

import re
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address as IPv4
from ipaddress import IPv6Address as IPv6
from ipaddress import ip_address, ip_network
from operator import itemgetter
from typing import Final, Literal

from msgspec import Struct

Family = Literal["IPv4", "IPv6"]


class Address(Struct, frozen=True, gc=False):
    """One address as written, and what it means."""

    text: str
    """As written in the object."""
    value: str = ""
    """Canonical text of what Go's parsers read; empty when the text is no IP address at all."""
    family: Family | Literal[""] = ""
    """Family of `value`: an IPv4-mapped IPv6 address is IPv4, as for kube-proxy."""
    ambiguity: str = ""
    """Why readers may disagree about the text; empty when they cannot."""
    number: int = 0
    """`value` as an integer, for comparison with ranges."""
    special: str = ""
    """The special range that it lies in, also when wrapped in a translated form; empty for none."""
    embedded: tuple["Address", ...] = ()
    """IPv4 addresses that a translator (NAT64, 6to4, Teredo, ...) would forward it to."""
    reaches: tuple[str, ...] = ()
    """The `value` of each of its `destinations`."""

    @property
    def destinations(self) -> tuple["Address", ...]:
        """Every address that traffic to this one may reach: itself first, then the embedded."""
        return (self, *self.embedded) if self.value else ()


_SPECIAL: Final = tuple(
    (ip_network(network), name)
    for network, name in (
        # Cloud metadata and host services.
        ("169.254.169.254/32", "cloud metadata"),
        ("100.100.100.200/32", "cloud metadata (Alibaba Cloud)"),
        ("168.63.129.16/32", "cloud host service (Azure)"),
        ("192.0.0.192/32", "cloud metadata (Oracle Cloud)"),
        ("fd00:ec2::/32", "cloud metadata (AWS)"),
        ("fd20:ce::254/128", "cloud metadata (Google Cloud)"),
        ("fd00:c1::a9fe:a9fe/128", "cloud metadata (Oracle Cloud)"),
        ("fd00:42::42/128", "cloud metadata (Scaleway)"),
        ("0.0.0.0/32", "unspecified"),
        ("0.0.0.0/8", "this network"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local (deprecated)"),
        ("ff00::/8", "multicast"),
    )
)


def _names_by_length(version: int) -> tuple[tuple[int, dict[int, str]], ...]:
    """Names of special ranges by prefix, the longest prefixes first: what is said of one address
    says more than what is said of the range around it. With each, how far to shift an address.
    """
    lengths: dict[int, dict[int, str]] = {}
    for network, name in _SPECIAL:
        if network.version == version:
            shift = network.max_prefixlen - network.prefixlen
            lengths.setdefault(shift, {})[int(network.network_address) >> shift] = name
    return tuple(sorted(lengths.items(), key=itemgetter(0)))


_SPECIAL_IPV4: Final = _names_by_length(4)
_SPECIAL_IPV6: Final = _names_by_length(6)
_LOCAL_NAT64: Final = 0x0064_FF9B_0001
"""64:ff9b:1::/48 (RFC 8215), within which operators choose a prefix of their own."""
_NO_ADDRESS: Final = "it is not an IP address"
_PLAIN_OCTET: Final = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_PLAIN_IPV4: Final = re.compile(r"\.".join([_PLAIN_OCTET] * 4), re.ASCII)
_PADDED_IPV4: Final = re.compile(r"(?:.*:)?\d+\.\d+\.\d+\.\d+", re.ASCII)
_LEADING_ZEROS: Final = re.compile(r"(?<![\d])0+(?=\d)", re.ASCII)
_LONG_GROUP: Final = re.compile(r"(?<![\dA-Fa-f])0+(?=[\dA-Fa-f]{4}(?![\dA-Fa-f.]))", re.ASCII)
"""The zeros that a group of IPv6 has too many, for more than four digits."""


_LONGEST_KEPT: Final = 64
"""Longer are only addresses with very many zeros; such text must not fill what is remembered."""
_REMEMBERED: Final = 16384


class _Known(dict[str, Address]):
    """What was read lately, by its text: a write names the addresses that the last one named."""

    def __missing__(self, text: str) -> Address:
        if len(text) > _LONGEST_KEPT:
            return _parse_unusual(text)
        if len(self) >= _REMEMBERED:
            self.clear()
        self[text] = address = _read(text)
        return address


parse: Final[Callable[[str], Address]] = _Known().__getitem__
"""Read an address as Go reads it. Never raises: text that is no address has an empty `value`.

Asked for every address of every write: a function around it would take as long again.
"""


def canonical(text: str) -> str:
    """The `value` of an address, without the rest of it: for who reads 150,000 of them once."""
    return text if _PLAIN_IPV4.fullmatch(text) else parse(text).value


def family_of(value: str) -> Family:
    """The family of a canonical address."""
    return "IPv6" if ":" in value else "IPv4"


def _read(text: str) -> Address:
    plain = _PLAIN_IPV4.fullmatch(text)
    return _plain_ipv4(text, *plain.groups()) if plain else _parse_unusual(text)


def _plain_ipv4(text: str, a: str, b: str, c: str, d: str) -> Address:
    """What nearly every address is, in a fifth of the time."""
    number = int(a) << 24 | int(b) << 16 | int(c) << 8 | int(d)
    special = _special(number, _SPECIAL_IPV4)
    return Address(text, text, "IPv4", "", number, special, (), (text,))


def _parse_unusual(text: str) -> Address:
    bare, ambiguity = _without_zone_and_zeros(text)
    try:
        ip = ip_address(bare)
    except ValueError:
        return Address(text=text, ambiguity=ambiguity or _NO_ADDRESS)
    if isinstance(ip, IPv6) and ip.ipv4_mapped is not None:
        ip, ambiguity = ip.ipv4_mapped, ambiguity or "IPv4-mapped IPv6 is read as either family"
    embedded = tuple(dict.fromkeys(_embedded(ip))) if isinstance(ip, IPv6) else ()
    return _address(text, ip, ambiguity, tuple(_address(str(inner), inner) for inner in embedded))


def _address(
    text: str, ip: IPv4 | IPv6, ambiguity: str = "", embedded: tuple[Address, ...] = ()
) -> Address:
    number = int(ip)
    own = _special(number, _SPECIAL_IPV4 if ip.version == 4 else _SPECIAL_IPV6)
    special = own or next((inner.special for inner in embedded if inner.special), "")
    return Address(
        text=text,
        value=str(ip),
        family="IPv4" if ip.version == 4 else "IPv6",
        ambiguity=ambiguity,
        number=number,
        special=special,
        embedded=embedded,
        reaches=(str(ip), *(inner.value for inner in embedded)),
    )


def _without_zone_and_zeros(text: str) -> tuple[str, str]:
    """The text that Go would parse, and why another reader may see something else."""
    address, percent, _zone = text.partition("%")
    if percent:
        return address, "a zone id means something on one host only"
    head, colon, tail = text.rpartition(":")
    plain = _LEADING_ZEROS.sub("", tail) if _PADDED_IPV4.fullmatch(text) else tail
    short = _LONG_GROUP.sub("", head + colon + plain) if colon else plain
    if plain != tail:
        return short, "leading zeros are decimal to Go and octal to libc"
    if short != text:
        return short, "only some readers take a group of more than four digits"
    return text, ""


def _special(number: int, names: tuple[tuple[int, dict[int, str]], ...]) -> str:
    for shift, by_prefix in names:
        name = by_prefix.get(number >> shift)
        if name is not None:
            return name
    return ""


def _embedded(ip: IPv6) -> Iterator[IPv4]:
    """The IPv4 addresses inside a translated form.

    RFC 6052 and 8215 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo: server and client), RFC 5214
    (ISATAP), RFC 4291 (IPv4-compatible), RFC 2765 (IPv4-translated).
    """
    number = int(ip)
    if number >> 32 == 0 and number > 1:
        yield IPv4(number)
    if number >> 32 == 0xFFFF_0000:
        yield from _unless_zero(number & 0xFFFF_FFFF)
    if number >> 32 == 0x0064_FF9B << 64 or number >> 80 == _LOCAL_NAT64:
        yield from _unless_zero(number & 0xFFFF_FFFF)
    if number >> 80 == _LOCAL_NAT64:
        yield from _inside_local_nat64(number)
    if ip.sixtofour is not None:
        yield ip.sixtofour
    if ip.teredo is not None:
        yield from ip.teredo
    if number >> 32 & 0xFDFF_FFFF == 0x0000_5EFE:
        yield IPv4(number & 0xFFFF_FFFF)


def _inside_local_nat64(number: int) -> Iterator[IPv4]:
    """The layouts of RFC 6052 section 2.2 for prefixes of 48, 56 and 64 bits.

    Bits 64 to 71 are left out and zero. What follows the IPv4 address should be zero, and
    translators ignore it if it is not; then only an address with a host part is believed, since
    the prefix's own number reads like one without.
    """
    joined = (number >> 64) << 56 | number & (1 << 56) - 1
    if number >> 56 & 0xFF:
        return
    for prefix in (48, 56, 64):
        suffix = 120 - prefix - 32
        inside = joined >> suffix & 0xFFFF_FFFF
        if joined & (1 << suffix) - 1 == 0 or (prefix < 64 and inside & 0xFFFF):
            yield from _unless_zero(inside)


def _unless_zero(number: int) -> Iterator[IPv4]:
    """The local-use NAT64 prefix has several layouts; the unused ones read as 0.0.0.0."""
    if number:
        yield IPv4(number)
