"""Counts what requests come to.

An allowed write costs two operations of prometheus_client, on children that are looked up by one
tuple; all else is read when Prometheus asks (`scrape`).
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from webhook.core.decision import Decision, Obstacle
from webhook.core.objects import AdmissionRequest
from webhook.telemetry import catalogue
from webhook.telemetry.catalogue import Metric

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# A second series for each counter that says when it began: noise that nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]

_RequestKey = tuple[str, str, str, str, bool]


class Counters:
    """The counters and histograms of one process. From any thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(metric: Metric) -> Counter:
            return Counter(metric.name, metric.meaning, tuple(metric.labels), registry=registry)

        def histogram(metric: Metric) -> Histogram:
            return Histogram(metric.name, metric.meaning, buckets=_BUCKETS, registry=registry)

        self._requests = counter(catalogue.REQUESTS)
        self._violations = counter(catalogue.VIOLATIONS)
        self._indeterminate = counter(catalogue.INDETERMINATE)
        self._rejected = counter(catalogue.REJECTED)
        self._confirmations = counter(catalogue.CONFIRMATIONS)
        self._observe = histogram(catalogue.DURATION).observe
        self._observe_confirmation = histogram(catalogue.CONFIRMATION_DURATION).observe
        self._by_request: dict[_RequestKey, Counter] = {}

    def decided(self, request: AdmissionRequest, decision: Decision, seconds: float) -> None:
        """Count a verdict and its violations."""
        self._observe(seconds)
        key = (
            request.ref.kind,
            request.operation,
            decision.verdict,
            decision.reason,
            request.dry_run,
        )
        child = self._by_request.get(key)
        if child is None:
            *texts, dry_run = key
            child = self._requests.labels(*texts, str(dry_run).lower())
            self._by_request[key] = child
        child.inc()
        for finding in decision.findings:
            self._violations.labels(finding.rule.code, finding.action).inc()
        for (code, action), count in decision.left_out.items():
            self._violations.labels(code, action).inc(count)

    def confirmed(self, result: str, seconds: float) -> None:
        """Count a live read: upheld, overturned or failed."""
        self._confirmations.labels(result).inc()
        self._observe_confirmation(seconds)

    def could_not_tell(self, cause: Obstacle) -> None:
        """Count an answer that had to be put off."""
        self._indeterminate.labels(cause).inc()

    def rejected(self, code: int) -> None:
        """Count a request that was no review."""
        self._rejected.labels(str(code)).inc()
