"""The command line as scripts see it: the whole of standard output, and the exit code.

0 nothing to deny, 1 findings, 2 wrong usage or something that could not be read.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tests.builders import (
    Json,
    address,
    endpoint,
    endpoint_slice,
    endpoints,
    external,
    manual_service,
    node,
    pod,
    port,
    service,
    subset,
)
from webhook import __version__
from webhook.cli import cli
from webhook.core.rules import RULES

STATE = (service(), pod(), node())
GOOD = endpoints()
BAD = endpoints(subset(address(), ports=[port(22)]))
REMEDY = RULES["EG402"].remedy
DENIED = f"""\
deny   Endpoints shop/web
       deny  EG402 port-number at subsets[0].ports[0].port
             port 22 is not the target port of 10.0.0.1 (targetPort 80 resolves to 80)
             -> {REMEDY}
1 object: 1 denied, 0 warned, 0 allowed
"""
ALLOWED = """\
allow  Endpoints shop/web
1 object: 0 denied, 0 warned, 1 allowed
"""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Where a command runs; files are named relative to it."""

    path: Path

    def write(self, name: str, *documents: Json) -> str:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump_all(documents))
        return name

    def run(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        done = CliRunner().invoke(cli, arguments, input=stdin, prog_name="endpoints-guard")
        assert done.exception is None or isinstance(done.exception, SystemExit)
        return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    return Folder(path=tmp_path)


# --- check


def test_what_is_right_is_allowed(folder: Folder) -> None:
    folder.write("a.yaml", *STATE, GOOD)
    assert folder.run("check", "-f", "a.yaml") == (0, ALLOWED, "")


def test_what_is_wrong_is_denied(folder: Folder) -> None:
    folder.write("a.yaml", *STATE, BAD)
    assert folder.run("check", "-f", "a.yaml") == (1, DENIED, "")


def test_the_state_may_stand_elsewhere(folder: Folder) -> None:
    folder.write("a.yaml", BAD)
    folder.write("state/cluster.yaml", *STATE)
    assert folder.run("check", "-f", "a.yaml", "--state", "state") == (1, DENIED, "")


def test_order_in_the_input_means_nothing(folder: Folder) -> None:
    """Manifests list Endpoints before their Service."""
    folder.write("a.yaml", BAD, *STATE)
    assert folder.run("check", "-f", "a.yaml") == (1, DENIED, "")


def test_standard_input_is_read(folder: Folder) -> None:
    text = yaml.safe_dump_all([*STATE, BAD])
    assert folder.run("check", "-f", "-", stdin=text) == (1, DENIED, "")


def test_what_kubectl_prints_is_read(folder: Folder) -> None:
    printed = {"apiVersion": "v1", "items": [*STATE, BAD], "kind": "List", "metadata": {}}
    for text in (yaml.safe_dump(printed), json.dumps(printed, indent=4)):
        assert folder.run("check", "-f", "-", stdin=text) == (1, DENIED, "")


def test_a_folder_is_judged_file_by_file(folder: Folder) -> None:
    folder.write("app/service.yaml", *STATE)
    folder.write("app/deep/endpoints.yaml", GOOD)
    folder.write("app/slices.yml", endpoint_slice(endpoint(nodeName="node-9")))
    assert folder.run("check", "-f", "app") == (
        1,
        f"""\
allow  Endpoints shop/web
deny   EndpointSlice shop/web-abcde
       deny  EG204 node-name at endpoints[0].nodeName
             nodeName is node-9, but Pod web-1 runs on node-1
             -> {RULES["EG204"].remedy}
2 objects: 1 denied, 0 warned, 1 allowed
""",
        "",
    )


def test_several_paths_are_one_input(folder: Folder) -> None:
    folder.write("a.yaml", *STATE)
    folder.write("b.yaml", BAD)
    assert folder.run("check", "-f", "a.yaml", "-f", "b.yaml") == (1, DENIED, "")


def test_the_json_report_is_a_contract(folder: Folder) -> None:
    folder.write("a.yaml", *STATE, BAD)
    written = (folder.path / "a.yaml").read_text().splitlines()
    code, text, _ = folder.run("check", "-f", "a.yaml", "--output", "json")
    assert code == 1
    assert json.loads(text) == {
        "version": 1,
        "objects": [
            {
                "kind": "Endpoints",
                "namespace": "shop",
                "name": "web",
                "verdict": "deny",
                "findings": [
                    {
                        "rule": "EG402",
                        "slug": "port-number",
                        "action": "deny",
                        "field": "subsets[0].ports[0].port",
                        "message": "port 22 is not the target port of 10.0.0.1",
                        "detail": "targetPort 80 resolves to 80",
                        "line": written.index("    port: 22") + 1,
                    }
                ],
                "file": "a.yaml",
                "line": len(written) - written[::-1].index("---") + 1,
            }
        ],
        "unreadable": [],
        "summary": {
            "objects": 1,
            "denied": 1,
            "warned": 0,
            "findings": {"EG402": 1},
            "unreadable": 0,
        },
    }


def test_a_report_may_go_to_a_file(folder: Folder) -> None:
    folder.write("a.yaml", *STATE, BAD)
    assert folder.run("check", "-f", "a.yaml", "--output-file", "report.txt") == (1, "", "")
    assert (folder.path / "report.txt").read_text() == DENIED


def test_a_report_that_cannot_be_written_is_wrong_usage_and_no_finding(folder: Folder) -> None:
    folder.write("a.yaml", *STATE, GOOD)
    code, text, error = folder.run("check", "-f", "a.yaml", "--output-file", "no/such/file")
    assert (code, text) == (2, "")
    assert "no/such/file" in error


WARNED = """\
warn   Endpoints shop/nobody-s
       warn  EG101 no-service at metadata.name
             there is no Service nobody-s in this namespace
1 object: 0 denied, 1 warned, 0 allowed
"""


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--fail-on", "warn"), 1)])
def test_a_warning_fails_where_it_is_asked_to(
    folder: Folder, arguments: tuple[str, ...], code: int
) -> None:
    folder.write("a.yaml", endpoints(subset(external()), name="nobody-s"))
    assert folder.run("check", "-f", "a.yaml", *arguments) == (code, WARNED, "")


def test_an_object_that_is_there_already_is_judged_by_what_is_new(folder: Folder) -> None:
    more = endpoints(subset(address(), ports=[port(22)]), subset(address()))
    folder.write("now.yaml", *STATE, BAD)
    folder.write("a.yaml", more)
    assert folder.run("check", "-f", "a.yaml", "--state", "now.yaml") == (
        0,
        """\
warn   Endpoints shop/web
       warn  EG402 port-number at subsets[0].ports[0].port (was there before)
             port 22 is not the target port of 10.0.0.1 (targetPort 80 resolves to 80)
1 object: 0 denied, 1 warned, 0 allowed
""",
        "",
    )


def test_an_object_that_does_not_change_is_allowed(folder: Folder) -> None:
    folder.write("now.yaml", *STATE, BAD)
    folder.write("a.yaml", BAD)
    assert folder.run("check", "-f", "a.yaml", "--state", "now.yaml") == (0, ALLOWED, "")


def test_what_is_there_already_is_not_judged_itself(folder: Folder) -> None:
    folder.write("now.yaml", *STATE, BAD)
    folder.write("a.yaml", manual_service("other"))
    code, text, error = folder.run("check", "-f", "a.yaml", "--state", "now.yaml")
    assert (code, text) == (0, "0 objects: 0 denied, 0 warned, 0 allowed\n")
    assert error == "there was no Endpoints or EndpointSlice to judge\n"


USERS = {
    "system:serviceaccount:kube-system:endpoint-controller": (0, ALLOWED),
    "system:serviceaccount:shop:endpoint-controller": (1, DENIED),
    "alice": (1, DENIED),
}


@pytest.mark.parametrize(("user", "outcome"), USERS.items(), ids=USERS)
def test_a_write_is_judged_as_that_user_s(
    folder: Folder, user: str, outcome: tuple[int, str]
) -> None:
    folder.write("a.yaml", *STATE, BAD)
    assert folder.run("check", "-f", "a.yaml", "--user", user)[:2] == outcome


def test_a_group_may_be_exempt(folder: Folder) -> None:
    exemption = {"groups": ["team-a"], "reason": "they know"}
    folder.write("policy.yaml", {"exemptions": [exemption]})
    folder.write("a.yaml", *STATE, BAD)
    arguments = ("check", "-f", "a.yaml", "--policy", "policy.yaml", "--group")
    assert folder.run(*arguments, "team-a")[0] == 0
    assert folder.run(*arguments, "team-b")[0] == 1


def test_the_policy_decides_what_fails(folder: Folder) -> None:
    folder.write("policy.yaml", {"rules": {"EG402": "warn"}})
    folder.write("a.yaml", *STATE, BAD)
    assert folder.run("check", "-f", "a.yaml", "--policy", "policy.yaml")[0] == 0


def test_objects_without_a_namespace_are_in_the_one_that_is_given(folder: Folder) -> None:
    bare = []
    for each in (*STATE, BAD):
        its = {key: each["metadata"][key] for key in each["metadata"] if key != "namespace"}
        bare.append({**each, "metadata": its})
    folder.write("a.yaml", *bare)
    code, text, _ = folder.run("check", "-f", "a.yaml", "-n", "shop", "-o", "json")
    assert json.loads(text)["objects"][0]["namespace"] == "shop"
    assert folder.run("check", "-f", "a.yaml", "-n", "shop")[1].startswith("deny   Endpoints shop/")
    assert code == 1


# --- What cannot be read


def test_a_broken_file_names_place_and_field_and_the_rest_is_judged(folder: Folder) -> None:
    broken = {**service("other"), "spec": {"ports": [{"port": "http"}]}}
    folder.write("app/1.yaml", *STATE, broken)
    (folder.path / "app" / "2.yaml").write_text("kind: Deployment\n---\nkind: [\n")
    (folder.path / "app" / "3.yaml").write_bytes(b"\xff")
    folder.write("app/4.yaml", BAD)
    code, text, _ = folder.run("check", "-f", "app")
    assert code == 2
    *lines, yaml_error, not_text, totals = text.splitlines()
    assert "\n".join(lines) == (
        DENIED.removesuffix("1 object: 1 denied, 0 warned, 0 allowed\n")
        + "error  app/1.yaml, document 4: spec.ports[0].port: Expected `int`, got `str`"
    )
    assert yaml_error.startswith("error  app/2.yaml, document 2: not YAML or JSON: line ")
    assert not_text == "error  app/3.yaml: it is not UTF-8 text"
    assert totals == "1 object: 1 denied, 0 warned, 0 allowed, 3 unreadable"


def test_state_that_cannot_be_read_is_never_reported_as_clean(folder: Folder) -> None:
    folder.write("a.yaml", *STATE, GOOD)
    (folder.path / "now.yaml").write_text("kind: [\n")
    code, text, _ = folder.run("check", "-f", "a.yaml", "--state", "now.yaml", "-o", "json")
    report = json.loads(text)
    assert (code, report["summary"]["unreadable"]) == (2, 1)
    assert report["unreadable"][0]["place"] == "now.yaml, document 1"


def test_a_path_that_is_not_there(folder: Folder) -> None:
    code, text, error = folder.run("check", "-f", "missing.yaml")
    assert code == 2
    assert text.splitlines() == [
        "error  missing.yaml: No such file or directory",
        "0 objects: 0 denied, 0 warned, 0 allowed, 1 unreadable",
    ]
    assert error == "there was no Endpoints or EndpointSlice to judge\n"


def test_an_empty_folder_has_nothing_to_judge(folder: Folder) -> None:
    (folder.path / "app").mkdir()
    code, text, error = folder.run("check", "-f", "app")
    assert (code, text) == (0, "0 objects: 0 denied, 0 warned, 0 allowed\n")
    assert error == "there was no Endpoints or EndpointSlice to judge\n"


WRONG_USAGE: dict[str, tuple[str, ...]] = {
    "no file": ("check",),
    "an unknown option": ("check", "-f", "a.yaml", "--nonsense"),
    "an unknown format": ("check", "-f", "a.yaml", "-o", "xml"),
    "an unknown level": ("check", "-f", "a.yaml", "--fail-on", "sometimes"),
    "a policy that is not there": ("check", "-f", "a.yaml", "--policy", "missing.yaml"),
    "a policy that is none": ("check", "-f", "a.yaml", "--policy", "a.yaml"),
    "an unknown command": ("chekc",),
    "an unknown rule": ("explain", "EG999"),
    "no rule": ("explain",),
    "an object that is not there": ("explain", "endpoints/missing", "--state", "a.yaml"),
    "an unknown format of the catalogue": ("rules", "-o", "xml"),
}


@pytest.mark.parametrize("arguments", WRONG_USAGE.values(), ids=WRONG_USAGE)
def test_wrong_usage_is_2_and_prints_nothing_to_standard_output(
    folder: Folder, arguments: tuple[str, ...]
) -> None:
    folder.write("a.yaml", *STATE, GOOD)
    code, text, error = folder.run(*arguments)
    assert (code, text) == (2, "")
    assert "Error: " in error
    assert "Traceback" not in error


# --- rules, explain, version


def test_the_catalogue_is_a_line_a_rule(folder: Folder) -> None:
    code, text, _ = folder.run("rules")
    head, *lines = text.splitlines()
    assert code == 0
    columns = ["CODE", "SLUG", "JUDGES", "SELECTOR", "MANUAL", "WHAT", "IT", "SAYS"]
    assert head.split() == columns
    assert [line.split()[:2] for line in lines] == [[r.code, r.slug] for r in RULES.values()]
    columns_of = {line.split()[0]: line.split()[2:5] for line in lines}
    assert columns_of["EG204"] == ["writes", "deny", "warn"]
    assert columns_of["EG601"] == ["stored", "audit", "audit"]


def test_the_catalogue_for_programs(folder: Folder) -> None:
    code, text, _ = folder.run("rules", "-o", "json")
    listed = {each["code"]: each for each in json.loads(text)}
    assert code == 0
    assert list(listed) == list(RULES)
    assert listed["EG301"] == {
        "code": "EG301",
        "slug": "target-ref-missing",
        "title": RULES["EG301"].title,
        "remedy": RULES["EG301"].remedy,
        "judges": "writes",
        "default": {"selector": "deny"},
    }


def test_the_catalogue_as_a_document_has_a_section_for_each_rule(folder: Folder) -> None:
    _, text, _ = folder.run("rules", "-o", "markdown")
    for rule in RULES.values():
        assert f"](#{rule.code.lower()}) | {rule.slug} |" in text
        assert f'<a id="{rule.code.lower()}"></a>{rule.code} {rule.slug}' in text


@pytest.mark.parametrize("name", ["EG201", "eg201", "pod-not-selected", "Pod-Not-Selected"])
def test_a_rule_is_explained_by_code_or_slug(folder: Folder, name: str) -> None:
    code, text, _ = folder.run("explain", name)
    rule = RULES["EG201"]
    assert code == 0
    assert text.startswith(f"EG201 pod-not-selected\n\n{rule.rationale.splitlines()[0]}\n")
    assert f"Remedy: {rule.remedy}" in text
    assert all(f"Example: {example.name}" in text for example in rule.examples)


def test_the_version(folder: Folder) -> None:
    assert folder.run("--version") == (0, f"endpoints-guard, version {__version__}\n", "")


def test_help_is_where_one_looks_for_it(folder: Folder) -> None:
    for arguments in (("-h",), ("--help",), ("check", "-h"), ("rules", "--help")):
        code, text, _ = folder.run(*arguments)
        assert code == 0
        assert text.startswith("Usage: endpoints-guard")


# --- As a process


def process(*arguments: str, stdin: bytes = b"", name: str = "") -> tuple[int, str, str]:
    start = "import sys; from webhook.cli import main; sys.argv[0] = {!r}; main()"
    done = subprocess.run(
        [sys.executable, "-c", start.format(name or "endpoints-guard"), *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
        env={key: value for key, value in os.environ.items() if "ENDPOINTS_GUARD" not in key},
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_the_exit_code_is_the_process_s() -> None:
    text = yaml.safe_dump_all([*STATE, BAD]).encode()
    assert process("check", "-f", "-", stdin=text) == (1, DENIED, "")


@pytest.mark.parametrize("data", [b"kind: \xff", b"[" * 100_000], ids=["no UTF-8", "deep nesting"])
def test_input_that_is_broken_in_any_way_is_2_and_no_finding(data: bytes) -> None:
    code, text, error = process("check", "-f", "-", stdin=data)
    assert code == 2
    assert text.startswith("error  standard input")
    assert "Traceback" not in error


def test_the_plugin_of_kubectl_is_the_same_program() -> None:
    code, text, _ = process("--help", name="/usr/local/bin/kubectl-endpoints_guard")
    assert code == 0
    assert text.startswith("Usage: kubectl endpoints-guard ")
