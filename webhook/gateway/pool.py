"""Threads that run the application on complete requests and send what it answers."""

import logging
import queue
import threading
import time
from collections.abc import Callable

from webhook.gateway.connection import Connection, Phase
from webhook.gateway.heads import BufferedRequest
from webhook.gateway.http import Responder

# To read a larger one may take milliseconds, and no other is served meanwhile.
_PROMPT_BYTES = 512 * 1024

_log = logging.getLogger(__name__)


class RequestPool:
    """A fixed number of threads and a bounded queue before them."""

    def __init__(
        self,
        responder: Responder,
        *,
        threads: int,
        max_queued_requests: int,
        give_back: Callable[[Connection], None],
    ) -> None:
        self._responder = responder
        self._max_queued_requests = max_queued_requests
        self._give_back = give_back
        self._queue: queue.SimpleQueue[tuple[Connection, BufferedRequest]] = queue.SimpleQueue()
        for number in range(threads):
            threading.Thread(target=self._work, name=f"request-{number}", daemon=True).start()

    @property
    def waiting(self) -> int:
        """How many requests wait for a thread."""
        return self._queue.qsize()

    @property
    def full(self) -> bool:
        """Whether as many requests wait as may."""
        return self.waiting >= self._max_queued_requests

    def answer_promptly(self, connection: Connection, request: BufferedRequest) -> bool:
        """Answer in the calling thread, if that is soon done; return whether it was.

        Raises OSError when the client is gone.
        """
        if request.body_bytes > _PROMPT_BYTES:
            return False
        reply = self._responder.respond_promptly(
            request, connection.address, connection.certificate
        )
        if reply is None:
            return False
        connection.answer(reply, time.monotonic())
        if not connection.waits_for_next:
            self._give_back(connection)
        return True

    def put(self, connection: Connection, request: BufferedRequest) -> None:
        """Hand over a connection in Phase.BUSY; a thread owns it until its phase is another."""
        self._queue.put((connection, request))

    def _work(self) -> None:
        while True:
            self._answer(*self._queue.get())

    def _answer(self, connection: Connection, request: BufferedRequest) -> None:
        reply = self._responder.respond(request, connection.address, connection.certificate)
        try:
            connection.answer(reply, time.monotonic())
        except OSError as error:
            _log.debug("connection of %s: %s", connection.address, error)
            connection.phase = Phase.ANSWERED
        if not connection.waits_for_next:
            self._give_back(connection)
