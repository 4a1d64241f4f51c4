"""HTTP on bytes that are already here: no socket, no thread.

gunicorn parses heads (`heads`), builds the environ and frames responses. This module finds where a
head ends, waits for as many bytes as its Content-Length says, and keeps what is written. Only what
the gateway and the prompt application answer is framed here, because that is soon done.

Names of gunicorn which are not documented and which this package stands on, besides those of
`heads` (a test pins them): `http.wsgi.create` and a Response that writes through nothing but
`sock.sendall`; `workers.base.Worker.init_process`, which ends in `run()`;
`arbiter.Arbiter.handle_*` and `WORKER_BOOT_ERROR`; `glogging.Logger.setup`.
"""

import io
import logging
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, NamedTuple

from gunicorn.config import Config
from gunicorn.http.wsgi import create

from webhook.gateway.heads import MAX_HEAD_BYTES, BufferedRequest, HeadReader, Refusal

WsgiApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]
PromptApplication = Callable[[dict[str, Any], Any], Iterable[bytes] | None]
"""A WSGI application that waits for nothing: neither for another machine, nor a disk, nor a lock.

It may return None, before it has called `start_response`, and so leave the request to one that may.
It gives a Content-Length, and nothing that a client sent in any header.
"""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_HEAD_END = b"\r\n\r\n"

_log = logging.getLogger(__name__)


class Reply(NamedTuple):
    """A whole HTTP response."""

    data: bytes
    keep_alive: bool
    """Whether the client was told that it may send its next request on this connection."""


def plain_reply(status: HTTPStatus, text: str, *, keep_alive: bool, retry_after: int = 0) -> Reply:
    """A short answer of the gateway itself."""
    body = f"{text}\n".encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
    ]
    if retry_after:
        headers.append(("Retry-After", str(retry_after)))
    return _framed(f"{status.value} {status.phrase}", headers, body, keep_alive=keep_alive)


def _framed(
    status: str, headers: Iterable[tuple[str, str]], body: bytes, *, keep_alive: bool
) -> Reply:
    head = [
        f"HTTP/1.1 {status}",
        f"Date: {_date(int(time.monotonic()))}",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return Reply("\r\n".join(head).encode("latin-1") + _HEAD_END + body, keep_alive)


@lru_cache(maxsize=1)
def _date(_second: int) -> str:
    """Now, made once a second: it takes longer than everything else of a head."""
    return formatdate(usegmt=True)


def settled(cfg: Config, *, is_ssl: bool) -> SimpleNamespace:
    """gunicorn's settings as plain attributes.

    A Config looks every one up again at each access, which is a quarter of the cost of parsing.
    """
    values = {name: setting.get() for name, setting in cfg.settings.items()}
    return SimpleNamespace(
        **values, is_ssl=is_ssl, forwarded_allow_networks=cfg.forwarded_allow_networks
    )


class RequestBuffer:
    """Puts the bytes of one connection together until a request is complete."""

    __slots__ = (
        "_body", "_heads", "_missing", "_request", "_searched",
        "unread",
    )  # fmt: skip

    def __init__(self, cfg: SimpleNamespace, address: Any, max_body_bytes: int) -> None:
        self._heads = HeadReader(cfg, address, max_body_bytes)
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
            self._request, self._missing = self._heads.read(head)
        return self._add_body(data)

    def take_expectation(self) -> bool:
        """Whether the client holds back its body until it is told `100 Continue`; once."""
        return self._request is not None and self._request.take_expectation()

    def _split(self, data: bytes) -> tuple[bytes | None, bytes]:
        end = data.find(_HEAD_END, self._searched, MAX_HEAD_BYTES)
        if end < 0 and len(data) >= MAX_HEAD_BYTES:
            raise Refusal(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"the request head is larger than {MAX_HEAD_BYTES} bytes",
            )
        if end < 0:
            self.unread = data
            self._searched = max(0, len(data) - len(_HEAD_END) + 1)
            return None, b""
        self.unread = b""
        self._searched = 0
        end += len(_HEAD_END)
        return data[:end], data[end:]

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


class _WrittenResponse:
    """Stands where gunicorn's Response has a socket, and keeps what it writes."""

    __slots__ = ("chunks",)

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.chunks.append(data)


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
        """Whether clients are told, with each response, to close the connection."""
        self.refused = 0
        """Requests that were not worked on."""

    def respond(self, request: BufferedRequest, address: Any, certificate: Any) -> Reply:
        """Run the application and return all that it answers; it is never streamed.

        `certificate` is the client's, as ssl describes it, or None. An application that fails is
        answered for with 500.
        """
        try:
            return self._call(request, address, certificate)
        except BaseException:  # A SystemExit here must not cost us a thread.
            _log.exception("the application failed on %s %s", request.method, request.path)
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            return plain_reply(status, "the application failed", keep_alive=False)

    def respond_promptly(
        self, request: BufferedRequest, address: Any, certificate: Any
    ) -> Reply | None:
        """Run the application that never waits; None when the request is for the other one."""
        if self._apps.prompt is _nothing_prompt:
            return None
        try:
            reply = self._call_promptly(request, address, certificate)
        except Exception:
            _log.exception("no prompt answer to %s %s", request.method, request.path)
            reply = None
        if reply is None:
            request.body.seek(0)
        return reply

    def _call_promptly(
        self, request: BufferedRequest, address: Any, certificate: Any
    ) -> Reply | None:
        """The answer, framed here: gunicorn takes as long for that as judging does."""
        begun: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            begun[:] = status, headers

        parts = self._apps.prompt(self._environ(request, address, certificate), start_response)
        if parts is None:
            return None
        status, headers = begun
        keep_alive = not (self.draining or request.should_close())
        return _framed(status, headers, b"".join(parts), keep_alive=keep_alive)

    def _environ(self, request: BufferedRequest, address: Any, certificate: Any) -> dict[str, Any]:
        """gunicorn's environ, made once for all requests of a connection with the same head."""
        if not request.environ:
            _, made = create(request, _WrittenResponse(), address, self._server, self._cfg)
            del made["gunicorn.socket"], made["wsgi.early_hints"]
            request.environ.update(made, **{"wsgi.multithread": True})
        environ = {**request.environ, "wsgi.input": request.body}
        environ["ssl.peer_certificate"] = certificate
        if "CONTENT_LENGTH" in environ:
            environ["CONTENT_LENGTH"] = str(request.body_bytes)
        return environ

    def overloaded(self, request: BufferedRequest) -> Reply:
        """Say that a request is not going to be worked on; an API server repeats it in a second."""
        self.refused += 1
        last = self.draining or request.should_close() or request.method == "HEAD"
        return plain_reply(
            HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", keep_alive=not last, retry_after=1
        )

    def _call(self, request: BufferedRequest, address: Any, certificate: Any) -> Reply:
        written = _WrittenResponse()
        response, environ = create(request, written, address, self._server, self._cfg)
        del environ["gunicorn.socket"]
        environ["wsgi.multithread"] = True
        environ["ssl.peer_certificate"] = certificate
        parts = self._apps.app(environ, response.start_response)
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
