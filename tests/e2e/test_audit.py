"""An audit of the real control plane: silent in peace, and after an attack it finds all of it."""

import itertools
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from tests.e2e.api import Api, Json, path
from tests.e2e.attack import (
    METADATA_ADDRESS,
    RIVAL,
    SHOP,
    Scene,
    attack,
    make_nodes,
    peace,
    slice_for,
)
from tests.e2e.cluster import Namespace, eventually, pod, service
from tests.e2e.controlplane import ControlPlane
from tests.e2e.report_crds import OPEN_REPORTS, POLICY_REPORTS
from tests.e2e.webhook_process import grant
from webhook.cli.reporting import FORMATS
from webhook.cluster.api import connect
from webhook.cluster.auditor import Auditor, Scope
from webhook.cluster.permissions import AUDIT, AUDIT_WATCH, REPORTS, Permission
from webhook.core.policy import Policy
from webhook.core.report import Judged, Report

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

AUDITOR = "auditor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the command said."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> Any:
        return json.loads(self.stdout)

    @property
    def found(self) -> set[tuple[str, str]]:
        """Object and rule; what the control plane makes up of a name is left out."""
        return {
            (_ref(each), finding["rule"])
            for each in self.report["objects"]
            for finding in each["findings"]
        }


def _ref(judged: Json) -> str:
    name = judged["name"]
    if judged["kind"] == "EndpointSlice":
        name = re.sub(r"-[a-z0-9]{5}$", "-*", name)
    return "/".join(filter(None, (judged["kind"], judged.get("namespace", ""), name)))


def audited(kubeconfig: Path, *flags: str, settle: str = "1") -> Audit:
    output = () if any(flag.startswith("-o") for flag in flags) else ("-o", "json")
    command = (sys.executable, "-m", "webhook", "audit", "--settle", settle, *output, *flags)
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return Audit(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A cluster of its own: others leave behind what an audit finds."""
    with ControlPlane.start() as running:
        yield running


@pytest.fixture(scope="module")
def admin(plane: ControlPlane) -> Iterator[Api]:
    api = Api(plane.kubeconfig())
    make_nodes(api)
    yield api
    api.close()


@pytest.fixture(scope="module")
def auditor(plane: ControlPlane, admin: Api) -> Path:
    """Whoever may do what an audit needs, and nothing else."""
    return allowed(plane, admin, AUDITOR, AUDIT)


def allowed(plane: ControlPlane, admin: Api, user: str, permissions: Iterable[Permission]) -> Path:
    rules = [
        {"apiGroups": [p.api_group], "resources": list(p.resources), "verbs": list(p.verbs)}
        for p in permissions
    ]
    grant(admin, user, {"kind": "User", "name": user}, rules)
    return plane.kubeconfig_for(user)


@pytest.fixture(scope="module")
def scene(admin: Api) -> Scene:
    return peace(admin)


def test_in_peace_nothing_is_found(scene: Scene, auditor: Path) -> None:
    audit = audited(auditor)
    assert audit.stderr == ""
    assert audit.found == set()
    assert audit.exit_code == 0
    assert audit.report["summary"]["objects"] >= 12


def test_in_peace_nothing_is_found_while_pods_come_and_go(scene: Scene, auditor: Path) -> None:
    """Lists of different moments, and a controller that is always a little behind."""
    with churn(scene.shop):
        audits = [audited(auditor, settle="3") for _ in range(3)]
    assert [audit.found for audit in audits] == [set()] * 3
    assert [audit.exit_code for audit in audits] == [0] * 3


@contextmanager
def churn(namespace: Namespace) -> Iterator[None]:
    """Pods of a Service that live for a second, for as long as this lasts."""
    namespace.create(service("busy", selector={"app": "busy"}))
    stopping = threading.Event()

    def replace(worker: int) -> None:
        for number in itertools.count():
            name = f"busy-{worker}-{number}"
            namespace.run(pod(name, labels={"app": "busy"}))
            stopping.wait(0.7)
            namespace.delete("Pod", name)
            if stopping.is_set():
                return

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(replace, worker) for worker in range(4)]
        try:
            yield
        finally:
            stopping.set()
            for worker in workers:
                worker.result()
    namespace.delete("Service", "busy")


@pytest.mark.parametrize("missing", [name for each in AUDIT for name in each.resources])
def test_without_any_one_of_its_rights_it_is_not_complete(
    plane: ControlPlane, admin: Api, scene: Scene, missing: str
) -> None:
    left = [
        structs.replace(each, resources=tuple(r for r in each.resources if r != missing))
        for each in AUDIT
        if each.resources != (missing,)
    ]
    audit = audited(allowed(plane, admin, f"auditor-without-{missing}", left))
    assert audit.found == set()
    assert audit.exit_code == 3
    assert [f'resources: ["{missing}"]' in part["reason"] for part in audit.report["unjudged"]] == [
        True
    ]


@pytest.fixture(scope="module")
def expected(scene: Scene) -> frozenset[tuple[str, str]]:
    """From here on, after the attack."""
    return attack(scene)


def test_after_the_attack_all_of_it_is_found_and_nothing_else(
    expected: frozenset[tuple[str, str]], auditor: Path
) -> None:
    audit = audited(auditor)
    assert audit.found == expected
    assert audit.exit_code == 1


def test_every_format_has_every_finding(
    expected: frozenset[tuple[str, str]], auditor: Path, tmp_path: Path
) -> None:
    audited(auditor, *(f"-o{name}={tmp_path / name}" for name in FORMATS))
    for name in FORMATS:
        text = (tmp_path / name).read_text(encoding="utf-8")
        missing = {each for each in expected if not said(text, *each)}
        assert missing == set(), name


def said(text: str, ref: str, rule: str) -> bool:
    return rule in text and ref.rpartition("/")[2].rstrip("*") in text


def test_a_snapshot_tells_the_same(
    expected: frozenset[tuple[str, str]], auditor: Path, tmp_path: Path
) -> None:
    file = tmp_path / "snapshot.json"
    command = (sys.executable, "-m", "webhook", "snapshot", "-o", str(file))
    subprocess.run(command, env={**os.environ, "KUBECONFIG": str(auditor)}, check=True)
    assert audited(auditor, "--state", str(file)).found == expected


def test_a_baseline_hides_it(
    expected: frozenset[tuple[str, str]], auditor: Path, tmp_path: Path
) -> None:
    known = str(tmp_path / "known.yaml")
    assert audited(auditor, "--write-baseline", known).exit_code == 0
    audit = audited(auditor, "--baseline", known)
    assert audit.found == set()
    assert audit.report["summary"]["hidden"] >= len(expected)
    assert audit.stderr == ""


class TestWatch:
    def test_tells_the_attack_and_nothing_that_comes_and_goes(
        self, plane: ControlPlane, admin: Api, scene: Scene, expected: frozenset[tuple[str, str]]
    ) -> None:
        kubeconfig = allowed(plane, admin, "watcher", AUDIT_WATCH)
        with churn(scene.shop), watching(kubeconfig) as lines:
            found = {_told(next(lines)) for _ in range(len(expected))}
            assert found == {("new", *each) for each in expected}
            scene.shop.delete("EndpointSlice", "cloud-1").must()
            assert _told(next(lines)) == ("resolved", "EndpointSlice/shop/cloud-1", "EG505")
            scene.shop.create(slice_for("cloud", "cloud-1", {"addresses": [METADATA_ADDRESS]}))
            assert _told(next(lines)) == ("new", "EndpointSlice/shop/cloud-1", "EG505")


@contextmanager
def watching(kubeconfig: Path) -> Iterator[Iterator[Json]]:
    """What `audit --watch` tells, until it is told to end."""
    flags = ("--watch", "--settle", "3", "-o", "json", "--health-listen", "127.0.0.1:0")
    process = subprocess.Popen(
        (sys.executable, "-m", "webhook", "audit", *flags),
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    with process.stdout:
        yield map(json.loads, process.stdout)
        process.terminate()
        # Whatever it tells besides what was asked for is one finding too many.
        assert [json.loads(line) for line in process.stdout] == []
        assert process.wait(30) == 0


def _told(news: Json) -> tuple[str, str, str]:
    return news["event"], _ref(news), news["rule"]


class TestAnApiServerThatIsKilled:
    def test_midway_leaves_what_was_read(
        self, plane: ControlPlane, expected: frozenset[tuple[str, str]], auditor: Path
    ) -> None:
        def kill_after_slices(kind: str, _count: int, _total: int) -> None:
            if kind == "EndpointSlice":
                plane.stop_api_server(kill=True)

        rules = frozenset({"EG505", "EG604"})
        report = run(plane, auditor, Scope(rules=rules), progress=kill_after_slices)
        assert found_in(report) == {("EndpointSlice/shop/cloud-1", "EG505")}
        assert {"ClusterRole", "RoleBinding"} <= {part.what for part in report.unjudged}

    def test_before_the_second_look_leaves_what_is_not_confirmed(
        self, plane: ControlPlane, expected: frozenset[tuple[str, str]], auditor: Path
    ) -> None:
        scope = Scope(rules=frozenset({"EG501"}))
        report = run(plane, auditor, scope, pause=lambda _seconds: plane.stop_api_server(kill=True))
        assert found_in(report) == {each for each in expected if each[1] == "EG501"}
        assert all("could not be confirmed" in part.reason for part in report.unjudged)
        assert report.unjudged


def run(plane: ControlPlane, kubeconfig: Path, scope: Scope, **callbacks: Any) -> Report:
    """An audit in this process, so that things can happen at a certain moment."""
    auditor = Auditor(connect(kubeconfig=str(kubeconfig)), Policy(), scope, **callbacks)
    try:
        return auditor.run()
    finally:
        plane.stop_api_server(kill=True)
        plane.start_api_server()


def found_in(report: Report) -> set[tuple[str, str]]:
    return {
        (_ref(_named(judged)), finding.rule.code)
        for judged in report.objects
        for finding in judged.findings
    }


def _named(judged: Judged) -> Json:
    ref = judged.ref
    return {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name}


@pytest.mark.parametrize("crds", [POLICY_REPORTS, OPEN_REPORTS], ids=["wgpolicyk8s", "openreports"])
def test_report_objects_follow_what_is_found(
    plane: ControlPlane,
    admin: Api,
    expected: frozenset[tuple[str, str]],
    crds: list[Json],
) -> None:
    for definition in crds:
        admin.create(definition).must()
    kind, cluster_kind = (definition["spec"]["names"]["kind"] for definition in crds)
    for definition in crds:
        listing = ("get", definition["metadata"]["name"])
        eventually(partial(_succeeds, plane, listing))
    writer = allowed(plane, admin, "report-writer", (*AUDIT, *REPORTS))
    theirs = {
        "apiVersion": path(kind).removeprefix("/apis/").rpartition("/")[0],
        "kind": kind,
        "metadata": {"name": "somebody-s", "namespace": RIVAL},
        "results": [{"policy": "theirs"}],
    }
    admin.create(theirs).must()

    first = audited(writer, "--write-policy-reports")
    assert first.stderr == f"{kind} objects: 2 written, 0 unchanged, 0 removed\n"
    assert first.exit_code == 1
    stored = [*admin.items(kind, SHOP), *admin.items(cluster_kind)]
    results = [result for each in stored for result in each["results"]]
    assert {(_ref(each["resources"][0]), each["policy"]) for each in results} == expected
    assert "vault" not in json.dumps(stored[0]["results"])

    assert "0 written, 2 unchanged" in audited(writer, "--write-policy-reports").stderr
    off = Path(plane.directory, "off.yaml")
    off.write_text("rules: {EG604: off}\n")
    last = audited(writer, "--write-policy-reports", "--policy", str(off))
    assert "0 written, 1 unchanged, 1 removed" in last.stderr
    assert admin.items(cluster_kind) == []
    # As operations.md says it.
    kinds = ",".join(definition["metadata"]["name"] for definition in crds)
    ours = ("--selector", "app.kubernetes.io/managed-by=endpoints-guard")
    plane.kubectl("delete", kinds, "--all-namespaces", *ours)
    assert admin.items(kind, SHOP) == []
    assert [each["metadata"]["name"] for each in admin.items(kind, RIVAL)] == ["somebody-s"]


def _succeeds(plane: ControlPlane, arguments: tuple[str, ...]) -> bool:
    return plane.kubectl(*arguments, check=False).returncode == 0
