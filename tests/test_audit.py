"""`endpoints-guard audit` as its users type it: flags, files, clusters and exit codes."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.builders import (
    Json,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    manual_service,
    node,
    pod,
    service,
    subset,
)
from tests.core.controllers import mirrors_of, stored
from tests.fake_apiserver import ALWAYS, FakeApiServer, Fault, wait_until
from tests.fake_apiserver.state import KINDS
from webhook.cli import cli

PATHS = {kind: path for path, kind in KINDS.items()}
CLEAN = (service(), pod(), endpoints(), endpoint_slice())
METADATA = endpoint_slice(external_endpoint("169.254.169.254"), name="db-2", of_service="db")
ELSEWHERE = endpoint_slice(
    external_endpoint("127.0.0.1"), name="cache-1", of_service="cache", namespace="rival"
)
ATTACKED = (
    *CLEAN,
    manual_service("db"),
    manual_service("cache", namespace="rival"),
    METADATA,
    ELSEWHERE,
)


def audit(*arguments: object, given: str = "") -> Result:
    return CliRunner().invoke(cli, ["audit", *map(str, arguments)], input=given)


def said(result: Result) -> Any:
    return json.loads(result.stdout)


def found(result: Result) -> set[tuple[str, str, str]]:
    """Cluster, object and rule."""
    return {
        (each.get("cluster", ""), f"{each['namespace']}/{each['name']}", finding["rule"])
        for each in said(result)["objects"]
        for finding in each["findings"]
    }


FOUND = {("", "shop/db-2", "EG505"), ("", "rival/cache-1", "EG505")}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with the attacked cluster in it."""
    for index, manifest in enumerate(ATTACKED):
        (tmp_path / f"{index}.yaml").write_text(yaml.safe_dump(manifest))
    nothing_else = [{"kind": f"{kind}List", "items": []} for kind in PATHS]
    (tmp_path / "rest.yaml").write_text(yaml.safe_dump_all(nothing_else))
    return tmp_path


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    with FakeApiServer() as running:
        fill(running, ATTACKED)
        yield running


def fill(server: FakeApiServer, manifests: tuple[Json, ...]) -> None:
    for manifest in manifests:
        server.state.put(PATHS[manifest["kind"]], manifest)


class TestFiles:
    def test_a_folder_is_audited(self, files: Path) -> None:
        result = audit("--state", files, "-o", "json")
        assert found(result) == FOUND
        assert result.exit_code == 1

    def test_so_is_what_kubectl_prints(self) -> None:
        given = json.dumps({"apiVersion": "v1", "kind": "List", "items": ATTACKED})
        assert found(audit("--state", "-", "-o", "json", given=given)) == FOUND

    def test_so_is_a_snapshot(self, server: FakeApiServer, tmp_path: Path) -> None:
        snapshot = tmp_path / "snapshot.json"
        CliRunner().invoke(
            cli, ["snapshot", "-o", str(snapshot), "--kubeconfig", server.kubeconfig]
        )
        assert found(audit("--state", snapshot, "-o", "json")) == FOUND

    def test_what_is_as_it_should_be_is_no_finding(self) -> None:
        given = json.dumps({"apiVersion": "v1", "kind": "List", "items": CLEAN})
        result = audit("--state", "-", "-o", "json", given=given)
        assert result.exit_code == 0
        assert found(result) == set()
        assert len(said(result)["objects"]) == 2

    def test_that_cannot_be_read_are_named_and_the_rest_is_judged(self, files: Path) -> None:
        (files / "bad.yaml").write_text("kind: Endpoints\nsubsets: 7\n")
        result = audit("--state", files, "-o", "json")
        assert found(result) == FOUND
        assert result.exit_code == 2
        assert said(result)["unreadable"][0]["place"].endswith("bad.yaml, document 1")

    def test_no_finding_rests_on_a_kind_that_they_do_not_hold(self) -> None:
        result = audit("--state", "-", "-o", "json", given=yaml.safe_dump(METADATA))
        assert found(result) == {("", "shop/db-2", "EG505")}
        assert said(result)["unjudged"] == [
            {
                "cluster": "",
                "what": "Service",
                "reason": "there is none in the files; rules left out: EG101",
            }
        ]
        assert result.exit_code == 3

    def test_what_is_gone_is_told_from_what_they_do_not_hold(self) -> None:
        source = endpoints(subset(external()), name="db")
        mirrors = [stored(each, source) for each in mirrors_of(source)]
        items = [manual_service("db"), *mirrors]
        given = json.dumps({"kind": "List", "items": items})
        result = audit("--state", "-", "-o", "json", given=given)
        assert found(result) == set()
        assert [(each["what"], each["reason"]) for each in said(result)["unjudged"]] == [
            ("Endpoints", "there is none in the files; rules left out: EG602")
        ]
        none = json.dumps({"kind": "EndpointsList", "items": []})
        result = audit("--state", "-", "-o", "json", given=f"{given}\n---\n{none}")
        assert {rule for _, _, rule in found(result)} == {"EG602"}

    def test_say_what_they_do_not_hold(self) -> None:
        given = json.dumps({"kind": "List", "items": (*CLEAN, node())})
        wanted = ("--rule", "EG501", "--rule", "EG604")
        assert audit("--state", "-", *wanted, given=given).stderr == (
            "not in the files: ClusterRole, Role, ClusterRoleBinding, RoleBinding; "
            "so less may be found by EG604\n"
        )
        assert audit("--state", "-", *wanted[:2], given=given).stderr == ""

    def test_and_a_cluster_at_once_are_refused(self, files: Path) -> None:
        result = audit("--state", files, "--context", "prod")
        assert result.exit_code == 2
        assert "--state audits files" in result.stderr


class TestSelection:
    @pytest.mark.parametrize("rule", ["EG505", "eg505", "special-address"])
    def test_by_rule(self, files: Path, rule: str) -> None:
        assert found(audit("--state", files, "--rule", rule, "-o", "json")) == FOUND
        assert found(audit("--state", files, "--exclude-rule", rule, "-o", "json")) == set()

    def test_by_another_rule(self, files: Path) -> None:
        result = audit("--state", files, "--rule", "EG501", "-o", "json")
        assert found(result) == set()
        assert result.exit_code == 0

    @pytest.mark.parametrize("option", ["--rule", "--exclude-rule"])
    def test_by_a_rule_that_does_not_exist(self, files: Path, option: str) -> None:
        result = audit("--state", files, option, "EG999")
        assert result.exit_code == 2
        assert f"{option}: there is no rule EG999" in result.stderr

    def test_by_namespace(self, files: Path) -> None:
        result = audit("--state", files, "-n", "rival", "-n", "other", "-o", "json")
        assert found(result) == {("", "rival/cache-1", "EG505")}

    def test_by_policy(self, files: Path, tmp_path: Path) -> None:
        policy = tmp_path / "policy"
        policy.write_text("rules: {EG505: off}\nnamespaces: {rival: {rules: {EG505: warn}}}")
        result = audit("--state", files, "--policy", policy, "-o", "json")
        assert found(result) == {("", "rival/cache-1", "EG505")}
        assert result.exit_code == 0
        assert audit("--state", files, "--policy", policy, "--fail-on", "warn").exit_code == 1


def contexts(folder: Path, **servers: str) -> Path:
    """A kubeconfig with a context for each server."""
    file = folder / "kubeconfig"
    config = {
        "current-context": next(iter(servers)),
        "clusters": [{"name": n, "cluster": {"server": url}} for n, url in servers.items()],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": n, "context": {"cluster": n, "user": "u"}} for n in servers],
    }
    file.write_text(json.dumps(config))
    return file


def shown(terminal: int) -> Iterator[str]:
    """What is written to a terminal until nobody has it open any more."""
    with open(terminal, "rb", buffering=0) as screen, suppress(OSError):
        while chunk := screen.read(4096):
            yield chunk.decode(errors="replace")


class TestClusters:
    def test_one_is_audited(self, server: FakeApiServer) -> None:
        result = audit("--kubeconfig", server.kubeconfig, "--settle", 0, "-o", "json")
        assert found(result) == FOUND
        assert result.exit_code == 1
        assert "cluster" not in said(result)["objects"][0]

    def test_several_are_one_report(self, server: FakeApiServer, tmp_path: Path) -> None:
        with FakeApiServer() as other:
            fill(other, (*CLEAN, manual_service("db"), METADATA))
            config = contexts(tmp_path, prod=server.url, staging=other.url)
            both = ("--context", "prod", "--context", "staging")
            result = audit("--kubeconfig", config, *both, "--settle", 0, "-o", "json")
        assert found(result) == {
            ("prod", "shop/db-2", "EG505"),
            ("prod", "rival/cache-1", "EG505"),
            ("staging", "shop/db-2", "EG505"),
        }

    def test_one_that_fails_does_not_stop_the_others(
        self, server: FakeApiServer, tmp_path: Path
    ) -> None:
        config = contexts(tmp_path, down="http://127.0.0.1:9", prod=server.url)
        all_of_them = ("--context", "down", "--context", "unknown", "--context", "prod")
        result = audit("--kubeconfig", config, *all_of_them, "--settle", 0, "-o", "json")
        assert {cluster for cluster, *_ in found(result)} == {"prod"}
        assert {(p["cluster"], p["what"]) for p in said(result)["unjudged"]} >= {
            ("down", "Service"),
            ("unknown", "everything"),
        }
        assert result.exit_code == 3

    def test_a_context_that_does_not_exist_is_wrong_usage(self, server: FakeApiServer) -> None:
        result = audit("--kubeconfig", server.kubeconfig, "--context", "unknown")
        assert result.exit_code == 2
        assert "unknown" in result.stderr

    def test_a_part_that_may_not_be_read_is_said_and_the_rest_reported(
        self, server: FakeApiServer
    ) -> None:
        server.inject(Fault(verb="list", path=PATHS["Pod"], status=403, times=ALWAYS))
        result = audit("--kubeconfig", server.kubeconfig, "--settle", 0, "-o", "json")
        assert found(result) == FOUND
        assert [part["what"] for part in said(result)["unjudged"]] == ["Pod"]
        assert result.exit_code == 3

    def test_a_terminal_sees_how_far_reading_has_got(self, server: FakeApiServer) -> None:
        fill(server, tuple(pod(f"x-{n}", ip=f"10.1.{n // 250}.{n % 250 + 1}") for n in range(700)))
        command = [sys.executable, "-m", "webhook", "audit", "--settle", "0", "-o", "json"]
        terminal, other_end = pty.openpty()
        with subprocess.Popen(
            [*command, "--kubeconfig", server.kubeconfig],
            stdout=subprocess.PIPE,
            stderr=other_end,
            env={**os.environ, "TERM": "xterm"},
        ) as process:
            os.close(other_end)
            seen = "".join(shown(terminal))
            assert process.stdout is not None
            report = json.load(process.stdout)
        assert "Pod" in seen
        assert "701/701" in seen
        assert len(report["objects"]) == 4

    def test_a_pipe_gets_no_progress(self, server: FakeApiServer) -> None:
        result = audit("--kubeconfig", server.kubeconfig, "--settle", 0, "-o", "json")
        assert result.stderr == ""


class TestBaseline:
    def test_hides_what_was_written(self, files: Path, tmp_path: Path) -> None:
        known = tmp_path / "known"
        first = audit("--state", files, "--write-baseline", known, "-o", "json")
        assert first.exit_code == 0
        assert found(first) == set()
        assert said(first)["summary"]["hidden"] == 2

        again = audit("--state", files, "--baseline", known, "-o", "json")
        assert again.exit_code == 0
        assert found(again) == set()
        assert again.stderr == ""

    def test_does_not_hide_what_is_new(self, files: Path, tmp_path: Path) -> None:
        known = tmp_path / "known"
        audit("--state", files, "-n", "shop", "--write-baseline", known)
        result = audit("--state", files, "--baseline", known, "-o", "json")
        assert found(result) == {("", "rival/cache-1", "EG505")}
        assert result.exit_code == 1

    def test_says_what_is_gone(self, files: Path, tmp_path: Path) -> None:
        known = tmp_path / "known"
        audit("--state", files, "--write-baseline", known)
        (files / f"{len(ATTACKED) - 1}.yaml").unlink()
        result = audit("--state", files, "--baseline", known)
        assert result.stderr.splitlines() == [
            "1 known finding not there any more (--write-baseline forgets them):",
            "  EG505 EndpointSlice/rival/cache: 127.0.0.1 http:80/TCP",
        ]

    def test_says_nothing_of_what_was_not_looked_at(self, files: Path, tmp_path: Path) -> None:
        known = tmp_path / "known"
        audit("--state", files, "--write-baseline", known)
        assert audit("--state", files, "--baseline", known, "-n", "other").stderr == ""
        assert audit("--state", files, "--baseline", known, "--rule", "EG501").stderr == ""

    def test_that_is_written_anew_keeps_what_was_not_looked_at(
        self, files: Path, tmp_path: Path
    ) -> None:
        known = tmp_path / "known"
        audit("--state", files, "--write-baseline", known)
        before = known.read_text()
        both = ("--baseline", known, "--write-baseline", known)
        audit("--state", files, *both, "-n", "shop")
        assert known.read_text() == before

    def test_is_not_written_when_something_could_not_be_read(
        self, server: FakeApiServer, tmp_path: Path
    ) -> None:
        known = tmp_path / "known"
        server.inject(Fault(verb="list", path=PATHS["Pod"], status=403, times=ALWAYS))
        flags = ("--kubeconfig", server.kubeconfig, "--settle", 0)
        result = audit(*flags, "--write-baseline", known, "-o", "json")
        assert result.exit_code == 3
        assert "is not written: the audit is not complete" in result.stderr
        assert not known.exists()
        assert found(result) == FOUND

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            ("version: 1\nfindings:\n- {rule: EG505}\n", "line 3: findings[0]: Object missing"),
            ("version: 1\nfindings: 7\n", "line 2: findings: Expected `array`"),
            ("version: [", "not YAML or JSON: line 2"),
        ],
    )
    def test_that_is_broken_is_named_with_line_and_key(
        self, files: Path, tmp_path: Path, content: str, complaint: str
    ) -> None:
        known = tmp_path / "known"
        known.write_text(content)
        result = audit("--state", files, "--baseline", known)
        assert result.exit_code == 2
        assert f"baseline {known}" in result.stderr
        assert complaint in result.stderr

    def test_that_is_missing_is_named(self, files: Path, tmp_path: Path) -> None:
        result = audit("--state", files, "--baseline", tmp_path / "none")
        assert result.exit_code == 2
        assert f"baseline {tmp_path / 'none'}: No such file" in result.stderr

    def test_that_cannot_be_written_is_named(self, files: Path, tmp_path: Path) -> None:
        result = audit("--state", files, "--write-baseline", tmp_path / "none" / "known")
        assert result.exit_code == 2
        assert "No such file" in result.stderr


class TestPolicyReports:
    FLAGS = ("--settle", 0, "--write-policy-reports", "-o", "json")

    def test_are_kept_current(self, server: FakeApiServer) -> None:
        server.state.groups = {"wgpolicyk8s.io/v1alpha2"}
        result = audit("--kubeconfig", server.kubeconfig, *self.FLAGS)
        assert result.exit_code == 1
        assert result.stderr == "PolicyReport objects: 2 written, 0 unchanged, 0 removed\n"
        again = audit("--kubeconfig", server.kubeconfig, *self.FLAGS)
        assert again.stderr == "PolicyReport objects: 0 written, 2 unchanged, 0 removed\n"

    def test_leave_out_what_is_known(self, server: FakeApiServer, tmp_path: Path) -> None:
        server.state.groups = {"wgpolicyk8s.io/v1alpha2"}
        known = tmp_path / "known"
        flags = ("--kubeconfig", server.kubeconfig, *self.FLAGS)
        audit("--kubeconfig", server.kubeconfig, "--settle", 0, "--write-baseline", known)
        result = audit(*flags, "--baseline", known)
        assert result.stderr == "PolicyReport objects: 0 written, 0 unchanged, 0 removed\n"

    def test_need_an_api_to_be_written_to(self, server: FakeApiServer) -> None:
        result = audit("--kubeconfig", server.kubeconfig, *self.FLAGS)
        assert result.exit_code == 3
        assert result.stderr == (
            "policy reports: the cluster does not serve openreports.io/v1alpha1 nor "
            "wgpolicyk8s.io/v1alpha2: install its CRDs\n"
        )
        assert found(result) == FOUND

    def test_stay_as_they_are_when_the_audit_is_not_complete(self, server: FakeApiServer) -> None:
        server.state.groups = {"wgpolicyk8s.io/v1alpha2"}
        audit("--kubeconfig", server.kubeconfig, *self.FLAGS)
        server.inject(Fault(verb="list", path=PATHS["Pod"], status=403, times=ALWAYS))
        server.state.delete(PATHS["EndpointSlice"], "shop", "db-2")
        result = audit("--kubeconfig", server.kubeconfig, *self.FLAGS)
        assert "the audit is not complete, so they stay as they are" in result.stderr
        assert server.asked("delete") == 0

    @pytest.mark.parametrize(
        ("flags", "complaint"),
        [
            (("--rule", "EG505"), "policy reports say everything"),
            (("--exclude-rule", "EG505"), "policy reports say everything"),
            (("--state", "."), "--state audits files"),
        ],
    )
    def test_are_refused_where_they_would_be_wrong(
        self, flags: tuple[str, ...], complaint: str
    ) -> None:
        result = audit("--write-policy-reports", *flags)
        assert result.exit_code == 2
        assert complaint in result.stderr


class Process:
    """`audit --watch` in a process of its own."""

    def __init__(self, server: FakeApiServer, *flags: str) -> None:
        command = [sys.executable, "-m", "webhook", "audit", "--watch", "--settle", "0.2"]
        listen = ["--health-listen", "127.0.0.1:0", "--kubeconfig", server.kubeconfig]
        self._process = subprocess.Popen(
            [*command, *listen, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.out, self.err = self._process.stdout, self._process.stderr
        self.address = json.loads(self.err.readline())["health_listen"]

    def get(self, path: str) -> tuple[int, str]:
        connection = HTTPConnection(self.address, timeout=20)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def end(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(30)
        self.out.close()
        self.err.close()
        return code


@pytest.fixture
def going_on(server: FakeApiServer) -> Iterator[Process]:
    server.state.groups = {"openreports.io/v1alpha1"}
    process = Process(server, "-o", "json", "--write-policy-reports")
    yield process
    process.end()


class TestWatch:
    def test_tells_what_is_new_and_what_is_resolved_and_ends_in_order(
        self, server: FakeApiServer, going_on: Process
    ) -> None:
        first = [json.loads(going_on.out.readline()) for _ in range(2)]
        assert {(each["event"], each["name"], each["rule"]) for each in first} == {
            ("new", "db-2", "EG505"),
            ("new", "cache-1", "EG505"),
        }
        server.state.delete(PATHS["EndpointSlice"], "shop", "db-2")
        gone = json.loads(going_on.out.readline())
        assert (gone["event"], gone["name"], gone["action"]) == ("resolved", "db-2", "deny")
        assert going_on.end() == 0

    def test_is_live_and_ready_and_exports_metrics(self, going_on: Process) -> None:
        for _ in range(2):
            going_on.out.readline()
        assert going_on.get("/livez")[0] == 200
        wait_until(lambda: going_on.get("/readyz")[0] == 200)
        _, metrics = going_on.get("/metrics")
        assert 'endpoints_guard_audit_findings{action="deny",rule="EG505"} 2.0' in metrics
        assert 'endpoints_guard_informer_synced{kind="RoleBinding"} 1.0' in metrics
        assert "endpoints_guard_requests_total" not in metrics
        assert "db-2" not in metrics

    def test_keeps_policy_reports_current(self, server: FakeApiServer, going_on: Process) -> None:
        path = "/apis/openreports.io/v1alpha1/reports"
        wait_until(lambda: {ns for ns, _ in server.state.objects(path)} == {"shop", "rival"}, 20)
        assert going_on.end() == 0

    @pytest.mark.parametrize(
        ("flags", "complaint"),
        [
            (("-o", "html"), "-o text or -o json"),
            (("-o", "text=file"), "-o text or -o json"),
            (("--context", "a", "--context", "b"), "one cluster"),
            (("--write-baseline", "known"), "writes no baseline"),
            (("--state", "."), "--state audits files"),
        ],
    )
    def test_refuses_what_it_cannot_do(self, flags: tuple[str, ...], complaint: str) -> None:
        result = audit("--watch", *flags)
        assert result.exit_code == 2
        assert complaint in result.stderr
