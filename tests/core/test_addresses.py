"""How addresses are read: as Go reads them, and with the doubts that other readers may have."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.strategies import law
from webhook.core.addresses import Address, canonical, parse

NO_ADDRESS = "it is not an IP address"

VALUES = {
    "dotted decimal": ("10.0.0.1", "10.0.0.1", "IPv4"),
    "the highest octets": ("255.255.255.254", "255.255.255.254", "IPv4"),
    "compressed IPv6": ("fd00::1", "fd00::1", "IPv6"),
    "long and upper-case IPv6": ("FD00:0:0:0:0:0:0:0001", "fd00::1", "IPv6"),
    "IPv6 with a dotted end": ("2001:db8::10.0.0.1", "2001:db8::a00:1", "IPv6"),
    "IPv4-mapped IPv6": ("::ffff:10.0.0.1", "10.0.0.1", "IPv4"),
    "IPv4-mapped IPv6 in hexadecimal": ("::FFFF:a00:1", "10.0.0.1", "IPv4"),
    "leading zeros": ("010.000.000.001", "10.0.0.1", "IPv4"),
    "leading zeros that libc reads as octal": ("0177.0.0.1", "177.0.0.1", "IPv4"),
    "leading zeros in a mapped address": ("::ffff:010.0.0.1", "10.0.0.1", "IPv4"),
    "groups of more than four digits": ("0fd00::00000:00001", "fd00::1", "IPv6"),
    "a mapped address in such groups": ("::0ffff:00a9fe:00000a9fe", "169.254.169.254", "IPv4"),
    "a zone": ("fe80::1%eth0", "fe80::1", "IPv6"),
    "an empty zone": ("fd00::1%", "fd00::1", "IPv6"),
}


@pytest.mark.parametrize(("text", "value", "family"), VALUES.values(), ids=VALUES)
def test_an_address_is_read_as_go_reads_it(text: str, value: str, family: str) -> None:
    read = parse(text)
    assert (read.text, read.value, read.family) == (text, value, family)


NO_ADDRESSES = {
    "nothing": "",
    "a name": "localhost",
    "too few octets": "10.0.1",
    "too many octets": "10.0.0.0.1",
    "an octet too large": "256.0.0.1",
    "a padded octet too large": "0256.0.0.1",
    "hexadecimal octets": "0x0a.0.0.1",
    "one number": "167772161",
    "a space before": " 10.0.0.1",
    "a newline after": "10.0.0.1\n",
    "a sign": "+10.0.0.1",
    "a port": "10.0.0.1:80",
    "a prefix length": "10.0.0.0/8",
    "brackets": "[fd00::1]",
    "Arabic digits": "\u0661\u0660.0.0.1",
    "full-width digits": "\uff11\uff10.0.0.1",
    "full-width dots": "10\u30020\u30020\u30021",
    "two compressions": "fd00::1::2",
    "a group too large": "0fd000::1",
    "octets of an address in more digits than four": "::ffff:00256.0.0.1",
    "a NUL": "10.0.0.1\x00",
    "a percent sign": "%",
}


@pytest.mark.parametrize("text", NO_ADDRESSES.values(), ids=NO_ADDRESSES)
def test_other_text_is_no_address_and_says_so(text: str) -> None:
    read = parse(text)
    assert (read.value, read.family, read.special, read.destinations) == ("", "", "", ())
    assert read.ambiguity


@pytest.mark.parametrize(
    ("long", "value"),
    [
        ("0" * 100_000 + "10.0.0.1", "10.0.0.1"),
        ("fd00::" + "0" * 100_000 + "1", "fd00::1"),
        ("10.0.0.1" + " " * 100_000, ""),
        (":" * 100_000, ""),
        ("1:" * 100_000 + "1.1.1.1", ""),
        ("0.0." * 100_000, ""),
    ],
)
def test_very_long_text_is_read_as_well_but_not_kept_in_memory(long: str, value: str) -> None:
    assert parse(long).value == value
    assert parse(long).ambiguity
    assert parse(long) is not parse(long)


AMBIGUOUS = {
    "a leading zero": ("010.0.0.1", "leading zeros are decimal to Go and octal to libc"),
    "zeros only": ("00.0.0.0", "leading zeros are decimal to Go and octal to libc"),
    "a leading zero inside": ("10.0.01.1", "leading zeros are decimal to Go and octal to libc"),
    "mapped": ("::ffff:10.0.0.1", "IPv4-mapped IPv6 is read as either family"),
    "mapped, long": ("0:0:0:0:0:ffff:a00:1", "IPv4-mapped IPv6 is read as either family"),
    "mapped and padded": (
        "::ffff:10.0.0.01",
        "leading zeros are decimal to Go and octal to libc",
    ),
    "a group of five digits": (
        "0fd00::1",
        "only some readers take a group of more than four digits",
    ),
    "a zone": ("fd00::1%eth0", "a zone id means something on one host only"),
    "a zone of a name": ("localhost%eth0", "a zone id means something on one host only"),
    "a name": ("localhost", NO_ADDRESS),
}


@pytest.mark.parametrize(("text", "why"), AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_readers_may_disagree(text: str, why: str) -> None:
    assert parse(text).ambiguity == why


PLAIN = [
    *("10.0.0.1", "100.0.10.0", "0.0.0.0"),
    *("fd00::1", "FD00:0::0001", "::a00:1", "fd00::10.0.0.1"),
]


@pytest.mark.parametrize("text", PLAIN)
def test_readers_agree(text: str) -> None:
    assert parse(text).ambiguity == ""


SPECIAL = {
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "link-local": ["169.254.0.1", "169.254.255.255", "fe80::1", "febf::1"],
    "unspecified": ["0.0.0.0", "::"],
    "this network": ["0.0.0.1", "0.255.255.255"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "broadcast": ["255.255.255.255"],
    "reserved": ["240.0.0.1", "242.0.0.1", "255.255.255.254"],
    "site-local (deprecated)": ["fec0::1", "feff::1"],
    "cloud metadata": ["169.254.169.254"],
    "cloud metadata (Alibaba Cloud)": ["100.100.100.200"],
    "cloud host service (Azure)": ["168.63.129.16"],
    "cloud metadata (Oracle Cloud)": ["192.0.0.192", "fd00:c1::a9fe:a9fe"],
    "cloud metadata (AWS)": ["fd00:ec2::254", "fd00:ec2::253"],
    "cloud metadata (Google Cloud)": ["fd20:ce::254"],
    "cloud metadata (Scaleway)": ["fd00:42::42"],
    "": [
        *("10.0.0.1", "172.16.0.1", "192.168.0.1", "1.0.0.0", "126.255.255.255", "128.0.0.1"),
        *("169.253.255.255", "169.255.0.0", "223.255.255.255", "100.100.100.201", "168.63.129.17"),
        *("192.0.2.1", "198.51.100.7", "203.0.113.1", "198.18.0.1", "192.192.192.192"),
        *("2001:db8::1", "2606:4700::1", "fd00::1", "fe00::1", "fd00:ec3::254"),
    ],
}


@pytest.mark.parametrize(
    ("text", "name"), [(text, name) for name, texts in SPECIAL.items() for text in texts]
)
def test_a_special_range_has_its_name(text: str, name: str) -> None:
    assert parse(text).special == name


WRAPPED = {
    "NAT64, well-known prefix": ("64:ff9b::7f00:1", ("127.0.0.1",), "loopback"),
    "NAT64, dotted": ("64:ff9b::169.254.169.254", ("169.254.169.254",), "cloud metadata"),
    "NAT64 of an ordinary address": ("64:ff9b::a00:1", ("10.0.0.1",), ""),
    "NAT64, local prefix, /96": ("64:ff9b:1::7f00:1", ("127.0.0.1",), "loopback"),
    "NAT64, local prefix, /96, numbered": (
        "64:ff9b:1:abcd::127.0.0.1",
        ("127.0.0.1",),
        "loopback",
    ),
    "NAT64, local prefix, /48": ("64:ff9b:1:7f00:0:100::", ("127.0.0.1",), "loopback"),
    "NAT64, local prefix, /48, with a suffix that translators ignore": (
        "64:ff9b:1:a9fe:a9:fe00:808:808",
        ("169.254.169.254",),
        "cloud metadata",
    ),
    "NAT64, local prefix, ordinary": ("64:ff9b:1::10.0.0.1", ("10.0.0.1",), ""),
    "6to4": ("2002:7f00:1::", ("127.0.0.1",), "loopback"),
    "6to4 with a host part": ("2002:a9fe:a9fe:1::5", ("169.254.169.254",), "cloud metadata"),
    "6to4 of an ordinary address": ("2002:c633:6407::1", ("198.51.100.7",), ""),
    "Teredo": (
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        ("65.54.227.120", "127.0.0.1"),
        "loopback",
    ),
    "ISATAP": ("fd00::5efe:7f00:1", ("127.0.0.1",), "loopback"),
    "ISATAP, universal": ("fd00::200:5efe:7f00:1", ("127.0.0.1",), "loopback"),
    "IPv4-compatible": ("::7f00:1", ("127.0.0.1",), "loopback"),
    "IPv4-translated": ("::ffff:0:a9fe:a9fe", ("169.254.169.254",), "cloud metadata"),
    "IPv4-translated, ordinary": ("::ffff:0:10.0.0.1", ("10.0.0.1",), ""),
    "IPv4-compatible, dotted": ("::10.0.0.1", ("10.0.0.1",), ""),
    "a mapped address is no wrapping: it is IPv4": ("::ffff:127.0.0.1", (), "loopback"),
    "an ordinary IPv6 address": ("2001:db8::7f00:1", (), ""),
    "its neighbour": ("64:ff9c::7f00:1", (), ""),
}


def reached(address: Address) -> set[str]:
    return {destination.value for destination in address.destinations}


@pytest.mark.parametrize(("text", "inside", "special"), WRAPPED.values(), ids=WRAPPED)
def test_what_a_translator_would_reach_counts(
    text: str, inside: tuple[str, ...], special: str
) -> None:
    read = parse(text)
    assert set(inside) <= reached(read) - {read.value}
    assert bool(reached(read) - {read.value}) is bool(inside)
    assert read.special == special


TRANSLATED_BUT_HARMLESS = {
    "the local NAT64 prefix with a number of one's own, as translators suggest": (
        "64:ff9b:1:fffe::198.51.100.7"
    ),
    "the local NAT64 prefix, numbered 1": "64:ff9b:1:1::198.51.100.7",
    "the local NAT64 prefix, numbered like a loopback": "64:ff9b:1:7f00::198.51.100.7",
}


@pytest.mark.parametrize("text", TRANSLATED_BUT_HARMLESS.values(), ids=TRANSLATED_BUT_HARMLESS)
def test_a_translator_s_own_prefix_is_not_taken_for_a_destination(text: str) -> None:
    assert parse(text).special == ""


@law
@given(st.text())
@example("١.٢.٣.٤")
@example("fd00::1%\x00")
@example("::ffff:0000000000.0.0.1")
def test_reading_never_fails(text: str) -> None:
    read = parse(text)
    assert read.text == text
    assert bool(read.value) is bool(read.family) is bool(read.destinations)
    assert read.value or read.ambiguity


octets = st.integers(0, 255).map(str) | st.integers(0, 255).map(lambda n: f"{n:04}")
groups = st.integers(0, 0xFFFF).map(lambda n: f"{n:X}")
near_addresses = st.one_of(
    st.lists(octets, min_size=4, max_size=4).map(".".join),
    st.lists(groups, min_size=8, max_size=8).map(":".join),
    st.lists(groups, min_size=1, max_size=7).map(lambda parts: "::".join((":".join(parts), ""))),
    st.lists(octets, min_size=4, max_size=4).map(lambda parts: "::ffff:" + ".".join(parts)),
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda ip: ip.exploded.upper()),
)


@law
@given(near_addresses)
def test_the_canonical_text_of_an_address_reads_as_itself(text: str) -> None:
    value = parse(text).value
    again = parse(value)
    assert value
    assert (again.value, again.ambiguity) == (value, "")


@law
@given(near_addresses | st.text())
def test_the_canonical_text_can_be_had_alone(text: str) -> None:
    assert canonical(text) == parse(text).value


@law
@given(st.ip_addresses())
def test_canonical_text_is_read_as_everybody_reads_it(ip: IPv4Address | IPv6Address) -> None:
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    read = parse(str(ip))
    assert ip_address(read.value) == (mapped or ip)
    assert read.family == f"IPv{(mapped or ip).version}"
    assert bool(read.ambiguity) is (mapped is not None)


@law
@given(st.ip_addresses(v=4), st.integers(1, 0xFFFF))
def test_every_wrapping_of_an_address_leads_to_it(ip: IPv4Address, number: int) -> None:
    wrappings = (
        f"64:ff9b::{ip}",
        f"64:ff9b:1::{ip}",
        str(IPv6Address(0x2002 << 112 | int(ip) << 80 | number)),
        str(IPv6Address(0xFD00 << 112 | 0x5EFE << 32 | int(ip))),
    )
    for text in wrappings:
        read = parse(text)
        assert str(ip) in reached(read) or int(ip) == 0
        assert bool(read.special) or not parse(str(ip)).special or int(ip) == 0


@law
@given(st.ip_addresses(v=4))
@example(IPv4Address(0))
@example(IPv4Address(0xFFFF_FFFF))
def test_plain_ipv4_is_read_as_by_the_standard_library(ip: IPv4Address) -> None:
    """Nearly every address takes a shorter way than the unusual ones."""
    read = parse(str(ip))
    assert (read.value, read.number, read.family) == (str(ip), int(ip), "IPv4")
    assert (read.embedded, read.reaches) == ((), (str(ip),))
    known = (
        ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_reserved or ip.is_unspecified
    )
    assert bool(read.special) or not known
