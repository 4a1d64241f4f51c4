"""The wire format: AdmissionReview bytes to a request, a decision to the bytes of the answer."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.builders import (
    NULL,
    Json,
    address,
    body,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    manual_service,
    node,
    pod,
    pod_ref,
    port,
    review,
    service,
    state,
    subject,
    subset,
)
from tests.strategies import clusters, json_values, law, writes
from webhook.core.admission import InvalidReview, Review, parse_review, render_review
from webhook.core.decision import MOST_OF_A_RULE, Decision, Finding, Reason
from webhook.core.engine import decide
from webhook.core.objects import ObjectRef
from webhook.core.policy import Policy, parse_policy
from webhook.core.rule import Action, Violation
from webhook.core.rules import RULES

UID = "7d1b9c1e-0000-4000-8000-000000000001"
POLICY = Policy()
CLUSTER = (
    service(),
    manual_service("manual"),
    pod(),
    pod("vault-0", namespace="rival", ip="10.0.7.8"),
    node(),
)


def answer(asked: Json, *cluster: Json, policy: Policy = POLICY) -> Json:
    """The whole answer to a review, as the API server would read it."""
    parsed = parse_review(body(asked))
    decision = decide(parsed.request, state(*(cluster or CLUSTER)), policy)
    read: Json = json.loads(render_review(parsed, decision, for_audit_log=True))
    return read


def manual(*listed: Json, **fields: Any) -> Json:
    return endpoints(subset(*listed, **fields), name="manual")


# --- Whole answers


def test_an_allowed_write() -> None:
    assert answer(review(endpoints())) == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": UID, "allowed": True},
    }


def test_a_denied_write() -> None:
    assert answer(review(endpoints(subset(address(), ports=[port(22)])))) == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": UID,
            "allowed": False,
            "status": {
                "status": "Failure",
                "code": 403,
                "reason": "Forbidden",
                "message": (
                    "EG402 subsets[0].ports[0].port: "
                    "port 22 is not the target port of 10.0.0.1\n"
                    f"EG402: {RULES['EG402'].remedy}"
                ),
                "details": {
                    "name": "web",
                    "kind": "Endpoints",
                    "causes": [
                        {
                            "reason": "EG402",
                            "field": "subsets[0].ports[0].port",
                            "message": (
                                "port 22 is not the target port of 10.0.0.1: "
                                "targetPort 80 resolves to 80"
                            ),
                        }
                    ],
                },
            },
            "auditAnnotations": {
                "findings": (
                    "deny EG402 subsets[0].ports[0].port: "
                    "port 22 is not the target port of 10.0.0.1"
                )
            },
        },
    }


def test_a_write_with_a_warning() -> None:
    said = "EG101 metadata.name: there is no Service nobody-s in this namespace"
    write = endpoints(subset(external()), name="nobody-s")
    assert answer(review(write))["response"] == {
        "uid": UID,
        "allowed": True,
        "warnings": [f"endpoints-guard: {said}"],
        "auditAnnotations": {"findings": f"warn {said}"},
    }


def test_a_value_that_is_malformed_is_422() -> None:
    status = answer(review(manual(external("198.051.100.007"))))["response"]["status"]
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert [cause["reason"] for cause in status["details"]["causes"]] == ["EG509"]


def test_a_malformed_value_beside_a_forbidden_one_is_403() -> None:
    write = manual(external("198.051.100.007"), external("10.0.7.8"))
    status = answer(review(write))["response"]["status"]
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    assert [cause["reason"] for cause in status["details"]["causes"]] == ["EG501", "EG509"]


def test_a_denial_says_everything_at_once_but_warns_of_nothing() -> None:
    """The API server would show warnings of a write that never happened."""
    write = endpoints(subset(external("10.0.7.8"), waiting=[address()]))
    response = answer(review(write))["response"]
    assert [cause["reason"] for cause in response["status"]["details"]["causes"]] == [
        "EG201",
        "EG301",
    ]
    assert "warnings" not in response
    assert "warn EG203 subsets[0].notReadyAddresses[0].ip" in findings_annotation(response)


def findings_annotation(response: Json) -> str:
    annotation: str = response["auditAnnotations"]["findings"]
    return annotation


def test_what_is_only_noted_goes_to_the_audit_and_not_to_the_writer() -> None:
    policy = parse_policy({"rules": {"EG505": "audit"}})
    response = answer(review(manual(external("127.0.0.1"))), policy=policy)["response"]
    assert response["allowed"]
    assert not response.get("warnings")
    assert findings_annotation(response).startswith("audit EG505 subsets[0].addresses[0].ip: ")


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
@pytest.mark.parametrize("write", [endpoints(), endpoints(subset(external()))], ids=["yes", "no"])
def test_the_answer_repeats_version_and_uid(version: str, write: Json) -> None:
    api_version = f"admission.k8s.io/{version}"
    read = answer(review(write, uid="any text \u00e4", api_version=api_version))
    assert (read["apiVersion"], read["kind"]) == (api_version, "AdmissionReview")
    assert read["response"]["uid"] == "any text \u00e4"


def test_a_deletion_is_allowed_by_an_answer_that_says_nothing_else() -> None:
    bad = endpoints(subset(external("127.0.0.1")))
    assert answer(review(None, bad))["response"] == {"uid": UID, "allowed": True}


# --- What a request says


def parsed(asked: Json) -> Review:
    return parse_review(body(asked))


def test_a_request_is_read_whole() -> None:
    write, old = endpoint_slice(), endpoint_slice(external_endpoint())
    user = {"username": "alice", "groups": ["team-a"], "uid": "u", "extra": {"k": ["v"]}}
    read = parsed(review(write, old, userInfo=user, dryRun=True))
    asked = read.request
    assert (read.uid, read.api_version) == (UID, "admission.k8s.io/v1")
    assert asked.ref == ObjectRef("EndpointSlice", "shop", "web-abcde")
    assert (asked.operation, asked.username, asked.groups) == ("UPDATE", "alice", ("team-a",))
    assert asked.dry_run
    assert (asked.new, asked.old) == (subject(write), subject(old))


OPTIONAL: dict[str, dict[str, Any]] = {
    "no user": {"userInfo": None},
    "a user without groups": {"userInfo": {"username": "alice"}},
    "groups that are null": {"userInfo": {"username": "alice", "groups": None}},
    "extra facts that are none": {"userInfo": {"username": "alice", "extra": {"k": None}}},
    "no dryRun": {"dryRun": None},
    "dryRun that is null": {"dryRun": NULL},
    "no options": {"options": None},
    "no resource": {"resource": None, "requestKind": None, "requestResource": None},
    "something new": {"future": {"a": [1, None]}},
}


@pytest.mark.parametrize("fields", OPTIONAL.values(), ids=OPTIONAL)
def test_what_a_review_may_leave_out_or_add(fields: dict[str, Any]) -> None:
    assert parsed(review(endpoints(), **fields)).request.new == subject(endpoints())


def without_name(write: Json, **fields: Any) -> Json:
    kept = {key: value for key, value in write["metadata"].items() if key != "name"}
    return {**write, "metadata": {**kept, **fields}}


NAMES: dict[str, tuple[Json, str]] = {
    "the object's": (review(endpoints()), "web"),
    "the request's, where the object has none yet": (
        {**review(without_name(endpoints()), name="web")},
        "web",
    ),
    "the generated one": (
        review(without_name(endpoint_slice(), generateName="web-"), name="web-x7k2p"),
        "web-x7k2p",
    ),
    "what it will begin with, before there is a name": (
        review(without_name(endpoint_slice(), generateName="web-")),
        "web-",
    ),
    "the object's and generateName: both are set at times": (
        review(endpoint_slice(generateName="web-")),
        "web-abcde",
    ),
}


@pytest.mark.parametrize(("asked", "name"), NAMES.values(), ids=NAMES)
def test_how_the_object_is_called(asked: Json, name: str) -> None:
    assert parsed(asked).request.ref.name == name


def test_the_request_says_in_which_namespace_the_object_is() -> None:
    """Endpoints are sent without a namespace by their own controller."""
    bare = endpoints()
    del bare["metadata"]["namespace"]
    for write in (bare, endpoints(namespace="rival")):
        new = parsed(review(write, namespace="shop")).request.new
        assert new is not None
        assert new.metadata.namespace == "shop"


@pytest.mark.parametrize("operation", ["DELETE", "CONNECT"])
def test_where_nothing_is_written_nothing_needs_to_be_read(operation: str) -> None:
    broken = {**endpoints(), "subsets": "not a list"}
    asked = parsed(review(broken, broken, operation=operation)).request
    assert (asked.new, asked.old) == (None, None)


def test_a_deletion_of_many_has_no_name() -> None:
    assert parsed(review(None, endpoints(), name=None)).request.ref.name == ""


def test_the_old_object_of_a_creation_does_not_count() -> None:
    asked = parsed(review(endpoints(), endpoints(), operation="CREATE")).request
    assert asked.old is None


# --- What is no review


def changed(change: Callable[[Json], Any]) -> Json:
    made = review(endpoints(), endpoints())
    change(made)
    return made


BAD_TYPE = {**endpoints(), "subsets": [{"addresses": [{"ip": 1}]}]}
NOT_A_REVIEW: dict[str, tuple[bytes, str, str]] = {
    "nothing": (b"", "", "empty"),
    "white space": (b" \n", "", "not JSON"),
    "text": (b"hello", "", "not JSON"),
    "half a review": (body(review(endpoints()))[:-5], "", "not JSON"),
    "two reviews": (body(review(endpoints())) * 2, "", "not JSON"),
    "no UTF-8": (b'{"kind": "\xff\xfe"}', "", "UTF-8|not JSON"),
    "YAML": (b"kind: AdmissionReview", "", "not JSON"),
    "protobuf": (b"k8s\x00\n\x0c\n\x02v1", "", "not JSON"),
    "null": (b"null", "", "Expected `object`"),
    "a list": (b"[]", "", "Expected `object`"),
    "a number": (b"1", "", "Expected `object`"),
    "an empty object": (b"{}", "", "required field `apiVersion`"),
    "deep nesting": (b"[" * 1_000_000, "", "Expected `object`"),
    "deep nesting inside": (
        b'{"apiVersion": "admission.k8s.io/v1", "future": ' + b"[" * 1_000_000,
        "",
        "not JSON",
    ),
}
NOT_A_REVIEW |= {
    name: (body(changed(change)), path, why)
    for name, change, path, why in (
        ("another kind", lambda r: r.update(kind="Status"), "kind", "Invalid enum value"),
        ("no kind", lambda r: r.pop("kind"), "", "required field `kind`"),
        (
            "another group",
            lambda r: r.update(apiVersion="admission.example.com/v1"),
            "apiVersion",
            "Invalid enum value",
        ),
        (
            "another version",
            lambda r: r.update(apiVersion="admission.k8s.io/v2"),
            "apiVersion",
            "Invalid enum value",
        ),
        ("no version", lambda r: r.pop("apiVersion"), "", "required field `apiVersion`"),
        ("no request", lambda r: r.pop("request"), "", "required field `request`"),
        ("a request of null", lambda r: r.update(request=None), "request", "Expected `object`"),
        ("an answer instead", lambda r: r.update(request=[]), "request", "Expected `object`"),
        ("no uid", lambda r: r["request"].pop("uid"), "request", "required field `uid`"),
        ("an empty uid", lambda r: r["request"].update(uid=""), "request.uid", "it is empty"),
        (
            "a uid that is a number",
            lambda r: r["request"].update(uid=1),
            "request.uid",
            "Expected `str`",
        ),
        (
            "no kind of object",
            lambda r: r["request"].pop("kind"),
            "request",
            "required field `kind`",
        ),
        (
            "another kind of object",
            lambda r: r["request"].update(kind={"group": "", "version": "v1", "kind": "Pod"}),
            "request.kind",
            "v1 Pod is not judged here",
        ),
        (
            "the kind in another group",
            lambda r: r["request"]["kind"].update(group="example.com"),
            "request.kind",
            "example.com/v1 Endpoints is not judged here",
        ),
        (
            "the kind in another version",
            lambda r: r["request"].update(
                kind={"group": "discovery.k8s.io", "version": "v1beta1", "kind": "EndpointSlice"}
            ),
            "request.kind",
            "discovery.k8s.io/v1beta1 EndpointSlice is not judged here",
        ),
        (
            "no operation",
            lambda r: r["request"].pop("operation"),
            "request",
            "required field `operation`",
        ),
        (
            "another operation",
            lambda r: r["request"].update(operation="PATCH"),
            "request.operation",
            "Invalid enum value",
        ),
        (
            "no object",
            lambda r: r["request"].pop("object"),
            "request.object",
            "it is missing, but the operation is UPDATE",
        ),
        (
            "an object of null",
            lambda r: r["request"].update(object=None),
            "request.object",
            "it is missing, but the operation is UPDATE",
        ),
        (
            "no old object",
            lambda r: r["request"].pop("oldObject"),
            "request.oldObject",
            "it is missing, but the operation is UPDATE",
        ),
        (
            "an old object of null",
            lambda r: r["request"].update(oldObject=None),
            "request.oldObject",
            "it is missing, but the operation is UPDATE",
        ),
        (
            "an object that is a list",
            lambda r: r["request"].update(object=[]),
            "request.object",
            "Expected `object",
        ),
        (
            "a wrong type in the object",
            lambda r: r["request"].update(object=BAD_TYPE),
            "request.object.subsets[0].addresses[0].ip",
            "Expected `str`, got `int`",
        ),
        (
            "a wrong type in the old object",
            lambda r: r["request"].update(oldObject=BAD_TYPE),
            "request.oldObject.subsets[0].addresses[0].ip",
            "Expected `str`, got `int`",
        ),
        (
            "a user that is text",
            lambda r: r["request"].update(userInfo="alice"),
            "request.userInfo",
            "Expected `object`",
        ),
        (
            "a group that is a number",
            lambda r: r["request"]["userInfo"].update(groups=["a", 1]),
            "request.userInfo.groups[1]",
            "Expected `str`",
        ),
        (
            "a namespace that is a number",
            lambda r: r["request"].update(namespace=1),
            "request.namespace",
            "Expected `str`",
        ),
        (
            "dryRun that is text",
            lambda r: r["request"].update(dryRun="true"),
            "request.dryRun",
            "Expected `bool | null`",
        ),
    )
}


@pytest.mark.parametrize(("data", "path", "why"), NOT_A_REVIEW.values(), ids=NOT_A_REVIEW)
def test_what_is_no_review_is_refused_by_the_field_that_is_wrong(
    data: bytes, path: str, why: str
) -> None:
    with pytest.raises(InvalidReview, match=why) as caught:
        parse_review(data)
    assert caught.value.path == path
    assert str(caught.value) == (f"{path}: {caught.value.reason}" if path else caught.value.reason)


def read_or_refuse(data: bytes) -> None:
    """A review that is read can be judged and answered; anything but `InvalidReview` escapes."""
    try:
        read = parse_review(data)
    except InvalidReview as error:
        refused = json.dumps({error.path: error.reason}, ensure_ascii=False)
        refused.encode()
    else:
        json.loads(render_review(read, decide(read.request, state(*CLUSTER), POLICY)))


@law
@given(st.binary())
@example(b"\xef\xbb\xbf{}")
def test_any_bytes_are_a_review_or_refused(data: bytes) -> None:
    read_or_refuse(data)


@law
@given(json_values)
def test_any_json_is_a_review_or_refused(value: Any) -> None:
    read_or_refuse(json.dumps(value).encode())


@st.composite
def distorted(draw: st.DrawFn) -> Json:
    """A review in which something, somewhere, is something else."""
    made: Json = json.loads(json.dumps(review(draw(writes), endpoints())))
    place: Any = made
    while isinstance(place, dict | list) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        below = place[key]
        if not isinstance(below, dict | list) or not below or draw(st.integers(0, 4)) == 0:
            place[key] = draw(json_values)
            break
        place = below
    return made


@law
@given(distorted())
@example({**review(endpoints()), "apiVersion": "\ud800"})
@example(review(endpoints(subset(external("\ud800")))))
@example(review(endpoints(name="\ud800")))
@example(review(endpoints(subset(external(), ports=[port(10**400)]))))
def test_a_review_with_anything_anywhere_is_a_review_or_refused(asked: Json) -> None:
    read_or_refuse(body(asked))


# --- What the writer is told


def many_bad(count: int) -> Json:
    return manual(*[external(f"169.254.{n // 250}.{n % 250}") for n in range(count)])


@pytest.mark.parametrize("count", [1, 2, 10, 11, 1000])
def test_causes_are_complete(count: int) -> None:
    causes = answer(review(many_bad(count)))["response"]["status"]["details"]["causes"]
    assert [cause["field"] for cause in causes] == [
        f"subsets[0].addresses[{index}].ip" for index in range(count)
    ]
    assert all(cause["reason"] == "EG505" and cause["message"] for cause in causes)


MESSAGES = {1: "", 2: " (and 1 more)", 1000: " (and 999 more)"}


@pytest.mark.parametrize(("count", "more"), MESSAGES.items())
def test_the_first_line_of_a_denial_says_what_is_wrong_and_how_much(count: int, more: str) -> None:
    message = answer(review(many_bad(count)))["response"]["status"]["message"]
    first = message.splitlines()[0]
    assert first.startswith("EG505 subsets[0].addresses[0].ip: 169.254.0.0 is a link-local address")
    assert first.endswith(f"address{more}")


def test_a_long_denial_shows_the_first_ones_and_where_the_others_are() -> None:
    lines = answer(review(many_bad(1000)))["response"]["status"]["message"].splitlines()
    assert len(lines) == 12
    assert lines[9].startswith("EG505 subsets[0].addresses[9].ip: ")
    assert lines[10] == "... 990 more in status.details.causes"
    assert lines[11] == f"EG505: {RULES['EG505'].remedy}"


def test_what_is_left_out_of_a_huge_denial_is_counted() -> None:
    status = answer(review(many_bad(3000)))["response"]["status"]
    lines = status["message"].splitlines()
    assert lines[0].endswith(" (and 2999 more)")
    assert lines[10] == "... 2990 more in status.details.causes"
    *causes, last = status["details"]["causes"]
    assert len(causes) <= MOST_OF_A_RULE
    assert last == {"message": f"... and {3000 - len(causes)} more"}


HOSTILE = {
    "newlines": "a\nb\r\nc",
    "terminal escapes": "\x1b[31mred\x1b[0m",
    "NUL and DEL": "a\x00b\x7f",
    "text that runs backwards": "\u202eabc",
    "nothing that is wide": "\u200b\u2060\ufeff",
    "line separators": "a\u2028b\u2029c\x85d",
    "an endless word": "x" * 5000,
    "endless wide characters": "\u6f22" * 5000,
}


def hostile(text: str) -> Json:
    """The text wherever somebody can put it."""
    ref = pod_ref(kind=text, namespace=text, name=text, uid=text)
    entry = external(text, hostname=text, nodeName=text, targetRef=ref)
    ports = [port(name=text, protocol=text, appProtocol=text)]
    own = address(hostname=text, nodeName=text)
    return endpoints(subset(entry, own, ports=ports))


def told(response: Json) -> list[str]:
    """Every line that reaches a person."""
    status = response.get("status", {"message": "", "details": {"causes": []}})
    causes = [cause["message"] for cause in status["details"]["causes"]]
    return [*status["message"].split("\n"), *causes, *response.get("warnings", [])]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("cluster", [(service(), pod()), (manual_service(), pod())])
@pytest.mark.parametrize("actions", [{}, dict.fromkeys(RULES, "warn")], ids=["deny", "warn"])
def test_no_text_breaks_a_line_or_makes_it_long(
    text: str, cluster: tuple[Json, ...], actions: dict[str, str]
) -> None:
    policy = parse_policy({"rules": actions})
    response = answer(review(hostile(text)), *cluster, policy=policy)["response"]
    lines = [*told(response), findings_annotation(response)]
    assert all(line.isprintable() for line in lines)
    message = response.get("status", {}).get("message", "")
    assert all(len(line) <= 256 for line in [*message.split("\n"), *response.get("warnings", [])])
    assert len(findings_annotation(response)) <= 4096
    assert all(len(line) <= 1024 for line in lines[:-1])


def test_warnings_stay_within_what_the_api_server_keeps() -> None:
    """4,096 characters for one request, of which every Endpoints write uses some already."""
    policy = parse_policy({"rules": {"EG505": "warn"}})
    warnings = answer(review(many_bad(1000)), policy=policy)["response"]["warnings"]
    assert len(warnings) == 10
    assert warnings[-1] == "endpoints-guard: 991 more warnings"
    assert sum(map(len, warnings)) <= 4096
    assert len(set(warnings)) == len(warnings)


def test_so_is_what_is_left_out_of_the_warnings() -> None:
    policy = parse_policy({"rules": {"EG505": "warn"}})
    warnings = answer(review(many_bad(3000)), policy=policy)["response"]["warnings"]
    assert warnings[-1] == "endpoints-guard: 2991 more warnings"


TEN = [1, 9, 10, 11]


@pytest.mark.parametrize("count", TEN)
def test_warnings_are_counted_right_at_the_limit(count: int) -> None:
    policy = parse_policy({"rules": {"EG505": "warn"}})
    warnings = answer(review(many_bad(count)), policy=policy)["response"]["warnings"]
    assert len(warnings) == min(count, 10)
    assert ("more warnings" in warnings[-1]) is (count > 10)


def test_the_audit_annotation_has_a_key_that_the_api_server_accepts() -> None:
    annotations = answer(review(many_bad(1000)))["response"]["auditAnnotations"]
    ((key, value),) = annotations.items()
    assert key == "findings"
    assert len(value) <= 4096


FOREIGN: dict[str, tuple[Json, tuple[Json, ...], str]] = {
    "another namespace's Pod": (
        manual(external("10.0.7.8")),
        (manual_service("manual"), pod("s3cret-0", namespace="s3cret", ip="10.0.7.8")),
        "Pod s3cret/s3cret-0 holds 10.0.7.8",
    ),
    "... for a Service with a selector": (
        endpoints(subset(external("10.0.7.8"))),
        (service(), pod("s3cret-0", namespace="s3cret", ip="10.0.7.8")),
        "Pod s3cret/s3cret-0",
    ),
    "another namespace's Service": (
        manual(external("172.20.0.99")),
        (
            manual_service("manual"),
            service("s3cret", namespace="s3cret-space", clusterIP="172.20.0.99"),
        ),
        "Service s3cret-space/s3cret has 172.20.0.99",
    ),
    "a Node": (
        manual(external("192.168.0.9")),
        (manual_service("manual"), node("s3cret-node", "192.168.0.9")),
        "Node s3cret-node has 192.168.0.9",
    ),
    "another namespace's Pod, by its uid": (
        manual(external("10.0.0.1", targetRef=pod_ref(name="web-9", uid="u-1"))),
        (
            manual_service("manual"),
            pod(),
            pod("s3cret-0", namespace="s3cret", ip="10.0.7.8", uid="u-1"),
        ),
        "",
    ),
}


@pytest.mark.parametrize(("write", "cluster", "private"), FOREIGN.values(), ids=FOREIGN)
def test_whose_an_address_is_goes_to_the_audit_and_not_to_the_writer(
    write: Json, cluster: tuple[Json, ...], private: str
) -> None:
    for actions in ({}, dict.fromkeys(RULES, "warn")):
        policy = parse_policy({"rules": actions})
        response = answer(review(write), *cluster, policy=policy)["response"]
        assert response["allowed"] is bool(actions)
        assert "s3cret" not in json.dumps({**response, "auditAnnotations": {}})
        assert private in findings_annotation(response)


@law
@given(clusters(), writes)
def test_a_denial_has_a_cause_for_every_finding_that_denies(
    cluster: list[Json], write: Json
) -> None:
    read = parse_review(body(review(write)))
    decision = decide(read.request, state(*cluster), POLICY)
    response = json.loads(render_review(read, decision))["response"]
    denied = [f for f in decision.findings if f.action is Action.DENY]
    causes = response.get("status", {}).get("details", {}).get("causes", [])
    assert response["allowed"] is (not denied)
    assert [(c["reason"], c["field"]) for c in causes] == [
        (f.rule.code, f.violation.field) for f in denied
    ]


def test_the_same_question_gets_the_same_bytes() -> None:
    """Otherwise the API server, which may ask twice, would drop the second annotation."""
    read = parse_review(body(review(many_bad(20))))
    decided = [decide(read.request, state(*CLUSTER), POLICY) for _ in range(2)]
    first, second = (render_review(read, decision) for decision in decided)
    assert first == second


def test_a_finding_s_private_part_stands_behind_it_in_the_annotation() -> None:
    violation = Violation("a.b", "it is wrong", "a detail", "a secret")
    finding = Finding(RULES["EG501"], Action.DENY, violation)
    read = parse_review(body(review(endpoints())))
    decision = Decision(Reason.JUDGED, (finding,))
    response = json.loads(render_review(read, decision, for_audit_log=True))["response"]
    assert findings_annotation(response) == "deny EG501 a.b: it is wrong [a secret]"
    assert response["status"]["details"]["causes"][0]["message"] == "it is wrong: a detail"
