"""The trace of a write: into the log, and on to the API server; malformed headers are ignored."""

import io
import json
import logging
from collections.abc import Iterator, Mapping

import pytest

from tests.builders import body, endpoints, external, review, service, subset
from tests.fake_apiserver import FakeApiServer, wait_until
from webhook.cluster.api import connect
from webhook.cluster.live import LiveCluster
from webhook.core.policy import Policy
from webhook.server import Judge, create_app
from webhook.telemetry import Telemetry, configure_logging
from webhook.tracing import TraceContext, headers, ids, part_of, trace_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
BAD = endpoints(subset(external("10.0.7.8")))

HEADERS: dict[str, tuple[dict[str, str], TraceContext | None]] = {
    "none": ({}, None),
    "a parent": ({"traceparent": PARENT}, TraceContext(TRACE, SPAN, "01")),
    "a parent and a state": (
        {"traceparent": PARENT, "tracestate": "a=1,b@c=2"},
        TraceContext(TRACE, SPAN, "01", "a=1,b@c=2"),
    ),
    "a state without a parent": ({"tracestate": "a=1"}, None),
    "a state that is too long": (
        {"traceparent": PARENT, "tracestate": "a=" + "1" * 600},
        TraceContext(TRACE, SPAN, "01"),
    ),
    "a state with control characters": (
        {"traceparent": PARENT, "tracestate": "a=1\r\nAuthorization: x"},
        TraceContext(TRACE, SPAN, "01"),
    ),
    "a later version": (
        {"traceparent": f"cc-{TRACE}-{SPAN}-01-what-ever"},
        TraceContext(TRACE, SPAN, "01"),
    ),
    "more than this version has": ({"traceparent": f"{PARENT}-more"}, None),
    "the version that is none": ({"traceparent": f"ff-{TRACE}-{SPAN}-01"}, None),
    "no trace": ({"traceparent": f"00-{'0' * 32}-{SPAN}-01"}, None),
    "no span": ({"traceparent": f"00-{TRACE}-{'0' * 16}-01"}, None),
    "upper case": ({"traceparent": PARENT.upper()}, None),
    "digits of another script": ({"traceparent": PARENT.replace("0", "\u0660")}, None),
    "a line break after it": ({"traceparent": f"{PARENT}\n"}, None),
    "two of them": ({"traceparent": f"{PARENT},{PARENT}"}, None),
    "nothing in it": ({"traceparent": ""}, None),
}


def environ(sent: Mapping[str, str]) -> dict[str, str]:
    return {f"HTTP_{name.upper()}": value for name, value in sent.items()}


@pytest.mark.parametrize(("sent", "trace"), HEADERS.values(), ids=HEADERS)
def test_what_is_read(sent: dict[str, str], trace: TraceContext | None) -> None:
    assert trace_of(environ(sent)) == trace


def test_what_is_passed_on_is_what_came() -> None:
    sent = {"traceparent": PARENT, "tracestate": "a=1"}
    with part_of(trace_of(environ(sent))):
        assert headers() == sent
        assert ids() == {"trace_id": TRACE, "span_id": SPAN}
    assert (headers(), ids()) == ({}, {})


@pytest.fixture
def api() -> Iterator[FakeApiServer]:
    with FakeApiServer() as server:
        server.state.put("/api/v1/services", service())
        yield server


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    root.handlers = []
    stream = io.StringIO()
    configure_logging(stream, json=True)
    yield stream
    root.handlers, root.level = before


@pytest.mark.parametrize("path", ["/validate?timeout=10s", "/validate?timeout=10s&more=1"])
def test_a_denied_write_takes_its_trace_to_the_api_server_and_into_the_log(
    path: str, api: FakeApiServer, stream: io.StringIO
) -> None:
    """By the short way past Flask, and by Flask."""
    cluster = LiveCluster(connect(kubeconfig=api.kubeconfig))
    cluster.start()
    try:
        wait_until(lambda: cluster.informers.synced)
        telemetry = Telemetry()
        app = create_app(Judge(cluster, Policy, telemetry), telemetry, cluster.conditions)
        listed = len(api.requests)
        for sent in ({"traceparent": PARENT, "tracestate": "a=1"}, {}):
            app.test_client().post(
                path, data=body(review(BAD)), content_type="application/json", headers=sent
            )
    finally:
        cluster.informers.stop()
    looked = [r for r in api.requests[listed:] if r.verb in {"get", "list"}]
    traced = [r.headers.get("traceparent") for r in looked]
    assert set(traced) == {PARENT, None}
    assert {r.headers.get("tracestate") for r in looked} == {"a=1", None}
    assert "traceparent" not in {name for r in api.requests[:listed] for name in r.headers}
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    denials = [line for line in lines if line["message"].startswith("denied")]
    assert [line.get("trace_id") for line in denials] == [TRACE, None]
    assert [line.get("span_id") for line in denials] == [SPAN, None]
