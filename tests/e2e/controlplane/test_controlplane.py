"""The control plane of the end-to-end tests is what they take it for: real, and gone afterwards."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from . import ComponentError, ControlPlane, KubectlError

pytestmark = pytest.mark.e2e

CONTROLLERS = "system:serviceaccount:kube-system"
ROOT = Path(__file__).parents[3]

NODE: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}}
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
}
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web-0", "labels": {"app": "web"}},
    "spec": {
        "nodeName": "node-1",
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "web", "image": "web"}],
    },
}
POD_STATUS = {
    "phase": "Running",
    "podIP": "10.0.0.5",
    "podIPs": [{"ip": "10.0.0.5"}],
    "conditions": [{"type": "Ready", "status": "True"}],
}
MANUAL_SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "manual"},
    "spec": {"ports": [{"port": 80}]},
}
MANUAL: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Endpoints",
    "metadata": {"name": "manual"},
    "subsets": [{"addresses": [{"ip": "203.0.113.7"}], "ports": [{"port": 80}]}],
}


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with ControlPlane.start() as running:
        yield running


@pytest.fixture
def namespace(plane: ControlPlane, request: pytest.FixtureRequest) -> str:
    name = request.node.name.replace("_", "-")
    plane.kubectl("create", "namespace", name)
    return str(name)


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return met


def apply(plane: ControlPlane, namespace: str, *objects: dict[str, Any]) -> None:
    manifest = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(manifest))


def set_status(plane: ControlPlane, namespace: str, status: dict[str, Any]) -> None:
    patch = json.dumps({"status": status})
    plane.kubectl("patch", "pod/web-0", "-n", namespace, "--subresource=status", "-p", patch)


def items(plane: ControlPlane, namespace: str, kind: str, service: str) -> list[dict[str, Any]]:
    label = "kubernetes.io/service-name" if kind == "endpointslices" else "metadata.name"
    flag = "-l" if kind == "endpointslices" else "--field-selector"
    done = plane.kubectl("get", kind, "-n", namespace, flag, f"{label}={service}", "-o", "json")
    return list(json.loads(done.stdout)["items"])


def writers(plane: ControlPlane, namespace: str, kind: str) -> set[str]:
    """Return who wrote objects of this kind successfully, by the audit log."""
    return {
        event["user"]["username"]
        for event in plane.audit_events()
        if event["objectRef"]["resource"] == kind
        and event["objectRef"].get("namespace") == namespace
        and event["responseStatus"]["code"] < 300
    }


def test_the_controllers_write_as_themselves(plane: ControlPlane, namespace: str) -> None:
    apply(plane, namespace, NODE, SERVICE, POD, MANUAL_SERVICE, MANUAL)
    set_status(plane, namespace, POD_STATUS)

    def endpoints() -> list[Any]:
        return [
            s for e in items(plane, namespace, "endpoints", "web") for s in e.get("subsets", [])
        ]

    assert eventually(lambda: bool(endpoints()) and "addresses" in endpoints()[0])
    [subset] = endpoints()
    assert [(a["ip"], a["nodeName"], a["targetRef"]["name"]) for a in subset["addresses"]] == [
        ("10.0.0.5", "node-1", "web-0")
    ]
    assert [port["port"] for port in subset["ports"]] == [8080]
    assert writers(plane, namespace, "endpoints") == {
        "kubernetes-admin",
        f"{CONTROLLERS}:endpoint-controller",
    }


def test_slices_are_written_and_mirrored(plane: ControlPlane, namespace: str) -> None:
    apply(plane, namespace, NODE, SERVICE, POD, MANUAL_SERVICE, MANUAL)
    set_status(plane, namespace, POD_STATUS)

    def addresses(service: str) -> list[str]:
        slices = items(plane, namespace, "endpointslices", service)
        return [a for s in slices for e in s.get("endpoints") or [] for a in e["addresses"]]

    assert eventually(lambda: addresses("web") == ["10.0.0.5"])
    assert eventually(lambda: addresses("manual") == ["203.0.113.7"])
    assert writers(plane, namespace, "endpointslices") == {
        f"{CONTROLLERS}:endpointslice-controller",
        f"{CONTROLLERS}:endpointslicemirroring-controller",
    }


def test_a_pod_of_a_node_without_kubelet_stays_and_its_namespace_can_go(
    plane: ControlPlane,
) -> None:
    plane.kubectl("create", "namespace", "to-go")
    apply(plane, "to-go", NODE, POD)
    plane.kubectl("taint", "node", "node-1", "e2e=gone:NoExecute")
    time.sleep(2)
    plane.kubectl("get", "pod/web-0", "-n", "to-go")
    plane.kubectl("delete", "node", "node-1")
    plane.kubectl("delete", "namespace", "to-go", "--timeout=30s")


def test_users_and_groups_are_those_of_the_certificate(plane: ControlPlane) -> None:
    alice = plane.kubeconfig_for("alice", ("tenants",))
    done = plane.kubectl("auth", "whoami", "-o", "json", kubeconfig=alice)
    user = json.loads(done.stdout)["status"]["userInfo"]
    assert (user["username"], "tenants" in user["groups"]) == ("alice", True)
    with pytest.raises(KubectlError, match='User "alice" cannot list'):
        plane.kubectl("get", "endpoints", "-n", "default", kubeconfig=alice)


def test_services_can_have_both_families(plane: ControlPlane, namespace: str) -> None:
    spec = SERVICE["spec"] | {"ipFamilyPolicy": "RequireDualStack"}
    apply(plane, namespace, SERVICE | {"spec": spec})
    done = plane.kubectl("get", "service/web", "-n", namespace, "-o", "json")
    assert json.loads(done.stdout)["spec"]["ipFamilies"] == ["IPv4", "IPv6"]


def test_an_api_server_comes_back_with_its_data_on_its_port(
    plane: ControlPlane, namespace: str
) -> None:
    apply(plane, namespace, MANUAL)
    server, events = plane.server, len(plane.audit_events())
    for kill in (False, True):
        plane.stop_api_server(kill=kill)
        assert plane.kubectl("get", "--raw", "/livez", check=False).returncode == 1
        plane.start_api_server()
    assert len(items(plane, namespace, "endpoints", "manual")) == 1
    assert plane.server == server
    assert len(plane.audit_events()) >= events


def test_feature_gates_can_change_between_two_starts(plane: ControlPlane, namespace: str) -> None:
    legacy = json.loads(json.dumps(MANUAL).replace("203.0.113.7", "010.1.2.3"))
    with pytest.raises(KubectlError, match="must not have leading 0s"):
        apply(plane, namespace, legacy)
    plane.stop_api_server()
    plane.start_api_server(feature_gates={"StrictIPCIDRValidation": False})
    apply(plane, namespace, legacy)
    plane.stop_api_server()
    plane.start_api_server(feature_gates={})


def test_the_api_server_knows_its_version(plane: ControlPlane) -> None:
    version = json.loads(plane.kubectl("version", "-o", "json").stdout)
    assert version["serverVersion"]["minor"] in version["serverVersion"]["gitVersion"].split(".")


def test_what_will_not_start_says_why_and_leaves_nothing() -> None:
    with (
        pytest.raises(ComponentError, match=r"(?s)kube-apiserver exited.*unknown flag: --nonsense"),
        ControlPlane.start(api_server_args=("--nonsense",)),
    ):
        pytest.fail("started")


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_killed_owner(signal_number: signal.Signals) -> None:
    program = """
from tests.e2e.controlplane import ControlPlane
with ControlPlane.start(controllers=()) as plane:
    print(plane.directory, *plane.pids.values(), flush=True)
    input()
"""
    owner = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout
        directory, *pids = owner.stdout.readline().split()
        assert len(pids) == 2
        owner.send_signal(signal_number)
    assert eventually(lambda: not any(alive(int(pid)) for pid in pids))
    assert eventually(lambda: not Path(directory).exists())


def alive(pid: int) -> bool:
    """A zombie is not alive: containers often have no init that collects orphans."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
