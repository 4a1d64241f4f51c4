"""`explain`: whose each address is, what would be said of the object, why, and the way out."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.builders import (
    Json,
    endpoint,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    manual_service,
    node,
    pod,
    pod_ref,
    port,
    service,
    state,
    subject,
    subset,
)
from tests.fake_apiserver import ALWAYS, FakeApiServer, Fault
from tests.fake_apiserver.state import KINDS
from webhook.cli import cli
from webhook.core.explain import explain
from webhook.core.policy import Policy
from webhook.core.rule import Rule
from webhook.core.rules import RULES

PATHS = {kind: path for path, kind in KINDS.items()}
RIVAL = pod("vault-0", namespace="rival", ip="10.0.7.8")
RESERVED = manual_service("kubernetes", namespace="default", clusterIP="172.20.0.1")
API_SERVER = endpoint_slice(
    external_endpoint("192.168.9.9"),
    name="kubernetes",
    namespace="default",
    of_service="kubernetes",
)
CLUSTER = (
    service(),
    pod(),
    manual_service("manual", clusterIP="172.20.0.11"),
    RIVAL,
    node(),
    RESERVED,
    API_SERVER,
)


def text(write: Json, *more: Json) -> str:
    return explain(subject(write), state(*CLUSTER, *more), Policy())


GOOD = """\
Endpoints shop/web
  Service web selects app=web: the control plane writes its endpoints

  subsets[0].addresses[0].ip: 10.0.0.1 (http:80/TCP) is of Pod shop/web-1 (ready)

Written now by an ordinary user, the answer would be: allow
"""


def test_what_is_right_is_explained() -> None:
    assert text(endpoints()) == GOOD


FOREIGN = endpoints(subset(external("10.0.7.8"), waiting=[external()]), name="manual")
BAD = f"""\
Endpoints shop/manual
  Service manual has no selector: endpoints are written by hand

  subsets[0].addresses[0].ip: 10.0.7.8 (http:80/TCP) is of Pod rival/vault-0 (ready)
  subsets[0].notReadyAddresses[0].ip: 198.51.100.7 (http:80/TCP, not ready) is of \
nobody in this cluster

Written now by an ordinary user, the answer would be: deny
  deny EG501 subsets[0].addresses[0].ip: 10.0.7.8 belongs to a Pod of another namespace
       -> {RULES["EG501"].remedy}

If this is as it should be, the policy can exempt one writer:
  exemptions:
  - reason: "say why"
    users: [system:serviceaccount:NAMESPACE:NAME]
    namespaces: [shop]
    names: [manual]
    rules: [EG501]
"""


def test_what_is_wrong_is_explained_with_the_way_out() -> None:
    assert text(FOREIGN) == BAD


OWNERS: dict[str, tuple[Json, str]] = {
    "a Pod that is not ready": (
        endpoints(subset(external("10.0.0.5")), name="manual"),
        "Pod shop/slow (not ready)",
    ),
    "a Pod on its node's network, and its node": (
        endpoints(subset(external("192.168.0.1")), name="manual"),
        "Pod shop/agent (ready, on its node's network); Node node-1",
    ),
    "a Service": (
        endpoints(subset(external("172.20.0.10")), name="manual"),
        "Service shop/web",
    ),
    "the API server": (
        endpoints(subset(external("192.168.9.9")), name="manual"),
        "the API server",
    ),
    "a special address": (
        endpoints(subset(external("169.254.169.254")), name="manual"),
        "nobody: it is a cloud metadata address",
    ),
    "what a disguise leads to": (
        endpoints(subset(external("64:ff9b::a00:708")), name="manual"),
        "Pod rival/vault-0 (ready)",
    ),
    "an outside address": (
        endpoints(subset(external()), name="manual"),
        "nobody in this cluster",
    ),
    "a name": (
        endpoint_slice(
            external_endpoint("db.example.com"),
            name="m-1",
            of_service="manual",
            address_type="FQDN",
        ),
        "nobody in this cluster",
    ),
}


@pytest.mark.parametrize(("write", "owner"), OWNERS.values(), ids=OWNERS)
def test_whose_an_address_is(write: Json, owner: str) -> None:
    slow = pod("slow", ip="10.0.0.5", ready=False, labels={})
    agent = pod("agent", ip="192.168.0.1", hostNetwork=True, labels={})
    (line,) = [each for each in text(write, slow, agent).splitlines() if " is of " in each]
    assert line.endswith(f" is of {owner}")


OWNERSHIP: dict[str, tuple[Json, str]] = {
    "a selector": (endpoint_slice(), "Service web selects app=web: the control plane writes "),
    "none": (endpoints(name="manual"), "Service manual has no selector: endpoints are written "),
    "no Service": (endpoints(name="nobody"), "there is no Service nobody"),
    "no label": (endpoint_slice(of_service=None), "no label names its Service"),
    "ExternalName": (endpoints(name="alias"), "Service alias is of type ExternalName: it has no "),
}


@pytest.mark.parametrize(("write", "line"), OWNERSHIP.values(), ids=OWNERSHIP)
def test_who_writes_the_endpoints(write: Json, line: str) -> None:
    alias = service("alias", selector=None, ports=None, type="ExternalName")
    assert text(write, alias).splitlines()[1].startswith(f"  {line}")


def test_ports_are_told_as_they_are() -> None:
    every = endpoint_slice(endpoint(), ports=[port(None), port(53, name="dns", protocol="UDP")])
    assert "(http:every port/TCP, dns:53/UDP)" in text(every)
    assert "(no port)" in text(endpoint_slice(endpoint(), ports=None))


def test_every_rule_that_denies_is_in_the_way_out_once() -> None:
    wrong = endpoints(
        subset(external("10.0.7.8"), external("10.0.7.8", hostname="x"), external("192.168.0.1")),
        name="manual",
    )
    assert "    rules: [EG501, EG502]" in text(wrong).splitlines()


def test_warnings_need_no_way_out() -> None:
    warned = text(endpoints(subset(external(), ports=[port(1, name=None)]), name="manual"))
    assert "the answer would be: warn" in warned
    assert "exemptions:" not in warned


GONE = endpoints(subset(external("10.0.0.9", targetRef=pod_ref(name="web-0"))), name="manual")
HALF = endpoint_slice(endpoint())


def test_what_only_the_audit_finds_is_told_apart() -> None:
    assert text(GONE, GONE).endswith(
        f"""
The audit finds in Endpoints manual:
  audit EG601 subsets[0].addresses[0].ip: 10.0.0.9 is listed for Pod web-0, which is gone \
(now it is of nobody)
       -> {RULES["EG601"].remedy}
"""
    )


def test_so_is_what_it_finds_in_the_service() -> None:
    assert text(HALF, HALF, pod("web-2", ip="10.0.0.2")).endswith(
        f"""
Written now by an ordinary user, the answer would be: allow

The audit finds in Service web:
  audit EG605 spec.selector: it selects Pod web-2, ready, but no endpoints list it
       -> {RULES["EG605"].remedy}
"""
    )


def test_an_ordinary_user_may_not_write_what_belongs_to_api_servers() -> None:
    assert "the answer would be: deny\n  deny EG104 " in text(API_SERVER)


# --- The command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    items = [*CLUSTER, endpoints(), FOREIGN, endpoint_slice(name="manual-1", of_service="manual")]
    listed = {"apiVersion": "v1", "kind": "List", "items": items}
    (tmp_path / "state.json").write_text(json.dumps(listed))
    return tmp_path


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    with FakeApiServer() as running:
        for manifest in (*CLUSTER, endpoints(), FOREIGN):
            running.state.put(PATHS[manifest["kind"]], manifest)
        yield running


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["explain", *words])


NAMES = {
    "endpoints/manual": BAD,
    "Endpoints/manual": BAD,
    "ep/manual": BAD,
    "endpoints/web": GOOD,
}


@pytest.mark.parametrize(("name", "page"), NAMES.items(), ids=NAMES)
def test_an_object_is_explained_from_files(folder: Path, name: str, page: str) -> None:
    ended = run(name, "-n", "shop", "--state", str(folder))
    assert (ended.exit_code, ended.stdout) == (0, page)


@pytest.mark.parametrize("kind", ["endpointslice", "endpointslices", "EndpointSlice"])
def test_so_is_a_slice(folder: Path, kind: str) -> None:
    ended = run(f"{kind}/manual-1", "-n", "shop", "--state", str(folder))
    assert ended.stdout.startswith("EndpointSlice shop/manual-1\n  Service manual has no selector")


def test_an_object_is_explained_from_the_cluster(server: FakeApiServer) -> None:
    ended = run("endpoints/manual", "-n", "shop", "--kubeconfig", server.kubeconfig)
    assert (ended.exit_code, ended.stdout) == (0, BAD)


def test_it_is_explained_under_the_policy_that_is_given(folder: Path) -> None:
    (folder / "policy.txt").write_text("rules: {EG501: warn}")
    words = ("endpoints/manual", "-n", "shop", "--state", str(folder))
    ended = run(*words, "--policy", str(folder / "policy.txt"))
    assert "the answer would be: warn\n  warn EG501 " in ended.stdout


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_is_explained_in_full(rule: Rule) -> None:
    ended = run(rule.code.lower())
    assert ended.exit_code == 0
    assert ended.stdout.startswith(f"{rule.code} {rule.slug}\n")
    assert f"Remedy: {rule.remedy}\n" in ended.stdout
    assert "Example: " in ended.stdout


WRONG_USAGE = {
    "no such rule": (("EG999",), "EG999 is neither an object"),
    "no such kind": (("service/web",), "service/web is neither an object"),
    "no such object": (("endpoints/nobody", "-n", "shop"), "there is no Endpoints nobody in "),
    "an object of another namespace": (("endpoints/web",), "there is no Endpoints web in "),
    "a slice for Endpoints": (("endpointslice/web", "-n", "shop"), "there is no EndpointSlice web"),
    "no such state": (("endpoints/web", "--state", "missing.json"), "missing.json"),
    "no such policy": (("endpoints/web", "--policy", "missing.yaml"), "missing.yaml"),
}


@pytest.mark.parametrize(("words", "said"), WRONG_USAGE.values(), ids=WRONG_USAGE)
def test_wrong_usage_is_said(folder: Path, words: tuple[str, ...], said: str) -> None:
    ended = run(*words, "--state", str(folder))
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert said in ended.stderr


def test_state_that_cannot_be_read_is_not_explained(folder: Path) -> None:
    (folder / "broken.yaml").write_text("a: b: c")
    ended = run("endpoints/web", "-n", "shop", "--state", str(folder))
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "broken.yaml, document 1: not YAML or JSON" in ended.stderr


def test_a_cluster_that_cannot_be_read_is_not_explained(server: FakeApiServer) -> None:
    server.inject(Fault(verb="list", path="/api/v1/nodes", status=403, times=ALWAYS))
    ended = run("endpoints/web", "-n", "shop", "--kubeconfig", server.kubeconfig)
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert 'resources: ["nodes"], verbs: ["list"]' in ended.stderr
