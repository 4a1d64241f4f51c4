"""What the log of the webhook says, line by line."""

import io
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.builders import (
    Json,
    body,
    endpoint,
    endpoint_slice,
    endpoints,
    external,
    manual_service,
    pod,
    port,
    review,
    service,
    state,
    subset,
)
from webhook.cluster.state import FixedState
from webhook.core.policy import Policy, parse_policy
from webhook.core.rule import Action
from webhook.server import Judge, create_app
from webhook.telemetry import LOG, Telemetry, configure_logging
from webhook.telemetry.denial import ADDRESSES, FINDINGS
from webhook.telemetry.ration import OF_WRITER

CLUSTER = (service(), manual_service("manual"), pod(), pod("v", namespace="rival", ip="10.0.7.8"))
FOREIGN = endpoints(subset(external("10.0.7.8")), annotations={"a": "a secret"})
OBSERVING = parse_policy({"rules": {"EG501": "audit"}})


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """The log of the process, as it would be on standard error."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    root.handlers = []
    yield io.StringIO()
    root.handlers, root.level = before


def ask(*asked: Json, policy: Policy | None = None, log: Action = Action.DENY) -> Telemetry:
    telemetry = Telemetry(log_findings=log)
    judge = Judge(FixedState(inventory=state(*CLUSTER)), lambda: policy or Policy(), telemetry)
    client = create_app(judge, telemetry, tuple).test_client()
    for each in asked:
        client.post("/validate", data=body(each), content_type="application/json")
    return telemetry


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_denial_is_one_json_object_with_what_it_rested_on(stream: io.StringIO) -> None:
    configure_logging(stream, json=True)
    asked = review(FOREIGN)
    ask(asked)
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "endpoints_guard",
        "message": "denied Endpoints/shop/web by alice",
        "uid": asked["request"]["uid"],
        "kind": "Endpoints",
        "namespace": "shop",
        "object": "web",
        "operation": "CREATE",
        "user": "alice",
        "dry_run": False,
        "verdict": "deny",
        "reason": "judged",
        "findings": line["findings"],
        "findings_total": 2,
        "service": "Service web selects app=web: the control plane writes its endpoints",
        "owners": {"10.0.7.8": "Pod rival/v (ready)"},
        "confirmed": False,
    }
    assert [finding[:10] for finding in line["findings"]] == ["deny EG201", "deny EG301"]


def test_on_a_terminal_it_is_text_with_a_line_for_each_finding(stream: io.StringIO) -> None:
    configure_logging(stream, json=False)
    ask(review(FOREIGN))
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("WARNING denied Endpoints/shop/web by alice")
    assert [text.split()[:2] for text in rest] == [["deny", "EG201"], ["deny", "EG301"]]


def test_what_people_wrote_into_annotations_is_not_logged(stream: io.StringIO) -> None:
    configure_logging(stream, json=True)
    asked = review(FOREIGN)
    asked["request"]["userInfo"]["extra"] = {"scopes": ["another secret"]}
    ask(asked)
    assert "secret" not in stream.getvalue()


def test_a_huge_denial_is_a_line_of_a_few_kilobytes(stream: io.StringIO) -> None:
    configure_logging(stream, json=True)
    many = [external(f"10.1.{number >> 8}.{number & 255}") for number in range(1000)]
    ask(review(endpoints(subset(*many))))
    (line,) = lines(stream)
    assert line["findings_total"] == 2000
    assert (len(line["findings"]), len(line["owners"])) == (FINDINGS, ADDRESSES)
    assert len(stream.getvalue()) < 20_000


def test_the_line_is_soon_made_however_many_ports_are_wrong(stream: io.StringIO) -> None:
    """Paths of ports are no addresses, so each address would be compared with all of them."""
    configure_logging(stream, json=True)
    ports = [port(80, name=f"p{number}") for number in range(10_000)]
    write = endpoint_slice(*[endpoint(addresses=["10.0.0.1"] * 100)] * 200, ports=ports)
    begun = time.process_time()
    ask(review(write))
    assert time.process_time() - begun < 5
    assert lines(stream)[0]["findings_total"] == 10_000


def test_names_that_no_object_can_have_make_no_longer_line(stream: io.StringIO) -> None:
    """Whoever reaches the port can send them, before any API server has looked."""
    configure_logging(stream, json=True)
    long = "x" * 100_000
    asked = review(endpoints(subset(external("127.0.0.1")), name=long, namespace=long), user=long)
    asked["request"]["uid"] = long
    telemetry = ask(asked)
    assert lines(stream)[0]["verdict"] == "deny"
    assert len(stream.getvalue()) < 10_000
    assert all(len(writer) < 2000 for writer in telemetry._ration._writers)


MANUAL = endpoints(subset(external("10.0.7.8")), name="manual")
OF_NOBODY = endpoints(subset(external()), name="nobody-s")
LOGGED: dict[str, tuple[Json, Policy, Action, list[str]]] = {
    "an audit finding, by default": (review(MANUAL), OBSERVING, Action.DENY, []),
    "an audit finding, when asked for": (
        review(MANUAL),
        OBSERVING,
        Action.AUDIT,
        ["allowed Endpoints/shop/manual by alice"],
    ),
    "an audit finding, when warnings are asked for": (review(MANUAL), OBSERVING, Action.WARN, []),
    "a warning, when asked for": (
        review(OF_NOBODY),
        Policy(),
        Action.WARN,
        ["allowed Endpoints/shop/nobody-s by alice"],
    ),
    "nothing wrong": (review(endpoints()), Policy(), Action.AUDIT, []),
}


@pytest.mark.parametrize(("asked", "policy", "level", "said"), LOGGED.values(), ids=LOGGED)
def test_milder_findings_are_logged_when_asked_for(
    stream: io.StringIO, asked: Json, policy: Policy, level: Action, said: list[str]
) -> None:
    configure_logging(stream, json=True)
    ask(asked, policy=policy, log=level)
    assert [line["message"] for line in lines(stream)] == said


def test_a_flood_of_denials_is_counted_in_full_and_logged_in_part(stream: io.StringIO) -> None:
    configure_logging(stream, json=True)
    flood = [
        review(endpoints(subset(external("127.0.0.1")), name=f"n-{i}"), user="mallory")
        for i in range(500)
    ]
    telemetry = ask(*flood, review(FOREIGN))
    by = [line["user"] for line in lines(stream)]
    assert by.count("alice") == 1
    assert OF_WRITER.burst <= by.count("mallory") < 500
    value = telemetry.registry.get_sample_value
    suppressed = value("endpoints_guard_log_lines_suppressed_total")
    assert suppressed == 500 - by.count("mallory")
    labels = {"rule": "EG505", "action": "deny"}
    assert value("endpoints_guard_violations_total", labels) == 500


def test_requests_that_are_none_do_not_flood_the_log_either(stream: io.StringIO) -> None:
    configure_logging(stream, json=True)
    telemetry = Telemetry()
    for _ in range(200):
        telemetry.rejected(400, "nonsense")
    assert OF_WRITER.burst <= len(lines(stream)) < 200
    value = telemetry.registry.get_sample_value
    assert value("endpoints_guard_rejected_requests_total", {"code": "400"}) == 200


def test_an_exception_is_part_of_its_line(stream: io.StringIO) -> None:
    configure_logging(stream, json=True)
    LOG.error("it failed", exc_info=RuntimeError("why"))
    (line,) = lines(stream)
    assert "RuntimeError: why" in line["exception"]
