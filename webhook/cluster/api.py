"""The API server: raw JSON in and out, every wait bounded, our own errors only.

A deadline is a value of `time.monotonic()`; without one only the silence between bytes is bounded.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from webhook import __version__, tracing
from webhook.cluster.answers import SILENCE, Call, WatchStream, our_errors, read_body, read_refusal
from webhook.cluster.credentials import access
from webhook.cluster.errors import (
    ClusterConfigError,
    ClusterTimeout,
    Conflict,
    ConnectionLost,
    MalformedAnswer,
    NotFound,
    ResourceExpired,
    Unauthorized,
)
from webhook.core.objects.nesting import read_json

if TYPE_CHECKING:
    from urllib3 import HTTPResponse

Value = TypeVar("Value")

CONNECT: Final = 5.0
"""Seconds for the TCP connection, and for the TLS handshake."""
RENEWAL: Final = 10.0
"""Seconds between two attempts to get new credentials after a 401."""
LISTS: Final = 3
"""How often `list_all` begins in all, should its continue token expire."""


_METHODS: Final = {"create": "POST", "patch": "PATCH", "delete": "DELETE"}
"""Of the verbs that are no GET."""
_APPLY: Final = "application/apply-patch+yaml"
"""JSON is YAML, too."""


class ListMeta(msgspec.Struct, frozen=True):
    """metav1.ListMeta."""

    resource_version: str = msgspec.field(default="", name="resourceVersion")
    continue_token: str = msgspec.field(default="", name="continue")
    remaining: int = msgspec.field(default=0, name="remainingItemCount")
    """How many objects come after this page; 0 also where the server does not say."""


class Page(msgspec.Struct, frozen=True):
    """One page of a list. The items are still JSON, so that a bad one spoils no other."""

    metadata: ListMeta
    items: list[msgspec.Raw] | None = None


_PAGES: Final = msgspec.json.Decoder(Page)


class ClusterApi:
    """One API server, from any number of threads. Every call may raise `ClusterUnavailable`."""

    def __init__(
        self, new_client: Callable[[], Any], *, compress: bool = False, silence: float = SILENCE
    ) -> None:
        """`new_client` is from `credentials.py`; it is called again when the API server no longer
        accepts what the client says it is. `compress` asks for gzip. `silence` is how many seconds
        without a byte an answer may take.
        """
        self._new_client = new_client
        self._compress = compress
        self._silence = silence
        self._lock = threading.Lock()
        self._renewed = float("-inf")
        self._client = new_client()

    @property
    def host(self) -> str:
        """The API server's URL."""
        return str(self._client.configuration.host)

    def get(self, path: str, *, deadline: float | None = None) -> bytes | None:
        """The object at this path, None when there is none.

        A resource that the server does not serve is an error, not "none".
        """
        try:
            return self._answer(self._call("get", path, deadline))
        except NotFound:
            return None

    def post(
        self, path: str, body: Mapping[str, object], *, deadline: float | None = None
    ) -> bytes:
        """What the server made of this object. Sent once at most."""
        return self._answer(self._call("create", path, deadline, body=body))

    def apply(
        self, path: str, body: Mapping[str, object], *, manager: str, deadline: float | None = None
    ) -> bytes:
        """Create this object, or make it say this: server-side apply, as the field manager named.

        Fields that the manager applied before and leaves out now go; those of others stay. Of a
        field that both want, it takes hold. Sent once at most.
        """
        query = {"fieldManager": manager, "force": "true"}
        return self._answer(self._call("patch", path, deadline, query=query, body=body))

    def delete(self, path: str, *, uid: str, deadline: float | None = None) -> None:
        """Delete the object of this uid; that it is gone already, or is another one, is fine."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}}
        with suppress(NotFound, Conflict):
            self._answer(self._call("delete", path, deadline, body=body))

    def list_pages(
        self,
        path: str,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
        deadline: float | None = None,
    ) -> Iterator[Page]:
        """One consistent state of a collection, page by page.

        Raises `ResourceExpired` when the server has compacted that state away before the last page:
        what came until then is no list. `list_all` begins anew.
        """
        query = {
            "limit": limit,
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "continue": "",
        }
        while True:
            page = self._page(self._call("list", path, deadline, query=query))
            yield page
            query["continue"] = page.metadata.continue_token
            if not page.metadata.continue_token:
                return

    def list_all(
        self,
        path: str,
        read: Callable[[msgspec.Raw], Value],
        *,
        label_selector: str = "",
        field_selector: str = "",
        deadline: float | None = None,
    ) -> tuple[Value, ...]:
        """Every object of a collection, all from one consistent state.

        Each is read as its page comes, so no more than a page of JSON is in memory.
        """
        pages = partial(
            self.list_pages,
            path,
            label_selector=label_selector,
            field_selector=field_selector,
            deadline=deadline,
        )
        for _ in range(LISTS - 1):
            with suppress(ResourceExpired):
                return _read_all(pages(), read)
        return _read_all(pages(), read)

    def watch(
        self, path: str, *, resource_version: str, timeout_seconds: int, silence: float
    ) -> WatchStream:
        """What changes from this version on, until the server ends it after `timeout_seconds`.

        Bookmarks are asked for. After `silence` seconds without a byte, which should be more than
        `timeout_seconds`, the connection counts as dead.
        """
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": timeout_seconds,
        }
        call = self._call("watch", path, None, query=query)
        return WatchStream(self._open(call), call, silence)

    def _call(self, verb: str, path: str, deadline: float | None, **rest: Any) -> Call:
        call = partial(Call, server=self.host, silence=self._silence)
        return call(verb=verb, path=path, deadline=deadline, **rest)

    def _page(self, call: Call) -> Page:
        try:
            return read_json(self._answer(call), _PAGES)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedAnswer(f"list {call.path}: this is not a list: {error}") from None

    def _answer(self, call: Call) -> bytes:
        return read_body(self._open(call), call)

    def _open(self, call: Call) -> "HTTPResponse":
        """An answer that says success, its body unread."""
        client = self._client
        response = self._exchange(client, call)
        if response.status == 401 and self._renew(client):
            response.close()
            response = self._exchange(self._client, call)
        if 200 <= response.status < 300:
            return response
        raise read_refusal(response, call)

    def _exchange(self, client: Any, call: Call) -> "HTTPResponse":
        """Send it. A read may be sent again: its connection may have been closed while idle."""
        if call.body is None:
            with suppress(ConnectionLost):
                return self._send(client, call)
        return self._send(client, call)

    def _send(self, client: Any, call: Call) -> "HTTPResponse":
        headers = self._headers(client, call)
        left = call.seconds_left()
        with our_errors(call):
            response: HTTPResponse = client.call_api(
                _METHODS.get(call.verb, "GET"),
                client.configuration.host + call.target,
                header_params=headers,
                body=msgspec.json.encode(call.body) if call.verb == "patch" else call.body,
                _request_timeout=(min(CONNECT, left), left),
            ).response
        return response

    def _headers(self, client: Any, call: Call) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "Content-Type": _APPLY if call.verb == "patch" else "application/json",
            "User-Agent": f"endpoints-guard/{__version__}",
            **tracing.headers(),
        }
        if self._compress and call.verb != "watch":
            headers["Accept-Encoding"] = "gzip"
        token = self._token(client, call)
        if token:
            headers["Authorization"] = token
        return headers

    def _token(self, client: Any, call: Call) -> str:
        """The Authorization header. Asking for it may re-read a file or run an exec plugin."""
        if not self._lock.acquire(timeout=call.seconds_left()):
            raise ClusterTimeout(f"{call.verb} {call.path}: no credentials in time")
        try:
            settings = client.configuration.auth_settings()
        except Exception as error:
            raise Unauthorized(f"the credentials cannot be read: {error}") from error
        finally:
            self._lock.release()
        # A token file may end in a newline, which no header can carry.
        return str(settings.get("BearerToken", {}).get("value") or "").strip()

    def _renew(self, client: Any) -> bool:
        """Load the credentials anew, unless another thread just did. False: it is too early.

        The package itself renews only what it knows to expire: not a `tokenFile`, not a client
        certificate that an exec plugin gave, not a token that was revoked.
        """
        with self._lock:
            if self._client is not client:
                return True
            if monotonic() - self._renewed < RENEWAL:
                return False
            self._renewed = monotonic()
            try:
                self._client = self._new_client()
            except ClusterConfigError as error:
                raise Unauthorized(f"no new credentials: {error}", status=401) from None
            return True


def _read_all(pages: Iterable[Page], read: Callable[[msgspec.Raw], Value]) -> tuple[Value, ...]:
    return tuple(read(item) for page in pages for item in page.items or ())


def connect(
    *, kubeconfig: str | None = None, context: str | None = None, connections: int = 16
) -> ClusterApi:
    """The cluster that this Pod runs in, or else the one that a kubeconfig names.

    A kubeconfig or a context that is given wins. `connections` is how many are kept open: one for
    each thread that calls and one for each watch. Raises `ClusterConfigError`. Sends nothing yet.
    """
    found = access(kubeconfig, context, connections)
    return ClusterApi(found.new_client, compress=not found.nearby)
