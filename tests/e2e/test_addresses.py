"""Addresses are read as the API server itself reads them, whatever the text."""

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.e2e.address_reader import AddressReader
from webhook.core.addresses import parse

pytestmark = pytest.mark.e2e

_digits = st.sampled_from([str, "{:02}".format, "{:04}".format, "{:030}".format])
_octets = st.builds(lambda write, n: write(n), _digits, st.integers(0, 260))
_hex = st.sampled_from(["{:x}", "{:X}", "{:04x}", "{:05x}", "{:030x}"])
_groups = st.builds(lambda write, n: write.format(n), _hex, st.integers(0, 0x1_0010))
_near_groups = _groups | st.sampled_from(["", "", "0", "ffff", "fe80"])
_ipv4 = st.lists(_octets, min_size=3, max_size=5).map(".".join)
_ipv6 = st.lists(_near_groups, min_size=1, max_size=9).map(":".join)
_heads = st.sampled_from(["::", "::ffff:", "0:0:0:0:0:ffff:", "64:ff9b::", "1:2:3:4:5:6:", "::1:"])
_mixed = st.builds(str.__add__, _heads | _ipv6.map("{}:".format), _ipv4)
_places = st.integers(0, 40)
_strange = st.sampled_from([*"0123456789abcdefABCDEF.:%x- /[]\n\x00", "::", "\u0661", "\uff10"])
_addresses = st.one_of(_ipv4, _ipv6, _mixed, st.ip_addresses().map(str))
_changed = st.builds(
    lambda text, place, put, taken: text[:place] + put + text[place + taken :],
    _addresses,
    _places,
    _strange | st.just(""),
    st.integers(0, 2),
)
texts = st.one_of(_addresses, _changed, st.text(max_size=50))


@pytest.fixture(scope="module")
def reader() -> Iterator[AddressReader]:
    with AddressReader.running() as running:
        yield running


@settings(max_examples=5_000, deadline=None)
@given(texts)
@example("010.0.0.1")
@example("::ffff:0000a00:01")
@example("000000000000000000000000000000000000000000000000000000000000000000010.0.0.1")
@example("fe80::1%eth0")
@example("1:2:3:4:5:6:7::")
@example("\ud800")
def test_an_address_is_read_as_the_api_server_reads_it(reader: AddressReader, text: str) -> None:
    told, read = reader.read(text), parse(text)
    # Of an address with a zone we say more: what it is without, and that it is none of these.
    assert read.value == told.value or ("%" in text and not told.value)
    assert (not read.ambiguity) is told.plain
    assert read.special or told.backend or not told.value
