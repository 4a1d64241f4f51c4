"""Kubernetes Events about denials: what they say, how many there are, and that nobody waits."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import structs

from tests.builders import (
    Json,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    manual_service,
    pod,
    review,
    service,
    state,
    subset,
)
from tests.builders import body as encoded
from tests.fake_apiserver import ALWAYS, FakeApiServer, Fault, wait_until
from webhook.cluster.api import connect
from webhook.cluster.events import (
    DISTINCT,
    LONGEST_NAME,
    NOTE_LIMIT,
    OF_NAMESPACE,
    EventCounts,
    EventWriter,
    Pace,
    denial_of,
)
from webhook.core.admission import parse_review
from webhook.core.decision import Decision
from webhook.core.engine import decide
from webhook.core.objects import AdmissionRequest
from webhook.core.policy import Policy
from webhook.core.rules import RULES

FAST = Pace(window=0.4, between=0.0)
PATIENT = Pace(window=600.0, between=0.0)
NOON = datetime(2026, 11, 25, 12, 0, 0, 42, UTC)
CLUSTER = (service(), manual_service("manual"), pod(), pod("v", namespace="rival", ip="10.0.7.8"))


def denied(write: Json, **rest: Any) -> tuple[AdmissionRequest, Decision]:
    request = parse_review(encoded(review(write, **rest))).request
    decision = decide(request, state(*CLUSTER), Policy())
    assert not decision.allowed
    return request, decision


def manual(name: str = "manual", ip: str = "10.0.7.8", namespace: str = "shop") -> Json:
    return endpoints(subset(external(ip)), name=name, namespace=namespace)


def test_a_note_counts_what_is_left_out_of_a_huge_denial() -> None:
    many = endpoints(subset(*[external("10.0.7.8")] * 2500), name="manual")
    assert "subsets[0].addresses[0].ip and 2499 more" in denial_of(*denied(many)).note


@pytest.fixture
def api() -> Iterator[FakeApiServer]:
    with FakeApiServer() as server:
        yield server


Started = Callable[[Pace], EventWriter]


@pytest.fixture
def started(api: FakeApiServer) -> Started:
    def start(pace: Pace) -> EventWriter:
        connected = connect(kubeconfig=api.kubeconfig)
        writer = EventWriter(connected, "endpoints-guard-1", lambda: NOON, pace=pace)
        writer.start()
        return writer

    return start


def test_an_event_says_which_rules_were_broken_and_where(
    api: FakeApiServer, started: Started
) -> None:
    started(PATIENT).note(*denied(manual()))
    wait_until(lambda: bool(api.events))
    assert api.events == [
        {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"namespace": "shop", "generateName": "manual-"},
            "eventTime": "2026-11-25T12:00:00.000042Z",
            "type": "Warning",
            "reason": "EndpointsDenied",
            "action": "Write",
            "reportingController": "endpoints-guard.io/webhook",
            "reportingInstance": "endpoints-guard-1",
            "regarding": {
                "apiVersion": "v1",
                "kind": "Endpoints",
                "namespace": "shop",
                "name": "manual",
            },
            "related": {
                "apiVersion": "v1",
                "kind": "Service",
                "namespace": "shop",
                "name": "manual",
            },
            "note": "endpoints-guard denied a write. Rules broken: "
            f"EG501 ({RULES['EG501'].title}) at subsets[0].addresses[0].ip",
        }
    ]
    assert [(r.verb, r.path) for r in api.requests] == [
        ("create", "/apis/events.k8s.io/v1/namespaces/shop/events")
    ]


def test_a_slice_is_told_of_by_the_service_that_it_is_of(
    api: FakeApiServer, started: Started
) -> None:
    """Each attempt of a `generateName` has another name, and all of them are one Event."""
    writer = started(FAST)
    for number in range(3):
        write = endpoint_slice(
            external_endpoint("10.0.7.8"), name=f"manual-{number}", of_service="manual"
        )
        writer.note(*denied(write))
    wait_until(lambda: sum(e.get("series", {}).get("count", 1) for e in api.events) == 3)
    assert len(api.events) <= 2
    assert {event["related"]["name"] for event in api.events} == {"manual"}
    assert {event["regarding"]["apiVersion"] for event in api.events} == {"discovery.k8s.io/v1"}


def test_what_happens_again_and_again_is_two_events(api: FakeApiServer, started: Started) -> None:
    # Longer than a hundred denials take, however busy the machine is.
    writer = started(Pace(window=5.0, between=0.0))
    writer.note(*denied(manual()))
    wait_until(lambda: len(api.events) == 1)
    for _ in range(100):
        writer.note(*denied(manual()))
    wait_until(lambda: len(api.events) == 2)
    assert "series" not in api.events[0]
    last = "2026-11-25T12:00:00.000042Z"
    assert api.events[1]["series"] == {"count": 100, "lastObservedTime": last}


def test_after_a_quiet_while_it_is_news_again(api: FakeApiServer, started: Started) -> None:
    writer = started(Pace(window=0.05, between=0.0))
    for _ in range(2):
        writer.note(*denied(manual()))
        wait_until(lambda: bool(api.events) and not writer._known)
    assert len(api.events) == 2
    assert all("series" not in event for event in api.events)


def test_nothing_of_anybody_s_is_in_an_event(api: FakeApiServer, started: Started) -> None:
    """Neither whose address it is, nor who wrote, nor what namespace the writer named."""
    ref = {"kind": "Pod", "namespace": "rival", "name": "v"}
    write = endpoints(subset(external("10.0.7.8", targetRef=ref)))
    started(PATIENT).note(*denied(write, user="system:serviceaccount:rival:mallory"))
    wait_until(lambda: bool(api.events))
    (event,) = api.events
    assert {"EG201", "EG302"} <= set(event["note"].split())
    for secret in ("rival", "10.0.7.8", "mallory"):
        assert secret not in str(event)


def test_a_dry_run_makes_no_event(api: FakeApiServer, started: Started) -> None:
    writer = started(PATIENT)
    writer.note(*denied(manual("other-1"), dryRun=True))
    writer.note(*denied(manual()))
    wait_until(lambda: bool(api.events))
    assert [event["regarding"]["name"] for event in api.events] == ["manual"]


def test_a_note_is_as_long_as_the_api_server_takes(api: FakeApiServer, started: Started) -> None:
    request, decision = denied(endpoints(subset(external("127.0.0.1"), external("::ffff:1.2.3.4"))))
    (first, *_) = decision.findings
    field = "subsets[0].addresses[0]" * 100
    violation = structs.replace(first.violation, field=field)
    long = Decision(decision.reason, (structs.replace(first, violation=violation),))
    started(PATIENT).note(request, long)
    wait_until(lambda: bool(api.events))
    assert len(api.events[0]["note"].encode()) == NOTE_LIMIT


def test_a_flood_of_different_denials_is_cut_off_for_its_namespace_only(
    api: FakeApiServer, started: Started
) -> None:
    writer = started(PATIENT)
    for number in range(OF_NAMESPACE + 30):
        writer.note(*denied(manual(f"m-{number}", ip="127.0.0.1")))
    writer.note(*denied(manual(ip="127.0.0.1", namespace="another")))
    wait_until(lambda: writer.counts().written == OF_NAMESPACE + 1)
    assert writer.counts() == EventCounts(written=OF_NAMESPACE + 1, failed=0, dropped=30)


def test_there_is_an_end_to_what_is_remembered(api: FakeApiServer) -> None:
    idle = EventWriter(connect(kubeconfig=api.kubeconfig), "x", lambda: NOON)
    for number in range(2 * DISTINCT):
        idle.note(*denied(manual(ip="127.0.0.1", namespace=f"n-{number}")))
    assert idle.counts() == EventCounts(written=0, failed=0, dropped=DISTINCT)


def test_names_that_no_object_can_have_take_no_memory(api: FakeApiServer) -> None:
    idle = EventWriter(connect(kubeconfig=api.kubeconfig), "x", lambda: NOON)
    long = "x" * 100_000
    idle.note(*denied(manual(long, ip="127.0.0.1", namespace=long)))
    ((denial, sightings),) = idle._known.items()
    names = (denial.namespace, denial.service, sightings.name)
    assert [len(name) for name in names] == [LONGEST_NAME] * 3


def test_events_are_not_written_faster_than_the_pace(api: FakeApiServer, started: Started) -> None:
    writer = started(Pace(window=600.0, between=0.1))
    for number in range(6):
        writer.note(*denied(manual(f"m-{number}", ip="127.0.0.1")))
    wait_until(lambda: len(api.events) == 6)
    times = [request.at for request in api.requests]
    assert times[-1] - times[0] >= 0.5


def test_an_event_that_cannot_be_written_is_lost_and_costs_nobody_anything(
    api: FakeApiServer, started: Started, caplog: pytest.LogCaptureFixture
) -> None:
    api.inject(Fault(verb="create", status=403, message="no", times=3))
    writer = started(PATIENT)
    for number in range(4):
        writer.note(*denied(manual(f"m-{number}", ip="127.0.0.1")))
    wait_until(lambda: writer.counts().written == 1)
    assert writer.counts() == EventCounts(written=1, failed=3, dropped=0)
    complaints = [r.getMessage() for r in caplog.records if r.name == "webhook.cluster.events"]
    assert len({text for text in complaints if "RBAC must grant" in text}) == 1


def test_an_api_server_that_does_not_answer_holds_up_no_writer(
    api: FakeApiServer, started: Started
) -> None:
    api.inject(Fault(verb="create", delay=30, times=ALWAYS))
    writer = started(PATIENT)
    asked = [denied(manual(f"m-{number}", ip="127.0.0.1")) for number in range(OF_NAMESPACE)]

    def note_all() -> None:
        for each in asked:
            writer.note(*each)

    noting = threading.Thread(target=note_all)
    noting.start()
    noting.join(10)
    assert not noting.is_alive()
