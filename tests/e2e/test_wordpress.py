"""The example of the documentation in a real cluster: the demo's writes, the demo's verdicts."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.api import Api, Json
from tests.e2e.cluster import Namespace, entries, eventually, stripped
from tests.e2e.controlplane import ControlPlane
from tests.e2e.webhook_process import WebhookProcess, writer
from webhook.cli.demo import Write, writes
from webhook.core.example_cluster import CLUSTER

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, slots=True, kw_only=True)
class WordPress:
    """The example, deployed; the API server chose the uids."""

    plane: ControlPlane
    alice: Path
    """A kubeconfig."""
    uids: dict[str, str]
    """From the uids of the documentation."""

    def manifest(self, write: Write) -> str:
        text = json.dumps(stripped(write.manifest))
        for documented, real in self.uids.items():
            text = text.replace(documented, real)
        return text


@pytest.fixture(scope="module")
def wordpress(plane: ControlPlane, admin: Api, webhook: WebhookProcess) -> Iterator[WordPress]:
    namespaces = {name: Namespace(admin, name, "default") for name in ("wordpress-ns", "tenant-b")}
    uids: dict[str, str] = {}
    nodes = []
    for given in yaml.safe_load_all(CLUSTER):
        name, documented = given["metadata"]["name"], given["metadata"].pop("uid", "")
        if given["kind"] == "Node":
            admin.create({"apiVersion": "v1", **given}).must()
            admin.patch("Node", "", name, {"status": given["status"]}, subresource="status").must()
            nodes.append(name)
            continue
        namespace = namespaces[given["metadata"]["namespace"]]
        stored = deploy(namespace, {"apiVersion": "v1", **given})
        if documented:
            uids[documented] = stored["metadata"]["uid"]
    eventually(lambda: len(entries(namespaces["wordpress-ns"].published("wordpress")[0])) == 2)
    yield WordPress(plane=plane, alice=writer(plane, admin, "alice"), uids=uids)
    for name in nodes:
        admin.delete("Node", "", name).must()


def deploy(namespace: Namespace, given: Json) -> Json:
    """As documented, but for what a cluster chooses by itself."""
    if given["kind"] == "Service":
        given["spec"].pop("clusterIP")
        return namespace.create(given)
    for container in given["spec"]["containers"]:
        container["image"] = container["name"]
    ips = [entry["ip"] for entry in given.pop("status")["podIPs"]]
    return namespace.run(given, *ips)


@pytest.mark.parametrize("write", writes(), ids=lambda write: write.title)
def test_a_write_of_the_demo(wordpress: WordPress, write: Write) -> None:
    done = wordpress.plane.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"),
        stdin=wordpress.manifest(write),
        kubeconfig=wordpress.alice,
        check=False,
    )
    assert (done.returncode == 0) is write.allowed, done.stderr


def test_the_documented_endpoints_are_what_the_control_plane_writes(wordpress: WordPress) -> None:
    documented: dict[str, Any] = json.loads(wordpress.manifest(writes()[0]))
    stored = wordpress.plane.kubectl(
        *("get", "endpoints", "wordpress", "-n", "wordpress-ns", "-o", "json")
    )
    [real], [told] = (given["subsets"] for given in (json.loads(stored.stdout), documented))
    for address in told["addresses"]:
        del address["targetRef"]["resourceVersion"]  # no longer written
    assert real == told
