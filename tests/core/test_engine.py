"""From a request to a decision: whose writes are judged, which operations, and how it ends."""

import tracemalloc
from collections import Counter

import pytest
from hypothesis import given

from tests.builders import (
    Json,
    address,
    codes,
    empty_endpoints,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    findings,
    manual_service,
    node,
    pod,
    port,
    request,
    said,
    service,
    state,
    subject,
    subset,
)
from tests.strategies import clusters, law, writes
from webhook.core.decision import MOST_OF_A_RULE, Decision, Reason, Verdict, overridden
from webhook.core.engine import decide, decide_by_request, judge
from webhook.core.objects import AdmissionRequest
from webhook.core.policy import TRUSTED_WRITERS, Policy, parse_policy
from webhook.core.rule import Action
from webhook.core.rules import RULES

POLICY = Policy()
METADATA_SERVER = endpoints(subset(external("169.254.169.254")))
CLUSTER = (service(), manual_service("manual"), pod(), node())


def decided(asked: AdmissionRequest, policy: Policy = POLICY) -> Decision:
    return decide(asked, state(*CLUSTER), policy)


# --- Whose writes are judged

CONTROL_PLANE = {
    "system:serviceaccount:kube-system:endpoint-controller",
    "system:serviceaccount:kube-system:endpointslice-controller",
    "system:serviceaccount:kube-system:generic-garbage-collector",
    "system:serviceaccount:kube-system:namespace-controller",
    "system:serviceaccount:kube-system:storage-version-migrator-controller",
    "system:kube-controller-manager",
    "system:apiserver",
}


def test_the_control_plane_s_writers_and_nobody_else_are_trusted() -> None:
    assert CONTROL_PLANE == TRUSTED_WRITERS


@pytest.mark.parametrize("user", sorted(CONTROL_PLANE))
@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
def test_what_a_trusted_writer_writes_is_not_judged(user: str, operation: str) -> None:
    old = endpoints() if operation == "UPDATE" else None
    decision = decided(request(METADATA_SERVER, old, user=user))
    assert (decision.reason, decision.findings) == (Reason.TRUSTED_WRITER, ())
    assert decision.allowed


LOOK_ALIKES = {
    "the mirroring controller, which republishes what users wrote": (
        "system:serviceaccount:kube-system:endpointslicemirroring-controller"
    ),
    "the same name in another namespace": "system:serviceaccount:shop:endpoint-controller",
    "a namespace that begins alike": "system:serviceaccount:kube-system2:endpoint-controller",
    "a name that begins alike": "system:serviceaccount:kube-system:endpoint-controller-2",
    "a name that ends alike": "x-system:serviceaccount:kube-system:endpoint-controller",
    "another case": "System:Kube-Controller-Manager",
    "a space after": "system:apiserver ",
    "a newline after": "system:apiserver\n",
    "the name without its kind": "endpoint-controller",
    "a certificate's administrator": "kubernetes-admin",
    "an unauthenticated user": "system:anonymous",
    "nobody": "",
}


@pytest.mark.parametrize("user", LOOK_ALIKES.values(), ids=LOOK_ALIKES)
def test_everybody_else_is_judged(user: str) -> None:
    assert decided(request(METADATA_SERVER, user=user)).verdict is Verdict.DENY


def test_groups_and_labels_win_no_trust() -> None:
    labels = {
        "endpoints.kubernetes.io/managed-by": "endpoint-controller",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    write = endpoints(subset(external("169.254.169.254")), labels=labels)
    asked = request(write)
    groups = ("system:masters", "system:serviceaccounts:kube-system")
    assert not decided(AdmissionRequest(ref=asked.ref, groups=groups, new=asked.new)).allowed


def test_a_policy_may_name_other_trusted_writers() -> None:
    policy = Policy(trusted_writers=frozenset({"alice"}))
    assert decided(request(METADATA_SERVER), policy).reason is Reason.TRUSTED_WRITER
    assert not decided(request(METADATA_SERVER, user="system:apiserver"), policy).allowed


# --- Which operations are judged


@pytest.mark.parametrize("operation", ["DELETE", "CONNECT"])
def test_an_operation_that_writes_nothing_is_allowed(operation: str) -> None:
    old = subject(METADATA_SERVER)
    asked = AdmissionRequest(ref=old.ref, operation=operation, username="alice")  # type: ignore[arg-type]
    decision = decided(asked)
    assert (decision.reason, decision.allowed) == (Reason.NOTHING_WRITTEN, True)


def test_a_dry_run_is_judged_like_any_other_write() -> None:
    new = subject(METADATA_SERVER)
    assert not decided(AdmissionRequest(ref=new.ref, new=new, dry_run=True)).allowed


NEEDS_NO_STATE: dict[str, tuple[AdmissionRequest, bool]] = {
    "a trusted writer": (request(METADATA_SERVER, user="system:apiserver"), True),
    "a deletion": (AdmissionRequest(ref=subject(endpoints()).ref, operation="DELETE"), True),
    "a change of metadata": (request(METADATA_SERVER, METADATA_SERVER), True),
    "a creation": (request(endpoints()), False),
    "a change of content": (request(METADATA_SERVER, endpoints()), False),
}


@pytest.mark.parametrize(("asked", "without"), NEEDS_NO_STATE.values(), ids=NEEDS_NO_STATE)
def test_what_can_be_decided_without_looking_at_the_cluster(
    asked: AdmissionRequest, without: bool
) -> None:
    assert (decide_by_request(asked, POLICY) is not None) is without


# --- How it ends

ENDINGS: dict[str, tuple[Json, Verdict, set[str]]] = {
    "nothing is wrong": (endpoints(), Verdict.ALLOW, set()),
    "a warning": (
        endpoints(subset(external()), name="nobody-s"),
        Verdict.WARN,
        {"warn EG101 metadata.name"},
    ),
    "a denial": (
        endpoints(subset(external("169.254.169.254")), name="manual"),
        Verdict.DENY,
        {"deny EG505 subsets[0].addresses[0].ip"},
    ),
    "both: the gravest counts": (
        endpoints(subset(external("169.254.169.254")), name="nobody-s"),
        Verdict.DENY,
        {"warn EG101 metadata.name", "deny EG505 subsets[0].addresses[0].ip"},
    ),
    "no address: there is nothing to judge": (
        empty_endpoints(name="nobody-s"),
        Verdict.ALLOW,
        set(),
    ),
}


@pytest.mark.parametrize(("write", "verdict", "found"), ENDINGS.values(), ids=ENDINGS)
def test_a_verdict_is_the_most_severe_finding(
    write: Json, verdict: Verdict, found: set[str]
) -> None:
    decision = decided(request(write))
    assert (decision.verdict, said(decision.findings)) == (verdict, found)
    assert decision.allowed is (verdict is not Verdict.DENY)


def test_everything_is_reported_at_once_the_gravest_first_then_by_rule() -> None:
    write = endpoints(
        subset(
            external("10.0.0.9", nodeName="node-9"),
            address(hostname="db", nodeName="node-9"),
            ports=[port(22), port(9, name="more", protocol="UDP")],
        ),
        subset(waiting=[address()]),
    )
    found = findings(write, *CLUSTER)
    assert [f"{f.action} {f.rule.code} {f.violation.field}" for f in found] == [
        "deny EG201 subsets[0].addresses[0].ip",
        "deny EG204 subsets[0].addresses[1].nodeName",
        "deny EG205 subsets[0].addresses[1].hostname",
        "deny EG301 subsets[0].addresses[0].targetRef",
        "deny EG401 subsets[0].ports[1]",
        "deny EG402 subsets[0].ports[0].port",
        "warn EG203 subsets[1].notReadyAddresses[0].ip",
    ]


ACTIONS = {"deny": Verdict.DENY, "warn": Verdict.WARN, "audit": Verdict.ALLOW, "off": Verdict.ALLOW}


@pytest.mark.parametrize(("action", "verdict"), ACTIONS.items(), ids=ACTIONS)
def test_the_policy_says_what_breaking_a_rule_means(action: str, verdict: Verdict) -> None:
    write = endpoints(subset(external("169.254.169.254")), name="manual")
    decision = decided(request(write), parse_policy({"rules": {"EG505": action}}))
    assert decision.verdict is verdict
    assert codes(decision.findings) == (set() if action == "off" else {"EG505"})


def test_a_policy_cannot_extend_a_rule_to_where_it_makes_no_sense() -> None:
    """A rule about selectors has nothing to say of endpoints that are written by hand."""
    policy = parse_policy({"rules": {"EG201": "deny", "EG205": "deny"}})
    write = endpoints(subset(external(hostname="db")), name="manual")
    assert decided(request(write), policy).verdict is Verdict.ALLOW


# --- Whose Service it is

OWNERSHIP: dict[str, tuple[Json, Json, set[str]]] = {
    "a Service with a selector: the control plane's": (service(), endpoints(), {"EG201", "EG301"}),
    "a Service without: whoever may write them": (manual_service(), endpoints(), set()),
    "an empty selector is none": (service(selector={}), endpoints(), set()),
    "a Service of that name in another namespace": (
        service(namespace="rival"),
        endpoints(),
        {"EG101"},
    ),
    "an alias, even with a selector": (
        service(type="ExternalName", externalName="db.example.com"),
        endpoints(),
        {"EG102"},
    ),
    "an alias without a selector": (
        manual_service(type="ExternalName", externalName="db.example.com"),
        endpoints(),
        {"EG102"},
    ),
    "a slice: the Service that its label names": (
        service(),
        endpoint_slice(external_endpoint()),
        {"EG201", "EG301"},
    ),
    "a slice without that label": (
        service(),
        endpoint_slice(external_endpoint(), name="web", of_service=None),
        {"EG101"},
    ),
    "a slice that names no Service there is": (
        service(),
        endpoint_slice(external_endpoint(), of_service="other"),
        {"EG101"},
    ),
}


@pytest.mark.parametrize(("owner", "write", "found"), OWNERSHIP.values(), ids=OWNERSHIP)
def test_the_owning_service_decides_by_which_rules_it_is_judged(
    owner: Json, write: Json, found: set[str]
) -> None:
    if write["kind"] == "Endpoints":
        write = {**write, "subsets": [subset(external())]}
    assert codes(findings(write, owner)) == found


# --- Laws


@law
@given(clusters(), writes)
def test_only_rules_of_the_catalogue_speak_and_each_names_a_place(
    cluster: list[Json], write: Json
) -> None:
    for finding in findings(write, *cluster):
        assert RULES[finding.rule.code] is finding.rule
        assert finding.violation.field
        assert finding.violation.message


@law
@given(clusters(), writes)
def test_judging_changes_nothing_and_can_be_repeated(cluster: list[Json], write: Json) -> None:
    inventory, new = state(*cluster), subject(write)
    assert judge(new, inventory, POLICY) == judge(new, inventory, POLICY)


# --- Size

HUGE = endpoints(subset(*[external("127.0.0.1")] * 2500))


def test_of_a_huge_write_the_first_findings_are_kept_and_all_are_counted() -> None:
    decision = decided(request(HUGE))
    everything = judge(subject(HUGE), state(*CLUSTER), POLICY, writer="alice")
    kept = Counter((f.rule.code, f.action) for f in decision.findings)
    assert set(kept.values()) == {MOST_OF_A_RULE}
    assert kept + Counter(decision.left_out) == Counter((f.rule.code, f.action) for f in everything)
    assert decision.total == len(everything)
    assert decision.findings[0] == everything[0]
    assert decision.more(Action.DENY) + decision.more(Action.WARN) == sum(
        decision.left_out.values()
    )


def test_what_is_left_out_can_be_overridden_as_well() -> None:
    foreign = endpoints(subset(*[external("127.0.0.1")] * 2500), name="manual")
    noted = overridden(decided(request(foreign)))
    assert noted.allowed
    assert (noted.more(Action.DENY), noted.more(Action.AUDIT)) == (0, 2500 - MOST_OF_A_RULE)


LONG = "n" * 500_000
LONG_TEXTS: dict[str, Json] = {
    "a namespace": {"kind": "Pod", "name": "x", "namespace": LONG},
    "a name": {"kind": "Pod", "name": LONG},
    "a kind": {"kind": LONG, "name": "x"},
}


@pytest.mark.parametrize("ref", LONG_TEXTS.values(), ids=LONG_TEXTS)
def test_a_long_text_is_not_kept_for_each_address_that_it_is_said_of(ref: Json) -> None:
    """Nobody else limits what a targetRef says."""
    asked = request(endpoint_slice(external_endpoint(*["10.0.0.1"] * 100, targetRef=ref)))
    tracemalloc.start()
    try:
        decision = decide(asked, state(*CLUSTER), POLICY)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert decision.total >= 100
    assert held < 4 * 2**20


def test_a_huge_write_is_judged_in_little_memory() -> None:
    """Every address breaks rules, and each is that of a hundred Pods on their node's network."""
    agents = [
        pod(f"agent-{number}", namespace="kube-system", ip="192.168.0.1", hostNetwork=True)
        for number in range(100)
    ]
    known = state(service(), node(), *agents)
    asked = request(endpoint_slice(*[external_endpoint(*["192.168.0.1"] * 100)] * 200))
    tracemalloc.start()
    try:
        decision = decide(asked, known, POLICY)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert decision.total >= 40_000
    assert peak < 16 * 2**20
