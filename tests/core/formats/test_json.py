"""The JSON that other programs rely on."""

import json

from tests.core.formats.samples import CHECK, EMPTY, FIELD, REPORT
from webhook.core.formats.json_document import render


def test_json_is_a_contract() -> None:
    """Fields may be added under a new version only with care; none of these may go."""
    assert json.loads(render(REPORT, CHECK)) == {
        "version": 1,
        "objects": [
            {
                "kind": "Endpoints",
                "namespace": "shop",
                "name": "web",
                "verdict": "deny",
                "findings": [
                    {
                        "rule": "EG201",
                        "slug": "pod-not-selected",
                        "action": "deny",
                        "field": FIELD,
                        "message": "10.0.7.8 is no Pod of yours",
                        "detail": "a detail",
                    },
                    {
                        "rule": "EG101",
                        "slug": "no-service",
                        "action": "warn",
                        "field": "metadata.name",
                        "message": "there is no Service",
                        "detail": "",
                    },
                ],
            },
            {
                "kind": "Endpoints",
                "namespace": "shop",
                "name": "old",
                "verdict": "warn",
                "findings": [
                    {
                        "rule": "EG505",
                        "slug": "special-address",
                        "action": "warn",
                        "field": FIELD,
                        "message": "127.0.0.1 is special",
                        "detail": "",
                    }
                ],
            },
            {
                "kind": "EndpointSlice",
                "namespace": "shop",
                "name": "fine-abcde",
                "verdict": "allow",
                "findings": [],
            },
            {
                "kind": "Endpoints",
                "namespace": "shop",
                "name": "noted",
                "verdict": "allow",
                "findings": [
                    {
                        "rule": "EG102",
                        "slug": "external-name-service",
                        "action": "audit",
                        "field": "endpoints",
                        "message": "an alias",
                        "detail": "",
                    }
                ],
            },
        ],
        "unreadable": [
            {
                "place": "a.yaml, document 2",
                "field": "spec.ports[0].port",
                "reason": "Expected `int`",
            },
            {"place": "b.yaml", "field": "", "reason": "Permission denied"},
        ],
        "summary": {
            "objects": 4,
            "denied": 1,
            "warned": 1,
            "findings": {"EG101": 1, "EG102": 1, "EG201": 1, "EG505": 1},
            "unreadable": 2,
        },
    }


def test_json_of_nothing() -> None:
    assert json.loads(render(EMPTY, CHECK)) == {
        "version": 1,
        "objects": [],
        "unreadable": [],
        "summary": {"objects": 0, "denied": 0, "warned": 0, "findings": {}, "unreadable": 0},
    }
