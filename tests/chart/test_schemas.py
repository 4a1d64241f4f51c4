"""Each manifest of each rendering against Kubernetes' own schemas, of the oldest and the newest
version that the chart is for. Strictly: a field that a schema does not know is an error.

What the API server itself says of them is in tests/e2e/test_chart.py.
"""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate
import pytest

from tests.chart.helm import MAJORS, Helm, Json
from tests.chart.variants import CRDS, VARIANTS

KUBERNETES: Final = ("1.30", "1.37")


def _closed(schema: Json) -> Json:
    """The schema of a custom resource, with which no other field may be there."""
    inner = {key: _closed(value) for key, value in schema.get("properties", {}).items()}
    closed: Json = {**schema, "properties": inner} if inner else dict(schema)
    if inner:
        closed["additionalProperties"] = False
    if "items" in schema:
        closed["items"] = _closed(schema["items"])
    return closed


def _custom() -> dict[tuple[str, str], Json]:
    found = {}
    for crd in CRDS:
        spec = crd["spec"]
        (version,) = spec["versions"]
        schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = _closed(schema)
    return found


CUSTOM: Final = _custom()


@cache
def rendered(major: str, variant: str) -> tuple[Json, ...]:
    with tempfile.TemporaryDirectory() as home:
        return tuple(Helm(major, Path(home)).rendered(VARIANTS[variant]))


def problem(manifest: Json, version: str) -> str:
    """What a schema says against it; empty if nothing."""
    custom = CUSTOM.get((manifest["apiVersion"], manifest["kind"]))
    try:
        if custom is not None:
            jsonschema.validate(manifest["spec"], custom)
        else:
            kubernetes_validate.validate(manifest, version, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        return f"{manifest['kind']} {manifest['metadata']['name']}: {error.message}"
    return ""


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("major", MAJORS)
def test_every_manifest_is_what_its_kind_should_be(major: str, variant: str, version: str) -> None:
    manifests = rendered(major, variant)
    assert manifests
    assert [text for manifest in manifests if (text := problem(manifest, version))] == []


def _put(inside: Any, path: str, value: Any) -> Any:
    """A copy in which the field at `path` has this value; in lists, of the first item."""
    first, _, rest = path.partition(".")
    if isinstance(inside, list):
        return [_put(inside[0], rest, value), *inside[1:]]
    return {**inside, first: _put(inside[first], rest, value) if rest else value}


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("ValidatingWebhookConfiguration", "webhooks.0.failurePolicyy", "Fail"),
        ("Deployment", "spec.replicas", "two"),
        ("Deployment", "spec.template.spec.containers.0.redinessProbe", {}),
        ("PodDisruptionBudget", "spec.maxUnavailible", 1),
        ("ServiceMonitor", "spec.endpoint", []),
        ("PrometheusRule", "spec.groups.0.rule", []),
    ],
)
def test_a_slip_of_the_pen_would_be_found(kind: str, path: str, value: Any) -> None:
    (manifest,) = (m for m in rendered("v4", "everything-values") if m["kind"] == kind)
    for version in KUBERNETES:
        assert not problem(manifest, version)
        assert problem(_put(manifest, path, value), version)
