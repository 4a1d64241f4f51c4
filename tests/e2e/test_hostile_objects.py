"""Objects as strange as a real API server stores them: they hold up nobody, and hide nothing."""

import json

import pytest

from tests.e2e.api import Api, Json, path
from tests.e2e.cluster import (
    NewNamespace,
    eventually,
    knows_foreign,
    pod,
    pod_address,
    slice_by_hand,
)
from tests.e2e.controlplane import ControlPlane
from tests.e2e.webhook_process import WebhookProcess, webhook_kubeconfig, writer

pytestmark = pytest.mark.e2e

WEB = {"app": "web"}
_LEVELS = 9_900
"""The API server's own decoder ends at 10,000."""


def nested(given: Json) -> str:
    """The object with managedFields that are nested as deep as that."""
    entry = {"manager": "m", "operation": "Update", "apiVersion": given["apiVersion"]}
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": "DEEP", "time": "2026-01-01T00:00:00Z"}
    metadata = {**given["metadata"], "managedFields": [entry]}
    deep = '{"f:a":' * _LEVELS + "{}" + "}" * _LEVELS
    return json.dumps({**given, "metadata": metadata}).replace('"DEEP"', deep)


def test_an_object_that_is_nested_very_deep_stops_nothing(
    plane: ControlPlane, admin: Api, webhook: WebhookProcess, new_namespace: NewNamespace
) -> None:
    namespace, rival = new_namespace("default"), new_namespace()
    web = namespace.run(pod("web-0", labels=WEB))
    pods, slices = path("Pod", namespace.name), path("EndpointSlice", namespace.name)
    deep = nested(namespace.placed(pod("deep", labels=WEB)))
    plane.kubectl("create", "--raw", pods, "-f", "-", stdin=deep)
    try:
        # One that runs still hears what happens, and one that starts gets its first list.
        foreign = rival.run(pod("vault-0", labels=WEB))
        eventually(lambda: knows_foreign(namespace, foreign))
        with WebhookProcess.running(webhook_kubeconfig(plane, admin)) as process:
            lines = webhook.get("/readyz")[1] + process.get("/readyz")[1]
        assert not {"behind", "left out"} & set(lines.split())
    finally:
        plane.kubectl("delete", "--raw", f"{pods}/deep?gracePeriodSeconds=0")

    # And what is written is judged, however deep it is.
    bad = slice_by_hand(namespace, pod_address(web, ip=foreign["status"]["podIP"]))
    create = ("create", "--raw", slices, "-f", "-")
    alice = writer(plane, admin, "alice")
    done = plane.kubectl(*create, stdin=nested(bad), kubeconfig=alice, check=False)
    assert done.returncode
    assert "EG501" in done.stderr
