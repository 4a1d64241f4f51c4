"""Exemptions: for whom which rules do not hold, and until when."""

import pytest

from tests.builders import (
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    manual_service,
    node,
    pod,
    subset,
)
from tests.policy.samples import found, policy
from webhook.core.profiles import PROFILES

CLUSTER = (
    manual_service(),
    pod("vault-0", namespace="rival", ip="10.0.7.8", uid="uid-of-vault-0"),
    node(),
)
WRITE = endpoints(subset(external("10.0.7.8"), external("192.168.0.1")))
FOREIGN, NODE = "deny EG501 subsets[0].addresses[0].ip", "deny EG502 subsets[0].addresses[1].ip"
BOTH = {FOREIGN, NODE}

MATCHES = {
    "the user": "users: [alice]",
    "one of several users": "users: [bob, alice]",
    "a group": "groups: [dev]",
    "one of several groups": "groups: [ops, dev]",
    "the namespace": "namespaces: [shop]",
    "the name": "names: [web]",
    "every key": "users: [alice], groups: [dev], namespaces: [shop], names: [web]",
}
DIFFERS = {
    "another user": "users: [bob]",
    "the user's name in other letters": "users: [Alice]",
    "a part of the name": "users: [ali]",
    "no pattern": "users: ['*']",
    "another group": "groups: [ops]",
    "the user as a group": "groups: [alice]",
    "another namespace": "namespaces: [rival]",
    "another name": "names: [web-1]",
    "the user, elsewhere": "users: [alice], namespaces: [rival]",
    "another user, here": "users: [bob], namespaces: [shop]",
    "the user and the group, another name": "users: [alice], groups: [dev], names: [db]",
}


def exempt(keys: str) -> set[str]:
    text = f"exemptions: [{{reason: r, {keys}}}]"
    return found(WRITE, *CLUSTER, under=text, user="alice", groups=["system:authenticated", "dev"])


@pytest.mark.parametrize("keys", MATCHES.values(), ids=MATCHES)
def test_what_matches_every_key_that_is_given_is_exempt(keys: str) -> None:
    assert exempt(keys) == set()


@pytest.mark.parametrize("keys", DIFFERS.values(), ids=DIFFERS)
def test_what_does_not_is_judged(keys: str) -> None:
    assert exempt(keys) == BOTH


SUBSETS = {
    "by code": ("[EG501]", {NODE}),
    "by slug": ("[foreign-pod]", {NODE}),
    "several": ("[foreign-pod, EG502]", set()),
    "another": ("[EG503]", BOTH),
    "none named: all": ("[]", set()),
}


@pytest.mark.parametrize(("rules", "left"), SUBSETS.values(), ids=SUBSETS)
def test_an_exemption_is_from_the_rules_that_it_names(rules: str, left: set[str]) -> None:
    assert exempt(f"users: [alice], rules: {rules}") == left


def test_several_exemptions_add_up() -> None:
    text = """\
exemptions:
- {reason: r, users: [alice], rules: [EG501]}
- {reason: r, namespaces: [shop], rules: [EG502]}
- {reason: r, users: [bob]}
"""
    assert found(WRITE, *CLUSTER, under=text) == set()


def test_an_exemption_of_one_user_is_nobody_else_s() -> None:
    """Nor is it remembered from one write to the next."""
    read = policy("exemptions: [{reason: r, users: [alice]}]")
    for user, left in (("alice", set()), ("bob", BOTH), ("alice", set[str]())):
        assert found(WRITE, *CLUSTER, under=read, user=user) == left


def test_an_exempt_writer_may_write_what_others_may_only_warn_about() -> None:
    """An exemption takes the finding away, warnings included."""
    own = endpoints(subset(external("172.20.0.10")))
    exempted = "exemptions: [{reason: r, users: [alice], rules: [EG503]}]"
    assert found(own, *CLUSTER) == {"warn EG503 subsets[0].addresses[0].ip"}
    assert found(own, *CLUSTER, under=exempted) == set()


# --- The mirror of what an exempt writer wrote

MIRRORING = "system:serviceaccount:kube-system:endpointslicemirroring-controller"
MIRROR = endpoint_slice(
    external_endpoint("10.0.7.8"), external_endpoint("192.168.0.1"), name="web-x7k2p"
)
FOREIGN_COPY = "deny EG501 endpoints[0].addresses[0]"
NODE_COPY = "deny EG502 endpoints[1].addresses[0]"
COPIES = {
    "exempt is the writer": ("users: [alice], rules: [EG501]", {NODE_COPY}),
    "exempt is a group": ("groups: [dev]", set()),
    "in this namespace": ("users: [alice], namespaces: [shop]", set()),
    "in another": ("users: [alice], namespaces: [rival]", {FOREIGN_COPY, NODE_COPY}),
    "for this Service": ("users: [alice], names: [web]", set()),
    "for another": ("users: [alice], names: [db]", {FOREIGN_COPY, NODE_COPY}),
}


@pytest.mark.parametrize(("keys", "left"), COPIES.values(), ids=COPIES)
def test_an_exemption_holds_for_the_mirror_where_it_holds_for_the_writer(
    keys: str, left: set[str]
) -> None:
    """Proxies read the mirror only, and nobody knows any more who wrote the original."""
    text = f"exemptions: [{{reason: r, {keys}}}]"
    assert found(MIRROR, *CLUSTER, under=text, user=MIRRORING) == left


def test_without_an_exemption_the_mirror_is_judged_like_the_original() -> None:
    assert found(MIRROR, *CLUSTER, user=MIRRORING) == {FOREIGN_COPY, NODE_COPY}


def test_nobody_else_gains_by_an_exemption_for_the_mirror_s_sake() -> None:
    text = "exemptions: [{reason: r, users: [alice]}]"
    assert found(MIRROR, *CLUSTER, under=text, user="bob") == {FOREIGN_COPY, NODE_COPY}


EXPIRY = {
    "the day before": ("2027-01-30", set()),
    "on its last day": ("2027-01-31", set()),
    "the day after": ("2027-02-01", BOTH),
    "a year before": ("2026-12-31", set()),
    "years after": ("2031-01-01", BOTH),
}


@pytest.mark.parametrize(("today", "left"), EXPIRY.values(), ids=EXPIRY)
def test_an_exemption_counts_until_the_end_of_its_last_day(today: str, left: set[str]) -> None:
    read = policy("exemptions: [{reason: r, users: [alice], expires: 2027-01-31}]")
    assert found(WRITE, *CLUSTER, under=read.on(today)) == left


def test_only_what_has_expired_is_taken_out() -> None:
    read = policy("""\
exemptions:
- {reason: r, users: [alice], rules: [EG501], expires: 2027-01-31}
- {reason: r, users: [alice], rules: [EG502]}
""")
    assert found(WRITE, *CLUSTER, under=read.on("2027-02-01")) == {FOREIGN}
    assert read.on("2027-01-31") is read


# --- Profiles


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_exempts_the_operator_s_own_account_from_its_rules(name: str) -> None:
    operator = PROFILES[name]
    (exemption,) = policy(f"profiles: [{{name: {name}}}]").exemptions
    assert (exemption.users, exemption.rules) == (operator.users, (*operator.rules, "EG604"))
    assert (exemption.groups, exemption.namespaces, exemption.names) == ((), (), ())
    assert exemption.reason.startswith(f"profile {name}: ")


KNATIVE = "system:serviceaccount:knative-serving:controller"
PROFILE_KEYS = {
    "as it is": ("{name: knative-serving}", KNATIVE, {NODE}),
    "another writer": ("{name: knative-serving}", "alice", BOTH),
    "under another account": ("{name: knative-serving, users: [alice]}", "alice", {NODE}),
    "not under its own any more": ("{name: knative-serving, users: [alice]}", KNATIVE, BOTH),
    "in this namespace": ("{name: knative-serving, namespaces: [shop]}", KNATIVE, {NODE}),
    "in another": ("{name: knative-serving, namespaces: [rival]}", KNATIVE, BOTH),
}


@pytest.mark.parametrize(("profile", "user", "left"), PROFILE_KEYS.values(), ids=PROFILE_KEYS)
def test_a_profile_may_be_narrowed(profile: str, user: str, left: set[str]) -> None:
    assert found(WRITE, *CLUSTER, under=f"profiles: [{profile}]", user=user) == left
