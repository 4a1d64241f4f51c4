"""Findings as report objects: one for each namespace, fit for whoever may view it, and bounded."""

from typing import Any

import pytest
from msgspec import json
from msgspec.structs import replace

from tests.builders import (
    cluster_role,
    cluster_role_binding,
    endpoint_slice,
    external_endpoint,
    manual_service,
    pod,
    policy_rule,
    role_binding,
    service_account,
    state,
    user,
)
from webhook.core.audit import audit
from webhook.core.policy import Policy
from webhook.core.policy_reports import (
    DIGEST,
    MOST_RESULTS,
    OPEN_REPORTS,
    POLICY_REPORTS,
    ReportApi,
    report_objects,
)
from webhook.core.report import Report
from webhook.core.rules import RULES

VAULT = pod("vault-0", namespace="rival", ip="10.0.7.8")
FOREIGN = external_endpoint("10.0.7.8")
METADATA = external_endpoint("169.254.169.254")


def reported(*endpoints: Any, namespace: str = "shop", rules: set[str] | None = None) -> Report:
    inventory = state(
        VAULT,
        manual_service("db", namespace=namespace),
        endpoint_slice(*endpoints, name="db-1", of_service="db", namespace=namespace),
    )
    return Report(objects=tuple(audit(inventory, Policy(), rules=rules or {"EG501", "EG505"})))


def written(report: Report, api: ReportApi = OPEN_REPORTS) -> Any:
    return report_objects(report, api, 1_700_000_000)


def test_a_namespace_with_a_finding_gets_a_report() -> None:
    body = written(reported(FOREIGN))["shop"]
    digest = body["metadata"]["annotations"].pop(DIGEST)
    fingerprint = body["results"][0]["properties"].pop("fingerprint")
    assert len(digest) == len(fingerprint) == 64
    assert body == {
        "apiVersion": "openreports.io/v1alpha1",
        "kind": "Report",
        "metadata": {
            "name": "endpoints-guard",
            "namespace": "shop",
            "labels": {"app.kubernetes.io/managed-by": "endpoints-guard"},
            "annotations": {},
        },
        "summary": {"pass": 0, "fail": 1, "warn": 0, "error": 0, "skip": 0},
        "results": [
            {
                "source": "endpoints-guard",
                "policy": "EG501",
                "rule": "foreign-pod",
                "category": "Services and their endpoints",
                "severity": "high",
                "result": "fail",
                "scored": True,
                "resources": [
                    {
                        "apiVersion": "discovery.k8s.io/v1",
                        "kind": "EndpointSlice",
                        "namespace": "shop",
                        "name": "db-1",
                    }
                ],
                "message": "10.0.7.8 belongs to a Pod of another namespace",
                "properties": {
                    "field": "endpoints[0].addresses[0]",
                    "remedy": RULES["EG501"].remedy,
                },
                "timestamp": {"seconds": 1_700_000_000, "nanos": 0},
            }
        ],
    }


@pytest.mark.parametrize(
    ("api", "kind", "group"),
    [
        (OPEN_REPORTS, "Report", "openreports.io/v1alpha1"),
        (POLICY_REPORTS, "PolicyReport", "wgpolicyk8s.io/v1alpha2"),
    ],
)
def test_both_apis_get_the_same_under_their_own_name(api: ReportApi, kind: str, group: str) -> None:
    body = written(reported(METADATA), api)["shop"]
    assert (body["kind"], body["apiVersion"]) == (kind, group)
    same = written(reported(METADATA), OPEN_REPORTS)["shop"]
    assert (body["results"], body["summary"]) == (same["results"], same["summary"])


def test_a_namespace_without_a_finding_gets_none() -> None:
    assert written(reported(external_endpoint("198.51.100.7"))) == {}


def test_whoever_views_a_namespace_learns_nothing_of_others() -> None:
    report = reported(FOREIGN)
    assert "rival" in report.objects[0].findings[0].violation.detail
    assert "rival" not in str(written(report))


def test_what_belongs_to_the_whole_cluster_has_a_report_of_its_own_with_the_details() -> None:
    report = reported(FOREIGN, namespace="")
    body = written(report)[""]
    assert body["kind"] == "ClusterReport"
    assert "namespace" not in body["metadata"]
    assert "Pod rival/vault-0" in body["results"][0]["message"]
    assert "namespace" not in body["results"][0]["resources"][0]


def test_the_digest_tells_what_is_said_and_not_when() -> None:
    now = written(reported(FOREIGN))["shop"]
    later = report_objects(reported(FOREIGN), OPEN_REPORTS, 1_800_000_000)["shop"]
    other = written(reported(FOREIGN, METADATA))["shop"]
    assert now != later
    assert _digest(now) == _digest(later) != _digest(other)


def _digest(body: Any) -> str:
    return str(body["metadata"]["annotations"][DIGEST])


def test_a_long_report_is_cut_the_worst_first_and_says_so() -> None:
    many = [external_endpoint(f"127.0.{n // 250}.{n % 250 + 1}") for n in range(MOST_RESULTS)]
    exactly = written(reported(*many))["shop"]
    assert len(exactly["results"]) == MOST_RESULTS
    assert exactly["summary"]["skip"] == 0

    more = written(reported(*many, FOREIGN, rules={"EG501", "EG505", "EG202"}))["shop"]
    assert len(more["results"]) == MOST_RESULTS
    assert more["summary"] == {"pass": 0, "fail": MOST_RESULTS + 1, "warn": 0} | {
        "error": 0,
        "skip": 1,
    }
    assert more["results"][-1]["result"] == "skip"
    assert more["results"][-1]["message"].startswith("2 more findings are not listed here")
    assert len(str(more)) < 1_500_000


def test_a_report_stays_within_what_is_stored_however_long_its_messages_are() -> None:
    """By bytes, which a character may have several of."""
    (judged,) = reported(METADATA).objects
    (finding,) = judged.findings
    said = replace(finding.violation, message="\u6f22" * 900, command="kubectl " + "x" * 1400)
    long = Report(objects=(replace(judged, findings=(replace(finding, violation=said),) * 900),))
    body = written(long)["shop"]
    assert 1_000_000 < len(json.encode(body)) < 1_500_000
    assert body["summary"]["fail"] == 900
    assert body["summary"]["skip"] == 1
    left = 900 - (len(body["results"]) - 1)
    assert body["results"][-1]["message"].startswith(f"{left} more findings")


def test_what_can_be_mended_by_a_command_says_by_which() -> None:
    inventory = state(
        cluster_role("writer", policy_rule()),
        cluster_role_binding("writers", "writer", user()),
        role_binding("writers", "writer", service_account(), kind="ClusterRole"),
    )
    report = Report(objects=tuple(audit(inventory, Policy())))
    for namespace in ("", "shop"):
        (result,) = written(report)[namespace]["results"]
        (finding,) = (f for j in report.objects if j.ref.namespace == namespace for f in j.findings)
        assert result["properties"]["command"] == finding.violation.command
        assert result["properties"]["command"].startswith("kubectl ")
