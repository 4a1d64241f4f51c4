"""What a policy makes of a write: actions, limits and trusted writers, in a namespace or in all."""

import pytest

from tests.builders import (
    NAMESPACE,
    Json,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    manual_service,
    node,
    pod,
    port,
    request,
    service,
    subset,
)
from tests.policy.samples import found, policy
from webhook.core.decision import Reason
from webhook.core.engine import decide_by_request
from webhook.core.policy import TRUSTED_WRITERS
from webhook.core.rule import Action, Ownership
from webhook.core.rules import RULES

RIVAL = pod("vault-0", namespace="rival", ip="10.0.7.8")
CLUSTER = (service(), pod(), manual_service("manual"), RIVAL, node())
FOREIGN = endpoints(subset(external("10.0.7.8")), name="manual")
AT_FOREIGN = "EG501 subsets[0].addresses[0].ip"

# --- Actions

ACTIONS = {
    "default": ("", {f"deny {AT_FOREIGN}"}),
    "warn": ("rules: {EG501: warn}", {f"warn {AT_FOREIGN}"}),
    "audit": ("rules: {foreign-pod: audit}", {f"audit {AT_FOREIGN}"}),
    "off": ("rules: {EG501: off}", set()),
    "off here": ("namespaces: {shop: {rules: {EG501: off}}}", set()),
    "off elsewhere": ("namespaces: {other: {rules: {EG501: off}}}", {f"deny {AT_FOREIGN}"}),
    "off, but not here": (
        "{rules: {EG501: off}, namespaces: {shop: {rules: {EG501: deny}}}}",
        {f"deny {AT_FOREIGN}"},
    ),
    "here by slug, everywhere by code": (
        "{rules: {EG501: off}, namespaces: {shop: {rules: {foreign-pod: warn}}}}",
        {f"warn {AT_FOREIGN}"},
    ),
    "another rule here": (
        "{rules: {EG501: warn}, namespaces: {shop: {rules: {EG502: off}}}}",
        {f"warn {AT_FOREIGN}"},
    ),
}


@pytest.mark.parametrize(("text", "said"), ACTIONS.values(), ids=ACTIONS)
def test_the_action_of_a_rule(text: str, said: set[str]) -> None:
    assert found(FOREIGN, *CLUSTER, under=text) == said


@pytest.mark.parametrize("code", RULES)
def test_a_rule_does_not_apply_where_it_never_does(code: str) -> None:
    """Whatever a policy says, a rule for Services with a selector says nothing of others."""
    rule = RULES[code]
    read = policy(f"rules: {{{code}: warn}}")
    for ownership in Ownership:
        expected = Action.WARN if ownership in rule.default else Action.OFF
        assert read.action(rule, ownership) is expected


def test_a_warning_made_a_denial_denies() -> None:
    readiness = endpoints(subset(waiting=[{"ip": "10.0.0.1", "targetRef": None}]))
    strict = "rules: {EG203: deny, EG301: off}"
    assert found(readiness, *CLUSTER, under=strict) == {
        "deny EG203 subsets[0].notReadyAddresses[0].ip"
    }


# --- Limits


def manual(ip: str = "198.51.100.7", number: int | None = 80) -> Json:
    return endpoint_slice(
        external_endpoint(ip), of_service="manual", name="manual-1", ports=[port(number)]
    )


def fqdn(name: str) -> Json:
    return endpoint_slice(
        external_endpoint(name), of_service="manual", name="manual-1", address_type="FQDN"
    )


ADDRESS, PORT = "endpoints[0].addresses[0]", "ports[0].port"
LIMITS: dict[str, tuple[str, Json, set[str]]] = {
    "every external address by default": ("", manual(), set()),
    "within allowedCIDRs": ("external: {allowedCIDRs: [198.51.100.0/24]}", manual(), set()),
    "outside of allowedCIDRs": (
        "external: {allowedCIDRs: [203.0.113.0/24]}",
        manual(),
        {f"deny EG507 {ADDRESS}"},
    ),
    "no CIDR at all": ("external: {allowedCIDRs: []}", manual(), {f"deny EG507 {ADDRESS}"}),
    "one's own Pod is not external": ("external: {allowedCIDRs: []}", manual("10.0.0.1"), set()),
    "within forbiddenCIDRs": (
        "external: {forbiddenCIDRs: [198.51.100.0/28]}",
        manual(),
        {f"deny EG507 {ADDRESS}"},
    ),
    "forbidden inside of what is allowed": (
        "external: {allowedCIDRs: [198.51.100.0/24], forbiddenCIDRs: [198.51.100.7/32]}",
        manual(),
        {f"deny EG507 {ADDRESS}"},
    ),
    "an allowed port": ("external: {allowedPorts: [80]}", manual(), set()),
    "another port": (
        "external: {allowedPorts: [443]}",
        manual(),
        {f"deny EG507 {PORT}"},
    ),
    "every port where some are allowed": (
        "external: {allowedPorts: [80]}",
        manual(number=None),
        {f"deny EG507 {PORT}"},
    ),
    "limits of this namespace replace those for all": (
        "{external: {allowedCIDRs: []}, namespaces: {shop: {external: {allowedPorts: [80]}}}}",
        manual(),
        set(),
    ),
    "limits of another namespace": (
        "namespaces: {other: {external: {allowedCIDRs: []}}}",
        manual(),
        set(),
    ),
    "a forbidden port": ("forbiddenPorts: [80]", manual(), {f"deny EG404 {PORT}"}),
    "another port than the forbidden one": ("forbiddenPorts: [22]", manual(), set()),
    "every port where one is forbidden": (
        "forbiddenPorts: [22]",
        manual(number=None),
        {f"deny EG404 {PORT}"},
    ),
    "ports forbidden for all but here": (
        "{forbiddenPorts: [80], namespaces: {shop: {forbiddenPorts: []}}}",
        manual(),
        set(),
    ),
    "a name that is allowed": (
        "external: {allowedNames: [db.example.com]}",
        fqdn("DB.example.com"),
        set(),
    ),
    "a name below one that is allowed": (
        "external: {allowedNames: ['*.example.com']}",
        fqdn("a.b.example.com"),
        set(),
    ),
    "a name beside it": (
        "external: {allowedNames: ['*.example.com']}",
        fqdn("notexample.com"),
        {f"deny EG508 {ADDRESS}"},
    ),
    "the name itself is not below it": (
        "external: {allowedNames: ['*.example.com']}",
        fqdn("example.com"),
        {f"deny EG508 {ADDRESS}"},
    ),
    "a further Pod range": (
        "podCIDRs: [198.51.100.0/24]",
        manual(),
        {f"deny EG506 {ADDRESS}"},
    ),
}


@pytest.mark.parametrize(("text", "write", "said"), LIMITS.values(), ids=LIMITS)
def test_a_limit(text: str, write: Json, said: set[str]) -> None:
    assert found(write, *CLUSTER, under=text) == said


def test_in_force_is_worked_out_once_for_each_namespace() -> None:
    read = policy(f"namespaces: {{{NAMESPACE}: {{rules: {{EG501: off}}}}}}")
    assert read.in_force(NAMESPACE) is read.in_force(NAMESPACE)
    assert read.in_force("a") is read.in_force("b") is not read.in_force(NAMESPACE)


# --- Trusted writers


def reason(text: str, user: str) -> Reason | None:
    decided = decide_by_request(request(FOREIGN, user=user), policy(text))
    return None if decided is None else decided.reason


@pytest.mark.parametrize("user", sorted(TRUSTED_WRITERS))
def test_the_control_plane_is_trusted_by_default(user: str) -> None:
    assert reason("", user) is Reason.TRUSTED_WRITER


UNTRUSTED = (
    "alice",
    "",
    "system:serviceaccount:kube-system:endpointslicemirroring-controller",
    "system:serviceaccount:default:endpoint-controller",
    "system:apiserver ",
    "SYSTEM:APISERVER",
    "system:masters",
)


@pytest.mark.parametrize("user", UNTRUSTED)
def test_nobody_else_is(user: str) -> None:
    assert reason("", user) is None


@pytest.mark.parametrize("writers", ["[alice]", "[alice, bob]"])
def test_a_list_of_trusted_writers_replaces_the_default(writers: str) -> None:
    text = f"trustedWriters: {writers}"
    assert reason(text, "alice") is Reason.TRUSTED_WRITER
    assert reason(text, "system:apiserver") is None


def test_nobody_may_be_trusted() -> None:
    assert {reason("trustedWriters: []", user) for user in TRUSTED_WRITERS} == {None}
