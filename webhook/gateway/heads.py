"""Heads of requests: gunicorn reads them, and each connection remembers the last one.

An API server sends the same head with every review, but for the length of the body, and reading it
takes longer than judging. What gunicorn makes of a head depends on nothing but its bytes, its own
settings and the client's address; so a head that differs from the last one in the digits of
Content-Length alone, as Go writes that line, is the last one with another length.

Names of gunicorn which are not documented and which this module stands on (a test pins them):
`http.message.Request(cfg, unreader, peer_addr)` with `headers`, `_expected_100_continue` and
`body.reader`, `http.body.LengthReader.length`, `http.unreader.IterUnreader`.
"""

import re
from copy import copy
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from gunicorn.http import errors
from gunicorn.http.body import LengthReader
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

MAX_HEAD_BYTES: Final = 32 * 1024
_LONGEST_REMEMBERED: Final = 2 * 1024
_LENGTH: Final = re.compile(rb"\r\nContent-Length: (\d{1,9})\r\n")

_STATUS: Final = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}


class Refusal(Exception):
    """The client's bytes are not a request that we serve; where the next one starts is unknown."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class BufferedRequest(Request):  # type: ignore[misc]
    """gunicorn's request, made from a head that is complete."""

    body_bytes = 0
    """The size of its body."""
    _expected_100_continue: bool

    def __init__(self, cfg: SimpleNamespace, head: bytes, address: Any) -> None:
        super().__init__(cfg, IterUnreader((head,)), address)
        self.environ: dict[str, Any] = {}
        """What the head comes to as a WSGI environ, once somebody has needed it; requests with the
        same head share it.
        """

    def with_length(self, length: str) -> "BufferedRequest":
        """A request with this head, but for the length of its body."""
        other = copy(self)
        name = "CONTENT-LENGTH"
        other.headers = [(n, length if n == name else value) for n, value in self.headers]
        return other

    @property
    def expects_continue(self) -> bool:
        """Whether the client holds back its body until it is told `100 Continue`."""
        return self._expected_100_continue

    def take_expectation(self) -> bool:
        """The same; True at most once."""
        expected, self._expected_100_continue = self._expected_100_continue, False
        return expected


class Head(NamedTuple):
    """A request of which the body is yet to come."""

    request: BufferedRequest
    body_bytes: int


class HeadReader:
    """Reads the heads of one connection."""

    __slots__ = ("_address", "_bare", "_cfg", "_known", "_max_body_bytes")

    def __init__(self, cfg: SimpleNamespace, address: Any, max_body_bytes: int) -> None:
        self._cfg = cfg
        self._address = address
        self._max_body_bytes = max_body_bytes
        self._bare = b""
        """The last head, without the digits of its length."""
        self._known: BufferedRequest | None = None
        """What gunicorn made of it."""

    def read(self, head: bytes) -> Head:
        """What a complete head says, its end included. Raises Refusal."""
        found = _LENGTH.search(head)
        if found is None or len(head) > _LONGEST_REMEMBERED:
            return self._read_anew(head)
        bare = head[: found.start(1)] + head[found.end(1) :]
        if self._known is not None and bare == self._bare:
            length = found[1].decode()
            return self._fitting(self._known.with_length(length), int(length))
        read = self._read_anew(head)
        if not read.request.expects_continue:
            self._bare, self._known = bare, copy(read.request)
        return read

    def _read_anew(self, head: bytes) -> Head:
        try:
            request = BufferedRequest(self._cfg, head, self._address)
        except (errors.ParseException, errors.NoMoreData, StopIteration) as error:
            raise Refusal(_STATUS.get(type(error), HTTPStatus.BAD_REQUEST), str(error)) from error
        reader = request.body.reader
        if not isinstance(reader, LengthReader):
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "send a Content-Length, not chunks")
        return self._fitting(request, reader.length)

    def _fitting(self, request: BufferedRequest, length: int) -> Head:
        if length > self._max_body_bytes:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the request body is larger than {self._max_body_bytes} bytes",
            )
        return Head(request, length)
