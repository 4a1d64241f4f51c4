"""Every metric: its name, what it says, and the values that its labels can have.

docs/metrics.md is made of this, and the dashboard and the alerts of the chart are tested against
it. A metric belongs here before anybody can export it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Literal, get_args

from webhook.core.decision import Obstacle, Reason, Verdict
from webhook.core.objects.request import Operation
from webhook.core.rule import ENDPOINT_KINDS, Action
from webhook.core.rules import RULES

Labels = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Metric:
    """One family of series."""

    name: str
    """As Prometheus shows it; that of a counter ends in `_total`."""
    type: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: Labels = field(default_factory=dict, hash=False)
    """Each label with everything that it can be; empty for a version, of which there is one."""


_INFORMERS: Final[Labels] = {
    "kind": (*ENDPOINT_KINDS, "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
}
_RULES: Final = tuple(code for code, rule in RULES.items() if not rule.stored_only)
_RESULT: Final[Labels] = {"result": ("success", "failure")}

REQUESTS: Final = Metric(
    "endpoints_guard_requests_total",
    "counter",
    "Admission requests answered with a verdict.",
    {
        "kind": ("Endpoints", "EndpointSlice"),
        "operation": get_args(Operation),
        "verdict": tuple(Verdict),
        "reason": tuple(Reason),
        "dry_run": ("false", "true"),
    },
)
DURATION: Final = Metric(
    "endpoints_guard_request_duration_seconds",
    "histogram",
    "Time from the complete request to its verdict.",
)
VIOLATIONS: Final = Metric(
    "endpoints_guard_violations_total",
    "counter",
    "Violations found in admission requests, with the action that the policy gave them.",
    {"rule": _RULES, "action": tuple(a for a in Action if a is not Action.OFF)},
)
INDETERMINATE: Final = Metric(
    "endpoints_guard_indeterminate_total",
    "counter",
    "Requests answered with 503, because the state could not be read in time.",
    {"cause": tuple(Obstacle)},
)
REJECTED: Final = Metric(
    "endpoints_guard_rejected_requests_total",
    "counter",
    "Requests to the webhook that were no valid AdmissionReview, by HTTP status.",
    {"code": tuple(str(status.value) for status in HTTPStatus if status >= 400)},
)
CONFIRMATIONS: Final = Metric(
    "endpoints_guard_confirmations_total",
    "counter",
    "Live reads before a denial: upheld it, overturned it because the cache was late, or failed.",
    {"result": ("upheld", "overturned", "failed")},
)
CONFIRMATION_DURATION: Final = Metric(
    "endpoints_guard_confirmation_duration_seconds",
    "histogram",
    "Time that the live reads before a denial took.",
)
LOG_SUPPRESSED: Final = Metric(
    "endpoints_guard_log_lines_suppressed_total",
    "counter",
    "Lines left out of the log because there were too many.",
)
EVENTS: Final = Metric(
    "endpoints_guard_events_total",
    "counter",
    "Kubernetes Events about denials (`--events`): written, refused by the API server, or dropped "
    "because there were too many.",
    {"result": ("written", "failed", "dropped")},
)

CONNECTIONS: Final = Metric(
    "endpoints_guard_connections", "gauge", "Open connections to the webhook port."
)
IN_FLIGHT: Final = Metric(
    "endpoints_guard_requests_in_flight",
    "gauge",
    "Complete requests that are being answered, or wait for a thread.",
)
QUEUED: Final = Metric(
    "endpoints_guard_requests_queued", "gauge", "Those of them that wait for a thread."
)
REFUSED: Final = Metric(
    "endpoints_guard_requests_refused_total",
    "counter",
    "Requests answered with 503 unread, because too many were waiting.",
)
DROPPED: Final = Metric(
    "endpoints_guard_connections_dropped_total",
    "counter",
    "Connections closed on a client: too slow, or in the way of others when room ran out.",
    {"cause": ("slow", "room")},
)

SYNCED: Final = Metric(
    "endpoints_guard_informer_synced",
    "gauge",
    "1 when the informer has listed everything once.",
    _INFORMERS,
)
OBJECTS: Final = Metric(
    "endpoints_guard_informer_objects", "gauge", "Objects that the informer knows.", _INFORMERS
)
UNDECODABLE: Final = Metric(
    "endpoints_guard_informer_undecodable_objects",
    "gauge",
    "Objects that it leaves out because they cannot be decoded; the log names them.",
    _INFORMERS,
)
CONTACT: Final = Metric(
    "endpoints_guard_informer_last_contact_timestamp_seconds",
    "gauge",
    "When the API server last said anything to the informer; 0 if never. A quiet minute is normal.",
    _INFORMERS,
)
LAG: Final = Metric(
    "endpoints_guard_informer_lag_seconds",
    "gauge",
    "How long the informer has been unable to watch, so how old what it knows may be; 0 when it "
    "watches.",
    _INFORMERS,
)
RELISTS: Final = Metric(
    "endpoints_guard_informer_relists_total",
    "counter",
    "Complete lists after the first one.",
    _INFORMERS,
)
FAILURES: Final = Metric(
    "endpoints_guard_informer_failures_total",
    "counter",
    "Lists and watches that did not end well.",
    _INFORMERS,
)

CERTIFICATE_EXPIRY: Final = Metric(
    "endpoints_guard_certificate_expiry_timestamp_seconds",
    "gauge",
    "When the serving certificate ends.",
)
CERTIFICATE_STALE: Final = Metric(
    "endpoints_guard_certificate_stale",
    "gauge",
    "1 while newer certificate files cannot be used and the last good ones are presented.",
)
CA_EXPIRY: Final = Metric(
    "endpoints_guard_ca_expiry_timestamp_seconds",
    "gauge",
    "With `--self-managed-certs`: when the CA ends that signs now.",
)
ROTATION_FAILURES: Final = Metric(
    "endpoints_guard_rotation_failures_total",
    "counter",
    "With `--self-managed-certs`: rounds of the rotation that failed, a conflict of replicas or an "
    "API server that is away included; it tries again within seconds.",
)
POLICY_STALE: Final = Metric(
    "endpoints_guard_policy_stale",
    "gauge",
    "1 while the policy file cannot be used and its last good version is in force.",
)
POLICY_LOADS: Final = Metric(
    "endpoints_guard_policy_loads_total", "counter", "Times the policy file was read.", _RESULT
)
POLICY_LOADED: Final = Metric(
    "endpoints_guard_policy_last_success_timestamp_seconds",
    "gauge",
    "When the policy in force was loaded.",
)
AUDIT_FINDINGS: Final = Metric(
    "endpoints_guard_audit_findings",
    "gauge",
    "What an audit with --watch finds wrong now.",
    {"rule": tuple(RULES), "action": tuple(a for a in Action if a is not Action.OFF)},
)
AUDIT_SUSPECTS: Final = Metric(
    "endpoints_guard_audit_unconfirmed_findings",
    "gauge",
    "Findings that have not lasted long enough to be told, or cannot be confirmed.",
)
AUDIT_JUDGED: Final = Metric(
    "endpoints_guard_audit_objects_judged_total",
    "counter",
    "Objects judged by the audit, each as often as it was.",
)
AUDIT_FULL_RUNS: Final = Metric(
    "endpoints_guard_audit_full_runs_total",
    "counter",
    "Times that everything was judged: at the start, and when the policy has changed.",
)
AUDIT_LAST_RUN: Final = Metric(
    "endpoints_guard_audit_last_run_timestamp_seconds",
    "gauge",
    "When the audit last judged something; 0 if never. In a quiet cluster that may be long ago.",
)
AUDIT_DURATION: Final = Metric(
    "endpoints_guard_audit_last_run_duration_seconds",
    "gauge",
    "Time that it took then, second looks included.",
)
BUILD_INFO: Final = Metric(
    "endpoints_guard_build_info",
    "gauge",
    "Always 1; the labels say what runs.",
    {"version": (), "python_version": ()},
)

METRICS: Final = tuple(value for value in tuple(globals().values()) if isinstance(value, Metric))
"""All of them, in the order above."""
INFORMER_METRICS: Final = tuple(metric for metric in METRICS if metric.labels is _INFORMERS)
AUDIT_METRICS: Final = tuple(m for m in METRICS if m.name.startswith("endpoints_guard_audit_"))
"""Of `audit --watch` only."""


def as_markdown() -> str:
    """docs/metrics.md."""
    rows = (
        f"| `{metric.name}` | {metric.type} | {_labels(metric)} | {metric.meaning} |"
        for metric in METRICS
    )
    return "\n".join((*_HEAD, *rows, ""))


_HEAD: Final = (
    "# Metrics",
    "",
    "Made by `make docs` from `webhook/telemetry/catalogue.py`: edit that, not this.",
    "",
    "`serve` exports them at `/metrics` of its plain port, and `audit --watch` those of informers,",
    "policy and audit, together with the `process_` metrics that Prometheus clients usually have.",
    "Whatever callers send, a label has no value but these.",
    "",
    "| metric | type | labels | what it says |",
    "| --- | --- | --- | --- |",
)


def _labels(metric: Metric) -> str:
    return "; ".join(f"`{name}`{_values(values)}" for name, values in metric.labels.items())


def _values(values: tuple[str, ...]) -> str:
    if not values:
        return ""
    if len(values) > 8:
        return f": {values[0]} to {values[-1]}"
    return f": {', '.join(values)}"
