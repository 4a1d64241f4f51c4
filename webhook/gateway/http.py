"""HTTP on bytes that are already here: no socket, no thread, no clock.

gunicorn parses heads, builds the environ and frames responses. This module finds where a head
ends, waits for as many bytes as gunicorn's Content-Length says, and keeps what is written.

Names of gunicorn which are not documented and which this package stands on (a test pins them):
`http.message.Request(cfg, unreader, peer_addr)` with `_expected_100_continue` and `body.reader`,
`http.body.LengthReader.length`, `http.unreader.IterUnreader`, `http.wsgi.create` and a Response
that writes through nothing but `sock.sendall`; `workers.base.Worker.init_process`, which ends in
`run()`; `arbiter.Arbiter.handle_*` and `WORKER_BOOT_ERROR`; `glogging.Logger.setup`.
"""

import io
import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, NamedTuple

from gunicorn.config import Config
from gunicorn.http import errors
from gunicorn.http.body import LengthReader
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader
from gunicorn.http.wsgi import create

WsgiApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]
PromptApplication = Callable[[dict[str, Any], Any], Iterable[bytes] | None]
"""A WSGI application that waits for nothing: neither for another machine, nor a disk, nor a lock.

It may return None, before it has called `start_response`, and so leave the request to one that may.
"""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_HEAD_END = b"\r\n\r\n"
_MAX_HEAD_BYTES = 32 * 1024

_log = logging.getLogger(__name__)


class Refusal(Exception):
    """The client's bytes are not a request that we serve; where the next one starts is unknown."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Reply(NamedTuple):
    """A whole HTTP response."""

    data: bytes
    keep_alive: bool
    """Whether the client was told that it may send its next request on this connection."""


def plain_reply(status: HTTPStatus, text: str, *, keep_alive: bool, retry_after: int = 0) -> Reply:
    """A short answer of the gateway itself."""
    body = f"{text}\n".encode()
    head = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
    ]
    if retry_after:
        head.append(f"Retry-After: {retry_after}")
    return Reply("\r\n".join(head).encode() + _HEAD_END + body, keep_alive)


def settled(cfg: Config, *, is_ssl: bool) -> SimpleNamespace:
    """gunicorn's settings as plain attributes.

    A Config looks every one up again at each access, which is a quarter of the cost of parsing.
    """
    values = {name: setting.get() for name, setting in cfg.settings.items()}
    return SimpleNamespace(
        **values, is_ssl=is_ssl, forwarded_allow_networks=cfg.forwarded_allow_networks
    )


class BufferedRequest(Request):  # type: ignore[misc]
    """gunicorn's request, made from a head that is complete."""

    body_bytes = 0
    """The size of its body."""
    _expected_100_continue: bool

    def take_expectation(self) -> bool:
        """Whether the client waits for `100 Continue`; True at most once."""
        expected: bool = self._expected_100_continue
        self._expected_100_continue = False
        return expected


class RequestBuffer:
    """Puts the bytes of one connection together until a request is complete."""

    __slots__ = (
        "_address", "_body", "_cfg", "_max_body_bytes", "_missing", "_request", "_searched",
        "unread",
    )  # fmt: skip

    def __init__(self, cfg: SimpleNamespace, address: Any, max_body_bytes: int) -> None:
        self._cfg = cfg
        self._address = address
        self._max_body_bytes = max_body_bytes
        self._request: BufferedRequest | None = None
        self._body = io.BytesIO()
        self._missing = 0
        self._searched = 0
        self.unread = b""
        """Bytes behind the last complete request, or of a head that is not complete."""

    @property
    def size(self) -> int:
        """Bytes held of a request that is not complete; 0 between requests."""
        return len(self.unread) + self._body.tell() + (self._request is not None)

    def feed(self, data: bytes) -> BufferedRequest | None:
        """Take `data`; return a request once it is whole, its body to be read from memory.

        What follows the request stays in `unread`, and `feed(b"")` looks there for the next.
        Raises Refusal.
        """
        if self._request is None:
            head, data = self._split(self.unread + data if self.unread else data)
            if head is None:
                return None
            self._request, self._missing = self._parse(head)
        return self._add_body(data)

    def take_expectation(self) -> bool:
        """Whether the client holds back its body until it is told `100 Continue`; once."""
        return self._request is not None and self._request.take_expectation()

    def _split(self, data: bytes) -> tuple[bytes | None, bytes]:
        end = data.find(_HEAD_END, self._searched, _MAX_HEAD_BYTES)
        if end < 0 and len(data) >= _MAX_HEAD_BYTES:
            raise Refusal(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"the request head is larger than {_MAX_HEAD_BYTES} bytes",
            )
        if end < 0:
            self.unread = data
            self._searched = max(0, len(data) - len(_HEAD_END) + 1)
            return None, b""
        self.unread = b""
        self._searched = 0
        end += len(_HEAD_END)
        return data[:end], data[end:]

    def _parse(self, head: bytes) -> tuple[BufferedRequest, int]:
        try:
            request = BufferedRequest(self._cfg, IterUnreader((head,)), self._address)
        except (errors.ParseException, errors.NoMoreData, StopIteration) as error:
            raise Refusal(_STATUS.get(type(error), HTTPStatus.BAD_REQUEST), str(error)) from error
        reader = request.body.reader
        if not isinstance(reader, LengthReader):
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "send a Content-Length, not chunks")
        if reader.length > self._max_body_bytes:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the request body is larger than {self._max_body_bytes} bytes",
            )
        return request, reader.length

    def _add_body(self, data: bytes) -> BufferedRequest | None:
        if len(data) > self._missing:
            data, self.unread = data[: self._missing], data[self._missing :]
        self._missing -= len(data)
        if self._body.tell() or self._missing:
            self._body.write(data)
        else:
            self._body = io.BytesIO(data)  # Shares the bytes: the usual request is one record.
        return None if self._missing else self._complete()

    def _complete(self) -> BufferedRequest | None:
        request, self._request = self._request, None
        body, self._body = self._body, io.BytesIO()
        # getvalue() trims the buffer, so that reading it all returns it instead of a copy.
        body_bytes = len(body.getvalue())
        body.seek(0)
        if request is not None:
            request.take_expectation()
            request.body, request.body_bytes = body, body_bytes
        return request


_STATUS = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}


class _WrittenResponse:
    """Stands where gunicorn's Response has a socket, and keeps what it writes."""

    __slots__ = ("chunks",)

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.chunks.append(data)


_FAILED = plain_reply(HTTPStatus.INTERNAL_SERVER_ERROR, "the application failed", keep_alive=False)


def _nothing_prompt(_environ: dict[str, Any], _start_response: Any) -> None:
    """Leave every request to the application that may wait."""


class Applications(NamedTuple):
    """What answers the requests of a port."""

    app: WsgiApplication
    prompt: PromptApplication = _nothing_prompt


class Responder:
    """Runs WSGI applications on complete requests. Safe to call from many threads."""

    def __init__(self, apps: Applications, cfg: SimpleNamespace, server: tuple[str, int]) -> None:
        self._apps = apps
        self._cfg = cfg
        self._server = server
        self.draining = False
        self.refused = 0
        """Requests that were not worked on."""
        """Whether clients are told, with each response, to close the connection."""

    def respond(self, request: BufferedRequest, address: Any, certificate: Any) -> Reply:
        """Run the application and return all that it answers; it is never streamed.

        `certificate` is the client's, as ssl describes it, or None. An application that fails is
        answered for with 500.
        """
        try:
            return self._call(self._apps.app, request, address, certificate) or _FAILED
        except BaseException:  # A SystemExit here must not cost us a thread.
            _log.exception("the application failed on %s %s", request.method, request.path)
            return _FAILED

    def respond_promptly(
        self, request: BufferedRequest, address: Any, certificate: Any
    ) -> Reply | None:
        """Run the application that never waits; None when the request is for the other one."""
        if self._apps.prompt is _nothing_prompt:
            return None
        try:
            reply = self._call(self._apps.prompt, request, address, certificate)
        except Exception:
            _log.exception("no prompt answer to %s %s", request.method, request.path)
            reply = None
        if reply is None:
            request.body.seek(0)
        return reply

    def overloaded(self, request: BufferedRequest) -> Reply:
        """Say that a request is not going to be worked on; an API server repeats it in a second."""
        self.refused += 1
        last = self.draining or request.should_close() or request.method == "HEAD"
        return plain_reply(
            HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", keep_alive=not last, retry_after=1
        )

    def _call(
        self, app: PromptApplication, request: BufferedRequest, address: Any, certificate: Any
    ) -> Reply | None:
        written = _WrittenResponse()
        response, environ = create(request, written, address, self._server, self._cfg)
        del environ["gunicorn.socket"]
        environ["wsgi.multithread"] = True
        environ["ssl.peer_certificate"] = certificate
        parts = app(environ, response.start_response)
        if parts is None:
            return None
        if self.draining:
            response.force_close()
        try:
            for part in parts:
                response.write(part)
            response.close()
        finally:
            if hasattr(parts, "close"):
                parts.close()
        return Reply(b"".join(written.chunks), not response.should_close())
