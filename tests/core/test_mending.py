"""The command that ends a grant: it ends that one, takes nothing else, and is safe to paste."""

import json
import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    EVERYTHING,
    WRITE,
    Json,
    cluster_role,
    cluster_role_binding,
    group,
    policy_rule,
    role,
    role_binding,
    service_account,
    state,
    user,
)
from tests.core.rbac_model import Request, after, aggregated, allows, given_by
from tests.core.test_grants import (
    NAMES,
    NAMESPACES,
    OLD_EDIT,
    OLD_RULE,
    clusters,
)
from tests.strategies import law
from webhook.core.grants import Grant
from webhook.core.mending import Way, mending

R = "role.rbac.authorization.k8s.io/r"


def only_grant(*cluster: Json) -> Grant:
    (grant,) = given_by(state(*cluster))
    return grant


def patch_of(command: str) -> list[Json]:
    (flag,) = (word for word in shlex.split(command) if word.startswith("--patch="))
    patch: list[Json] = json.loads(flag.removeprefix("--patch="))
    return patch


# --- Which way

PODS = policy_rule("pods")
WAYS: dict[str, tuple[tuple[Json, ...], str, Way]] = {
    "a role for nothing but endpoints": ((policy_rule(),), "r", Way.LEAVE_BINDING),
    "a role that also reads endpoints": (
        (policy_rule(verbs=["get", "update"]),),
        "r",
        Way.LEAVE_BINDING,
    ),
    "a role with other resources": ((policy_rule("endpoints", "pods"),), "r", Way.NARROW_ROLE),
    "a role with other rules": ((policy_rule(), PODS), "r", Way.NARROW_ROLE),
    "every verb": ((policy_rule(verbs=["*"]), PODS), "r", Way.NARROW_ROLE),
    "every resource": ((policy_rule("*"), PODS), "r", Way.LEAVE_BINDING),
    "every group": ((policy_rule(apiGroups=["*"]), PODS), "r", Way.LEAVE_BINDING),
    "one rule can be cut, another cannot": ((policy_rule(), EVERYTHING), "r", Way.LEAVE_BINDING),
    "a role that the control plane needs": (
        (policy_rule(), PODS),
        "system:controller:endpoint-controller",
        Way.LEAVE_BINDING,
    ),
    "a default role that does not need it any more": (
        (policy_rule(resourceNames=["kube-scheduler"]), PODS),
        "system:kube-scheduler",
        Way.NARROW_ROLE,
    ),
}


@pytest.mark.parametrize(("rules", "name", "way"), WAYS.values(), ids=WAYS)
def test_a_role_is_narrowed_where_that_leaves_something(
    rules: tuple[Json, ...], name: str, way: Way
) -> None:
    binding = cluster_role_binding("b", name, user())
    assert mending(only_grant(cluster_role(name, *rules), binding)).way is way


def test_a_command_that_would_be_too_long_to_print_is_not_given() -> None:
    names = [f"object-{number}" for number in range(200)]
    cluster = role("r", policy_rule(resourceNames=names), PODS), role_binding("b", "r", user())
    mend = mending(only_grant(*cluster))
    assert (mend.way, len(mend.command) < 200) == (Way.LEAVE_BINDING, True)


# --- What it says


def leaving(*subjects: Json, of: int = 0) -> str:
    cluster = role("r", policy_rule()), role_binding("b", "r", *subjects)
    return mending(given_by(state(*cluster))[of]).command


B = "rolebinding.rbac.authorization.k8s.io/b --namespace shop"


def test_the_only_subject_goes_with_the_binding() -> None:
    assert leaving(user()) == f"kubectl delete {B}"
    assert leaving(user(), user()) == f"kubectl delete {B}"


def test_one_of_several_subjects_is_taken_out_if_it_still_stands_there() -> None:
    command = leaving(user(), service_account("a"), of=1)
    assert command.startswith(f"kubectl patch {B} --type=json '--patch=[")
    assert patch_of(command) == [
        {"op": "test", "path": "/subjects/1/kind", "value": "ServiceAccount"},
        {"op": "test", "path": "/subjects/1/name", "value": "a"},
        {"op": "test", "path": "/subjects/1/namespace", "value": "shop"},
        {"op": "remove", "path": "/subjects/1"},
    ]


def test_a_subject_that_is_listed_twice_is_taken_out_twice() -> None:
    implied, written = service_account("a", None), service_account("a")
    assert patch_of(leaving(implied, user(), written)) == [
        {"op": "test", "path": "/subjects/2/kind", "value": "ServiceAccount"},
        {"op": "test", "path": "/subjects/2/name", "value": "a"},
        {"op": "test", "path": "/subjects/2/namespace", "value": "shop"},
        {"op": "remove", "path": "/subjects/2"},
        {"op": "test", "path": "/subjects/0/kind", "value": "ServiceAccount"},
        {"op": "test", "path": "/subjects/0/name", "value": "a"},
        {"op": "remove", "path": "/subjects/0"},
    ]


GROUPS = ["", "discovery.k8s.io"]
NARROWED: dict[str, tuple[Json, list[Json]]] = {
    "out of a list": (
        policy_rule("services", "endpoints", "configmaps"),
        [policy_rule("services", "configmaps")],
    ),
    "both kinds, listed twice": (
        policy_rule("endpoints", "pods", "endpointslices", "endpoints", apiGroups=GROUPS),
        [policy_rule("pods", apiGroups=GROUPS)],
    ),
    "reading and deleting stay": (
        policy_rule("endpoints", "pods", verbs=["get", "update", "delete"]),
        [
            policy_rule("pods", verbs=["get", "update", "delete"]),
            policy_rule("endpoints", verbs=["get", "delete"]),
        ],
    ),
    "every verb but those": (
        policy_rule(verbs=["*"]),
        [policy_rule(verbs=["get", "list", "watch", "delete", "deletecollection"])],
    ),
    "only some objects": (
        policy_rule("endpoints", "pods", verbs=["get", "patch"], resourceNames=["web"]),
        [
            policy_rule("pods", verbs=["get", "patch"], resourceNames=["web"]),
            policy_rule("endpoints", verbs=["get"], resourceNames=["web"]),
        ],
    ),
    "groups that have no endpoints": (
        policy_rule("endpoints", "deployments", apiGroups=["", "apps"]),
        [policy_rule("deployments", apiGroups=["", "apps"])],
    ),
    "a custom resource of the same name": (
        policy_rule("endpoints", apiGroups=["", "example.com"]),
        [policy_rule("endpoints", apiGroups=["example.com"])],
    ),
    "nothing is left": (policy_rule(), []),
}


@pytest.mark.parametrize(("rule", "left"), NARROWED.values(), ids=NARROWED)
def test_narrowing_leaves_the_rest_of_a_rule(rule: Json, left: list[Json]) -> None:
    services = policy_rule("services")
    cluster = role("r", PODS, rule, services), role_binding("b", "r", user())
    mend = mending(only_grant(*cluster))
    assert mend.command.startswith(f"kubectl patch {R} --namespace shop --type=json ")
    narrowed, _ = after(cluster, mend.command)
    # What is left of the rule in its place stays there, what had to be written anew is last.
    of_others = [each for each in narrowed["rules"] if each not in left]
    assert of_others == [PODS, services]
    assert [each for each in narrowed["rules"] if each in left] == left


def test_the_edit_of_old_clusters_is_mended_where_the_rule_is_written() -> None:
    """And becomes what it is in new ones, where it may not delete endpoints either."""
    for cluster in (OLD_EDIT, aggregated(OLD_EDIT)):
        mend = mending(only_grant(*cluster))
        assert mend.way is Way.NARROW_ROLE
        assert patch_of(mend.command) == [
            {"op": "test", "path": "/rules/1/apiGroups", "value": [""]},
            {"op": "test", "path": "/rules/1/verbs", "value": [*WRITE, "delete"]},
            {"op": "test", "path": "/rules/1/resources/1", "value": "endpoints"},
            {"op": "remove", "path": "/rules/1/resources/1"},
        ]
        mended = aggregated(after(cluster, mend.command))
        assert given_by(state(*mended)) == []
        rules = next(e["rules"] for e in mended if e["metadata"]["name"] == "edit")
        assert rules == [PODS, {**OLD_RULE, "resources": ["services", "configmaps"]}]


def test_a_copy_whose_original_is_gone_is_not_cut_since_a_controller_fills_it() -> None:
    cluster = (
        cluster_role("sum", PODS, policy_rule(), aggregates=[{"matchLabels": {"team": "yes"}}]),
        cluster_role_binding("b", "sum", user()),
    )
    assert mending(only_grant(*cluster)).way is Way.LEAVE_BINDING


def test_what_roles_keep_that_take_in_each_other_is_not_cut_since_it_would_come_back() -> None:
    labels = {"team": "yes"}
    each_other = [{"matchLabels": labels}]
    cluster = aggregated(
        [
            cluster_role("a", policy_rule(), PODS, labels=labels),
            cluster_role("b", labels=labels, aggregates=each_other),
            cluster_role("c", labels=labels, aggregates=each_other),
            cluster_role_binding("b", "b", user()),
        ]
    )
    mend = mending(only_grant(*cluster))
    assert mend.way is Way.LEAVE_BINDING
    assert given_by(state(*aggregated(after(cluster, mend.command)))) == []


def test_every_part_that_gives_the_right_is_narrowed() -> None:
    labels = {"team": "yes"}
    cluster = (
        cluster_role("sum", aggregates=[{"matchLabels": labels}]),
        cluster_role("one", policy_rule(), labels=labels),
        cluster_role("two", PODS, policy_rule(), labels=labels),
        cluster_role_binding("b", "sum", user()),
    )
    mend = mending(only_grant(*aggregated(cluster)))
    assert mend.command.count(" && ") == 1
    assert given_by(state(*aggregated(after(cluster, mend.command)))) == []


# --- The law

EVERYBODY: list[Json] = [
    {"user": "alice"},
    {"user": "bob", "groups": ("devs",)},
    {"user": "system:serviceaccount:shop:sa"},
    {"user": "system:serviceaccount:rival:sa"},
]
ASKED = [
    Request(verb=verb, group=of, resource=resource, namespace=namespace, name=name, **who)
    for who in EVERYBODY
    for resource, of in (
        ("endpoints", ""),
        ("endpointslices", "discovery.k8s.io"),
        ("pods", ""),
        ("pods", "apps"),
        ("endpoints/restricted", ""),
        ("pods/restricted", ""),
    )
    for verb in (*WRITE, "get", "delete")
    for namespace in NAMESPACES
    for name in NAMES
]


def is_write(asked: Request) -> bool:
    return asked.resource in ("endpoints", "endpointslices") and asked.verb in WRITE


def is_by(asked: Request, grant: Grant) -> bool:
    return asked.user == grant.subject.username or grant.subject.name in asked.groups


@law
@given(clusters(), st.data())
def test_a_command_ends_its_grant_and_takes_nothing_else(
    cluster: list[Json], data: st.DataObject
) -> None:
    before = aggregated(cluster)
    found = given_by(state(*before))
    if not found:
        return
    grant = data.draw(st.sampled_from(found))
    mend = mending(grant)
    mended = aggregated(after(before, mend.command))

    def same(each: Grant) -> bool:
        return (each.binding.kind, each.binding.name, each.subject) == (
            grant.binding.kind,
            grant.binding.name,
            grant.subject,
        )

    assert not any(map(same, given_by(state(*mended))))
    narrowed = mend.way is Way.NARROW_ROLE
    for asked in ASKED:
        if (narrowed and not is_write(asked)) or (not narrowed and not is_by(asked, grant)):
            assert allows(mended, asked) == allows(before, asked), (asked, mend.command)


# --- Safe to paste

HOSTILE = (
    "-o=yaml",
    "; rm -rf ~",
    "$(id)",
    "`id`",
    "a'b\"c",
    "a b",
    "a\nb",
    "\x1b[2J",
    "\u202eb",
    "ü",
)


def words(command: str) -> list[str]:
    """What a shell makes of it."""
    script = f"printf '%s\\0' {command}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_of_a_binding_is_one_harmless_word(name: str) -> None:
    cluster = cluster_role("r", policy_rule()), cluster_role_binding(name, "r", user())
    command = mending(only_grant(*cluster)).command
    assert command.isprintable()
    assert command.isascii()
    assert words(command) == [
        "kubectl",
        "delete",
        f"clusterrolebinding.rbac.authorization.k8s.io/{name}",
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_of_a_user_is_part_of_one_harmless_word(name: str) -> None:
    cluster = role("r", policy_rule()), role_binding("b", "r", group(), user(name))
    command = mending(given_by(state(*cluster))[1]).command
    assert command.isprintable()
    assert command.isascii()
    assert patch_of(shlex.join(words(command)))[1]["value"] == name


@law
@given(st.text(st.characters(exclude_characters="\0/%", exclude_categories=["Cs"]), min_size=1))
def test_whatever_the_name_the_shell_sees_it_as_it_is(name: str) -> None:
    cluster = cluster_role("r", policy_rule()), cluster_role_binding(name, "r", user())
    assert words(mending(only_grant(*cluster)).command)[2].endswith(f"/{name}")
