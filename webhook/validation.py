"""POST /validate: from the bytes of an AdmissionReview to those of the answer.

The three outcomes never mix (docs/adr/0002): what is no valid review is an HTTP 4xx; what breaks a
rule is a 200 with `allowed: false`; what cannot be judged yet is a 503 with Retry-After, which the
API server itself repeats within the deadline of the write.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from wsgiref.types import StartResponse, WSGIApplication

import msgspec

from webhook.core.admission import InvalidReview, Review, parse_review, render_review
from webhook.core.decision import Decision, Indeterminate
from webhook.core.objects import AdmissionRequest
from webhook.telemetry import LOG, Telemetry
from webhook.tracing import part_of, trace_of

MAX_BODY_BYTES: Final = 16 * 2**20
"""A client's body may have 3 MiB, as protobuf; as JSON, and with the old object, it is several
times that.
"""
DEFAULT_TIMEOUT_SECONDS: Final = 10.0
"""What the API server assumes when a configuration says nothing."""
LONGEST_TIMEOUT_SECONDS: Final = 30.0
"""The most that a configuration can say."""
ANSWER_MARGIN_SECONDS: Final = 0.5
"""Kept of the deadline for sending the answer."""
_TIMEOUT: Final = re.compile(r"(\d{1,4})(ms|s|m)?", re.ASCII)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}
_USUAL: Final = ("POST", "/validate", "application/json")
_USUAL_QUERY: Final = re.compile(r"(?:timeout=(\w{1,8}))?", re.ASCII)
_USUAL_LENGTH: Final = re.compile(r"\d{1,9}", re.ASCII)
_REPEAT: Final = (("Retry-After", "1"),)
_STATUS_LINES: Final = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

DecideAtOnce = Callable[[AdmissionRequest], Decision | None]
"""The decision that memory alone allows; None where more must be read, or waited for."""
Decide = Callable[[AdmissionRequest, float], Decision | Indeterminate]
"""From a request, and the deadline for the answer (of `time.monotonic`), to a decision."""

EXPLANATIONS: Final = {
    403: "the name in the client certificate is not one that may ask",
    404: "there is nothing at this path; reviews go to POST /validate",
    405: "this path takes another method; reviews go to POST /validate",
    413: f"the body is larger than {MAX_BODY_BYTES} bytes",
    415: "Content-Type must be application/json",
    500: "an error of endpoints-guard itself; its log says which",
}
"""What the caller is told, by HTTP status."""


class Answer(NamedTuple):
    """An HTTP response, before it is anybody's."""

    body: bytes
    code: int = 200
    more_headers: tuple[tuple[str, str], ...] = ()

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All of its headers."""
        length = ("Content-Length", str(len(self.body)))
        return [("Content-Type", "application/json"), length, *self.more_headers]


def status_answer(
    code: int,
    reason: str,
    message: str,
    *,
    field: str = "",
    headers: tuple[tuple[str, str], ...] = (),
) -> Answer:
    """An error in the API's own form, metav1.Status."""
    status: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": f"{field}: {message}" if field else message,
    }
    if field:
        status["details"] = {"causes": [{"field": field, "message": message}]}
    return Answer(msgspec.json.encode(status), code, headers)


class Validation:
    """POST /validate: from the body of a request to an answer, whatever the body is."""

    def __init__(
        self,
        decide: Decide,
        decide_at_once: DecideAtOnce,
        telemetry: Telemetry,
        *,
        for_audit_log: bool = False,
    ) -> None:
        """`for_audit_log`: every caller is surely an API server, see `render_review`."""
        self._for_audit_log = for_audit_log
        self._decide = decide
        self._decide_at_once = decide_at_once
        self._telemetry = telemetry

    def answer(self, body: bytes, timeout: str | None) -> Answer:
        """The answer before the end of `timeout`, which is what the API server announces."""
        begun = time.monotonic()
        try:
            return self._judged(body, begun, begun + _allowance(timeout))
        except InvalidReview as error:
            self._telemetry.rejected(400, str(error))
            return status_answer(400, "BadRequest", error.reason, field=error.path)
        except Exception:
            LOG.exception("a review could not be judged")
            self._telemetry.rejected(500, EXPLANATIONS[500])
            return status_answer(500, "InternalServerError", EXPLANATIONS[500])

    def prompt_answer(self, body: bytes, _timeout: str | None) -> Answer | None:
        """The answer, if it needs no waiting: no other machine, nor a log line, nor for something
        that takes long; else None.
        """
        begun = time.monotonic()
        try:
            review = parse_review(body, however_deep=False)
        except InvalidReview:
            return None
        decision = self._decide_at_once(review.request)
        return None if decision is None else self._rendered(review, decision, begun)

    def _judged(self, body: bytes, begun: float, deadline: float) -> Answer:
        review = parse_review(body)
        outcome = self._decide(review.request, deadline)
        if isinstance(outcome, Indeterminate):
            self._telemetry.could_not_tell(review, outcome)
            message = f"cannot judge yet: {outcome.because}"
            return status_answer(
                503, "ServiceUnavailable", message, headers=(("Retry-After", "1"),)
            )
        return self._rendered(review, outcome, begun)

    def _rendered(self, review: Review, decision: Decision, begun: float) -> Answer:
        rendered = render_review(review, decision, for_audit_log=self._for_audit_log)
        self._telemetry.decided(review, decision, time.monotonic() - begun)
        return Answer(rendered)


Reply = Callable[[bytes, str | None], Answer | None]
"""From the body of a request, and its timeout, to the answer."""


class Shortcut:
    """Stands before a Flask application and answers the requests that API servers send.

    Flask's dispatch takes longer than the judging. What looks different in any way is left to it.
    """

    def __init__(
        self,
        validation: Validation,
        known_client: Callable[[Mapping[str, Any]], bool],
        otherwise: WSGIApplication,
    ) -> None:
        self._validation = validation
        self._known_client = known_client
        self._otherwise = otherwise

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI interface (PEP 3333)."""
        with part_of(trace_of(environ)):
            parts = self._respond(self._validation.answer, environ, start_response)
            return self._otherwise(environ, start_response) if parts is None else parts

    def prompt(
        self, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes] | None:
        """The same, if it can be answered without waiting for anything; else None."""
        return self._respond(self._validation.prompt_answer, environ, start_response)

    def _respond(
        self, reply: Reply, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes] | None:
        usual = self._usual(environ)
        answer = None if usual is None else reply(*usual)
        if answer is None:
            return None
        start_response(_STATUS_LINES[answer.code], answer.headers)
        return (answer.body,)

    def _usual(self, environ: dict[str, Any]) -> tuple[bytes, str | None] | None:
        """Body and timeout of a request as API servers send it."""
        query = _USUAL_QUERY.fullmatch(environ["QUERY_STRING"])
        length = _USUAL_LENGTH.fullmatch(environ.get("CONTENT_LENGTH", ""))
        what = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("CONTENT_TYPE")
        if not query or not length or what != _USUAL:
            return None
        size = int(length[0])
        if size > MAX_BODY_BYTES or not self._known_client(environ):
            return None
        return environ["wsgi.input"].read(size), query[1]


def _allowance(timeout: str | None) -> float:
    """Seconds to use of the deadline that the API server announces, such as `?timeout=10s`."""
    match = _TIMEOUT.fullmatch(timeout or "")
    seconds = int(match[1]) * _UNITS[match[2]] if match else DEFAULT_TIMEOUT_SECONDS
    seconds = min(seconds, LONGEST_TIMEOUT_SECONDS)
    return max(seconds - ANSWER_MARGIN_SECONDS, seconds / 2)
