"""CustomResourceDefinitions of the two report APIs, as far as their published shapes go.

Written for the tests, with structural schemas that refuse what the real ones would: unknown fields
are pruned from ordinary writes, and an error for an apply.
"""

from tests.e2e.api import Json

_STRING: Json = {"type": "string"}
_INTEGER: Json = {"type": "integer"}
_RESULT: Json = {
    "type": "object",
    "required": ["policy"],
    "properties": {
        "source": _STRING,
        "policy": _STRING,
        "rule": _STRING,
        "category": _STRING,
        "severity": {"enum": ["critical", "high", "medium", "low", "info"], **_STRING},
        "timestamp": {
            "type": "object",
            "required": ["seconds", "nanos"],
            "properties": {
                "seconds": {"format": "int64", **_INTEGER},
                "nanos": {"format": "int32", **_INTEGER},
            },
        },
        "result": {"enum": ["pass", "fail", "warn", "error", "skip"], **_STRING},
        "scored": {"type": "boolean"},
        "resources": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": dict.fromkeys(
                    ("apiVersion", "kind", "name", "namespace", "uid"), _STRING
                ),
            },
        },
        "message": _STRING,
        "properties": {"type": "object", "additionalProperties": _STRING},
    },
}
_SCHEMA: Json = {
    "type": "object",
    "properties": {
        "apiVersion": _STRING,
        "kind": _STRING,
        "metadata": {"type": "object"},
        "summary": {
            "type": "object",
            "properties": dict.fromkeys(("pass", "fail", "warn", "error", "skip"), _INTEGER),
        },
        "results": {"type": "array", "items": _RESULT},
    },
}


def _definition(group: str, version: str, kind: str, scope: str) -> Json:
    plural = f"{kind.lower()}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _SCHEMA},
                }
            ],
        },
    }


OPEN_REPORTS = [
    _definition("openreports.io", "v1alpha1", "Report", "Namespaced"),
    _definition("openreports.io", "v1alpha1", "ClusterReport", "Cluster"),
]
POLICY_REPORTS = [
    _definition("wgpolicyk8s.io", "v1alpha2", "PolicyReport", "Namespaced"),
    _definition("wgpolicyk8s.io", "v1alpha2", "ClusterPolicyReport", "Cluster"),
]
