"""Reading an answer of the API server: within a time, whole or line by line, our errors only."""

import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from webhook.cluster.errors import (
    ClusterTimeout,
    ClusterUnavailable,
    refusal,
    status_of,
    unanswered,
)

if TYPE_CHECKING:
    from urllib3 import HTTPResponse

SILENCE: Final = 30.0
"""Seconds without a byte after which an answer is given up, deadline or not."""
_CHUNK: Final = 1 << 16
_ERROR_BODY: Final = 1 << 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request; `verb` is RBAC's: get, list, watch, create, patch or delete."""

    verb: str
    path: str
    server: str
    """Where the API server is, as a URL."""
    query: Mapping[str, object] = field(default_factory=dict)
    """Empty strings are left out."""
    body: Mapping[str, object] | None = None
    deadline: float | None = None
    """A value of `time.monotonic()`; without one only silence is bounded."""
    silence: float = SILENCE

    @property
    def target(self) -> str:
        """Path and query."""
        query = urlencode({key: value for key, value in self.query.items() if value != ""})
        return f"{self.path}?{query}" if query else self.path

    def seconds_left(self) -> float:
        """How long the next byte may take. Raises `ClusterTimeout` when the time is up."""
        if self.deadline is None:
            return self.silence
        left = self.deadline - monotonic()
        if left <= 0:
            raise ClusterTimeout(f"{self.verb} {self.path}: no answer in time")
        return min(left, self.silence)


@contextmanager
def our_errors(call: Call) -> Iterator[None]:
    """Whatever the layers below raise becomes `ClusterUnavailable`."""
    try:
        yield
    except ClusterUnavailable:
        raise
    except Exception as error:
        raise unanswered(verb=call.verb, path=call.path, server=call.server, error=error) from error


def read_body(response: "HTTPResponse", call: Call) -> bytes:
    """All of it, before the deadline: what is left is measured anew for every piece."""
    chunks = []
    with our_errors(call):
        _wait_at_most(call.seconds_left(), response)
        # Left to itself, urllib3 would wait for as many pieces as make one byte of plain text.
        while chunk := response.read1(_CHUNK, decode_content=False):
            chunks.append(chunk)
            _wait_at_most(call.seconds_left(), response)
        compressed = response.headers.get("Content-Encoding") == "gzip"
        return gzip.decompress(b"".join(chunks)) if compressed else b"".join(chunks)


def read_refusal(response: "HTTPResponse", call: Call) -> ClusterUnavailable:
    """The error that an answer other than success stands for."""
    with our_errors(call):
        body = response.read(_ERROR_BODY)
        response.close()
    return refusal(
        verb=call.verb,
        path=call.path,
        status=status_of(response.status, body),
        retry_after=response.headers.get("Retry-After"),
    )


def _wait_at_most(seconds: float, response: "HTTPResponse") -> None:
    # There is no socket any more once the body is complete, which is fine: nothing can block.
    sock = getattr(response.connection, "sock", None)
    if sock is not None:
        sock.settimeout(seconds)


class WatchStream:
    """The lines of one watch. Iterate once; `close` from any thread ends the iteration.

    Raises `ClusterUnavailable` when the connection breaks or is silent for `silence` seconds; ends
    quietly when the server ends it.
    """

    def __init__(self, response: "HTTPResponse", call: Call, silence: float) -> None:
        self._response = response
        self._call = call
        self._closed = False
        _wait_at_most(silence, response)

    def __iter__(self) -> Iterator[bytes]:
        pending = b""
        try:
            while chunk := self._chunk():
                *lines, pending = (pending + chunk).split(b"\n")
                yield from filter(None, lines)
        finally:
            self._response.close()

    def close(self) -> None:
        """End it, also under a reader that waits."""
        self._closed = True
        # Each of these errors says that there is no connection left to shut down.
        with suppress(RuntimeError, ValueError, OSError):
            self._response.shutdown()

    def _chunk(self) -> bytes:
        try:
            chunk = self._response.read1(_CHUNK, decode_content=False)
        except Exception as error:
            if self._closed:
                return b""
            call = self._call
            raise unanswered(
                verb="watch", path=call.path, server=call.server, error=error
            ) from error
        # What a TLS connection still gives after it was shut down is not plain text.
        return b"" if self._closed else chunk
