"""Bypasses that are tried on the webhook itself rather than on a rule: bytes in, bytes out."""

import json
from dataclasses import dataclass
from time import process_time
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.builders import Json, review
from tests.builders import body as as_body
from tests.coverage.table import (
    BYPASSES,
    Attempt,
    asked,
    attempts,
    cluster_of,
    decided,
    filled,
    policy_named,
)
from webhook.cluster.state import Condition, Confirmed, FixedState, State
from webhook.core.decision import Indeterminate
from webhook.core.excerpt import Excerpt
from webhook.core.inventory import Inventory
from webhook.core.objects import AdmissionRequest
from webhook.core.policy import Policy, parse_policy
from webhook.server import Judge, create_app
from webhook.telemetry import Telemetry
from webhook.validation import MAX_BODY_BYTES

SLICE = {"kind": "EndpointSlice", "addressType": "IPv4", "ports": [{"name": "http", "port": 80}]}
OWNER = {"name": "by-hand", "labels": {"kubernetes.io/service-name": "manual"}}
BAD = Attempt(
    name="a foreign Pod",
    write=filled({**SLICE, "metadata": OWNER, "endpoints": [{"addresses": ["10.65.1.90"]}]}),
)


def client(
    state: State,
    policy: Policy | None = None,
    telemetry: Telemetry | None = None,
    *,
    verified: bool = False,
) -> FlaskClient:
    counters = telemetry or Telemetry()
    judge = Judge(state, lambda: policy or Policy(), counters)
    app = create_app(judge, counters, tuple[Condition, ...], callers_are_verified=verified)
    return app.test_client()


def webhook(attempt: Attempt, telemetry: Telemetry | None = None) -> FlaskClient:
    state = FixedState(inventory=cluster_of(attempt))
    return client(state, policy_named(attempt.policy), telemetry)


def post(to: FlaskClient, data: bytes) -> Any:
    return to.post("/validate?timeout=10s", data=data, content_type="application/json")


# --- B33


def test_a_dry_run_gets_the_same_answer_and_is_marked() -> None:
    telemetry = Telemetry()
    to = webhook(BAD, telemetry)
    answers = [post(to, asked(BAD, dryRun=dry_run)) for dry_run in (True, False)]
    assert answers[0].data == answers[1].data
    assert answers[0].json["response"]["allowed"] is False
    counted = telemetry.registry.get_sample_value
    labels = {
        "kind": "EndpointSlice",
        "operation": "CREATE",
        "verdict": "deny",
        "reason": "judged",
    }
    for dry_run in ("true", "false"):
        name = "endpoints_guard_requests_total"
        assert counted(name, {**labels, "dry_run": dry_run}) == 1


# --- B38


def test_the_largest_review_is_judged_in_time_and_answered_in_little() -> None:
    """As many addresses as a slice may have, none of them good."""
    endpoints = [
        {"addresses": [f"239.{i % 250}.{i // 250}.{j}" for j in range(100)]} for i in range(1000)
    ]
    largest = filled({**SLICE, "metadata": OWNER, "endpoints": endpoints})
    data = as_body(review(largest))

    begun = process_time()
    answer = post(webhook(BAD), data)

    assert answer.json["response"]["allowed"] is False
    assert process_time() - begun < 8
    assert len(answer.data) < 256 * 1024 < len(data)


def test_what_is_larger_than_any_review_is_refused() -> None:
    answer = post(webhook(BAD), b" " * (MAX_BODY_BYTES + 1))
    assert answer.status_code == 413
    assert "response" not in answer.json


# --- B39, B40


@dataclass(frozen=True, slots=True, kw_only=True)
class Struggling:
    """A cluster that cannot answer one of the questions."""

    knows: bool = True
    confirms: bool = True

    def known(self) -> Inventory | Indeterminate:
        return cluster_of(BAD) if self.knows else Indeterminate("not synced yet")

    def confirmed(self, excerpt: Excerpt, deadline: float) -> Confirmed | Indeterminate:
        if self.confirms:
            return Confirmed(inventory=cluster_of(BAD))
        return Indeterminate("no answer in time")

    def may_restricted(self, request: AdmissionRequest, deadline: float) -> bool | Indeterminate:
        return Indeterminate("no answer in time")

    def conditions(self) -> tuple[Condition, ...]:
        return ()


RESTRICTED = parse_policy({"restrictedRight": True})
CANNOT_TELL = {
    "nothing is known yet": (Struggling(knows=False), Policy()),
    "the denial cannot be confirmed": (Struggling(confirms=False), Policy()),
    "the right cannot be asked for": (Struggling(), RESTRICTED),
}


@pytest.mark.parametrize(("state", "policy"), CANNOT_TELL.values(), ids=CANNOT_TELL)
def test_what_cannot_be_judged_is_put_off_and_never_allowed(
    state: Struggling, policy: Policy
) -> None:
    answer = post(client(state, policy), asked(BAD))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert "response" not in answer.json


# --- B42

OTHERS = ("victim", "vault", "heir")
"""Names of what is not the writer's."""
TELLING = {name: each for name, each in attempts(BYPASSES).items() if each.write}


@pytest.mark.parametrize("attempt", TELLING.values(), ids=TELLING)
def test_no_answer_tells_whose_an_address_is(attempt: Attempt) -> None:
    """But for what the writer wrote: anybody may have asked, and not through an API server."""
    response = post(webhook(attempt), asked(attempt)).json["response"]
    written, answered = json.dumps(attempt.write), json.dumps(response)
    assert [name for name in OTHERS if name in answered and name not in written] == []


def test_the_audit_log_is_told_where_only_api_servers_are_answered() -> None:
    to = client(FixedState(inventory=cluster_of(BAD)), verified=True)
    response = post(to, asked(BAD)).json["response"]
    assert "victim/vault-0" in response["auditAnnotations"]["findings"]


# --- B43


@pytest.mark.parametrize("version", ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"])
def test_uid_and_version_are_repeated(version: str) -> None:
    to = webhook(BAD)
    data = asked(BAD, uid="705ab4f5-6393-11e8-b7cc-42010a800002", api_version=version)
    first, second = (post(to, data) for _ in range(2))
    assert first.json["apiVersion"] == version
    assert first.json["response"]["uid"] == "705ab4f5-6393-11e8-b7cc-42010a800002"
    assert first.data == second.data


def with_request(**fields: object) -> Json:
    given = json.loads(asked(BAD))
    request = {**given["request"], **fields}
    return {**given, "request": {key: value for key, value in request.items() if value is not None}}


OLD_SLICE = {"group": "discovery.k8s.io", "version": "v1beta1", "kind": "EndpointSlice"}
NOT_UNDERSTOOD = {
    "no uid": with_request(uid=None),
    "an empty uid": with_request(uid=""),
    "an unknown version of the review": {**with_request(), "apiVersion": "admission.k8s.io/v2"},
    "an old version of the slice": with_request(kind=OLD_SLICE),
    "another kind": with_request(kind={"group": "", "version": "v1", "kind": "Service"}),
    "an unknown operation": with_request(operation="PATCH"),
    "no object": with_request(object=None),
    "no request": {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"},
}


@pytest.mark.parametrize("given", NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD)
def test_a_review_that_cannot_be_understood_is_refused(given: Json) -> None:
    answer = post(webhook(BAD), as_body(given))
    assert answer.status_code == 400
    assert "response" not in answer.json


# --- B45


def test_a_subresource_is_no_way_around() -> None:
    answer = post(webhook(BAD), asked(BAD, subResource="status", requestSubResource="status"))
    assert answer.json["response"]["allowed"] is False
    assert not decided(BAD).allowed


# --- B49


def test_a_review_is_judged_however_deep_it_is_nested() -> None:
    deep = b'{"f:a":' * 9_990 + b"{}" + b"}" * 9_990
    nested = asked(BAD).replace(b'"metadata": {', b'"metadata": {"managedFields": [%b], ' % deep)
    assert deep in nested
    assert post(webhook(BAD), nested).json["response"]["allowed"] is False
