"""ANSWERS. Bytes in, bytes out: from the body of a request to the verdict, as a Flask application.

The three outcomes never mix (docs/adr/0002): what is no valid review is an HTTP 4xx; what breaks a
rule is a 200 with `allowed: false`; what cannot be judged yet is a 503 with Retry-After, which the
API server itself repeats within the deadline of the write.
"""

import re
import time
from collections.abc import Callable, Collection
from typing import Any, Final

import msgspec
from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException

from certs.tls import client_name_allowed
from webhook.cluster.state import Condition, Confirmed, State
from webhook.core.admission import InvalidReview, parse_review, render_review
from webhook.core.engine import (
    Decision,
    Indeterminate,
    can_be_overridden,
    decide_by_request,
    decide_by_state,
    overridden,
)
from webhook.core.objects import AdmissionRequest
from webhook.core.policy import Policy
from webhook.telemetry import METRICS_TYPE, Telemetry

MAX_BODY_BYTES: Final = 16 * 2**20
"""A client's body may have 3 MiB, as protobuf; as JSON, and with the old object, it is several
times that.
"""
DEFAULT_TIMEOUT_SECONDS: Final = 10.0
"""What the API server assumes when a configuration says nothing."""
ANSWER_MARGIN_SECONDS: Final = 0.5
"""Kept of the deadline for sending the answer."""
_TIMEOUT: Final = re.compile(r"(\d{1,4})(ms|s|m)?", re.ASCII)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}

Conditions = Callable[[], tuple[Condition, ...]]
"""How every part of the process is doing."""


class Judge:
    """Admission: from a request to a decision, confirming before it denies."""

    def __init__(self, state: State, policy: Callable[[], Policy], telemetry: Telemetry) -> None:
        self._state = state
        self._policy = policy
        self._telemetry = telemetry

    def decide(self, asked: AdmissionRequest, deadline: float) -> Decision | Indeterminate:
        """The answer, or why there is none before `deadline` (of `time.monotonic`)."""
        policy = self._policy()
        decided = decide_by_request(asked, policy)
        if decided is not None:
            return decided
        known = self._state.known()
        if isinstance(known, Indeterminate):
            return known
        first = decide_by_state(asked, known, policy)
        if first.allowed or asked.new is None:
            return first
        fresh = self._state.confirmed(asked.new, deadline)
        decision = first if fresh is None else self._judged_anew(asked, fresh, policy)
        if isinstance(decision, Indeterminate) or decision.allowed:
            return decision
        return self._unless_restricted(asked, decision, policy, deadline)

    def _judged_anew(
        self, asked: AdmissionRequest, fresh: Confirmed | Indeterminate, policy: Policy
    ) -> Decision | Indeterminate:
        if isinstance(fresh, Indeterminate):
            return fresh
        decision = decide_by_state(asked, fresh.inventory, policy)
        self._telemetry.confirmed(upheld=not decision.allowed)
        if decision.allowed and not fresh.complete:
            return Indeterminate("too many owners of addresses would have to be read anew")
        return decision

    def _unless_restricted(
        self, asked: AdmissionRequest, decision: Decision, policy: Policy, deadline: float
    ) -> Decision | Indeterminate:
        if not can_be_overridden(decision, policy):
            return decision
        may = self._state.may_restricted(asked, deadline)
        if isinstance(may, Indeterminate):
            return may
        return overridden(decision) if may else decision


def create_app(
    judge: Judge,
    telemetry: Telemetry,
    conditions: Conditions,
    client_names: Collection[str] = (),
) -> Flask:
    """The application behind the TLS port.

    With `client_names`, only callers whose verified certificate has one of them are answered.
    """
    app = Flask("endpoints-guard", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES

    @app.before_request
    def known_client() -> Response | None:
        peer = request.environ.get("ssl.peer_certificate")
        if not client_names or client_name_allowed(peer, client_names):
            return None
        telemetry.rejected(403, _EXPLANATIONS[403])
        return _status(403, "Forbidden", _EXPLANATIONS[403])

    @app.post("/validate")
    def validate() -> Response:
        return _validate(request, judge, telemetry)

    @app.errorhandler(InvalidReview)
    def invalid_review(error: InvalidReview) -> Response:
        telemetry.rejected(400, str(error))
        return _status(400, "BadRequest", error.reason, field=error.path)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        code = error.code or 500
        reason = _EXPLANATIONS.get(code, error.description or error.name)
        telemetry.rejected(code, f"{request.method} {request.path[:100]!r}: {reason}")
        response = _status(code, error.name.replace(" ", ""), reason)
        if code == 405 and error.get_response().headers.get("Allow"):
            response.headers["Allow"] = error.get_response().headers["Allow"]
        return response

    _add_probes(app, conditions)
    return app


def create_health_app(telemetry: Telemetry, conditions: Conditions) -> Flask:
    """The application behind the plain port: probes and metrics."""
    app = Flask("endpoints-guard-health", static_folder=None)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(telemetry.exposition(), content_type=METRICS_TYPE)

    _add_probes(app, conditions)
    return app


def _add_probes(app: Flask, conditions: Conditions) -> None:
    @app.get("/livez")
    def livez() -> Response:
        return Response("ok\n", content_type="text/plain")

    @app.get("/readyz")
    def readyz() -> Response:
        found = conditions()
        ready = all(condition.ready for condition in found)
        lines = [f"[{'+' if c.ready else '-'}] {c.part}: {c.text}" for c in found]
        text = "\n".join([*lines, "ready" if ready else "not ready", ""])
        return Response(text, status=200 if ready else 503, content_type="text/plain")


_EXPLANATIONS: Final = {
    403: "the name in the client certificate is not one that may ask",
    404: "there is nothing at this path; reviews go to POST /validate",
    405: "this path takes another method; reviews go to POST /validate",
    413: f"the body is larger than {MAX_BODY_BYTES} bytes",
    415: "Content-Type must be application/json",
    500: "an error of endpoints-guard itself; its log says which",
}


def _validate(asked: Request, judge: Judge, telemetry: Telemetry) -> Response:
    begun = time.monotonic()
    if asked.mimetype != "application/json":
        reason = _EXPLANATIONS[415]
        telemetry.rejected(415, f"{reason}, not {asked.mimetype[:100]!r}")
        return _status(415, "UnsupportedMediaType", reason)
    review = parse_review(asked.get_data(cache=False))
    outcome = judge.decide(review.request, begun + _allowance(asked.args.get("timeout")))
    if isinstance(outcome, Indeterminate):
        telemetry.could_not_tell(review, outcome)
        response = _status(503, "ServiceUnavailable", f"cannot judge yet: {outcome.because}")
        response.headers["Retry-After"] = "1"
        return response
    body = render_review(review, outcome)
    telemetry.decided(review, outcome, time.monotonic() - begun)
    return Response(body, content_type="application/json")


def _allowance(timeout: str | None) -> float:
    """Seconds to use of the deadline that the API server announces, such as `?timeout=10s`."""
    match = _TIMEOUT.fullmatch(timeout or "")
    seconds = int(match[1]) * _UNITS[match[2]] if match else DEFAULT_TIMEOUT_SECONDS
    return max(seconds - ANSWER_MARGIN_SECONDS, seconds / 2)


def _status(code: int, reason: str, message: str, *, field: str = "") -> Response:
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
    return Response(msgspec.json.encode(status), status=code, content_type="application/json")
