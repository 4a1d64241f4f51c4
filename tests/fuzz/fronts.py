"""The webhook from the bytes of a connection to the bytes that go back, without a socket."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from gunicorn.config import Config

from tests.fuzz.contract import Answer, hold, read_answer
from webhook.cluster.state import State
from webhook.core.policy import Policy
from webhook.gateway.heads import BufferedRequest, Refusal
from webhook.gateway.http import Applications, RequestBuffer, Responder, plain_reply, settled
from webhook.server import Judge, create_app
from webhook.telemetry import LOG, Telemetry
from webhook.validation import MAX_BODY_BYTES

_CFG = settled(Config(), is_ssl=True)
_CLIENT = ("192.0.2.1", 1234)


class _Exceptions(logging.Handler):
    """Keeps what was logged with a traceback."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.records.append(record)


@contextmanager
def no_exception_logged() -> Iterator[None]:
    """Fail when, meanwhile, somebody caught an exception that he had not reckoned with."""
    caught = _Exceptions()
    loggers = {logging.getLogger(), LOG}
    for logger in loggers:
        logger.addHandler(caught)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(caught)
    if caught.records:
        error = caught.records[0].exc_info
        raise AssertionError(caught.records[0].getMessage()) from (error and error[1])


class Front:
    """The application behind the gateway's parser, in front of some state of a cluster."""

    def __init__(self, state: State, policy: Policy | None = None) -> None:
        in_force, telemetry = policy or Policy(), Telemetry()
        judge = Judge(state, lambda: in_force, telemetry)
        app = create_app(judge, telemetry, state.conditions)
        self._responder = Responder(Applications(app, app.prompt), _CFG, ("127.0.0.1", 8443))

    def ask(self, body: bytes, *, stable: bool = True) -> Answer:
        """The answer to this body, as an API server sends it."""
        (answer,) = self.take([_post(body)], stable=stable)
        return answer

    def take(self, pieces: Iterable[bytes], *, stable: bool = True) -> list[Answer]:
        """The answers to a stream of requests that comes in these pieces. Each is held to the
        contract; a `stable` state gives every answer twice.
        """
        buffer = RequestBuffer(_CFG, _CLIENT, MAX_BODY_BYTES)
        answers: list[Answer] = []
        with no_exception_logged():
            try:
                for piece in pieces:
                    request = buffer.feed(piece)
                    while request is not None:
                        answers.append(self._answered(request, stable=stable))
                        request = buffer.feed(b"")
            except Refusal as refusal:
                answers.append(_refused(refusal))
        return answers

    def _answered(self, request: BufferedRequest, *, stable: bool) -> Answer:
        body = request.body.read()
        request.body.seek(0)
        prompt = self._responder.respond_promptly(request, _CLIENT, None)
        reply = prompt or self._responder.respond(request, _CLIENT, None)
        answer = read_answer(reply.data, request.method)
        hold(answer, method=request.method, path=request.path, body=body)
        if stable:
            request.body.seek(0)
            again = self._responder.respond(request, _CLIENT, None)
            second = read_answer(again.data, request.method)
            assert (second.status, second.body) == (answer.status, answer.body)
        return answer


def _refused(refusal: Refusal) -> Answer:
    """What the gateway says of bytes that are no request that it serves."""
    reply = plain_reply(refusal.status, str(refusal)[:200], keep_alive=False)
    answer = read_answer(reply.data)
    assert 400 <= answer.status < 500 or answer.status == 501
    answer.body.decode()
    return answer


def _post(body: bytes) -> bytes:
    head = (
        "POST /validate?timeout=10s HTTP/1.1",
        "Host: webhook",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body
