"""ANSWERS. Judges what is asked, confirms before it denies, and is reached over HTTP, by Flask.

How a review is read and answered stands in `webhook/validation.py`.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final
from wsgiref.types import StartResponse

from flask import Flask, Response, request
from msgspec import structs
from werkzeug.exceptions import HTTPException

from certs.tls import client_name_allowed
from webhook.cluster.state import Condition, State
from webhook.core.decision import Decision, Grounds, Indeterminate, Obstacle, overridden
from webhook.core.engine import (
    Subject,
    can_be_overridden,
    decide_by_request,
    decide_by_state,
    decide_if_faultless,
)
from webhook.core.excerpt import Excerpt, bears_out, most_telling, whole
from webhook.core.objects import AdmissionRequest
from webhook.core.policy import Policy
from webhook.telemetry import METRICS_TYPE, Exposition, Telemetry
from webhook.validation import (
    EXPLANATIONS,
    MAX_BODY_BYTES,
    Answer,
    Shortcut,
    Validation,
    status_answer,
)

AT_ONCE: Final = 1000
"""Addresses, or ports, that are judged while every other request waits: as many as controllers
write into one object. That takes a millisecond, and several if they are unusual.
"""

Conditions = Callable[[], tuple[Condition, ...]]
"""How every part of the process is doing."""


class Judge:
    """Admission: from a request to a decision, confirming before it denies."""

    def __init__(self, state: State, policy: Callable[[], Policy], telemetry: Telemetry) -> None:
        self._state = state
        self._policy = policy
        self._telemetry = telemetry

    def decide_at_once(self, asked: AdmissionRequest) -> Decision | None:
        """The decision, if memory alone shows that nothing is wrong with the write, and soon; else
        None.
        """
        if any(each and each.is_larger_than(AT_ONCE) for each in (asked.new, asked.old)):
            return None
        policy = self._policy()
        decided = decide_by_request(asked, policy)
        if decided is not None:
            return decided
        known = self._state.known()
        if isinstance(known, Indeterminate):
            return None
        return decide_if_faultless(asked, known, policy)

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
        if not first.findings or asked.new is None:
            return first
        first = structs.replace(first, grounds=Grounds(known, live=False))
        if first.allowed:
            return first
        decision = self._confirmed(asked, asked.new, first, policy, deadline)
        if isinstance(decision, Indeterminate) or decision.allowed:
            return decision
        return self._unless_restricted(asked, decision, policy, deadline)

    def _confirmed(
        self,
        asked: AdmissionRequest,
        new: Subject,
        first: Decision,
        policy: Policy,
        deadline: float,
    ) -> Decision | Indeterminate:
        """The denial, or what becomes of it when the cluster is looked at anew."""
        begun = time.monotonic()
        decision = self._looked_at_anew(asked, new, first, policy, deadline)
        if decision is None:
            return first
        result = "failed"
        if isinstance(decision, Decision):
            result = "overturned" if decision.allowed else "upheld"
        self._telemetry.confirmed(result, time.monotonic() - begun)
        return decision

    def _looked_at_anew(
        self,
        asked: AdmissionRequest,
        new: Subject,
        first: Decision,
        policy: Policy,
        deadline: float,
    ) -> Decision | Indeterminate | None:
        """A little of the write, and all of it only if that is not what it was thought to be."""
        excerpt = most_telling(new, asked.old, first)
        now = self._judged_anew(asked, excerpt, policy, deadline)
        if not isinstance(now, Decision):
            return now
        if bears_out(excerpt, first, now):
            grounds = first.grounds and structs.replace(first.grounds, live=True)
            return structs.replace(first, grounds=grounds)
        return self._judged_anew(asked, whole(new), policy, deadline)

    def _judged_anew(
        self, asked: AdmissionRequest, excerpt: Excerpt, policy: Policy, deadline: float
    ) -> Decision | Indeterminate | None:
        """The verdict on an excerpt alone, by what the API server says now."""
        fresh = self._state.confirmed(excerpt, deadline)
        if fresh is None or isinstance(fresh, Indeterminate):
            return fresh
        decision = decide_by_state(asked, fresh.inventory, policy, excerpt.parts)
        if decision.allowed and not fresh.complete:
            why = "too many owners of addresses would have to be read anew"
            return Indeterminate(why, Obstacle.TOO_MUCH)
        return structs.replace(decision, grounds=Grounds(fresh.inventory, live=True))

    def _unless_restricted(
        self, asked: AdmissionRequest, decision: Decision, policy: Policy, deadline: float
    ) -> Decision | Indeterminate:
        if not can_be_overridden(decision, policy):
            return decision
        may = self._state.may_restricted(asked, deadline)
        if isinstance(may, Indeterminate):
            return may
        return overridden(decision) if may else decision


class Webhook(Flask):
    """A Flask application with a shortcut before it."""

    def __init__(
        self, validation: Validation, known_client: Callable[[Mapping[str, Any]], bool]
    ) -> None:
        super().__init__("endpoints-guard", static_folder=None)
        self.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
        self._shortcut = Shortcut(validation, known_client, super().wsgi_app)
        self.prompt = self._shortcut.prompt
        """Answers what needs no waiting, and nothing else."""

    def wsgi_app(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI interface (PEP 3333)."""
        return self._shortcut(environ, start_response)


def create_app(
    judge: Judge,
    telemetry: Telemetry,
    conditions: Conditions,
    client_names: Collection[str] = (),
    *,
    callers_are_verified: bool = False,
) -> Webhook:
    """The application behind the TLS port.

    With `client_names`, only callers whose verified certificate has one of them are answered. If
    `callers_are_verified`, a certificate was asked for at all, and only API servers have one.
    """
    validation = Validation(
        judge.decide, judge.decide_at_once, telemetry, for_audit_log=callers_are_verified
    )

    def known_client(environ: Mapping[str, Any]) -> bool:
        peer = environ.get("ssl.peer_certificate")
        return not client_names or client_name_allowed(peer, client_names)

    app = Webhook(validation, known_client)

    @app.before_request
    def only_known_clients() -> Response | None:
        if known_client(request.environ):
            return None
        telemetry.rejected(403, EXPLANATIONS[403])
        return _response(status_answer(403, "Forbidden", EXPLANATIONS[403]))

    @app.post("/validate")
    def validate() -> Response:
        if request.mimetype != "application/json":
            telemetry.rejected(415, f"{EXPLANATIONS[415]}, not {request.mimetype[:100]!r}")
            return _response(status_answer(415, "UnsupportedMediaType", EXPLANATIONS[415]))
        body, timeout = request.get_data(cache=False), request.args.get("timeout")
        return _response(validation.answer(body, timeout))

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        code = error.code or 500
        reason = EXPLANATIONS.get(code, error.description or error.name)
        telemetry.rejected(code, f"{request.method} {request.path[:100]!r}: {reason}")
        response = _response(status_answer(code, error.name.replace(" ", ""), reason))
        if code == 405 and error.get_response().headers.get("Allow"):
            response.headers["Allow"] = error.get_response().headers["Allow"]
        return response

    _add_probes(app, conditions)
    return app


def create_health_app(telemetry: Exposition, conditions: Conditions) -> Flask:
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


def _response(answer: Answer) -> Response:
    return Response(answer.body, status=answer.code, headers=answer.headers)
