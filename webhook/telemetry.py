"""What happened, for people and for Prometheus: one log line where it matters, and the counters.

Labels have few values only: never a namespace, a name or a user. Log lines never hold a token, a
header or a whole object.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

import msgspec
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from webhook.core.admission import Review, sentence
from webhook.core.engine import Decision, Finding, Indeterminate
from webhook.core.text import one_line

LOG: Final = logging.getLogger("endpoints_guard")
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# A second series for each counter that says when it began: noise that nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Telemetry:
    """The counters of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "endpoints_guard_requests",
            "Admission requests answered.",
            ("kind", "operation", "verdict", "reason", "dry_run"),
            registry=self.registry,
        )
        self._violations = Counter(
            "endpoints_guard_violations",
            "Violations found in admission requests.",
            ("rule", "action"),
            registry=self.registry,
        )
        self._duration = Histogram(
            "endpoints_guard_request_duration_seconds",
            "Time from the complete request to the answer.",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._indeterminate = Counter(
            "endpoints_guard_indeterminate",
            "Requests answered with 503, because the state could not be read in time.",
            registry=self.registry,
        )
        self._rejected = Counter(
            "endpoints_guard_rejected_requests",
            "Requests to the webhook that were no valid AdmissionReview, by HTTP status.",
            ("code",),
            registry=self.registry,
        )
        self._confirmations = Counter(
            "endpoints_guard_confirmations",
            "Live reads before a denial, by what came of it.",
            ("result",),
            registry=self.registry,
        )

    def certificate_expires_at(self, expiry: Callable[[], float]) -> None:
        """Export the end of the serving certificate, in seconds since 1970."""
        gauge = Gauge(
            "endpoints_guard_certificate_expiry_timestamp_seconds",
            "When the serving certificate ends.",
            registry=self.registry,
        )
        gauge.set_function(expiry)

    def policy_is_stale(self, stale: Callable[[], bool]) -> None:
        """Export whether the policy file is broken, and an older version of it in force."""
        gauge = Gauge(
            "endpoints_guard_policy_stale",
            "1 while the policy file cannot be used and its last good version is in force.",
            registry=self.registry,
        )
        gauge.set_function(lambda: float(stale()))

    def exposition(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)

    def decided(self, review: Review, decision: Decision, seconds: float) -> None:
        """Count an answer; log it when it denies."""
        request = review.request
        self._duration.observe(seconds)
        self._requests.labels(
            request.ref.kind,
            request.operation,
            decision.verdict,
            decision.reason,
            str(request.dry_run).lower(),
        ).inc()
        for finding in decision.findings:
            self._violations.labels(finding.rule.code, finding.action).inc()
        if not decision.allowed:
            who, what = _short(request.username), _short(str(request.ref))
            LOG.warning("denied %s by %s", what, who, extra=_facts(review, decision))

    def confirmed(self, *, upheld: bool) -> None:
        """Count a live read: did it uphold the denial that the cache gave?"""
        self._confirmations.labels("upheld" if upheld else "overturned").inc()

    def could_not_tell(self, review: Review, outcome: Indeterminate) -> None:
        """Count and log an answer that had to be put off."""
        self._indeterminate.inc()
        what, why = _short(str(review.request.ref)), _short(outcome.because)
        LOG.error("cannot judge %s yet: %s", what, why)

    def rejected(self, code: int, reason: str) -> None:
        """Count and log a request that was no review."""
        self._rejected.labels(str(code)).inc()
        LOG.warning("bad request (%d): %s", code, _short(reason))


def _short(text: str) -> str:
    """Anybody may send anything: what they sent stays on its line, and the line has an end."""
    return one_line(text, 1024)


def _facts(review: Review, decision: Decision) -> dict[str, Any]:
    request = review.request
    facts = {
        "uid": review.uid,
        "kind": request.ref.kind,
        "namespace": request.ref.namespace,
        "object": request.ref.name,
        "operation": request.operation,
        "user": request.username,
        "dry_run": request.dry_run,
        "findings": [_finding_text(finding) for finding in decision.findings[:50]],
        "findings_total": len(decision.findings),
    }
    return {"facts": facts}


def _finding_text(finding: Finding) -> str:
    violation = finding.violation
    facts = "; ".join(filter(None, (violation.detail, violation.private)))
    return _short(f"{finding.action} {sentence(finding)}" + (f" ({facts})" if facts else ""))


class JsonLines(logging.Formatter):
    """One JSON object a line, for collectors."""

    def format(self, record: logging.LogRecord) -> str:
        """The record with its facts, in UTC."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class ReadableLines(logging.Formatter):
    """For a terminal: the message, and each finding of a denial below it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The record, indented facts included."""
        findings = getattr(record, "facts", {}).get("findings", ())
        return "\n".join((super().format(record), *(f"         {text}" for text in findings)))


def configure_logging(stream: Any, *, json: bool) -> None:
    """Send the log of the whole process to a stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if json else ReadableLines())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
