"""What Prometheus gets to see: the metrics of the catalogue, with bounded labels, and no others."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from tests.builders import (
    body,
    endpoints,
    external,
    manual_service,
    pod,
    review,
    service,
    state,
    subset,
)
from tests.strategies import law
from webhook import __version__
from webhook.cluster.resources import STORED
from webhook.cluster.state import FixedState
from webhook.core.policy import Policy
from webhook.server import Judge, create_app
from webhook.telemetry import Telemetry
from webhook.telemetry.catalogue import (
    INFORMER_METRICS,
    METRICS,
    POLICY_LOADS,
    REQUESTS,
    VIOLATIONS,
    Metric,
    as_markdown,
)
from webhook.telemetry.scrape import Reading

ROOT = Path(__file__).parents[2]
KNOWN = {metric.name: metric for metric in METRICS}


def families(telemetry: Telemetry) -> Iterator[Family]:
    """Ours, as Prometheus reads them."""
    for family in text_string_to_metric_families(telemetry.exposition().decode()):
        if not family.name.startswith("process_"):
            yield family


def metric_of(family: Family) -> Metric:
    return KNOWN[f"{family.name}_total" if family.type == "counter" else family.name]


def exceeded(telemetry: Telemetry) -> list[str]:
    """Series that the catalogue does not know."""
    return [
        str(sample)
        for family in families(telemetry)
        for sample in family.samples
        for label, value in sample.labels.items()
        if label != "le"
        if (allowed := metric_of(family).labels[label]) and value not in allowed
    ]


class Webhook:
    """A server in front of a cluster, and its metrics."""

    def __init__(self) -> None:
        self.telemetry = Telemetry()
        cluster = state(service(), manual_service("manual"), pod())
        judge = Judge(FixedState(inventory=cluster), Policy, self.telemetry)
        self.client: FlaskClient = create_app(judge, self.telemetry, tuple).test_client()

    def ask(self, data: bytes) -> None:
        self.client.post("/validate", data=data, content_type="application/json")

    def value(self, name: str, **labels: str) -> float | None:
        return self.telemetry.registry.get_sample_value(name, labels)


def test_a_metric_is_named_as_prometheus_wants_it() -> None:
    for metric in METRICS:
        assert metric.name.startswith("endpoints_guard_")
        assert metric.name.endswith("_total") == (metric.type == "counter"), metric.name
        assert metric.meaning.endswith("."), metric.name
    assert len(KNOWN) == len(METRICS)


def test_every_metric_is_exported_by_what_it_says_it_is() -> None:
    telemetry = Telemetry()
    readings = tuple(
        Reading(metric, 7, tuple(values[0] for values in metric.labels.values()))
        for metric in METRICS
        if all(metric.labels.values())
    )
    counted = {family.name for family in families(telemetry)}
    telemetry.export(
        lambda: (r for r in readings if r.metric.name.removesuffix("_total") not in counted)
    )
    exported = {metric_of(family): family.type for family in families(telemetry)}
    assert exported == {metric: metric.type for metric in METRICS}


def test_the_page_of_metrics_is_current() -> None:
    assert (ROOT / "docs/metrics.md").read_text(encoding="utf-8") == as_markdown()


def test_sources_are_asked_when_prometheus_asks_and_not_before() -> None:
    telemetry = Telemetry()
    loads = iter((3, 4))
    telemetry.export(lambda: [Reading(POLICY_LOADS, next(loads), ("success",))])
    seen = [
        line
        for _ in range(2)
        for line in telemetry.exposition().decode().splitlines()
        if line.startswith(POLICY_LOADS.name)
    ]
    assert seen == [f'{POLICY_LOADS.name}{{result="success"}} {count}.0' for count in (3, 4)]


def test_the_version_is_among_the_metrics() -> None:
    (info,) = (f for f in families(Telemetry()) if f.name == "endpoints_guard_build_info")
    assert info.samples[0].labels["version"] == __version__


def test_how_the_process_itself_is_doing_is_exported_too() -> None:
    text = Telemetry().exposition().decode()
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
        assert f"\n{name} " in text


def test_no_series_says_when_a_counter_began() -> None:
    webhook = Webhook()
    webhook.ask(body(review(endpoints())))
    assert "_created" not in webhook.telemetry.exposition().decode()


shared = Webhook()
kinds = st.sampled_from([("", "v1", "Endpoints"), ("discovery.k8s.io", "v1", "EndpointSlice")])
anything = st.none() | st.booleans() | st.integers() | st.text()


@settings(law, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.tuples(st.text(), st.text(), st.text()) | kinds,
    st.text() | st.sampled_from(["CREATE", "UPDATE", "DELETE", "CONNECT"]),
    st.text(),
    anything,
    st.text(),
)
def test_no_caller_makes_a_series(
    kind: tuple[str, str, str], operation: str, user: str, dry_run: Any, method: str
) -> None:
    """Kind, operation, user, dry run, path and method are what a caller writes."""
    group, version, name = kind
    asked = review(endpoints(subset(external("10.0.7.8"))), user=user)
    asked["request"] |= {
        "kind": {"group": group, "version": version, "kind": name},
        "operation": operation,
        "dryRun": dry_run,
        "oldObject": endpoints(),
    }
    shared.ask(json.dumps(asked).encode())
    # Quoted, or else the client takes `//...` for the name of a host.
    shared.client.open(f"/{quote(user, safe='')}", method=method.upper() or "GET")
    assert exceeded(shared.telemetry) == []


def test_a_verdict_is_counted_under_all_of_its_labels() -> None:
    webhook = Webhook()
    for _ in range(3):
        webhook.ask(body(review(endpoints())))
    labels = {
        "kind": "Endpoints",
        "operation": "CREATE",
        "verdict": "allow",
        "reason": "judged",
        "dry_run": "false",
    }
    assert webhook.value(REQUESTS.name, **labels) == 3
    assert webhook.value("endpoints_guard_request_duration_seconds_count") == 3


def test_every_violation_of_a_huge_write_is_counted() -> None:
    webhook = Webhook()
    webhook.ask(body(review(endpoints(subset(*[external("127.0.0.1")] * 2500), name="none"))))
    assert webhook.value(VIOLATIONS.name, rule="EG505", action="deny") == 2500


def test_every_kind_that_is_watched_is_known_to_the_metrics() -> None:
    for metric in INFORMER_METRICS:
        assert set(metric.labels["kind"]) == {resource.kind for resource in STORED}
