"""Findings as report objects in the cluster: PolicyReport, or the OpenReports that follow it.

There is one for each namespace in which something was found, and one for what belongs to the whole
cluster. Whoever may view a namespace may read its report. So a namespaced report has a finding's
message, which is fit for the writer of the object, and never its detail, which may name others.

Source of the shapes: wgpolicyk8s.io/v1alpha2 and openreports.io/v1alpha1, of which only what both
have is used.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from msgspec import Struct, json

from webhook.core.decision import Finding, Verdict
from webhook.core.fingerprint import identity
from webhook.core.objects import ObjectRef
from webhook.core.report import Judged, Report
from webhook.core.rule import Action
from webhook.core.text import one_line

NAME: Final = "endpoints-guard"
"""Of every report that is ours."""
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
DIGEST: Final = "endpoints-guard.io/digest"
"""An annotation: what the report says, without the time. Equal: there is nothing to write."""
MOST_RESULTS: Final = 1000
"""In one report."""
MOST_BYTES: Final = 1_200_000
"""Of its results: etcd stores no more than 1.5 MiB of one object. The APIs set no limit."""
_LONGEST: Final = 1000
"""Characters of a message or a field. A command is never cut."""
_TIMESTAMP: Final = 60
"""Bytes that the time adds to a result."""
_RESULTS: Final = {Action.DENY: "fail", Action.WARN: "warn", Action.AUDIT: "warn"}
_SEVERITIES: Final = {Action.DENY: "high", Action.WARN: "medium", Action.AUDIT: "low"}
_API_VERSIONS: Final = {
    "EndpointSlice": "discovery.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
}
"""Of the kinds with findings that are not of v1."""


class ReportApi(Struct, frozen=True, kw_only=True):
    """One of the two API groups."""

    name: str
    """As flags name it."""
    group_version: str
    kind: str
    cluster_kind: str
    resource: str
    cluster_resource: str

    @property
    def path(self) -> str:
        """The collection of the namespaced reports."""
        return f"/apis/{self.group_version}/{self.resource}"

    @property
    def cluster_path(self) -> str:
        """The collection of those for a whole cluster."""
        return f"/apis/{self.group_version}/{self.cluster_resource}"


OPEN_REPORTS: Final = ReportApi(
    name="openreports",
    group_version="openreports.io/v1alpha1",
    kind="Report",
    cluster_kind="ClusterReport",
    resource="reports",
    cluster_resource="clusterreports",
)
POLICY_REPORTS: Final = ReportApi(
    name="wgpolicyk8s",
    group_version="wgpolicyk8s.io/v1alpha2",
    kind="PolicyReport",
    cluster_kind="ClusterPolicyReport",
    resource="policyreports",
    cluster_resource="clusterpolicyreports",
)
REPORT_APIS: Final = (OPEN_REPORTS, POLICY_REPORTS)
"""The one that replaces the other comes first."""


def report_objects(report: Report, api: ReportApi, seconds: int) -> Mapping[str, dict[str, Any]]:
    """The objects by namespace, the cluster's under the empty one. `seconds` since 1970: now."""
    by_namespace: dict[str, list[Judged]] = {}
    for judged in report.objects:
        by_namespace.setdefault(judged.ref.namespace, []).append(judged)
    return {
        namespace: _object(namespace, objects, api, seconds)
        for namespace, objects in by_namespace.items()
        if any(judged.findings for judged in objects)
    }


def _object(
    namespace: str, objects: Sequence[Judged], api: ReportApi, seconds: int
) -> dict[str, Any]:
    found = [(judged, finding) for judged in objects for finding in judged.findings]
    found.sort(key=lambda pair: (-pair[1].action.severity, identity(*pair)))
    results = _results(found, namespace)
    summary = _summary(objects, found, results)
    digest = sha256(json.encode((results, summary))).hexdigest()
    timestamp = {"seconds": seconds, "nanos": 0}
    return {
        "apiVersion": api.group_version,
        "kind": api.kind if namespace else api.cluster_kind,
        "metadata": {
            "name": NAME,
            **({"namespace": namespace} if namespace else {}),
            "labels": {MANAGED_BY: NAME},
            "annotations": {DIGEST: digest},
        },
        "summary": summary,
        "results": [{**result, "timestamp": timestamp} for result in results],
    }


def _summary(
    objects: Iterable[Judged],
    found: Iterable[tuple[Judged, Finding]],
    results: Iterable[Mapping[str, Any]],
) -> dict[str, int]:
    """Every finding counts, listed or not; what passes is an object."""
    outcomes = [_RESULTS[finding.action] for _, finding in found]
    return {
        "pass": sum(judged.verdict is Verdict.ALLOW and not judged.findings for judged in objects),
        "fail": outcomes.count("fail"),
        "warn": outcomes.count("warn"),
        "error": 0,
        "skip": sum(result["result"] == "skip" for result in results),
    }


def _results(found: Sequence[tuple[Judged, Finding]], namespace: str) -> list[dict[str, Any]]:
    results = list(_fitting(found, namespace))
    if len(results) == len(found):
        return results
    del results[MOST_RESULTS - 1 :]
    left = len(found) - len(results)
    skipped = {
        "source": NAME,
        "policy": NAME,
        "result": "skip",
        "scored": False,
        "message": f"{left} more findings are not listed here: see `endpoints-guard audit`",
    }
    return [*results, skipped]


def _fitting(found: Sequence[tuple[Judged, Finding]], namespace: str) -> Iterator[dict[str, Any]]:
    room = MOST_BYTES
    for judged, finding in found[:MOST_RESULTS]:
        result = _result(judged, finding, namespace)
        room -= len(json.encode(result)) + _TIMESTAMP
        if room < 0:
            return
        yield result


def _result(judged: Judged, finding: Finding, namespace: str) -> dict[str, Any]:
    rule, violation = finding.rule, finding.violation
    detail = f" ({violation.detail})" if violation.detail and not namespace else ""
    return {
        "source": NAME,
        "policy": rule.code,
        "rule": rule.slug,
        "category": "Services and their endpoints",
        "severity": _SEVERITIES[finding.action],
        "result": _RESULTS[finding.action],
        "scored": finding.action is Action.DENY,
        "resources": [_reference(judged.ref)],
        "message": one_line(violation.message + detail, _LONGEST),
        "properties": {
            "field": one_line(violation.field, _LONGEST),
            "fingerprint": identity(judged, finding).fingerprint,
            "remedy": rule.remedy,
            **({"command": violation.command} if violation.command else {}),
        },
    }


def _reference(ref: ObjectRef) -> dict[str, str]:
    reference = {
        "apiVersion": _API_VERSIONS.get(ref.kind, "v1"),
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
    }
    return {key: value for key, value in reference.items() if value}
