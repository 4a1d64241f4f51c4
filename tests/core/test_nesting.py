"""JSON that is nested deeper than a decoder can follow, and what is left of it."""

import json as standard
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Raw, Struct, json

from tests.strategies import json_values, law
from webhook.core.objects.nesting import LEVELS, read_json, without_depths


def nested(levels: int, opened: bytes = b'{"f:a":', inside: bytes = b"{}") -> bytes:
    closing = b"]" if opened == b"[" else b"}"
    return opened * levels + inside + closing * levels


class Known(Struct, frozen=True):
    name: str
    rest: tuple[Raw, ...] = ()


DEEP = {
    "as deep as the API server itself can read": nested(9_990),
    "lists": nested(9_990, b"["),
    "brackets in a string do not count": nested(2_000, inside=b'"}}}]]]{"'),
    "nor behind an escaped quotation mark": nested(2_000, inside=b'"\\"}}}]]]\\\\"'),
    "deeper than anything": nested(1_000_000),
}


@pytest.mark.parametrize("deep", DEEP.values(), ids=DEEP)
def test_what_nobody_asks_for_may_be_nested_as_deep_as_can_be(deep: bytes) -> None:
    data = b'{"before": [%b], "name": "x", "rest": [1, {"a": %b}], "after": %b}' % ((deep,) * 3)
    read = read_json(data, json.Decoder(Known))
    assert read.name == "x"
    assert bytes(read.rest[0]) == b"1"


def test_so_may_a_part_that_was_put_by() -> None:
    read = read_json(Raw(b'{"name": "x", "more": ' + nested(5_000) + b"}"), json.Decoder(Known))
    assert read.name == "x"


def test_what_is_no_deeper_than_that_stays_as_it_is() -> None:
    fits = nested(LEVELS - 1)
    assert without_depths(fits) == fits
    assert without_depths(b"[" + fits + b"]") == b"[" + nested(LEVELS - 1, inside=b"null") + b"]"


@law
@given(json_values, st.integers(0, 3))
@example("\\", 0)
@example({'"': ["}"]}, 1)
def test_only_what_lies_too_deep_is_lost(value: Any, extra: int) -> None:
    text = standard.dumps(value).encode()
    assert without_depths(text) == text
    below = without_depths(nested(LEVELS + extra, b"[", b"[" + text + b"]"))
    assert below == nested(LEVELS, b"[", b"null")
    beside = without_depths(b"[%b, %b]" % (nested(LEVELS + extra), text))
    assert beside == b"[%b, %b]" % (nested(LEVELS - 1, inside=b"null"), text)


NO_JSON = [b"[" * 1_000_000, b"]" * 100, b"[" * 100 + b"]" * 200, b'"' * 999, b"[" * 99 + b'"\\']


@pytest.mark.parametrize("data", NO_JSON, ids=range(len(NO_JSON)))
def test_what_is_no_json_does_not_become_any(data: bytes) -> None:
    with pytest.raises(standard.JSONDecodeError):
        standard.loads(without_depths(data))
