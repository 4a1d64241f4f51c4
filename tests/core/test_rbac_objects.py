"""Roles and bindings as values: what is kept of them, and what a rule or a selector covers."""

import pytest

from tests.builders import (
    EVERYTHING,
    Json,
    cluster_role,
    cluster_role_binding,
    group,
    policy_rule,
    role,
    role_binding,
    service_account,
    user,
    value_of,
)
from webhook.core.objects import InvalidObject, Role, RoleBinding, Subject, convert
from webhook.core.objects.rbac import LabelSelector, WireClusterRole


def role_of(manifest: Json) -> Role:
    value = value_of(manifest)
    assert isinstance(value, Role)
    return value


def binding_of(manifest: Json) -> RoleBinding:
    value = value_of(manifest)
    assert isinstance(value, RoleBinding)
    return value


SLICES = "discovery.k8s.io"

# Rule, and the questions that it answers with yes; every other is answered with no.
ALLOWED: dict[str, tuple[Json, set[str]]] = {
    "one verb": (policy_rule(verbs=["patch"]), {"patch endpoints"}),
    "reading": (policy_rule(verbs=["get", "list", "watch"]), set()),
    "every verb": (
        policy_rule(verbs=["*"]),
        {"create endpoints", "patch endpoints", "update endpoints"},
    ),
    "slices need their group": (policy_rule("endpointslices", apiGroups=[""]), set()),
    "endpoints of another group": (policy_rule(apiGroups=["example.com"]), set()),
    "slices": (policy_rule("endpointslices", verbs=["create"]), {"create endpointslices"}),
    "both, named in one rule": (
        policy_rule("endpoints", "endpointslices", verbs=["update"], apiGroups=["", SLICES]),
        {"update endpoints", "update endpointslices"},
    ),
    "every group": (
        policy_rule("endpoints", "pods", verbs=["update"], apiGroups=["*"]),
        {"update endpoints"},
    ),
    "every resource of core": (
        policy_rule("*", verbs=["create"]),
        {"create endpoints", "create endpoints/restricted"},
    ),
    "everything": (
        EVERYTHING,
        {
            f"{verb} {resource}"
            for verb in ("create", "patch", "update")
            for resource in ("endpoints", "endpointslices")
        }
        | {"create endpoints/restricted", "create endpointslices/restricted"},
    ),
    "the restricted right alone": (
        policy_rule("endpoints/restricted", verbs=["create"]),
        {"create endpoints/restricted"},
    ),
    "a subresource of every resource": (
        policy_rule("*/restricted", verbs=["create"], apiGroups=["*"]),
        {"create endpoints/restricted", "create endpointslices/restricted"},
    ),
    "patterns that RBAC does not know": (
        policy_rule("*/*", "endpoints/*", "endpoint*", "Endpoints", apiGroups=["*"]),
        set(),
    ),
    "a wildcard must be the whole word": (policy_rule(verbs=["crea*"]), set()),
}
QUESTIONS = [
    *((v, r, "") for v in ("create", "update", "patch") for r in ("endpoints", "endpointslices")),
    *(("create", resource, "restricted") for resource in ("endpoints", "endpointslices")),
]


@pytest.mark.parametrize(("rule", "expected"), ALLOWED.values(), ids=ALLOWED)
def test_a_rule_covers_what_the_api_server_s_authorizer_says(
    rule: Json, expected: set[str]
) -> None:
    kept = role_of(cluster_role("r", rule)).rules
    assert {
        "/".join(filter(None, (f"{verb} {resource}", subresource)))
        for verb, resource, subresource in QUESTIONS
        if any(each.allows(verb, resource, subresource) for each in kept)
    } == expected


def test_a_role_keeps_the_rules_that_let_write_endpoints_and_where_they_stand() -> None:
    reading = policy_rule(verbs=["get"])
    rules = (policy_rule("pods"), policy_rule(resourceNames=["web"]), reading)
    (kept,) = role_of(role("r", *rules)).rules
    assert (kept.index, kept.resource_names) == (1, ("web",))


GIVES_MORE = {
    "nothing at all": ((), False),
    "endpoints and slices": ((policy_rule(), policy_rule("endpointslices")), False),
    "another resource": ((policy_rule("endpoints", "pods"),), True),
    "another rule": ((policy_rule(), policy_rule("pods")), True),
    "a wildcard": ((policy_rule("*"),), True),
    "a URL": ((policy_rule(), {"nonResourceURLs": ["/healthz"], "verbs": ["get"]}), True),
}


@pytest.mark.parametrize(("rules", "more"), GIVES_MORE.values(), ids=GIVES_MORE)
def test_it_is_known_whether_a_role_gives_other_rights(rules: tuple[Json, ...], more: bool) -> None:
    for made in (cluster_role("r", *rules), role("r", *rules)):
        assert role_of(made).gives_more is more


@pytest.mark.parametrize(
    ("rules", "filled"), [((), False), ((policy_rule("pods"),), True), ((policy_rule(),), True)]
)
def test_an_aggregated_role_is_filled_once_it_has_any_rule(
    rules: tuple[Json, ...], filled: bool
) -> None:
    assert role_of(cluster_role("r", *rules, aggregates=[{}])).filled is filled


def requirement(operator: str, *values: str, key: str = "tier") -> Json:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


SELECTORS: dict[str, tuple[Json, dict[str, str], bool]] = {
    "nothing is asked": ({}, {}, True),
    "an equal label": ({"matchLabels": {"tier": "a"}}, {"tier": "a"}, True),
    "another value": ({"matchLabels": {"tier": "a"}}, {"tier": "b"}, False),
    "an empty value is not a missing key": ({"matchLabels": {"tier": ""}}, {}, False),
    "In": (requirement("In", "a", "b"), {"tier": "b"}, True),
    "In, another value": (requirement("In", "a"), {"tier": "b"}, False),
    "In, no such key": (requirement("In", "a"), {}, False),
    "NotIn": (requirement("NotIn", "a"), {"tier": "b"}, True),
    "NotIn, one of them": (requirement("NotIn", "a"), {"tier": "a"}, False),
    "NotIn, no such key": (requirement("NotIn", "a"), {}, True),
    "Exists": (requirement("Exists"), {"tier": ""}, True),
    "Exists, no such key": (requirement("Exists"), {"other": ""}, False),
    "DoesNotExist": (requirement("DoesNotExist"), {}, True),
    "DoesNotExist, but it does": (requirement("DoesNotExist"), {"tier": ""}, False),
    "an unknown operator": (requirement("Like", "a"), {"tier": "a"}, False),
    "both kinds of condition": (
        {"matchLabels": {"tier": "a"}, **requirement("Exists", key="more")},
        {"tier": "a"},
        False,
    ),
}


@pytest.mark.parametrize(("selector", "labels", "expected"), SELECTORS.values(), ids=SELECTORS)
def test_a_selector_selects_as_kubernetes_does(
    selector: Json, labels: dict[str, str], expected: bool
) -> None:
    assert convert(selector, LabelSelector).selects(labels) is expected


def test_a_binding_keeps_subjects_in_their_order_with_full_names() -> None:
    made = role_binding("b", "r", user(), group(), service_account("sa", namespace=None))
    bound = binding_of(made)
    assert (bound.kind, bound.role_kind, bound.role_name) == ("RoleBinding", "Role", "r")
    assert bound.subjects == (
        Subject(kind="User", name="alice"),
        Subject(kind="Group", name="devs"),
        Subject(kind="ServiceAccount", name="sa", namespace="shop", implied=True),
    )
    assert [subject.username for subject in bound.subjects] == [
        "alice",
        "",
        "system:serviceaccount:shop:sa",
    ]


def test_what_is_of_the_whole_cluster_has_no_namespace_even_if_a_manifest_gives_one() -> None:
    for made in (cluster_role("r"), cluster_role_binding("b", "r")):
        value = value_of({**made, "metadata": {**made["metadata"], "namespace": "shop"}})
        assert isinstance(value, Role | RoleBinding)
        assert (value.namespace, value.kind) == ("", made["kind"])


def test_a_field_of_a_wrong_type_is_named() -> None:
    with pytest.raises(InvalidObject) as caught:
        convert(cluster_role("r", {"verbs": "get"}), WireClusterRole)
    assert caught.value.path == "rules[0].verbs"
