"""Bytes in, bytes out: what the webhook answers over HTTP, whatever it is sent."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse, create_environ

from tests.builders import (
    Json,
    body,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    manual_service,
    node,
    pod,
    port,
    review,
    service,
    state,
    subject,
    subset,
)
from tests.fake_apiserver.wireless import Wireless
from tests.strategies import clusters, law, writes
from webhook.cluster.api import ClusterApi
from webhook.cluster.confirm import confirm
from webhook.cluster.state import Condition, Confirmed
from webhook.core.decision import Indeterminate, Obstacle
from webhook.core.engine import decide
from webhook.core.excerpt import Excerpt, whole
from webhook.core.inventory import Inventory
from webhook.core.objects import AdmissionRequest
from webhook.core.policy import Policy, parse_policy
from webhook.server import AT_ONCE, Judge, create_app, create_health_app
from webhook.telemetry import Telemetry
from webhook.validation import MAX_BODY_BYTES

JSON_TYPE = "application/json"
CLUSTER = (service(), manual_service("manual"), pod(), node())
GOOD = endpoints()
BAD = endpoints(subset(external("10.0.7.8")))
WARNED = endpoints(subset(external()), name="nobody-s")


@dataclass(kw_only=True)
class FakeState:
    """A cluster whose memory and whose truth are given; it remembers what it was asked."""

    in_memory: Inventory | Indeterminate = field(default_factory=lambda: state(*CLUSTER))
    fresh: Confirmed | Indeterminate | None = None
    right: bool | Indeterminate = False
    asked: list[tuple[Excerpt, float]] = field(default_factory=list)
    asked_rights: list[AdmissionRequest] = field(default_factory=list)

    def known(self) -> Inventory | Indeterminate:
        return self.in_memory

    def confirmed(self, excerpt: Excerpt, deadline: float) -> Confirmed | Indeterminate | None:
        self.asked.append((excerpt, deadline))
        return self.fresh

    def may_restricted(self, request: AdmissionRequest, deadline: float) -> bool | Indeterminate:
        self.asked_rights.append(request)
        return self.right

    def conditions(self) -> tuple[Condition, ...]:
        return (Condition(part="state", ready=True, text="fake"),)


class Server:
    """The application with its parts at hand."""

    def __init__(self, cluster: FakeState | None = None, policy: Policy | None = None) -> None:
        self.state = cluster or FakeState()
        self.telemetry = Telemetry()
        made = policy or Policy()
        judge = Judge(self.state, lambda: made, self.telemetry)
        self.app = create_app(judge, self.telemetry, self.state.conditions)
        self.client: FlaskClient = self.app.test_client()

    def ask(self, asked: Json, query: str = "") -> TestResponse:
        return self.send(body(asked), query=query)

    def send(self, data: bytes, *, content_type: str = JSON_TYPE, query: str = "") -> TestResponse:
        return self.client.post(f"/validate{query}", data=data, content_type=content_type)

    def metric(self, name: str, **labels: str) -> float:
        return self.telemetry.registry.get_sample_value(name, labels) or 0.0


def allowed(response: TestResponse) -> bool:
    assert response.status_code == 200
    answer: bool = json.loads(response.data)["response"]["allowed"]
    return answer


# --- Verdicts


def test_a_good_write_is_allowed() -> None:
    response = Server().ask(review(GOOD))
    assert (response.status_code, response.content_type) == (200, JSON_TYPE)
    assert json.loads(response.data) == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": review(GOOD)["request"]["uid"], "allowed": True},
    }


def test_a_bad_write_is_denied_over_http_200() -> None:
    response = Server().ask(review(BAD))
    assert response.status_code == 200
    answer = json.loads(response.data)["response"]
    assert (answer["allowed"], answer["status"]["code"]) == (False, 403)


def test_a_doubtful_write_is_allowed_with_a_warning() -> None:
    answer = json.loads(Server().ask(review(WARNED)).data)["response"]
    assert answer["allowed"]
    assert len(answer["warnings"]) == 1


@pytest.mark.parametrize(
    "content_type",
    [JSON_TYPE, "application/json; charset=utf-8", "Application/JSON", "application/json;x=y"],
)
def test_the_content_type_may_carry_parameters(content_type: str) -> None:
    assert allowed(Server().send(body(review(GOOD)), content_type=content_type))


BOTH_WAYS = {
    "allowed": (FakeState(), body(review(GOOD))),
    "allowed with a warning": (FakeState(), body(review(WARNED))),
    "denied": (FakeState(), body(review(BAD))),
    "put off": (FakeState(in_memory=Indeterminate("not yet")), body(review(GOOD))),
    "no review": (FakeState(), b"{}"),
}


@pytest.mark.parametrize(("cluster", "data"), BOTH_WAYS.values(), ids=BOTH_WAYS)
def test_what_an_api_server_sends_is_answered_without_flask_and_alike(
    cluster: FakeState, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(cluster)
    unusual = server.send(data, query="?timeout=5s", content_type="application/json;x=y")

    def dispatch(_: Flask) -> None:
        raise AssertionError("Flask was asked")

    monkeypatch.setattr(Flask, "full_dispatch_request", dispatch)
    usual = server.send(data, query="?timeout=5s")
    assert (usual.status_code, usual.data) == (unusual.status_code, unusual.data)
    assert sorted(usual.headers) == sorted(unusual.headers)


class Waiting(FakeState):
    """Whatever goes beyond memory would wait for ever."""

    def confirmed(self, subject: object, deadline: float) -> None:
        raise AssertionError("waited for the API server")

    may_restricted = confirmed  # type: ignore[assignment]


def by_hand(count: int) -> bytes:
    """A good write with so many addresses, in both lists of Endpoints."""
    listed = [external(f"198.51.{number >> 8}.{number & 255}") for number in range(count)]
    write = endpoints(subset(*listed[1:], waiting=listed[:1]), name="manual")
    return body(review(write))


MANY_PORTS = endpoints(
    subset(external(), ports=[port(n, name=f"p{n}") for n in range(1, AT_ONCE + 2)]), name="manual"
)
MANY_IN_ONE = endpoint_slice(
    external_endpoint(*["198.51.100.7"] * (AT_ONCE + 1)), of_service="manual"
)
NOT_YET = Waiting(in_memory=Indeterminate("not yet"))
PROMPT: dict[str, tuple[Waiting, bytes, bool]] = {
    "what memory allows": (Waiting(), body(review(GOOD)), True),
    "a warning, which may be logged": (
        Waiting(),
        body(review(WARNED)),
        False,
    ),
    "what needs no memory": (NOT_YET, body(review(None, GOOD)), True),
    "what memory would deny": (Waiting(), body(review(BAD)), False),
    "as many addresses as controllers write": (Waiting(), by_hand(AT_ONCE), True),
    "more addresses than are judged at once": (Waiting(), by_hand(AT_ONCE + 1), False),
    "more ports than are judged at once": (Waiting(), body(review(MANY_PORTS)), False),
    "more subsets than are judged at once": (
        Waiting(),
        body(review(endpoints(*[{}] * (AT_ONCE + 1), name="manual"))),
        False,
    ),
    "an old object that is larger": (Waiting(), body(review(GOOD, MANY_PORTS)), False),
    "a larger slice": (
        Waiting(),
        body(review(MANY_IN_ONE)),
        False,
    ),
    "what is nested so deep that reading it takes long": (
        Waiting(),
        body(review({**GOOD, "metadata": {**GOOD["metadata"], "managedFields": "DEEP"}})).replace(
            b'"DEEP"', b"[" * 5000 + b"]" * 5000
        ),
        False,
    ),
    "what memory cannot tell yet": (NOT_YET, body(review(GOOD)), False),
    "no review, which is to be logged": (Waiting(), b"{}", False),
}


@pytest.mark.parametrize(("cluster", "data", "prompt"), PROMPT.values(), ids=PROMPT)
def test_nothing_is_waited_for_in_a_prompt_answer(
    cluster: Waiting, data: bytes, prompt: bool, log: pytest.LogCaptureFixture
) -> None:
    server = Server(cluster)
    environ = create_environ("/validate", method="POST", data=data, content_type=JSON_TYPE)
    answer = server.app.prompt(environ, lambda *_: lambda _: None)
    assert (answer is not None) is prompt
    assert log.records == []
    if answer is not None:
        assert json.loads(b"".join(answer)) == json.loads(server.send(data).data)


PEERS = {
    "of the right name": ({"subject": ((("commonName", "api-server"),),)}, 200),
    "of another name": ({"subject": ((("commonName", "mallory"),),)}, 403),
    "none": (None, 403),
}


@pytest.mark.parametrize("content_type", [JSON_TYPE, "application/json;x=y"])
@pytest.mark.parametrize(("certificate", "code"), PEERS.values(), ids=PEERS)
def test_only_certificates_of_the_right_name_are_answered(
    certificate: Json | None, code: int, content_type: str
) -> None:
    judge = Judge(FakeState(), Policy, Telemetry())
    app = create_app(judge, Telemetry(), tuple[Condition, ...], ("api-server",))
    response = app.test_client().post(
        "/validate",
        data=body(review(GOOD)),
        content_type=content_type,
        environ_overrides={"ssl.peer_certificate": certificate},
    )
    assert response.status_code == code


def test_a_large_review_is_judged() -> None:
    """3 MiB of protobuf may become several times that as JSON, with the old object beside it."""
    annotations = {"a": "x" * (7 * 2**20)}
    large = review(endpoints(annotations=annotations), endpoints(annotations=annotations))
    assert len(body(large)) > 14 * 2**20
    assert allowed(Server().ask(large))


def test_the_policy_in_force_is_asked_for_every_time() -> None:
    policies = iter([parse_policy({"rules": {"EG201": "off", "EG301": "off"}}), Policy()])
    fake, telemetry = FakeState(), Telemetry()
    judge = Judge(fake, lambda: next(policies), telemetry)
    client = create_app(judge, telemetry, fake.conditions).test_client()
    data = body(review(BAD))
    answers = [client.post("/validate", data=data, content_type=JSON_TYPE) for _ in range(2)]
    assert [allowed(each) for each in answers] == [True, False]


# --- Confirm before deny


def confirming(*cluster: Json, complete: bool = True) -> FakeState:
    """The cache as always; the truth is this."""
    return FakeState(fresh=Confirmed(inventory=state(*cluster), complete=complete))


NEVER_CONFIRMED: dict[str, Json] = {
    "allowed": review(GOOD),
    "allowed with a warning": review(WARNED),
    "by a trusted writer": review(BAD, user="system:kube-controller-manager"),
    "a change of metadata": review(BAD, BAD),
    "a deletion": review(None, BAD),
    "a bad address that was there before": review(
        endpoints(subset(external("10.0.7.8")), subset(external("10.0.7.8"))), BAD
    ),
}


@pytest.mark.parametrize("asked", NEVER_CONFIRMED.values(), ids=NEVER_CONFIRMED)
def test_what_the_cache_allows_needs_no_confirmation(asked: Json) -> None:
    server = Server(confirming())
    assert allowed(server.ask(asked))
    assert server.state.asked == []


NEEDS_NO_MEMORY = [name for name in NEVER_CONFIRMED if name.startswith(("by", "a change", "a del"))]


@pytest.mark.parametrize("name", NEEDS_NO_MEMORY)
def test_what_needs_no_state_is_answered_before_there_is_any(name: str) -> None:
    server = Server(FakeState(in_memory=Indeterminate("not synced")))
    assert allowed(server.ask(NEVER_CONFIRMED[name]))


def test_a_denial_from_memory_is_overturned_by_what_is_true_now() -> None:
    """The Pod was created a moment ago, and the controller's write is faster than the watch."""
    server = Server(confirming(service(), pod(), pod("web-2", ip="10.0.0.2")))
    write = endpoint_slice()
    write["endpoints"] = [
        {
            **write["endpoints"][0],
            "addresses": ["10.0.0.2"],
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": "web-2"},
        }
    ]
    assert allowed(server.ask(review(write)))
    assert server.metric("endpoints_guard_confirmations_total", result="overturned") == 1


def test_a_denial_that_is_confirmed_stands() -> None:
    server = Server(confirming(*CLUSTER))
    assert not allowed(server.ask(review(BAD)))
    assert len(server.state.asked) == 1
    assert server.metric("endpoints_guard_confirmations_total", result="upheld") == 1


def test_a_denial_says_what_is_true_now_and_not_what_was_remembered() -> None:
    """In memory the Service selects Pods; by now somebody has removed the selector."""
    server = Server(confirming(manual_service(), pod("v", namespace="rival", ip="10.0.7.8")))
    answer = json.loads(server.ask(review(BAD)).data)["response"]
    assert [cause["reason"] for cause in answer["status"]["details"]["causes"]] == ["EG501"]


def test_a_denial_stands_where_nothing_is_newer() -> None:
    assert not allowed(Server(FakeState(fresh=None)).ask(review(BAD)))


CANNOT_TELL: dict[str, tuple[FakeState, str, Obstacle]] = {
    "the memory is not complete yet": (
        FakeState(in_memory=Indeterminate("the informers of Pod wait", Obstacle.NOT_SYNCED)),
        "the informers of Pod wait",
        Obstacle.NOT_SYNCED,
    ),
    "the truth cannot be read": (
        FakeState(fresh=Indeterminate("the API server did not answer")),
        "the API server did not answer",
        Obstacle.UNAVAILABLE,
    ),
    "only a part of the truth was read, and would allow it": (
        confirming(manual_service(), complete=False),
        "too many owners",
        Obstacle.TOO_MUCH,
    ),
}


@pytest.mark.parametrize(("cluster", "why", "cause"), CANNOT_TELL.values(), ids=CANNOT_TELL)
def test_what_cannot_be_told_is_put_off_and_never_allowed_nor_denied(
    cluster: FakeState, why: str, cause: Obstacle
) -> None:
    server = Server(cluster)
    response = server.ask(review(BAD))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    status = json.loads(response.data)
    assert (status["kind"], status["code"], status["reason"]) == (
        "Status",
        503,
        "ServiceUnavailable",
    )
    assert why in status["message"]
    assert server.metric("endpoints_guard_indeterminate_total", cause=cause) == 1


def test_a_part_of_the_truth_is_enough_to_deny() -> None:
    assert not allowed(Server(confirming(*CLUSTER, complete=False)).ask(review(BAD)))


UNCHANGED = (
    *CLUSTER,
    pod("ended", ip="10.0.7.9", phase="Succeeded"),
    pod("v", namespace="rival", ip="10.0.7.8"),
    service("s", namespace="rival", clusterIP="172.20.0.99"),
    node("node-2", "192.168.0.2", podCIDRs=["10.0.0.0/16"]),
    endpoint_slice(
        external_endpoint("192.0.2.10"),
        name="kubernetes",
        namespace="default",
        of_service="kubernetes",
    ),
)
UPHELD = {
    "another tenant's Pod": ("manual", "10.0.7.8"),
    "another tenant's Pod, through NAT64": ("manual", "64:ff9b::10.0.7.8"),
    "another tenant's Service": ("manual", "172.20.0.99"),
    "a node": ("manual", "192.168.0.2"),
    "the API server": ("manual", "192.0.2.10"),
    "an address in a Pod range that nobody holds": ("manual", "10.0.9.9"),
    "the address of a Pod that has ended": ("manual", "10.0.7.9"),
    "a special address": ("manual", "127.0.0.1"),
    "no Pod of the selector": ("web", "10.0.7.8"),
    "nobody's, for a selector": ("web", "10.0.9.9"),
}


def confirmed_by(cluster: Sequence[Json], write: Json) -> tuple[bool, bool]:
    """Whether a write is allowed from memory, and whether by what an API server confirms."""
    known, new = state(*cluster), subject(write)
    api = cast("ClusterApi", Wireless(*cluster))
    fresh = confirm(whole(new), known, api, time.monotonic() + 60)
    first, second = (
        decide(AdmissionRequest(ref=new.ref, username="alice", new=new), each, Policy())
        for each in (known, fresh.inventory)
    )
    return first.allowed, second.allowed and fresh.complete


@pytest.mark.parametrize(("name", "ip"), UPHELD.values(), ids=UPHELD)
def test_a_cluster_that_has_not_changed_upholds_a_denial(name: str, ip: str) -> None:
    """What is read anew must hold everything on which a rule may rest."""
    write = endpoints(subset(external(ip)), name=name)
    assert confirmed_by(UNCHANGED, write) == (False, False)


@settings(law, suppress_health_check=[HealthCheck.too_slow])
@given(clusters(), writes)
def test_a_cluster_that_has_not_changed_upholds_every_verdict(
    cluster: list[Json], write: Json
) -> None:
    first, second = confirmed_by(cluster, write)
    assert first or not second


RESTRICTED = parse_policy({"restrictedRight": True})
FOREIGN = endpoints(subset(external("127.0.0.1")), name="manual")
RIGHTS: dict[str, tuple[Policy, Json, bool | Indeterminate, int, bool]] = {
    "the right, for a rule that it overrides": (RESTRICTED, FOREIGN, True, 200, True),
    "no such right": (RESTRICTED, FOREIGN, False, 200, False),
    "the right, but a policy that does not know it": (Policy(), FOREIGN, True, 200, False),
    "the right, but a rule that it does not override": (RESTRICTED, BAD, True, 200, False),
    "nobody can tell": (RESTRICTED, FOREIGN, Indeterminate("no answer"), 503, False),
}


@pytest.mark.parametrize(
    ("policy", "write", "right", "code", "let_through"), RIGHTS.values(), ids=RIGHTS
)
def test_the_restricted_right_overrides_the_address_rules_where_the_policy_says_so(
    policy: Policy, write: Json, right: bool | Indeterminate, code: int, let_through: bool
) -> None:
    response = Server(FakeState(right=right), policy).ask(review(write))
    assert response.status_code == code
    if code == 200:
        assert allowed(response) is let_through


def test_nobody_is_asked_for_rights_that_are_not_needed() -> None:
    server = Server(FakeState(right=True), RESTRICTED)
    for asked in (review(GOOD), review(WARNED), review(BAD), review(None, FOREIGN)):
        server.ask(asked)
    assert server.state.asked_rights == []


def test_what_the_right_lets_through_is_noted_in_the_audit() -> None:
    server = Server(FakeState(right=True), RESTRICTED)
    answer = json.loads(server.ask(review(FOREIGN)).data)["response"]
    assert "audit EG505" in answer["auditAnnotations"]["findings"]


# --- Time

TIMEOUTS = {
    "": 9.5,
    "?timeout=10s": 9.5,
    "?timeout=30s": 29.5,
    "?timeout=5": 4.5,
    "?timeout=1m": 29.5,
    "?timeout=9999m": 29.5,
    "?timeout=2500ms": 2.0,
    "?timeout=1s": 0.5,
    "?timeout=200ms": 0.1,
    "?timeout=0s": 0.0,
    "?timeout=": 9.5,
    "?timeout=soon": 9.5,
    "?timeout=-5s": 9.5,
    "?timeout=1e3s": 9.5,
    "?timeout=%D9%A1%D9%A0s": 9.5,
    "?timeout=99999999999999999999s": 9.5,
    "?timeout=7s&timeout=1s": 6.5,
    "?other=1": 9.5,
}


@pytest.mark.parametrize(("query", "allowance"), TIMEOUTS.items(), ids=TIMEOUTS)
def test_the_announced_timeout_less_a_margin_is_the_deadline(query: str, allowance: float) -> None:
    server = Server()
    before = time.monotonic()
    server.ask(review(BAD), query=query)
    after = time.monotonic()
    ((_, deadline),) = server.state.asked
    assert before + allowance <= deadline <= after + allowance


# --- What is no review


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO):
        yield caplog


def refused(response: TestResponse, code: int) -> Json:
    """The body, which has to be a Status of the same code."""
    assert (response.status_code, response.content_type) == (code, JSON_TYPE)
    status: Json = json.loads(response.data)
    assert status["apiVersion"] == "v1"
    assert status["kind"] == "Status"
    assert status["status"] == "Failure"
    assert status["code"] == code
    assert status["reason"]
    assert status["message"]
    return status


def goes_on(server: Server) -> bool:
    return allowed(server.ask(review(GOOD))) and not allowed(server.ask(review(BAD)))


BAD_BODIES = {
    "nothing": b"",
    "text": b"hello",
    "half a review": body(review(GOOD))[:-9],
    "a list": b"[]",
    "deep nesting": b"[" * 1_000_000,
    "deep nesting in a field": b'{"apiVersion":' + b"[" * 1_000_000,
    "no UTF-8": b'{"kind": "\xff"}',
    "another kind": body({**review(GOOD), "kind": "Status"}),
    "NUL bytes": b"\x00" * 1000,
}


@pytest.mark.parametrize("data", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_body_that_is_no_review_is_a_400(data: bytes, log: pytest.LogCaptureFixture) -> None:
    server = Server()
    status = refused(server.send(data), 400)
    assert status["reason"] == "BadRequest"
    assert [record.levelname for record in log.records] == ["WARNING"]
    assert server.metric("endpoints_guard_rejected_requests_total", code="400") == 1
    assert goes_on(server)


def test_a_400_names_the_field() -> None:
    write = endpoints(subset(external(), ports=[port("80")]))  # type: ignore[arg-type]
    status = refused(Server().ask(review(write)), 400)
    field_path = "request.object.subsets[0].ports[0].port"
    why = "Expected `int | null`, got `str`"
    assert status["message"] == f"{field_path}: {why}"
    assert status["details"] == {"causes": [{"field": field_path, "message": why}]}


BAD_TYPES = ["text/plain", "application/yaml", "", "application/vnd.kubernetes.protobuf", "json"]


@pytest.mark.parametrize("content_type", BAD_TYPES)
def test_another_content_type_is_a_415(content_type: str, log: pytest.LogCaptureFixture) -> None:
    server = Server()
    status = refused(server.send(body(review(GOOD)), content_type=content_type), 415)
    assert (status["reason"], status["message"]) == (
        "UnsupportedMediaType",
        "Content-Type must be application/json",
    )
    assert len(log.records) == 1
    assert goes_on(server)


WRONG_PLACES = [
    ("POST", "/", 404),
    ("POST", "/validate/", 404),
    ("GET", "/validate%00", 404),
    ("GET", "/metrics", 404),
    ("GET", "/static/app.js", 404),
    ("GET", "/validate", 405),
    ("PUT", "/validate", 405),
    ("DELETE", "/validate", 405),
    ("BREW", "/validate", 405),
    ("POST", "/livez", 405),
]


@pytest.mark.parametrize(("method", "path", "code"), WRONG_PLACES)
def test_another_path_or_method_is_refused(
    method: str, path: str, code: int, log: pytest.LogCaptureFixture
) -> None:
    server = Server()
    response = server.client.open(path, method=method, data=body(review(GOOD)))
    status = refused(response, code)
    assert status["message"].endswith("reviews go to POST /validate")
    assert len(log.records) == 1
    assert goes_on(server)


def test_a_405_says_what_is_allowed() -> None:
    assert "POST" in Server().client.get("/validate").headers["Allow"]


def test_a_body_beyond_the_limit_is_a_413(log: pytest.LogCaptureFixture) -> None:
    server = Server()
    status = refused(server.send(b" " * (MAX_BODY_BYTES + 1)), 413)
    assert status["message"] == f"the body is larger than {MAX_BODY_BYTES} bytes"
    assert len(log.records) == 1
    assert goes_on(server)


HOSTILE = {
    "a newline": "Pod\nWARNING denied nothing",
    "a carriage return": "Pod\rok",
    "terminal escapes": "\x1b[2JPod",
    "a line separator": "Pod\u2028ok",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_nobody_forges_a_line_of_the_log(text: str, log: pytest.LogCaptureFixture) -> None:
    """Anybody who reaches the port can send anything, before any API server has looked at it."""
    kind = {"group": "", "version": "v1", "kind": text}
    bad = endpoints(subset(external("127.0.0.1")), name=text)
    server = Server()
    refused(server.ask(review(GOOD, kind=kind)), 400)
    refused(server.send(body({**review(GOOD), "apiVersion": text})), 400)
    assert not allowed(server.ask(review(bad, user=text)))
    assert len(log.records) == 3
    assert all(record.getMessage().isprintable() for record in log.records)


def test_a_line_of_the_log_has_an_end(log: pytest.LogCaptureFixture) -> None:
    server = Server()
    kind = {"group": "", "version": "v1", "kind": "x" * 20_000}
    refused(server.ask(review(GOOD, kind=kind)), 400)
    refused(server.client.post("/" + "x" * 20_000, data=b""), 404)
    assert all(len(record.getMessage()) < 4096 for record in log.records)


def test_an_error_of_our_own_is_a_500_that_tells_nothing(log: pytest.LogCaptureFixture) -> None:
    class Broken(FakeState):
        def known(self) -> Inventory:
            raise RuntimeError("a secret")

    server = Server(Broken())
    response = server.ask(review(GOOD))
    status = refused(response, 500)
    assert "secret" not in status["message"]
    assert any(record.exc_info for record in log.records)
    assert allowed(server.ask(review(None, GOOD)))


shared = Server()


@settings(law, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary() | st.text().map(str.encode), st.sampled_from([JSON_TYPE, "text/plain", ""]))
def test_whatever_is_sent_gets_a_status_and_the_next_request_works(
    data: bytes, content_type: str
) -> None:
    response = shared.send(data, content_type=content_type)
    refused(response, 400 if content_type == JSON_TYPE else 415)
    assert goes_on(shared)


# --- What is logged and counted


def test_an_allowed_write_is_counted_and_not_logged(log: pytest.LogCaptureFixture) -> None:
    server = Server()
    server.ask(review(GOOD))
    assert log.records == []
    assert (
        server.metric(
            "endpoints_guard_requests_total",
            kind="Endpoints",
            operation="CREATE",
            verdict="allow",
            reason="judged",
            dry_run="false",
        )
        == 1
    )


def test_a_denial_is_one_line_with_the_facts(log: pytest.LogCaptureFixture) -> None:
    foreign = pod("v", namespace="rival", ip="10.0.7.8")
    server = Server(FakeState(in_memory=state(*CLUSTER, foreign)))
    server.ask(review(BAD))
    (record,) = log.records
    assert (record.levelname, record.getMessage()) == (
        "WARNING",
        "denied Endpoints/shop/web by alice",
    )
    facts: dict[str, Any] = record.__dict__["facts"]
    assert (facts["namespace"], facts["object"], facts["user"]) == ("shop", "web", "alice")
    assert any("Pod rival/v" in text for text in facts["findings"])
    assert facts["service"] == "Service web selects app=web: the control plane writes its endpoints"
    assert facts["owners"] == {"10.0.7.8": "Pod rival/v (ready)"}
    assert facts["confirmed"] is False
    assert server.metric("endpoints_guard_violations_total", rule="EG201", action="deny") == 1


# --- Probes


def probed(app: Flask, path: str) -> tuple[int, str]:
    response = app.test_client().get(path)
    return response.status_code, response.get_data(as_text=True)


def conditions(*ready: bool) -> tuple[Condition, ...]:
    return tuple(
        Condition(part=f"part {index}", ready=each, text="as it is")
        for index, each in enumerate(ready)
    )


@pytest.mark.parametrize("health", [False, True], ids=["the TLS port", "the plain port"])
def test_probes_on_both_ports(health: bool) -> None:
    def app(*ready: bool) -> Flask:
        telemetry = Telemetry()
        if health:
            return create_health_app(telemetry, lambda: conditions(*ready))
        judge = Judge(FakeState(), Policy, telemetry)
        return create_app(judge, telemetry, lambda: conditions(*ready))

    assert probed(app(False), "/livez") == (200, "ok\n")
    assert probed(app(True, True), "/readyz") == (
        200,
        "[+] part 0: as it is\n[+] part 1: as it is\nready\n",
    )
    assert probed(app(True, False), "/readyz") == (
        503,
        "[+] part 0: as it is\n[-] part 1: as it is\nnot ready\n",
    )


def test_metrics_are_on_the_plain_port_only() -> None:
    code, text = probed(create_health_app(Telemetry(), conditions), "/metrics")
    assert code == 200
    assert "# TYPE endpoints_guard_requests_total counter" in text
    assert probed(Server().app, "/metrics")[0] == 404
