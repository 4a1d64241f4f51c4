"""What a person reads who gave something wrong: one line that names it and says what to do, and the
exit code of the contract. What `serve` says is in `test_serve.py`, since it wants its own process.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result

from tests.fake_apiserver import ALWAYS, FakeApiServer, Fault
from webhook.cli import cli

FILES: Final = {
    "web.yaml": "{kind: Endpoints, metadata: {name: web}, subsets: []}",
    "template.yaml": "kind: Endpoints\nmetadata: {name: {{ .Release.Name }}}\n",
    "lower.yaml": "kind: endpoints\napiVersion: v1\nmetadata: {name: web}\n",
    "slices.yaml": "kind: EndpointSlices\napiVersion: discovery.k8s.io/v1\nmetadata: {name: web}\n",
    "no-rule.yaml": "rules: {foreign-pods: warn}\n",
    "no-action.yaml": "rules: {EG501: dney}\n",
    "no-action-here.yaml": "namespaces: {shop: {rules: {EG501: true}}}\n",
    "no-key.yaml": "exemption: []\n",
    "elsewhere.yaml": "allowedCIDRs: [10.0.0.0/8]\n",
    "wrapped.yaml": "apiVersion: v1\nkind: ConfigMap\ndata: {policy.yaml: ''}\n",
    "twice.yaml": "rules:\n  EG501: deny\n  EG502: warn\n  EG501: off\n",
    "no.crt": "not a certificate\n",
}

WRONG: Final = """
$ chek
No such command 'chek'. Did you mean check?

$ frobnicate
No such command 'frobnicate'

$ explain EG21
Invalid value for WHAT: EG21 is neither an object, endpoints/NAME or endpointslice/NAME, nor a rule;
see `endpoints-guard rules`. Did you mean EG201?

$ explain foreign-pods
Invalid value for WHAT: foreign-pods is neither an object, endpoints/NAME or endpointslice/NAME,
nor a rule; see `endpoints-guard rules`. Did you mean foreign-pod?

$ explain pod/web
Invalid value for WHAT: pod/web is neither an object, endpoints/NAME or endpointslice/NAME, nor a
rule; see `endpoints-guard rules`

$ explain endpoints/web -n shop --state web.yaml
there is no Endpoints web in namespace shop; there is one in namespace default

$ explain endpoints/web --state web.yaml --context prod
--state looks in files: leave out --kubeconfig, --context

$ audit --state web.yaml --rule EG50
--rule: there is no rule EG50; see `endpoints-guard rules`. Did you mean EG509?

$ audit --state web.yaml --rule EG501 --exclude-rule foreign-pod
--rule, --exclude-rule: no rule is left to judge by

$ check -f web.yaml --context prod
--kubeconfig and --context say which cluster, for --live: add that

$ check -f - --state -
standard input can be read once: give - to one of -f and --state

$ policy lint no-rule.yaml
policy no-rule.yaml, line 1: rules.foreign-pods: there is no such rule; see `endpoints-guard rules`.
Did you mean foreign-pod?

$ policy lint no-action.yaml
policy no-action.yaml, line 1: rules.EG501: Invalid enum value 'dney'; an action is deny, warn,
audit, off

$ policy lint no-action-here.yaml
policy no-action-here.yaml, line 1: namespaces.shop.rules.EG501: Expected `str`, got `bool`; an
action is deny, warn, audit, off

$ policy show no-key.yaml
policy no-key.yaml, line 1: exemption: unknown field `exemption`. Did you mean exemptions?

$ policy lint elsewhere.yaml
policy elsewhere.yaml, line 1: allowedCIDRs: unknown field `allowedCIDRs`; it is a key of external

$ check -f web.yaml --policy wrapped.yaml
policy wrapped.yaml, line 1: apiVersion: unknown field `apiVersion`; give the policy itself, not the
Kubernetes object that holds it

$ check -f web.yaml --policy twice.yaml
policy twice.yaml, line 4: EG501: it stands there twice; which is meant?

$ certs issue -d new --name 'two words'
Invalid value for '--name': 'two words' is no DNS name or IP address

$ certs issue -d new --name ''
Invalid value for '--name': '' is no DNS name or IP address

$ certs issue -d new --service a/b
Invalid value for '--service': 'a/b' is no DNS name or IP address

$ certs show --tls-cert no.crt --tls-key own/tls.key
no.crt with key own/tls.key: not a PEM certificate: empty, cut off or damaged

$ certs show --tls-cert own/tls.crt --tls-key own/tls.key --ca-bundle missing.crt
missing.crt: No such file or directory

$ certs show --ca-bundle own/ca.crt
--tls-key and --ca-bundle need --tls-cert
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    assert run("certs", "issue", "-d", "own").exit_code == 0
    return tmp_path


def run(*words: str) -> Result:
    done = CliRunner().invoke(cli, words, prog_name="endpoints-guard")
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("case", WRONG.strip().removeprefix("$ ").split("\n\n$ "))
def test_what_is_wrong_is_named_with_the_remedy(case: str) -> None:
    command, *said = case.splitlines()
    done = run(*shlex.split(command))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == f"Error: {' '.join(said)}"


UNREADABLE = {
    "template.yaml": """
not YAML or JSON: line 2: found unhashable key. If this is a template, render it first, as with
`helm template`
""",
    "lower.yaml": "kind: endpoints: the kind is Endpoints",
    "slices.yaml": "kind: EndpointSlices: the kind is EndpointSlice",
}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("file", "said"), UNREADABLE.items())
def test_a_manifest_that_does_not_say_what_is_meant_is_never_passed_over(
    file: str, said: str
) -> None:
    done = run("check", "-f", file)
    expected = f"error  {file}, document 1: {' '.join(said.split())}"
    assert (done.exit_code, done.stdout.splitlines()[0]) == (2, expected)


CLUSTER_COMMANDS = (
    "check -f web.yaml --live",
    "audit",
    "explain endpoints/web",
    "snapshot -o now.json",
    "certs show",
    "certs rotate",
)


@pytest.fixture
def nobody(folder: Path) -> str:
    """A kubeconfig of a server that nobody runs."""
    with FakeApiServer() as server:
        config = Path(server.kubeconfig).read_text()
    file = folder / "kubeconfig"
    file.write_text(config)
    return str(file)


@pytest.mark.parametrize("command", CLUSTER_COMMANDS)
def test_a_cluster_that_does_not_answer_is_3_and_never_a_clean_result(
    folder: Path, nobody: str, command: str
) -> None:
    done = run(*command.split(), "--kubeconfig", nobody)
    assert done.exit_code == 3
    assert "Connection refused" in done.output
    assert not (folder / "now.json").exists()


@pytest.fixture
def strict() -> Iterator[str]:
    """A kubeconfig of a server that lets us see nothing."""
    with FakeApiServer() as server:
        for verb in ("get", "list"):
            server.inject(Fault(verb=verb, status=403, times=ALWAYS))
        yield server.kubeconfig


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", CLUSTER_COMMANDS)
def test_a_right_that_is_missing_is_3_and_named(strict: str, command: str) -> None:
    done = run(*command.split(), "--kubeconfig", strict)
    assert done.exit_code == 3
    assert re.search(r"resources: \[.*verbs: \[", done.output)


def test_what_stops_a_rotation_is_said_once(nobody: str) -> None:
    command = (sys.executable, "-m", "webhook", "certs", "rotate", "--kubeconfig", nobody)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: cannot get Secret endpoints-guard/endpoints-guard-certs: no ans")


def test_an_audit_of_a_dead_cluster_gives_up_after_the_first_kind(nobody: str) -> None:
    done = run("audit", "--kubeconfig", nobody)
    first, *others = done.stdout.splitlines()[:-2]
    assert re.search(r"no connection to http://127\.0\.0\.1:\d+ \(Connection refused\)", first)
    assert len(others) > 5
    assert all("not asked for: the server was gone" in line for line in others)
