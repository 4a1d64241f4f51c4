"""JSON from the API server, however deep it is nested: what is too deep is left out.

Whoever may write an object may nest `metadata.managedFields` as deep as the API server can read,
10,000 levels, while msgspec gives up where Python's recursion limit is, even on what it only has to
skip. One such Pod would spoil every list that it is in, and one such write its own review.
"""

import re
from typing import Final, TypeVar

from msgspec import Raw, json

Value = TypeVar("Value")

LEVELS: Final = 64
"""More than any field that is read here lies deep, in a review or a list: a dozen."""
_TOKENS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL)
"""Strings, so that no bracket inside of one counts (the last may lack its end), and brackets."""


def read_json(data: bytes | Raw, decoder: json.Decoder[Value]) -> Value:
    """What the decoder makes of it, and raises, but for a RecursionError."""
    try:
        return decoder.decode(data)
    except RecursionError:
        return decoder.decode(without_depths(bytes(data)))


def without_depths(data: bytes) -> bytes:
    """The same JSON with null in the place of whatever lies deeper than LEVELS.

    In linear time, for any bytes; what was no JSON is none afterwards.
    """
    kept, level, taken = [], 0, 0
    for token in _TOKENS.finditer(data):
        match data[token.start()]:
            case 0x5B | 0x7B:  # [ and {
                level += 1
                if level == LEVELS + 1:
                    kept.append(data[taken : token.start()])
            case 0x5D | 0x7D:  # ] and }
                level -= 1
                if level == LEVELS:
                    kept.append(b"null")
                    taken = token.end()
    if level <= LEVELS:
        kept.append(data[taken:])
    return b"".join(kept)
