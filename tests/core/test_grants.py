"""Who may write endpoints: what bindings give, whom the audit reports, and in which words."""

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
from tests.core.rbac_model import Request, aggregated, allows, given_by, reported
from tests.strategies import law
from webhook.cluster.documents import load_document
from webhook.core.audit import audit
from webhook.core.fingerprint import identity
from webhook.core.grants import bindings_to
from webhook.core.objects.rbac import RESOURCES
from webhook.core.policy import Policy, parse_policy

SLICES = "endpointslices"
BOTH = policy_rule("endpoints", SLICES, apiGroups=["", "discovery.k8s.io"])


def messages(*cluster: Json, policy: str = "") -> list[str]:
    """What the audit says, without what to do about it."""
    parsed = parse_policy(load_document(policy) or {})
    judged = audit(state(*cluster), parsed)
    return [f"{f.violation.field}: {f.violation.message}" for j in judged for f in j.findings]


def bound(*rules: Json, to: Json | None = None) -> tuple[Json, ...]:
    """A Role `r` with these rules, given to Alice in namespace shop."""
    return role("r", *rules), role_binding("b", "r", to or user())


ALICE = "subjects[0]: User alice may"
IN_SHOP = "in namespace shop, by Role r"

TOLD: dict[str, tuple[tuple[Json, ...], list[str]]] = {
    "endpoints": (bound(policy_rule()), [f"{ALICE} create, update and patch endpoints {IN_SHOP}"]),
    "both kinds": (
        bound(BOTH),
        [f"{ALICE} create, update and patch endpoints and endpointslices {IN_SHOP}"],
    ),
    "verbs from several rules": (
        bound(policy_rule(verbs=["patch"]), policy_rule(verbs=["create", "get"])),
        [f"{ALICE} create and patch endpoints {IN_SHOP}"],
    ),
    "other verbs for the other kind": (
        bound(policy_rule(verbs=["update"]), policy_rule(SLICES, verbs=["create"])),
        [f"{ALICE} update endpoints, and create endpointslices {IN_SHOP}"],
    ),
    "only some objects": (
        bound(policy_rule(verbs=["update"], resourceNames=["web", "db"])),
        [f"{ALICE} update endpoints named db and web {IN_SHOP}"],
    ),
    "some objects more than others": (
        bound(policy_rule(verbs=["update"]), policy_rule(resourceNames=["web"])),
        [f"{ALICE} update endpoints, and create and patch endpoints named web {IN_SHOP}"],
    ),
    "names that add nothing": (
        bound(policy_rule(), policy_rule(verbs=["update"], resourceNames=["web"])),
        [f"{ALICE} create, update and patch endpoints {IN_SHOP}"],
    ),
    "wildcards": (
        bound(policy_rule("*", verbs=["*"])),
        [f"{ALICE} create, update and patch endpoints {IN_SHOP}, with * for resources, verbs"],
    ),
    "every subject by itself": (
        (
            role("r", policy_rule(verbs=["patch"])),
            role_binding(
                "b", "r", user(), group(), service_account("sa"), service_account("me", None)
            ),
        ),
        [
            f"{ALICE} patch endpoints {IN_SHOP}",
            f"subjects[1]: Group devs may patch endpoints {IN_SHOP}",
            f"subjects[2]: ServiceAccount shop/sa may patch endpoints {IN_SHOP}",
            f"subjects[3]: ServiceAccount shop/me may patch endpoints {IN_SHOP}",
        ],
    ),
    "a subject that is listed twice": (
        (
            role("r", policy_rule(verbs=["patch"])),
            role_binding("b", "r", service_account(namespace=None), user(), service_account()),
        ),
        [
            f"subjects[0]: ServiceAccount shop/default may patch endpoints {IN_SHOP}",
            f"subjects[1]: User alice may patch endpoints {IN_SHOP}",
        ],
    ),
    "the whole cluster before a namespace": (
        (
            cluster_role("r", policy_rule(verbs=["patch"])),
            role_binding("a", "r", user(), kind="ClusterRole"),
            cluster_role_binding("z", "r", user()),
        ),
        [
            f"{ALICE} patch endpoints in every namespace, by ClusterRole r",
            f"{ALICE} patch endpoints in namespace shop, by ClusterRole r",
        ],
    ),
}


@pytest.mark.parametrize(("cluster", "expected"), TOLD.values(), ids=TOLD)
def test_the_audit_tells_who_may_do_what_where_and_by_which_role(
    cluster: tuple[Json, ...], expected: list[str]
) -> None:
    assert messages(*cluster) == expected


SILENT: dict[str, tuple[Json, ...]] = {
    "reading": bound(policy_rule(verbs=["get", "list", "watch"])),
    "deleting": bound(policy_rule(verbs=["delete", "deletecollection"])),
    "the restricted right alone": bound(policy_rule("endpoints/restricted", verbs=["create"])),
    "another resource": bound(policy_rule("services")),
    "slices in the group of endpoints": bound(policy_rule(SLICES, apiGroups=[""])),
    "URLs": bound({"nonResourceURLs": ["*"], "verbs": ["*"]}),
    "a role without rules": bound(),
    "a binding without subjects": (role("r", policy_rule()), role_binding("b", "r")),
    "a role that is missing": (role_binding("b", "r", user()),),
    "a Role of another namespace": (
        role("r", policy_rule(), namespace="rival"),
        role_binding("b", "r", user()),
    ),
    "a Role where a ClusterRole is meant": (
        role("r", policy_rule()),
        role_binding("b", "r", user(), kind="ClusterRole"),
    ),
    "a ClusterRole where a Role is meant": (
        cluster_role("r", policy_rule()),
        role_binding("b", "r", user()),
    ),
    "a kind of role that there is not": (
        cluster_role("r", policy_rule()),
        role_binding("b", "r", user(), kind="SuperRole"),
    ),
    "a service account of no namespace": (
        cluster_role("r", policy_rule()),
        cluster_role_binding("b", "r", service_account(namespace=None)),
    ),
    "a kind of subject that there is not": bound(
        policy_rule(), to={"kind": "Robot", "name": "alice"}
    ),
}


@pytest.mark.parametrize("cluster", SILENT.values(), ids=SILENT)
def test_it_is_silent_on_what_lets_nobody_write(cluster: tuple[Json, ...]) -> None:
    assert messages(*cluster) == []


# --- Aggregated roles

TO_EDIT = {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}
TO_ADMIN = {"rbac.authorization.k8s.io/aggregate-to-admin": "true"}
OLD_RULE = policy_rule("services", "endpoints", "configmaps", verbs=[*WRITE, "delete"])
OLD_EDIT = (
    cluster_role("admin", aggregates=[{"matchLabels": TO_ADMIN}]),
    cluster_role("edit", labels=TO_ADMIN, aggregates=[{"matchLabels": TO_EDIT}]),
    cluster_role("system:aggregate-to-edit", policy_rule("pods"), OLD_RULE, labels=TO_EDIT),
    role_binding("owners", "admin", group(), kind="ClusterRole"),
)
OLD_ADMIN = (
    "subjects[0]: Group devs may create, update and patch endpoints in namespace shop, "
    "by ClusterRole admin, put together of ClusterRole system:aggregate-to-edit"
)


def test_an_aggregated_role_is_followed_to_where_the_rule_is_written() -> None:
    """Before a controller has filled it, as in manifests, and after."""
    assert messages(*OLD_EDIT) == [OLD_ADMIN]
    assert messages(*aggregated(OLD_EDIT)) == [OLD_ADMIN]


def test_a_filled_role_is_what_it_holds_even_if_its_parts_say_otherwise() -> None:
    """The API server decides by the copies, and so do we."""
    filled = cluster_role("sum", policy_rule("pods"), aggregates=[{"matchLabels": TO_EDIT}])
    part = cluster_role("part", policy_rule(), labels=TO_EDIT)
    binding = cluster_role_binding("b", "sum", user())
    assert messages(filled, part, binding) == []
    late = {**filled, "rules": [policy_rule(verbs=["patch"])]}
    assert messages(late, part, binding) == [
        f"{ALICE} patch endpoints in every namespace, by ClusterRole sum"
    ]


def test_roles_that_take_in_each_other_come_to_an_end() -> None:
    x, y = {"x": "1"}, {"y": "1"}
    cluster = (
        cluster_role("a", labels=x, aggregates=[{"matchLabels": y}]),
        cluster_role("b", labels=y, aggregates=[{"matchLabels": x}]),
        cluster_role("c", policy_rule(verbs=["patch"]), labels=x),
        cluster_role_binding("b", "a", user()),
    )
    by = "by ClusterRole a, put together of ClusterRole c"
    assert messages(*cluster) == [f"{ALICE} patch endpoints in every namespace, {by}"]


def test_many_parts_are_told_in_short() -> None:
    parts = [cluster_role(f"p{n}", policy_rule(verbs=["patch"]), labels=TO_EDIT) for n in range(5)]
    total = cluster_role("sum", aggregates=[{}])
    (message,) = messages(total, *parts, cluster_role_binding("b", "sum", user()))
    assert message.endswith("by ClusterRole sum, put together of ClusterRole p0, p1, p2 and 2 more")


def test_a_change_of_a_role_concerns_the_bindings_that_depend_on_it() -> None:
    inventory = state(
        *OLD_EDIT,
        role("admin"),
        role_binding("other", "admin", user()),
        role_binding("editors", "edit", user(), kind="ClusterRole", namespace="rival"),
        cluster_role_binding("viewers", "view", user()),
    )
    part = inventory.cluster_roles.objects["", "system:aggregate-to-edit"]
    own = inventory.roles.objects["shop", "admin"]
    assert {each.name for each in bindings_to(part, inventory)} == {"owners", "editors"}
    assert [each.name for each in bindings_to(own, inventory)] == ["other"]


# --- The control plane's own

CONTROLLERS = (
    "endpoint-controller",
    "endpointslice-controller",
    "endpointslicemirroring-controller",
    "generic-garbage-collector",
    "storage-version-migrator-controller",
)


def of_controller(name: str, *others: Json) -> tuple[Json, ...]:
    full = f"system:controller:{name}"
    own = service_account(name, "kube-system")
    return cluster_role(full, BOTH), cluster_role_binding(full, full, own, *others)


@pytest.mark.parametrize("name", CONTROLLERS)
def test_a_controller_s_own_binding_is_expected_and_everybody_else_in_it_is_not(name: str) -> None:
    assert messages(*of_controller(name)) == []
    (message,) = messages(*of_controller(name, user()))
    assert message.startswith("subjects[1]: User alice may create")


UNEXPECTED: dict[str, tuple[Json, ...]] = {
    "the same account by another binding": (
        *of_controller("endpoint-controller"),
        cluster_role_binding(
            "mine",
            "system:controller:endpoint-controller",
            service_account("endpoint-controller", "kube-system"),
        ),
    ),
    "another role in a binding of that name": (
        cluster_role("mine", BOTH),
        cluster_role_binding(
            "system:controller:endpoint-controller",
            "mine",
            service_account("endpoint-controller", "kube-system"),
        ),
    ),
    "an account of that name elsewhere": (
        cluster_role("system:controller:endpoint-controller", BOTH),
        cluster_role_binding(
            "system:controller:endpoint-controller",
            "system:controller:endpoint-controller",
            service_account("endpoint-controller", "shop"),
        ),
    ),
    "a binding in a namespace": (
        cluster_role("system:controller:endpoint-controller", BOTH),
        role_binding(
            "system:controller:endpoint-controller",
            "system:controller:endpoint-controller",
            service_account("endpoint-controller", "kube-system"),
            namespace="kube-system",
            kind="ClusterRole",
        ),
    ),
    "labels of default roles": (
        cluster_role("mine", BOTH, labels={"kubernetes.io/bootstrapping": "rbac-defaults"}),
        cluster_role_binding("mine", "mine", service_account("endpoint-controller", "kube-system")),
    ),
    "a scheduler's lock from long ago": (
        cluster_role("system:kube-scheduler", policy_rule(resourceNames=["kube-scheduler"])),
        cluster_role_binding(
            "system:kube-scheduler", "system:kube-scheduler", user("system:kube-scheduler")
        ),
    ),
    "administrators": (
        cluster_role("cluster-admin", EVERYTHING),
        cluster_role_binding("cluster-admin", "cluster-admin", group("admins")),
    ),
    "system:masters by another binding": (
        cluster_role("cluster-admin", EVERYTHING),
        cluster_role_binding("again", "cluster-admin", group("system:masters")),
    ),
}


@pytest.mark.parametrize("cluster", UNEXPECTED.values(), ids=UNEXPECTED)
def test_what_only_resembles_the_control_plane_is_reported(cluster: tuple[Json, ...]) -> None:
    assert len(messages(*cluster)) == 1


EXPECTED_BINDINGS: dict[str, tuple[str, Json]] = {
    "system:masters": ("cluster-admin", group("system:masters")),
    "the controller manager": (
        "system:kube-controller-manager",
        user("system:kube-controller-manager"),
    ),
}


@pytest.mark.parametrize(("name", "subject"), EXPECTED_BINDINGS.values(), ids=EXPECTED_BINDINGS)
def test_default_bindings_of_superusers_are_expected(name: str, subject: Json) -> None:
    made = cluster_role(name, EVERYTHING), cluster_role_binding(name, name, subject)
    assert messages(*made) == []


# --- The policy

OPERATOR = "system:serviceaccount:monitoring:prometheus-operator"
EXEMPT: dict[str, tuple[str, list[str]]] = {
    "nobody": ("exemptions: []", ["alice", "devs", "operator"]),
    "a service account": (
        f"exemptions: [{{reason: r, users: ['{OPERATOR}'], rules: [EG604]}}]",
        ["alice", "devs"],
    ),
    "a user": ("exemptions: [{reason: r, users: [alice], rules: [EG604]}]", ["devs", "operator"]),
    "a group": (
        "exemptions: [{reason: r, groups: [devs], rules: [endpoint-writers]}]",
        ["alice", "operator"],
    ),
    "a binding by name": ("exemptions: [{reason: r, names: [b], rules: [EG604]}]", []),
    "a namespace does not cover the cluster": (
        "exemptions: [{reason: r, namespaces: [shop], rules: [EG604]}]",
        ["alice", "devs", "operator"],
    ),
    "another rule": (
        "exemptions: [{reason: r, users: [alice], rules: [EG501]}]",
        ["alice", "devs", "operator"],
    ),
    "the profile of an operator": ("profiles: [{name: prometheus-operator}]", ["alice", "devs"]),
    "turned off": ("rules: {EG604: 'off'}", []),
}


@pytest.mark.parametrize(("policy", "reported"), EXEMPT.values(), ids=EXEMPT)
def test_a_policy_hides_writers_that_are_meant_to_be(policy: str, reported: list[str]) -> None:
    operator = service_account("prometheus-operator", "monitoring")
    cluster = (
        cluster_role("r", policy_rule()),
        cluster_role_binding("b", "r", user(), group(), operator),
    )
    said = messages(*cluster, policy=policy)
    assert [n for n in ("alice", "devs", "operator") if any(f"{n} may" in s for s in said)] == (
        reported
    )


def test_an_exemption_for_a_namespace_covers_its_bindings() -> None:
    policy = "exemptions: [{reason: r, namespaces: [shop], rules: [EG604]}]"
    assert messages(*bound(policy_rule()), policy=policy) == []


def test_a_finding_is_the_same_wherever_its_subject_stands_in_the_binding() -> None:
    def identities(*subjects: Json) -> set[str]:
        cluster = (role("r", policy_rule()), role_binding("b", "r", *subjects))
        judged = list(audit(state(*cluster), Policy()))
        return {identity(j, f).fingerprint for j in judged for f in j.findings}

    assert identities(user(), group()) == identities(group(), user())
    assert len(identities(user("a"), group("a"), service_account("a"))) == 3


# --- The law

NAMES = ("", "web")
NAMESPACES = ("shop", "rival")
VERBS = st.lists(st.sampled_from([*WRITE, "get", "*"]), min_size=1, max_size=2, unique=True)
GROUPS = st.lists(
    st.sampled_from(["", "discovery.k8s.io", "apps", "*"]), min_size=1, max_size=2, unique=True
)
RESOURCE_LISTS = st.lists(
    st.sampled_from(["endpoints", SLICES, "pods", "*", "endpoints/restricted", "*/restricted"]),
    min_size=1,
    max_size=3,
    unique=True,
)
RULES = st.builds(
    lambda verbs, groups, resources, names: {
        "verbs": verbs,
        "apiGroups": groups,
        "resources": resources,
        **({"resourceNames": names} if names else {}),
    },
    VERBS,
    GROUPS,
    RESOURCE_LISTS,
    st.lists(st.sampled_from(["web", "db"]), max_size=1),
)
RULE_LISTS = st.lists(RULES, max_size=2)
LABELS = st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=2)
SUBJECTS = st.lists(
    st.sampled_from([user(), group(), service_account("sa"), service_account("sa", None)]),
    max_size=3,
)


@st.composite
def clusters(draw: st.DrawFn) -> list[Json]:
    """Few names, so that roles, bindings and subjects meet."""
    made: list[Json] = []
    for name in ("a", "b", "c", "d"):
        labels = draw(LABELS)
        if draw(st.booleans()):
            selectors = [{"matchLabels": each} for each in draw(st.lists(LABELS, max_size=2))]
            made.append(cluster_role(name, labels=labels, aggregates=selectors))
        else:
            made.append(cluster_role(name, *draw(RULE_LISTS), labels=labels))
    made += [role("a", *draw(RULE_LISTS), namespace=draw(st.sampled_from(NAMESPACES)))]
    for number in range(draw(st.integers(1, 3))):
        of, subjects = draw(st.sampled_from("abcde")), draw(SUBJECTS)
        if draw(st.booleans()):
            made.append(cluster_role_binding(f"b{number}", of, *subjects))
        else:
            kind, where = (
                draw(st.sampled_from(["Role", "ClusterRole"])),
                draw(st.sampled_from(NAMESPACES)),
            )
            made.append(role_binding(f"b{number}", of, *subjects, namespace=where, kind=kind))
    return made


ASKING: list[Json] = [
    {"user": "alice"},
    {"user": "bob", "groups": ("devs",)},
    {"user": "system:serviceaccount:shop:sa"},
    {"user": "system:serviceaccount:rival:sa"},
    {"user": "nobody"},
]
QUESTIONS = [
    Request(verb=verb, group=of, resource=resource, namespace=namespace, name=name, **who)
    for who in ASKING
    for resource, of in RESOURCES.items()
    for verb in WRITE
    for namespace in NAMESPACES
    for name in NAMES
]


@law
@given(clusters(), st.booleans())
def test_exactly_those_are_found_whom_the_authorizer_lets_write(
    cluster: list[Json], filled: bool
) -> None:
    settled = aggregated(cluster)
    found = given_by(state(*(settled if filled else cluster)))
    assert {q for q in QUESTIONS if reported(found, q)} == {
        q for q in QUESTIONS if allows(settled, q)
    }
