"""A Kubernetes API in memory on a real loopback socket, with the faults of a real one.

It knows LIST (limit, continue, selectors by equality), GET, WATCH (resourceVersion, bookmarks,
timeoutSeconds; no selectors), SubjectAccessReview, the creation of Events, server-side apply and
DELETE. `state` holds the objects, and what happens to history and watches; `inject` scripts what
happens to single answers.
"""

import base64
import json
import ssl
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Self

from tests.fake_apiserver.faults import NO_FAULT, Fault, Request
from tests.fake_apiserver.http import Handler, Server
from tests.fake_apiserver.state import Object, State

__all__ = ["ALWAYS", "FakeApiServer", "Fault", "Request", "State", "wait_until"]

ALWAYS = sys.maxsize


class FakeApiServer:
    """Use as a context manager. Every method may be called from any thread."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        ca: bytes = b"",
        state: State | None = None,
    ) -> None:
        """`tls` makes it HTTPS; `ca` is then what the kubeconfig tells clients to trust."""
        self.state = state or State()
        self.requests: list[Request] = []
        self.events: list[Object] = []
        """The Events that somebody created."""
        self.token = ""
        """When set, whoever does not bear it gets a 401."""
        self.allowed: Callable[[Object], bool] = lambda _spec: False
        """The answer to a SubjectAccessReview, from its spec."""
        self.gone_in_stream = True
        """Whether a watch that is too old is told so by an ERROR event, or by HTTP 410."""
        self._tls = tls
        self._ca = ca
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._http: Server | None = None
        self._port = 0
        self._folder = tempfile.TemporaryDirectory()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def kubeconfig(self) -> str:
        """A file that names this server, with its token when it has one."""
        cluster: Object = {"server": self.url}
        if self._ca:
            cluster["certificate-authority-data"] = base64.b64encode(self._ca).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": cluster}],
            "users": [{"name": "fake", "user": {"token": self.token} if self.token else {}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        }
        file = Path(self._folder.name, "kubeconfig")
        file.write_text(json.dumps(config))
        return str(file)

    def start(self) -> None:
        """Listen; after a stop, on the same port."""
        self._http = Server(self._port, partial(Handler, self), self._tls)
        self._port = self._http.server_address[1]
        serve = partial(self._http.serve_forever, poll_interval=0.005)
        threading.Thread(target=serve, name="fake-apiserver", daemon=True).start()

    def stop(self) -> None:
        """Stop listening, and break every connection. What is stored stays."""
        http, self._http = self._http, None
        if http is not None:
            http.shutdown()
            http.server_close()
            self.state.cut_watches()
            http.break_connections()

    def inject(self, fault: Fault) -> None:
        """Let this happen to the next requests that it strikes; the first one that does, does."""
        with self._lock:
            self._faults.append(fault)

    def heal(self) -> None:
        """No more injected faults."""
        with self._lock:
            self._faults.clear()

    def receive(self, request: Request) -> Fault:
        """Note a request, and say what shall become of it."""
        with self._lock:
            self.requests.append(request)
            strikes = (f for f in self._faults if f.strikes(request.verb, request.path))
            return next(strikes, NO_FAULT)

    def asked(self, verb: str) -> int:
        """How many requests there were."""
        with self._lock:
            return sum(request.verb == verb for request in self.requests)


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Come back as soon as it is true; fail when it is not in this time."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "it did not happen in time"
        sleep(0.002)
