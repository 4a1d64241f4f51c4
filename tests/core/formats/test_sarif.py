"""SARIF as GitHub reads it. `make reports` holds it against the published schema, too."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.core.formats.samples import (
    AUDIT,
    AUDITED,
    CHECK,
    DENIED,
    EMPTY,
    FIELD,
    FROM_FILE,
    HOSTILE,
    REPORT,
    found,
    hostile,
)
from webhook.core.decision import Verdict
from webhook.core.fingerprint import identity
from webhook.core.formats.sarif import render
from webhook.core.objects import ObjectRef
from webhook.core.report import Judged, Origin, Report
from webhook.core.rules import RULES


def run_of(report: Report) -> dict[str, Any]:
    document = json.loads(render(report, CHECK))
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    assert isinstance(run, dict)
    return run


def results(*judged: Judged) -> Sequence[Any]:
    found_there: Sequence[Any] = run_of(Report(objects=judged))["results"]
    return found_there


WEB = ObjectRef("Endpoints", "shop", "web")


def test_every_rule_is_described_with_a_page_to_read() -> None:
    rules = run_of(EMPTY)["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(RULES)
    eg501 = next(rule for rule in rules if rule["id"] == "EG501")
    rationale = RULES["EG501"].rationale.strip()
    page = "https://github.com/endpoints-guard/endpoints-guard/blob/main/docs/rules.md#eg501"
    assert eg501 == {
        "id": "EG501",
        "name": "ForeignPod",
        "shortDescription": {"text": "No Pod of another namespace"},
        "fullDescription": {"text": rationale[:1024]},
        "help": {
            "text": f"{rationale}\n\n{RULES['EG501'].remedy}",
            "markdown": f"{rationale}\n\n**Remedy:** {RULES['EG501'].remedy}\n\n[More]({page})",
        },
        "helpUri": page,
        "defaultConfiguration": {"level": "error"},
        "properties": {
            "tags": ["security", "kubernetes"],
            "precision": "high",
            "security-severity": "7.5",
        },
    }


def test_a_result_says_where_and_what_and_stays_the_same_one() -> None:
    first, second = run_of(FROM_FILE)["results"]
    fingerprint = identity(FROM_FILE.objects[0], DENIED).fingerprint
    line_hash = first["partialFingerprints"].pop("primaryLocationLineHash")
    assert first == {
        "ruleId": "EG201",
        "ruleIndex": list(RULES).index("EG201"),
        "level": "error",
        "message": {
            "text": f"Endpoints shop/web {FIELD}: 10.0.7.8 is no Pod of yours (a detail). "
            + RULES["EG201"].remedy
        },
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "app/a%20b.yaml"},
                    "region": {"startLine": 19},
                },
                "logicalLocations": [
                    {"fullyQualifiedName": f"Endpoints shop/web {FIELD}", "kind": "resource"}
                ],
            }
        ],
        "fingerprints": {"endpoints-guard/v1": fingerprint},
        "partialFingerprints": {},
    }
    assert line_hash.endswith(":1")
    assert second["locations"][0]["physicalLocation"]["region"] == {"startLine": 12}


PLACES = {
    "./app/a.yaml": "app/a.yaml",
    "app\\a.yaml": "app/a.yaml",
    "/srv/a.yaml": "file:///srv/a.yaml",
    "ü?#.yaml": "%C3%BC%3F%23.yaml",
    "a:b.yaml": "a%3Ab.yaml",
    "standard input": "standard%20input",
}


@pytest.mark.parametrize(("file", "uri"), PLACES.items(), ids=PLACES)
def test_a_file_is_a_uri(file: str, uri: str) -> None:
    origin = Origin(file=file, line=3)
    (result,) = results(Judged(ref=WEB, verdict=Verdict.DENY, findings=(DENIED,), origin=origin))
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": uri}


OBJECTS = {
    ("", WEB): "cluster/shop/Endpoints/web.yaml",
    ("prod", WEB): "cluster/prod/shop/Endpoints/web.yaml",
    ("", ObjectRef("ClusterRoleBinding", "", "system:x/y")): (
        "cluster/ClusterRoleBinding/system%3Ax%2Fy.yaml"
    ),
}


@pytest.mark.parametrize(("cluster", "ref"), OBJECTS, ids=map(str, OBJECTS.values()))
def test_an_object_of_a_cluster_has_a_path_of_its_own(cluster: str, ref: ObjectRef) -> None:
    """Code scanning shows nothing without a file."""
    (result,) = results(found(ref, DENIED, cluster=cluster))
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": OBJECTS[cluster, ref]}
    assert place["region"] == {"startLine": 1}


def line_hashes(*judged: Judged) -> list[str]:
    return [each["partialFingerprints"]["primaryLocationLineHash"] for each in results(*judged)]


def test_each_alert_has_a_fingerprint_of_its_own() -> None:
    once = found(WEB, DENIED)
    elsewhere = found(WEB, DENIED, cluster="prod")
    hashes = line_hashes(once, once, elsewhere)
    assert len(set(hashes)) == 3
    assert hashes[0].partition(":")[0] == hashes[1].partition(":")[0]
    assert line_hashes(elsewhere, once) == [hashes[2], hashes[0]]


def test_a_run_that_read_everything_succeeded() -> None:
    assert run_of(FROM_FILE)["invocations"] == [
        {
            "executionSuccessful": True,
            "endTimeUtc": "2026-11-25T12:00:00Z",
            "toolExecutionNotifications": [],
        }
    ]


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (
            REPORT,
            ["a.yaml, document 2: spec.ports[0].port: Expected `int`", "b.yaml: Permission denied"],
        ),
        (AUDITED, ["Pods of lab: pods is forbidden", "EndpointSlices: timed out"]),
    ],
    ids=["files", "clusters"],
)
def test_what_could_not_be_read_is_told(report: Report, said: list[str]) -> None:
    (invocation,) = run_of(report)["invocations"]
    notes = invocation["toolExecutionNotifications"]
    assert not invocation["executionSuccessful"]
    assert [note["message"]["text"] for note in notes] == said


def test_the_gravest_come_first() -> None:
    """GitHub shows the first 5,000."""
    run = json.loads(render(AUDITED, AUDIT))["runs"][0]
    levels = [result["level"] for result in run["results"]]
    assert levels == ["error", "warning", "warning", "note", "note"]
    assert run["automationDetails"] == {"id": "endpoints-guard/audit/"}
    assert run["properties"] == {"objects": 5, "hidden": 3}


@pytest.mark.parametrize("text", [*HOSTILE.values(), "[x](http://evil.example)"])
def test_no_message_holds_a_link(text: str) -> None:
    """SARIF makes links of `[text](target)` even in plain messages."""
    for result in run_of(hostile(text))["results"]:
        assert "](" not in result["message"]["text"]
