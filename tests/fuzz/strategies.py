"""Bytes that are nearly right: reviews and requests with a few things wrong."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from tests.builders import Json, review
from tests.strategies import IPV4, json_values, writes

_STRANGE: st.SearchStrategy[Any] = st.one_of(
    json_values,
    st.sampled_from(
        [
            *("", "\x00", "\ud800", "\u2028", "a\r\nb", "٣", "x" * 5000, "%s{}", "1" * 400),
            *(-1, 0, 65536, 2**31, 2**63, 2**64, 10**400, 1e308, -0.0),
            *("0x7f.1", "010.0.0.1", "::ffff:10.0.0.1", "fe80::1%eth0", "1.2.3", "１.1.1.1"),
            *("Pod", "CREATE", "UPDATE", "DELETE", "CONNECT", "kubernetes", "default"),
            *([], {}, [[]], [None], {"": None}, None, True),
            *IPV4,
        ]
    ),
)
_Place = tuple[Any, Any]


def _places(value: Any) -> Iterator[_Place]:
    """Every container in a JSON value, with each of its keys or indices."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _replace(place: _Place, strange: Any) -> None:
    place[0][place[1]] = strange


def _remove(place: _Place, _strange: Any) -> None:
    del place[0][place[1]]


def _add(place: _Place, strange: Any) -> None:
    where, key = place
    if isinstance(where, dict):
        where[f"{key}2"] = strange
    else:
        where.append(strange)


def _repeat(place: _Place, _strange: Any) -> None:
    if isinstance(place[0], list):
        place[0].extend([place[0][place[1]]] * 40)


_CHANGES: tuple[Callable[[_Place, Any], None], ...] = (_replace, _remove, _add, _repeat)


@st.composite
def nearly_right(draw: st.DrawFn, made: st.SearchStrategy[Json]) -> Json:
    """A value in which up to four things are replaced, left out, added or repeated."""
    value = deepcopy(draw(made))
    for _ in range(draw(st.integers(0, 4))):
        places = list(_places(value))
        if not places:
            break
        place = places[draw(st.integers(0, len(places) - 1))]
        draw(st.sampled_from(_CHANGES))(place, deepcopy(draw(_STRANGE)))
    return value


def as_bytes(value: Any) -> bytes:
    """JSON, and what is no JSON: NaN, and surrogates that stand alone."""
    return json.dumps(value).encode()


@st.composite
def _cut_or_mixed(draw: st.DrawFn, data: bytes) -> bytes:
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, len(data)))
    return data[:start] + draw(st.binary(max_size=8)) + data[end:]


pairs = st.tuples(writes, st.none() | writes)
reviews = pairs.map(
    lambda pair: review(pair[0], pair[1] if pair[1] and _alike(pair[0], pair[1]) else None)
)
bodies = st.one_of(
    nearly_right(reviews).map(as_bytes),
    nearly_right(reviews).map(as_bytes),
    reviews.map(as_bytes).flatmap(_cut_or_mixed),
    st.binary(),
)
"""Of a POST to /validate."""


def _alike(first: Json, second: Json) -> bool:
    return bool(first["kind"] == second["kind"])


lines = st.sampled_from(
    [
        *("POST /validate HTTP/1.1", "POST /validate?timeout=1s HTTP/1.1", "GET /livez HTTP/1.1"),
        *("GET /readyz HTTP/1.0", "HEAD /validate HTTP/1.1", "OPTIONS * HTTP/1.1"),
        *("POST //validate HTTP/1.1", "POST http://a/validate HTTP/1.1", "PUT /%ff HTTP/1.1"),
        *("POST /validate;a?timeout=%00 HTTP/1.1", "PRI * HTTP/2.0", "POST /validate/ HTTP/1.1"),
        *("POST /validate?timeout=9999m&timeout=x HTTP/1.1", "TRACE / HTTP/1.1"),
    ]
)
headers = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *("Host: a", "Host: \x80", "Host: a, b", "Content-Type: application/json"),
                *("Content-Type: application/json; charset=utf-16", "Content-Type: text/plain"),
                *("Transfer-Encoding: chunked", "Expect: 100-continue", "Connection: close"),
                *("Content-Encoding: gzip", "Content-Length: 1", "Content-Length: -1"),
                *("X-Forwarded-For: a", "Cookie: a=\xff", "traceparent: 00-0-0-0", "A:\tb"),
                *("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",),
            ]
        ),
        st.text(st.characters(max_codepoint=255), max_size=40),
    ),
    max_size=4,
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """An HTTP request, more or less."""
    body = draw(bodies)
    usual = ["Content-Type: application/json"] * draw(st.integers(0, 1))
    length = [f"Content-Length: {len(body)}"] * draw(st.sampled_from([1, 1, 1, 0]))
    head = [draw(lines), *usual, *draw(headers), *length]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


streams = st.lists(requests(), min_size=1, max_size=3).map(b"".join)
cuts = st.lists(st.integers(0, 5000), max_size=6)
