"""Sees every write, has the webhook judge it, and lets it pass.

It stands in the API server's configuration as a webhook of its own. Each review goes on, byte for
byte, to an `endpoints-guard` that trusts nobody; what that says is written down and never enforced,
so the controllers go on as if nobody was watching. A review may be judged a second time later, as
if it had been under way for longer: that is what a slow network, or a busy API server, does.
"""

import heapq
import itertools
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.e2e.api import Json
from tests.e2e.differential.judgement import Judgement, WebhookClient
from tests.e2e.webhook_process import Serving


class Recorder:
    """The recording webhook, and all that it has seen."""

    def __init__(self, judge: WebhookClient, serving: Serving) -> None:
        self._judge = judge
        self._lock = threading.Lock()
        self._judgements: list[Judgement] = []
        self._failures: list[Exception] = []
        self._later = _Later()
        self._server = _server(self, serving)
        self.lateness: Callable[[Json], float] = lambda _request: 0.0
        """For a request: after how many seconds it is judged once more; 0 for not at all."""

    @classmethod
    @contextmanager
    def running(cls, judge: WebhookClient, serving: Serving) -> Iterator[Self]:
        recorder = cls(judge, serving)
        server, later = recorder._server, recorder._later
        threads = [
            threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True),
            threading.Thread(target=later.run, daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            yield recorder
        finally:
            server.shutdown()
            server.server_close()
            later.stop()
            for thread in threads:
                thread.join(10)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._server.server_address[1]}/record"

    def judgements(self) -> list[Judgement]:
        """Everything so far, in the order of the answers."""
        with self._lock:
            assert not self._failures, self._failures
            return list(self._judgements)

    def settle(self) -> None:
        """Wait until nothing is left to be judged late."""
        self._later.wait_empty()

    def take(self, body: bytes) -> bytes:
        """Judge a review from the API server; the answer that lets it pass."""
        arrived = time.monotonic()
        self._note(body)
        request = json.loads(body)["request"]
        delay = self.lateness(request)
        if delay:
            self._later.add(delay, lambda: self._note(body, arrived))
        return _allowed(request["uid"])

    def _note(self, body: bytes, arrived: float | None = None) -> None:
        try:
            judgement = self._judge.judge(body, arrived)
        except Exception as error:
            with self._lock:
                self._failures.append(error)
            return
        with self._lock:
            self._judgements.append(judgement)


class _Later:
    """Runs what is due, in one thread."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._busy = False
        self._stopped = False

    def add(self, delay: float, task: Callable[[], object]) -> None:
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + delay, next(self._numbers), task))
            self._changed.notify_all()

    def run(self) -> None:
        while (task := self._next()) is not None:
            task()
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait_empty(self, seconds: float = 30.0) -> None:
        with self._changed:
            idle = self._changed.wait_for(lambda: not self._due and not self._busy, seconds)
        assert idle, "late judgements are still outstanding"

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            while not self._stopped:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    self._busy = True
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait)
        return None


def _server(recorder: Recorder, serving: Serving) -> ThreadingHTTPServer:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(serving.certificate, serving.key)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            # The handshake here and not in the accepting thread, which would wait for each.
            self.request = context.wrap_socket(self.request, server_side=True)
            super().setup()

        def finish(self) -> None:
            super().finish()
            self.request.close()

        def do_POST(self) -> None:
            body = recorder.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing: the test's output is not a log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server


def _allowed(uid: str) -> bytes:
    review = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": uid, "allowed": True},
    }
    return json.dumps(review).encode()
