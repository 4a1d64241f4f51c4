"""EG604 against the real RBAC of a real API server: who is reported, and what the command does.

The API server's own SubjectAccessReview says who may write. A control plane of its own, so that
nobody else's bindings are in it.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.builders import (
    EVERYTHING,
    WRITE,
    cluster_role,
    cluster_role_binding,
    group,
    policy_rule,
    role,
    role_binding,
    service_account,
    user,
)
from tests.core.rbac_model import Request, given_by, reported
from tests.e2e.api import Api, Json
from tests.e2e.cluster import eventually
from tests.e2e.controlplane import ControlPlane
from tests.e2e.controlplane.process import environment
from webhook.cli import cli
from webhook.cluster.api import connect
from webhook.cluster.reading import ClusterReader
from webhook.cluster.resources import RBAC
from webhook.core.grants import Grant
from webhook.core.mending import Mending, Way, mending

pytestmark = pytest.mark.e2e

A, B = "team-a", "team-b"
NAMESPACES = (A, B)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A control plane with a hand on its RBAC."""

    plane: ControlPlane
    admin: Api
    fresh: tuple[str, ...]
    """What the audit found before anything was put into it."""

    def findings(self) -> list[Json]:
        return findings(self.plane.kubeconfig())

    def granted(self) -> list[Grant]:
        """Every grant but the control plane's own."""
        return [each for each in grants(self.plane.kubeconfig()) if not each.is_of_control_plane]

    def put(self, *objects: Json) -> None:
        for each in objects:
            self.admin.create(each).must()

    def may(self, asked: Request) -> bool:
        resource, _, subresource = asked.resource.partition("/")
        about = {
            "verb": asked.verb,
            "group": asked.group,
            "resource": resource,
            "subresource": subresource,
            "namespace": asked.namespace,
            "name": asked.name,
        }
        groups = [*asked.groups, "system:authenticated"]
        spec = {"user": asked.user, "groups": groups, "resourceAttributes": about}
        review = {"kind": "SubjectAccessReview", "metadata": {}, "spec": spec}
        answer = self.admin.create({"apiVersion": "authorization.k8s.io/v1", **review})
        return bool(answer.must()["status"]["allowed"])

    def allowed(self, questions: Iterable[Request]) -> frozenset[Request]:
        return frozenset(asked for asked in questions if self.may(asked))

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """As an administrator would who pastes it into a terminal."""
        variables = environment(self.plane.directory)
        programs = self.plane.binaries.kubectl.parent
        variables |= {
            "KUBECONFIG": str(self.plane.kubeconfig()),
            "PATH": f"{programs}:{variables['PATH']}",
        }
        return subprocess.run(
            ["bash", "-c", command],
            env=variables,
            cwd=self.plane.directory,
            capture_output=True,
            text=True,
            check=False,
        )


def findings(kubeconfig: Path) -> list[Json]:
    """What `endpoints-guard audit` reports, each with the name of its object."""
    flags = ("--rule", "EG604", "--settle", "0", "--output", "json")
    result = CliRunner().invoke(cli, ["audit", *flags, "--kubeconfig", str(kubeconfig)])
    assert result.exit_code == 0, result.output
    objects = json.loads(result.stdout)["objects"]
    return [{"object": each["name"], **found} for each in objects for found in each["findings"]]


def grants(kubeconfig: Path) -> list[Grant]:
    reader = ClusterReader(connect(kubeconfig=str(kubeconfig), connections=1))
    reader.read(RBAC)
    assert reader.gaps == {}
    return given_by(reader.inventory)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ControlPlane.start() as plane:
        admin = Api(plane.kubeconfig())
        eventually(lambda: admin.get("ClusterRole", "", "edit").must()["rules"])
        fresh = tuple(each["message"] for each in findings(plane.kubeconfig()))
        for namespace in NAMESPACES:
            admin.create({"kind": "Namespace", "metadata": {"name": namespace}}).must()
        yield Cluster(plane=plane, admin=admin, fresh=fresh)
        admin.close()


def test_nothing_is_reported_of_a_fresh_cluster(cluster: Cluster) -> None:
    assert cluster.fresh == ()


def test_a_fresh_cluster_has_the_writers_that_are_expected_and_no_other(cluster: Cluster) -> None:
    own = [each for each in grants(cluster.plane.kubeconfig()) if each.is_of_control_plane]
    assert {each.binding.name for each in own} == {
        "cluster-admin",
        "system:controller:endpoint-controller",
        "system:controller:endpointslice-controller",
        "system:controller:endpointslicemirroring-controller",
        "system:controller:generic-garbage-collector",
        "system:controller:storage-version-migrator-controller",
    }


# --- A cluster in which people have been at work

HOSTILE = "it's; touch pwned $(touch pwned) `touch pwned` \"\\\n-o=yaml \u202e"
CONTROLLER = "system:controller:endpoint-controller"
MORE = {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}
SCENE: tuple[Json, ...] = (
    role("writer", policy_rule(), namespace=A),
    role_binding("one", "writer", user("ann"), namespace=A),
    role_binding(
        "several",
        "writer",
        user("ben"),
        group("ops"),
        service_account("robot", None),
        service_account("robot", B),
        service_account("robot", A),
        namespace=A,
    ),
    cluster_role(
        "platform",
        policy_rule("deployments", verbs=["*"], apiGroups=["apps"]),
        policy_rule("services", "endpoints", "pods", verbs=["*"]),
        policy_rule("endpointslices", verbs=["get", "patch"]),
    ),
    cluster_role_binding("platform", "platform", group("platform"), service_account("ci", B)),
    cluster_role("broad", policy_rule("*", verbs=["create", "patch", "get"], apiGroups=["*"])),
    cluster_role_binding("broad", "broad", user("cid")),
    role("lock", policy_rule("endpoints", "pods", resourceNames=["web"]), namespace=B),
    role_binding("lock", "lock", user("dan"), namespace=B),
    cluster_role(HOSTILE, policy_rule("endpointslices")),
    cluster_role_binding(HOSTILE, HOSTILE, user(HOSTILE), user("eve")),
    cluster_role("more-edit", policy_rule("endpointslices"), labels=MORE),
    role_binding("editors", "edit", group("editors"), namespace=A, kind="ClusterRole"),
    role_binding("editors", "edit", group("editors"), namespace=B, kind="ClusterRole"),
    cluster_role("everything", EVERYTHING),
    role_binding("owners", "everything", user("flo"), namespace=B, kind="ClusterRole"),
    # And those who are no writers.
    role("reader", policy_rule(verbs=["get", "list", "watch", "delete"]), namespace=A),
    role_binding("readers", "reader", user("gil"), namespace=A),
    role_binding("viewers", "view", user("gil"), namespace=B, kind="ClusterRole"),
    cluster_role("restricted", policy_rule("endpoints/restricted", verbs=["create"])),
    cluster_role_binding("restricted", "restricted", user("hal")),
    cluster_role_binding("nothing", "missing", user("hal")),
)
MALLORY = user("mallory")
"""Is put into a controller's own binding."""

PEOPLE: tuple[Mapping[str, object], ...] = (
    *({"user": name} for name in ("ann", "ben", "cid", "dan", "eve", HOSTILE, "flo", "mallory")),
    *({"user": name} for name in ("gil", "hal", "nobody")),
    *({"user": "somebody", "groups": (name,)} for name in ("ops", "platform", "editors", "others")),
    *({"user": f"system:serviceaccount:{ns}:robot"} for ns in NAMESPACES),
    *({"user": f"system:serviceaccount:{ns}:ci"} for ns in NAMESPACES),
    {"user": "system:serviceaccount:kube-system:endpoint-controller"},
)
PUBLISHED = (("", "endpoints"), ("discovery.k8s.io", "endpointslices"))
WRITES = tuple(
    Request(verb=verb, group=of, resource=resource, namespace=namespace, name=name, **who)  # type: ignore[arg-type]
    for who in PEOPLE
    for of, resource in PUBLISHED
    for verb in WRITE
    for namespace in NAMESPACES
    for name in ("", "web")
)
OTHERS = tuple(
    Request(verb=verb, group=of, resource=resource, namespace=namespace, name="web", **who)  # type: ignore[arg-type]
    for who in PEOPLE
    for verb, of, resource in (
        *((verb, *published) for verb in ("get", "delete") for published in PUBLISHED),
        *((verb, "", "pods") for verb in ("get", "create", "update")),
        *((verb, "apps", "deployments") for verb in ("get", "patch")),
        ("delete", "", "services"),
        ("create", "", "endpoints/restricted"),
    )
    for namespace in NAMESPACES
)


@pytest.fixture(scope="module")
def scene(cluster: Cluster) -> Cluster:
    cluster.put(*SCENE)
    binding = cluster.admin.get("ClusterRoleBinding", "", CONTROLLER).must()
    binding["subjects"].append(MALLORY)
    cluster.admin.replace({"kind": "ClusterRoleBinding", **binding}).must()
    eventually(lambda: len(cluster.findings()) == len(MESSAGES), why=cluster.findings)
    return cluster


ALL_VERBS = "create, update and patch"
IN_A, IN_B, EVERYWHERE = "in namespace team-a", "in namespace team-b", "in every namespace"
BOTH = "endpoints and endpointslices"
OF_CI = f"{ALL_VERBS} endpoints, and patch endpointslices {EVERYWHERE}, by ClusterRole platform"
ANY = "with * for apiGroups, resources"
AS_EDITOR = "by ClusterRole edit, put together of ClusterRole more-edit"
MESSAGES = {
    *(
        f"{who} may {ALL_VERBS} endpoints {IN_A}, by Role writer"
        for who in (
            "User ann",
            "User ben",
            "Group ops",
            "ServiceAccount team-a/robot",
            "ServiceAccount team-b/robot",
        )
    ),
    f"Group platform may {OF_CI}, with * for verbs",
    f"ServiceAccount team-b/ci may {OF_CI}, with * for verbs",
    f"User cid may create and patch {BOTH} {EVERYWHERE}, by ClusterRole broad, {ANY}",
    f"User dan may {ALL_VERBS} endpoints named web {IN_B}, by Role lock",
    f"User {HOSTILE} may {ALL_VERBS} endpointslices {EVERYWHERE}, by ClusterRole {HOSTILE}",
    f"User eve may {ALL_VERBS} endpointslices {EVERYWHERE}, by ClusterRole {HOSTILE}",
    f"Group editors may {ALL_VERBS} endpointslices {IN_A}, {AS_EDITOR}",
    f"Group editors may {ALL_VERBS} endpointslices {IN_B}, {AS_EDITOR}",
    f"User flo may {ALL_VERBS} {BOTH} {IN_B}, by ClusterRole everything, {ANY}, verbs",
    f"User mallory may create and update endpoints {EVERYWHERE}, by ClusterRole {CONTROLLER}",
}


def test_exactly_these_are_reported(scene: Cluster) -> None:
    assert {each["message"] for each in scene.findings()} == MESSAGES


def test_the_api_server_lets_exactly_those_write_who_are_reported(scene: Cluster) -> None:
    """The controller's account is asked about, too: it is left out of the report, not unknown."""
    known = grants(scene.plane.kubeconfig())
    expected = frozenset(asked for asked in WRITES if reported(known, asked))
    eventually(lambda: scene.allowed(WRITES) == expected)
    assert {asked.user for asked in WRITES} - {asked.user for asked in expected} == {
        "gil",
        "hal",
        "nobody",
        "system:serviceaccount:team-a:ci",
    }


@pytest.mark.timeout(600)
def test_every_command_ends_its_finding_and_takes_nothing_else_away(scene: Cluster) -> None:
    others, ways = scene.allowed(OTHERS), set()
    while left := scene.granted():
        mend = mended(scene, left[0])
        now = scene.allowed(OTHERS)
        lost = {
            asked
            for asked in others - now
            if mend.way is Way.NARROW_ROLE or not is_by(asked, left[0])
        }
        assert lost == set(), mend.command
        assert now <= others, mend.command
        others = now
        ways.add(mend.way)
    assert ways == set(Way)
    assert not (scene.plane.directory / "pwned").exists()
    own = scene.admin.get("ClusterRoleBinding", "", CONTROLLER).must()
    assert [each["name"] for each in own["subjects"]] == ["endpoint-controller"]


def mended(cluster: Cluster, grant: Grant) -> Mending:
    """Run the command; then the audit and the API server agree again on who may write."""
    mend = mending(grant)
    assert mend.command in {each["command"] for each in cluster.findings()}
    done = cluster.run(mend.command)
    assert done.returncode == 0, (mend.command, done.stderr)
    eventually(lambda: gone(cluster, grant), why=cluster.findings)
    known = grants(cluster.plane.kubeconfig())
    expected = frozenset(asked for asked in WRITES if reported(known, asked))
    eventually(lambda: cluster.allowed(WRITES) == expected)
    return mend


def is_by(asked: Request, grant: Grant) -> bool:
    return asked.user == grant.subject.username or grant.subject.name in asked.groups


def gone(cluster: Cluster, grant: Grant) -> bool:
    """Whether nothing is granted any more by this binding to this subject."""
    about = grant.binding.kind, grant.binding.namespace, grant.binding.name, grant.subject
    return about not in {
        (g.binding.kind, g.binding.namespace, g.binding.name, g.subject) for g in cluster.granted()
    }


# --- edit and admin of a cluster that was made before 1.22

AGGREGATE = "system:aggregate-to-edit"


def test_the_rule_of_old_clusters_is_found_through_edit_and_admin_and_mended_where_it_is(
    cluster: Cluster,
) -> None:
    new = cluster.admin.get("ClusterRole", "", AGGREGATE).must()
    old = json.loads(json.dumps(new))
    (services,) = (each for each in old["rules"] if "services" in each["resources"])
    assert set(WRITE) < set(services["verbs"])
    services["resources"].insert(1, "endpoints")
    cluster.admin.replace({"kind": "ClusterRole", **old}).must()
    cluster.put(
        role_binding("old", "edit", user("ida"), namespace=A, kind="ClusterRole"),
        role_binding("old", "admin", user("joe"), namespace=B, kind="ClusterRole"),
    )

    def of_old() -> list[Json]:
        return [each for each in cluster.findings() if each["object"] == "old"]

    eventually(lambda: len(of_old()) == 2, why=cluster.findings)
    eventually(lambda: cluster.may(writes("joe", B)))
    end = f"put together of ClusterRole {AGGREGATE}"
    assert [each["message"].endswith(end) for each in of_old()] == [True, True]
    ((detail, command),) = {(each["detail"], each["command"]) for each in of_old()}
    assert detail.startswith("Kubernetes gave this right to edit and admin before 1.22")

    done = cluster.run(command)
    assert done.returncode == 0, done.stderr
    eventually(lambda: of_old() == [], why=cluster.findings)
    eventually(lambda: not cluster.may(writes("joe", B)) and not cluster.may(writes("ida", A)))
    assert cluster.admin.get("ClusterRole", "", AGGREGATE).must()["rules"] == new["rules"]


def writes(name: str, namespace: str) -> Request:
    return Request(user=name, verb="patch", group="", resource="endpoints", namespace=namespace)
