"""Many CIDRs at once hold exactly the addresses that each of them holds."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import node, state
from tests.strategies import law
from webhook.core.addresses import parse
from webhook.core.ranges import CidrSet

HELD: dict[str, tuple[list[str], str, bool]] = {
    "inside": (["10.0.0.0/16"], "10.0.255.255", True),
    "outside": (["10.0.0.0/16"], "10.1.0.0", False),
    "one address": (["192.0.2.1/32"], "192.0.2.1", True),
    "everything": (["0.0.0.0/0"], "203.0.113.1", True),
    "everything of the other family": (["0.0.0.0/0"], "2001:db8::1", False),
    "the same number in the other family": (["10.0.0.0/8"], "::a00:1", False),
    "the same number, the other way round": (["::/96"], "10.0.0.1", False),
    "IPv6": (["fd00::/64"], "fd00::ffff:1", True),
    "in the second": (["10.0.0.0/16", "192.0.2.0/24"], "192.0.2.9", True),
    "in the narrower of two": (["10.0.0.0/8", "10.1.0.0/16"], "10.1.2.3", True),
    "host bits are ignored": (["10.0.3.4/16"], "10.0.0.1", True),
    "an address that is mapped is IPv4": (["10.0.0.0/8"], "::ffff:10.0.0.1", True),
    "text that is no CIDR holds nothing": (["10.0.0.0/99", "", "pods"], "10.0.0.1", False),
    "text that is no address is nowhere": (["0.0.0.0/0", "::/0"], "localhost", False),
    "no range": ([], "10.0.0.1", False),
}


@pytest.mark.parametrize(("cidrs", "ip", "held"), HELD.values(), ids=HELD)
def test_an_address_is_in_a_range_or_not(cidrs: list[str], ip: str, held: bool) -> None:
    assert (parse(ip) in CidrSet(cidrs)) is held


def test_a_range_that_was_put_in_twice_has_to_be_taken_out_twice() -> None:
    ranges = CidrSet(["10.0.0.0/16", "10.0.0.0/16"])
    ranges.discard("10.0.0.0/16")
    assert parse("10.0.0.1") in ranges
    ranges.discard("10.0.0.0/16")
    assert parse("10.0.0.1") not in ranges


def test_taking_out_what_was_never_in_is_fine() -> None:
    ranges = CidrSet(["10.0.0.0/16"])
    for cidr in ("10.1.0.0/16", "10.0.0.0/8", "nonsense"):
        ranges.discard(cidr)
    assert parse("10.0.0.1") in ranges


small = st.integers(0, 7)
networks: st.SearchStrategy[Any] = st.one_of(
    st.builds(lambda n, length: ip_network((n << 29, length), strict=False), small, small),
    st.builds(lambda n, length: ip_network((n << 125, length), strict=False), small, small),
)
addresses = st.one_of(
    small.map(lambda n: ip_address(n << 29)), small.map(lambda n: ip_address(n << 125 | 1))
)


@law
@given(st.lists(networks), st.lists(networks), addresses)
def test_many_ranges_hold_what_each_of_them_holds(kept: Any, gone: Any, ip: Any) -> None:
    ranges = CidrSet(map(str, [*kept, *gone]))
    for network in gone:
        ranges.discard(str(network))
    assert (parse(str(ip)) in ranges) is any(ip in network for network in kept)


def test_the_ranges_of_nodes_come_and_go_with_them() -> None:
    known = state(node("a", podCIDRs=["10.0.0.0/24"]), node("b", podCIDRs=["10.0.1.0/24"]))
    assert known.in_pod_range(parse("10.0.0.9"))
    known.remove("Node", "", "a")
    assert not known.in_pod_range(parse("10.0.0.9"))
    assert known.in_pod_range(parse("10.0.1.9"))
