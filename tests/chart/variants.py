"""Values with which the chart is rendered and shown to an API server; and kinds of others."""

from pathlib import Path
from typing import Any, Final

import yaml

from tests.chart.helm import CHART

Json = dict[str, Any]

_BUNDLE: Final = (Path(__file__).parent / "ca.crt").read_text(encoding="utf-8")

VARIANTS: Final[dict[str, Json]] = {
    "default": {},
    **{
        file.stem: yaml.safe_load(file.read_text(encoding="utf-8"))
        for file in sorted((CHART / "ci").glob("*-values.yaml"))
    },
    "given Secret": {"certificates": {"mode": "secret", "secretName": "mine", "caBundle": _BUNDLE}},
    "issuer of its own": {"certificates": {"mode": "certManager"}},
    "no rights": {"rbac": {"create": False}, "serviceAccount": {"create": False}},
    "open": {"webhook": {"failurePolicy": "Ignore"}, "fallbackPolicy": {"enabled": True}},
    "at once": {"activation": {"enabled": False}},
    "one replica": {"replicas": 1},
    "PodMonitor": {
        "podMonitor": {"enabled": True, "interval": "1m", "scrapeTimeout": "5s"},
        "prometheusRule": {"enabled": True},
    },
    "by digest": {"image": {"digest": f"sha256:{'0' * 64}"}},
}


def _crd(group: str, version: str, kind: str, plural: str, spec: Json) -> Json:
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": spec}},
        "required": ["spec"],
    }
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [served],
        },
    }


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


_TEXT: Final[Json] = {"type": "string"}
_LABELS: Final[Json] = {"type": "object", "additionalProperties": _TEXT}
_RELABELING: Final = _object(
    targetLabel=_TEXT, replacement=_TEXT, action=_TEXT, regex=_TEXT, sourceLabels=_list(_TEXT)
)
_SCRAPED: Final = _object(
    port=_TEXT,
    path=_TEXT,
    interval=_TEXT,
    scrapeTimeout=_TEXT,
    relabelings=_list(_RELABELING),
    metricRelabelings=_list(_RELABELING),
)
_ISSUER_REF: Final = _object(name=_TEXT, kind=_TEXT, group=_TEXT)
_RULE: Final = _object(alert=_TEXT, expr=_TEXT, labels=_LABELS, annotations=_LABELS) | {
    "required": ["expr"]
}
_RULE["properties"]["for"] = _TEXT

CRDS: Final = (
    _crd(
        "monitoring.coreos.com",
        "v1",
        "ServiceMonitor",
        "servicemonitors",
        {
            "selector": _object(matchLabels=_LABELS),
            "endpoints": _list(_SCRAPED),
        },
    ),
    _crd(
        "monitoring.coreos.com",
        "v1",
        "PodMonitor",
        "podmonitors",
        {
            "selector": _object(
                matchLabels=_LABELS,
                matchExpressions=_list(_object(key=_TEXT, operator=_TEXT, values=_list(_TEXT))),
            ),
            "podMetricsEndpoints": _list(_SCRAPED),
        },
    ),
    _crd(
        "monitoring.coreos.com",
        "v1",
        "PrometheusRule",
        "prometheusrules",
        {"groups": _list(_object(name=_TEXT, rules=_list(_RULE)))},
    ),
    _crd(
        "cert-manager.io",
        "v1",
        "Certificate",
        "certificates",
        {
            "isCA": {"type": "boolean"},
            "commonName": _TEXT,
            "secretName": _TEXT,
            "duration": _TEXT,
            "renewBefore": _TEXT,
            "usages": _list(_TEXT),
            "dnsNames": _list(_TEXT),
            "issuerRef": _ISSUER_REF,
            "privateKey": _object(algorithm=_TEXT, size={"type": "integer"}, rotationPolicy=_TEXT),
        },
    ),
    _crd(
        "cert-manager.io",
        "v1",
        "Issuer",
        "issuers",
        {"selfSigned": _object(), "ca": _object(secretName=_TEXT)},
    ),
)
"""Of the fields that the chart uses, so that a misspelt one is found."""
