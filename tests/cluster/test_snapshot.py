"""A cluster read whole: into a file for later, or into memory for one judgement.

What a snapshot says must be what the cluster says, as far as verdicts go, and nothing else.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings

from tests.builders import (
    LEADER,
    OVER_CAPACITY,
    RBAC,
    SKIP_MIRROR,
    Json,
    address,
    cluster_role,
    cluster_role_binding,
    container,
    container_port,
    empty_endpoints,
    empty_slice,
    endpoint,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    group,
    manual_service,
    node,
    pod,
    policy_rule,
    port,
    role,
    role_binding,
    service,
    service_account,
    state,
    subset,
    user,
)
from tests.cluster.samples import api_of
from tests.coverage.table import BYPASSES, PATTERNS, SCENE, Attempt, attempts, cluster_of, parsed
from tests.fake_apiserver import ALWAYS, FakeApiServer, Fault, State
from tests.fake_apiserver.state import KINDS
from tests.strategies import many_pods, services
from webhook.cli import cli
from webhook.cluster.errors import Forbidden
from webhook.cluster.manifests import read_text, state_of
from webhook.cluster.progress import unseen
from webhook.cluster.resources import STORED
from webhook.cluster.snapshot import read_cluster, snapshot_lines
from webhook.core.agreement import is_cut_off
from webhook.core.engine import decide
from webhook.core.inventory import Inventory
from webhook.core.policy import Policy

PATHS = {kind: path for path, kind in KINDS.items()}


def fill(server: FakeApiServer, manifests: Sequence[Json]) -> None:
    server.state = State()
    for manifest in manifests:
        server.state.put(PATHS[manifest["kind"]], manifest)


def snapshot(server: FakeApiServer, manifests: Sequence[Json], namespace: str = "") -> str:
    fill(server, manifests)
    return "".join(snapshot_lines(api_of(server), unseen, namespace))


def items(text: str) -> list[Json]:
    """The objects in a snapshot."""
    listed: list[Json] = json.loads(text)["items"]
    return [each for each in listed if "items" not in each]


def read_back(text: str) -> Inventory:
    manifests = read_text(text)
    assert manifests.unreadable == ()
    return state_of(manifests)


def facts(inventory: Inventory) -> dict[str, Any]:
    """Everything in an inventory that a verdict may depend on."""
    tables = (inventory.endpoints.objects, inventory.endpoint_slices.objects)
    return {
        "services": inventory.services.objects,
        "pods": inventory.pods.objects,
        "nodes": inventory.nodes.objects,
        "rbac": (
            inventory.cluster_roles.objects,
            inventory.roles.objects,
            inventory.cluster_role_bindings.objects,
            inventory.role_bindings.objects,
        ),
        "published": {
            key: (value.content, value.service_name, value.in_effect)
            for table in tables
            for key, value in table.items()
        },
    }


# --- The same facts

CLUSTERS: dict[str, tuple[Json, ...]] = {
    "nothing": (),
    "a Service and its Pods": (service(), pod(), pod("web-2", ip="10.0.0.2", ready=False)),
    "dual stack": (
        service(ipFamilies=["IPv4", "IPv6"], clusterIPs=["172.20.0.10", "fd00:10::a"]),
        pod(ips=["10.0.0.1", "fd00::1"]),
    ),
    "headless, publishing what is not ready": (
        service(clusterIP="None", publishNotReadyAddresses=True),
        pod(hostname="web-0", subdomain="web"),
    ),
    "external addresses and a load balancer": (
        service(
            type="LoadBalancer",
            externalIPs=["203.0.113.9"],
            status={"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}, {"hostname": "lb"}]}},
        ),
    ),
    "ExternalName": (service("alias", selector=None, ports=None, type="ExternalName"),),
    "a selector with an empty value": (
        service(selector={"app": "web", "canary": ""}),
        pod(labels={"app": "web", "canary": ""}),
    ),
    "a selector of nothing but an empty value": (service(selector={"web": ""}),),
    "Pods in every phase": (
        pod("a", phase="Succeeded"),
        pod("b", phase="Failed"),
        pod("c", phase="Pending", ips=[]),
        pod("d", deleting=True),
    ),
    "named ports, of sidecars too": (
        pod(
            containers=[container(container_port(8080, "http"), container_port(53, "dns", "UDP"))],
            initContainers=[
                container(container_port(9000, "metrics"), restartPolicy="Always"),
                container(container_port(1, "setup")),
            ],
        ),
    ),
    "a Pod on its node's network": (pod(ip="192.168.0.1", hostNetwork=True),),
    "nodes with ranges": (
        node("node-1", "192.168.0.1", "fd00:1::1", podCIDR="10.0.0.0/24", podCIDRs=["10.0.0.0/24"]),
    ),
    "published endpoints": (
        endpoints(subset(address(hostname="a"), waiting=[external()], ports=[port(1), port(2)])),
        endpoint_slice(
            endpoint(conditions={"ready": False}),
            external_endpoint("198.51.100.7", "198.51.100.8"),
            ports=[port(None), port(0, name="zero", appProtocol="kubernetes.io/h2c")],
        ),
    ),
    "empty endpoints": (empty_endpoints(), empty_slice()),
    "endpoints that are not mirrored": (
        endpoints(labels={SKIP_MIRROR: "true"}),
        endpoints(name="lock", annotations={LEADER: '{"holderIdentity":"a"}'}),
    ),
    "a slice of nobody": (endpoint_slice(of_service=None),),
    "roles and bindings": (
        cluster_role("writer", policy_rule(), labels={"aggregate": "yes"}),
        cluster_role("sum", aggregates=[{"matchLabels": {"aggregate": "yes"}}]),
        role("one", policy_rule("pods"), policy_rule(resourceNames=["web"])),
        cluster_role_binding("everywhere", "sum", user(), group()),
        role_binding("here", "one", service_account(), service_account("b", namespace=None)),
    ),
}


@pytest.mark.parametrize("cluster", CLUSTERS.values(), ids=CLUSTERS)
def test_a_snapshot_read_back_says_what_the_cluster_says(
    server: FakeApiServer, cluster: tuple[Json, ...]
) -> None:
    assert facts(read_back(snapshot(server, cluster))) == facts(state(*cluster))


@pytest.mark.parametrize("cluster", CLUSTERS.values(), ids=CLUSTERS)
def test_reading_the_cluster_into_memory_says_the_same(
    server: FakeApiServer, cluster: tuple[Json, ...]
) -> None:
    fill(server, cluster)
    judged_by = [each for each in cluster if RBAC not in each["apiVersion"]]
    assert facts(read_cluster(api_of(server), unseen)) == facts(state(*judged_by))


@pytest.fixture(scope="module")
def shared() -> Iterator[FakeApiServer]:
    with FakeApiServer() as running:
        yield running


ATTEMPTS = {**attempts(BYPASSES), **attempts(PATTERNS)}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_every_bypass_and_pattern_gets_the_same_verdict_from_a_snapshot(
    shared: FakeApiServer, attempt: Attempt
) -> None:
    held = [each for each in (*SCENE, *attempt.state) if each["kind"] in PATHS]
    inventory = read_back(snapshot(shared, held))
    request = parsed(attempt).request
    assert decide(request, inventory, Policy()).findings == (
        decide(request, cluster_of(attempt), Policy()).findings
    )


@settings(max_examples=40, deadline=None)
@given(services(), many_pods())
def test_whatever_the_cluster_a_snapshot_says_the_same(owner: Json, pods: list[Json]) -> None:
    with FakeApiServer() as server:
        assert facts(read_back(snapshot(server, (owner, *pods)))) == facts(state(owner, *pods))


def test_removing_the_leader_annotation_is_seen_against_a_snapshot(server: FakeApiServer) -> None:
    """Mirroring starts then, so everything that was there counts as new."""
    locked = endpoints(subset(external("10.0.7.8")), annotations={LEADER: "{}"})
    cluster = (manual_service(), pod("vault-0", namespace="rival", ip="10.0.7.8"), locked)
    (old,) = read_back(snapshot(server, cluster)).endpoints.objects.values()
    assert not old.in_effect


def test_that_endpoints_are_cut_off_is_known_from_a_snapshot(server: FakeApiServer) -> None:
    """Else the audit would miss Pods in them."""
    cluster = (service(), pod(), endpoints(annotations={OVER_CAPACITY: "truncated"}))
    (read,) = read_back(snapshot(server, cluster)).endpoints.objects.values()
    assert is_cut_off(read)


# --- And nothing else

SECRET = "hunter2"
HIDING: tuple[Json, ...] = (
    {**service(), "metadata": {**service()["metadata"], "annotations": {"token": SECRET}}},
    pod(
        containers=[
            container(
                env=[{"name": "PASSWORD", "value": SECRET}],
                envFrom=[{"secretRef": {"name": SECRET}}],
                command=["run", SECRET],
                args=[f"--password={SECRET}"],
                image=f"registry.example/{SECRET}",
                livenessProbe={"httpGet": {"httpHeaders": [{"name": "x", "value": SECRET}]}},
            )
        ],
        volumes=[{"name": "v", "secret": {"secretName": SECRET}}],
        imagePullSecrets=[{"name": SECRET}],
        serviceAccountName=SECRET,
    ),
    {**node(), "metadata": {**node()["metadata"], "annotations": {"csr": SECRET}}},
    endpoints(annotations={LEADER: SECRET, "patroni": SECRET}),
    endpoint_slice(annotations={"x": SECRET}, managedFields=[{"manager": SECRET}]),
    {**cluster_role("r"), "metadata": {"name": "r", "annotations": {"x": SECRET}}},
    {**role_binding("b", "r", user()), "extra": SECRET},
)
KEPT = {
    "Service": {"metadata", "spec", "status"},
    "Pod": {"metadata", "spec", "status"},
    "Node": {"metadata", "spec", "status"},
    "Endpoints": {"metadata", "subsets"},
    "EndpointSlice": {"metadata", "addressType", "endpoints", "ports"},
    "ClusterRole": {"metadata", "rules", "aggregationRule"},
    "RoleBinding": {"metadata", "roleRef", "subjects"},
}


def test_nothing_secret_is_in_it(server: FakeApiServer) -> None:
    text = snapshot(server, HIDING)
    assert len(items(text)) == len(HIDING)
    for word in (SECRET, "PASSWORD", "env", "command", "image", "volumes", "managedFields"):
        assert word not in text


def test_only_what_verdicts_need_is_in_it(server: FakeApiServer) -> None:
    for item in items(snapshot(server, HIDING)):
        assert set(item) <= {"apiVersion", "kind", *KEPT[item["kind"]]}
        assert set(item["metadata"]) <= {
            "name",
            "namespace",
            "generateName",
            "uid",
            "labels",
            "annotations",
            "deletionTimestamp",
        }


def test_it_is_a_list_as_kubectl_prints_it_one_object_a_line(server: FakeApiServer) -> None:
    text = snapshot(server, (service(), pod(), node()))
    listed = json.loads(text)
    assert (listed["apiVersion"], listed["kind"]) == ("v1", "List")
    assert len(text.splitlines()) == len(listed["items"]) + 2
    assert {(i["apiVersion"], i["kind"]) for i in items(text)} == {
        ("v1", "Service"),
        ("v1", "Pod"),
        ("v1", "Node"),
    }


def test_a_kind_of_which_there_is_nothing_is_not_missing(server: FakeApiServer) -> None:
    made = read_text(snapshot(server, (service(), pod())))
    assert made.kinds == {resource.kind for resource in STORED}
    assert {kind for kind, _ in made.objects} == {"Service", "Pod"}


def test_a_big_cluster_is_read_in_pages_with_progress(server: FakeApiServer) -> None:
    many = [pod(f"web-{n}", ip=f"10.0.{n // 250}.{n % 250 + 1}") for n in range(1200)]
    fill(server, many)
    seen: list[tuple[str, int, int]] = []
    text = "".join(snapshot_lines(api_of(server), lambda *page: seen.append(page)))
    assert len(items(text)) == 1200
    pages = [(count, total) for kind, count, total in seen if kind == "Pod"]
    assert pages == [(500, 1200), (1000, 1200), (1200, 1200)]


def test_of_a_namespace_it_has_only_that_one_s_endpoints(server: FakeApiServer) -> None:
    cluster = (
        service(),
        service("db", namespace="rival"),
        pod(),
        pod("db-0", namespace="rival", ip="10.0.7.8"),
        endpoints(),
        endpoints(name="db", namespace="rival"),
        endpoint_slice(),
        endpoint_slice(name="db-1", namespace="rival", of_service="db"),
    )
    its = items(snapshot(server, cluster, namespace="shop"))
    names = {
        kind: {i["metadata"]["name"] for i in its if i["kind"] == kind} for kind in KINDS.values()
    }
    assert names["Service"] == {"web", "db"}
    assert names["Pod"] == {"web-1", "db-0"}
    assert names["Endpoints"] == {"web"}
    assert names["EndpointSlice"] == {"web-abcde"}


def test_where_the_api_server_is_belongs_to_every_namespace_s_snapshot(
    server: FakeApiServer,
) -> None:
    """Or else a check against it allows what admission denies (EG504)."""
    reserved = endpoint_slice(
        external_endpoint("192.168.9.9"),
        name="kubernetes",
        namespace="default",
        of_service="kubernetes",
    )
    kept = read_back(snapshot(server, (manual_service(), reserved), namespace="shop"))
    assert kept.is_api_server("192.168.9.9")


def test_what_cannot_be_read_is_an_error_and_no_smaller_snapshot(server: FakeApiServer) -> None:
    fill(server, (service(), pod()))
    server.inject(Fault(verb="list", path="/api/v1/nodes", status=403))
    with pytest.raises(Forbidden):
        "".join(snapshot_lines(api_of(server), unseen))


# --- Through the command line


def run(server: FakeApiServer, *words: str, stdin: str | None = None) -> Result:
    command = [*words, "--kubeconfig", server.kubeconfig]
    return CliRunner().invoke(cli, command, input=stdin)


def test_the_command_writes_a_file(server: FakeApiServer, tmp_path: Path) -> None:
    cluster = (service(), pod(), endpoints())
    fill(server, cluster)
    ended = run(server, "snapshot", "-o", str(tmp_path / "now.json"))
    assert (ended.exit_code, ended.output) == (0, "")
    assert facts(read_back((tmp_path / "now.json").read_text())) == facts(state(*cluster))
    assert [each.name for each in tmp_path.iterdir()] == ["now.json"]


def test_the_command_writes_to_standard_output(server: FakeApiServer) -> None:
    fill(server, (service(),))
    ended = run(server, "snapshot", "-o", "-")
    assert ended.exit_code == 0
    assert len(items(ended.stdout)) == 1


UNREAD = {
    "no permission": Fault(verb="list", path="/api/v1/nodes", status=403, times=ALWAYS),
    "an error": Fault(verb="list", path="/api/v1/pods", status=500, times=ALWAYS),
    "a page that is gone": Fault(verb="list", path="/api/v1/pods", after=1, status=410),
    "half an answer": Fault(verb="list", path="/api/v1/pods", break_off=True, times=ALWAYS),
    "no list": Fault(verb="list", path="/api/v1/pods", mangle=lambda _: b"[]", times=ALWAYS),
    "an object of another shape": Fault(
        verb="list",
        path="/api/v1/pods",
        mangle=lambda body: body.replace(b'"spec":{', b'"spec":7,"x":{'),
        times=ALWAYS,
    ),
}
MANY_PODS = [pod(f"more-{n}", ip=f"10.2.{n // 250}.{n % 250 + 1}") for n in range(501)]


@pytest.mark.parametrize("fault", UNREAD.values(), ids=UNREAD)
def test_a_snapshot_that_is_not_whole_never_appears(
    server: FakeApiServer, fault: Fault, tmp_path: Path
) -> None:
    fill(server, (service(), *MANY_PODS))
    server.inject(replace(fault))
    ended = run(server, "snapshot", "-o", str(tmp_path / "now.json"))
    assert ended.exit_code == 3, ended.output
    assert "the cluster could not be read: " in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_snapshot_from_before_stays_when_the_next_one_fails(
    server: FakeApiServer, tmp_path: Path
) -> None:
    file = tmp_path / "now.json"
    file.write_text("before")
    server.inject(Fault(verb="list", status=500, times=ALWAYS))
    assert run(server, "snapshot", "-o", str(file)).exit_code == 3
    assert file.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["now.json"]


def test_a_place_that_cannot_be_written_is_wrong_usage(
    server: FakeApiServer, tmp_path: Path
) -> None:
    ended = run(server, "snapshot", "-o", str(tmp_path / "missing" / "now.json"))
    assert ended.exit_code == 2
    assert "now.json" in ended.stderr


def test_missing_permission_is_said_as_a_rule_to_grant(
    server: FakeApiServer, tmp_path: Path
) -> None:
    server.inject(Fault(verb="list", path="/api/v1/nodes", status=403, message="no"))
    ended = run(server, "snapshot", "-o", str(tmp_path / "now.json"))
    assert 'resources: ["nodes"], verbs: ["list"]' in ended.stderr


# --- check --live

BAD = endpoints(subset(address(), ports=[port(22)]))
GOOD = endpoints()
LIVE = (service(), pod(), node())


def check(server: FakeApiServer, write: Json, *words: str) -> Result:
    command = ("check", "-f", "-", "--live", "-o", "json", *words)
    return run(server, *command, stdin=json.dumps(write))


def test_check_judges_against_the_cluster(server: FakeApiServer) -> None:
    fill(server, LIVE)
    good, bad = check(server, GOOD), check(server, BAD)
    assert (good.exit_code, bad.exit_code) == (0, 1)
    (judged,) = json.loads(bad.stdout)["objects"]
    assert [finding["rule"] for finding in judged["findings"]] == ["EG402"]


def test_what_the_cluster_holds_is_the_old_object(server: FakeApiServer) -> None:
    fill(server, (*LIVE, BAD))
    again, more = check(server, BAD), check(server, endpoints(subset(address(), ports=[port(23)])))
    assert again.exit_code == 0
    assert more.exit_code == 1


def test_manifests_of_the_same_input_come_on_top(server: FakeApiServer) -> None:
    """A Service that is applied together with its endpoints."""
    fill(server, (service(selector={"app": "other"}), pod()))
    assert check(server, GOOD).exit_code == 1
    together = {"apiVersion": "v1", "kind": "List", "items": [service(), GOOD]}
    assert check(server, together).exit_code == 0


@pytest.mark.parametrize("fault", UNREAD.values(), ids=UNREAD)
def test_a_cluster_that_cannot_be_read_is_never_clean(server: FakeApiServer, fault: Fault) -> None:
    fill(server, (*LIVE, *MANY_PODS))
    server.inject(replace(fault))
    ended = check(server, GOOD)
    assert ended.exit_code == 3, ended.output
    assert ended.stdout == ""
    assert "the cluster could not be read: " in ended.stderr


def test_a_cluster_that_is_not_there_is_never_clean(server: FakeApiServer) -> None:
    server.stop()
    ended = check(server, GOOD)
    assert (ended.exit_code, ended.stdout) == (3, "")


def test_a_kubeconfig_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    command = ["check", "-f", "-", "--live", "--kubeconfig", str(tmp_path / "none")]
    ended = CliRunner().invoke(cli, command, input=json.dumps(GOOD))
    assert (ended.exit_code, ended.stdout) == (2, "")
