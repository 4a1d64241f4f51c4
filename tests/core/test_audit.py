"""The audit: what is stored gets the verdict that a write of it would get now."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.builders import (
    NAMESPACE,
    POLICY,
    Json,
    endpoint,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    manual_service,
    pod,
    port,
    service,
    state,
    subset,
)
from tests.strategies import clusters, law, writes
from webhook.core.audit import audit, judge_ref
from webhook.core.decision import Finding, Verdict
from webhook.core.engine import decide
from webhook.core.fingerprint import identity
from webhook.core.objects import AdmissionRequest, ObjectRef
from webhook.core.policy import Policy, parse_policy
from webhook.core.report import Judged

FOREIGN = pod("vault-0", namespace="rival", ip="10.0.7.8")
LED_AWAY = endpoints(subset(external("10.0.7.8")))
MANUAL = manual_service()
WRONG = (MANUAL, FOREIGN, LED_AWAY)


def audited(*cluster: Json, policy: Policy = POLICY, **chosen: Any) -> list[Judged]:
    return list(audit(state(*cluster), policy, **chosen))


def rules_of(*cluster: Json, **fields: Any) -> dict[str, list[str]]:
    """The codes of what is found, by the name of the object."""
    return {
        str(judged.ref): [finding.rule.code for finding in judged.findings]
        for judged in audited(*cluster, **fields)
    }


def about_writes(findings: tuple[Finding, ...]) -> set[tuple[str, str, str, str]]:
    """What was found by the rules that judge writes, too."""
    return {
        (f.rule.code, f.action, f.violation.field, f.violation.message)
        for f in findings
        if not f.rule.stored_only
    }


@law
@given(clusters(), st.lists(writes, max_size=2))
def test_the_audit_says_what_admission_would_say_of_each_object_written_now_by_nobody_in_particular(
    cluster: list[Json], stored: list[Json]
) -> None:
    inventory = state(*cluster, *stored)
    said = {each.ref: about_writes(each.findings) for each in audit(inventory, POLICY)}

    for ref, found in said.items():
        subject = inventory.published(ref)
        decision = decide(AdmissionRequest(ref=ref, new=subject), inventory, POLICY)
        assert found == about_writes(decision.findings)
    assert {ref for ref in said if ref.kind in ("Endpoints", "EndpointSlice")} == {
        ObjectRef(each["kind"], each["metadata"]["namespace"], each["metadata"]["name"])
        for each in stored
    }


def test_every_object_is_told_about_and_has_its_own_verdict() -> None:
    fine = endpoint_slice(external_endpoint(), name="fine", of_service="web")
    told = {str(each.ref): each.verdict for each in audited(*WRONG, fine)}
    assert told == {
        "Endpoints/shop/web": Verdict.DENY,
        "EndpointSlice/shop/fine": Verdict.ALLOW,
    }


def test_who_reads_an_audit_is_told_whose_pod_it_is() -> None:
    (judged,) = audited(*WRONG)
    (finding,) = judged.findings
    assert finding.violation.detail == "Pod rival/vault-0 holds 10.0.7.8"
    assert finding.violation.private == ""


def test_what_the_namespace_itself_shows_is_told_once() -> None:
    thief = pod("thief-0", ip="10.0.7.8", labels={"app": "thief"})
    slice_ = endpoint_slice(endpoint(thief), name="web-2")
    told = [
        finding.violation.detail
        for cluster in ((service(), thief, slice_), (service(), thief, FOREIGN, slice_))
        for judged in audited(*cluster)
        for finding in judged.findings
        if finding.rule.code == "EG201"
    ]
    said = "Pod thief-0 holds it, but its labels do not match the selector"
    assert told == [said, f"{said}; held by Pod rival/vault-0"]


def test_only_some_namespaces_or_rules_when_asked() -> None:
    elsewhere = endpoints(name="lonely", namespace="other")
    cluster = (*WRONG, elsewhere)
    assert rules_of(*cluster, namespaces=["shop"]) == {"Endpoints/shop/web": ["EG501"]}
    assert rules_of(*cluster, rules=["EG101"]) == {
        "Endpoints/shop/web": [],
        "Endpoints/other/lonely": ["EG101"],
    }
    assert [each.verdict for each in audited(*cluster, rules=["EG101"])] == ["warn", "allow"]


EXEMPT = {
    "by namespace": ({"namespaces": [NAMESPACE]}, []),
    "by name": ({"names": ["web"]}, []),
    "by name and rule": ({"names": ["web"], "rules": ["EG501"]}, []),
    "another rule": ({"names": ["web"], "rules": ["EG502"]}, ["EG501"]),
    "a writer, who may not have written this": ({"users": ["alice"]}, ["EG501"]),
    "a writer in this namespace": (
        {"users": ["alice"], "namespaces": [NAMESPACE]},
        ["EG501"],
    ),
    "a group": ({"groups": ["system:masters"]}, ["EG501"]),
}


@pytest.mark.parametrize(("exemption", "left"), EXEMPT.values(), ids=EXEMPT)
def test_an_exemption_counts_unless_it_is_one_of_writers(exemption: Json, left: list[str]) -> None:
    policy = parse_policy({"exemptions": [{"reason": "intended", **exemption}]})
    assert rules_of(*WRONG, policy=policy) == {"Endpoints/shop/web": left}


def test_one_object_can_be_judged_alone_and_may_be_gone() -> None:
    inventory = state(*WRONG)
    (whole,) = audit(inventory, POLICY)
    assert judge_ref(whole.ref, inventory, POLICY) == whole
    for kind in ("Endpoints", "EndpointSlice", "Pod", "Service"):
        assert judge_ref(ObjectRef(kind, "shop", "gone"), inventory, POLICY) is None


# --- Which finding is the same one tomorrow


def identities(*cluster: Json) -> set[tuple[str, ...]]:
    return {
        (known.kind, known.name, known.rule, known.subject)
        for judged in audited(*cluster)
        for finding in judged.findings
        for known in (identity(judged, finding),)
    }


def test_a_finding_stays_the_same_wherever_its_address_stands() -> None:
    before = identities(*WRONG)
    moved = endpoints(subset(external("198.51.100.7"), external("10.0.7.8")))
    assert before == {("Endpoints", "web", "EG501", "10.0.7.8 http:80/TCP")}
    assert identities(MANUAL, FOREIGN, moved) == before


def test_a_slice_made_anew_under_another_name_has_the_same_findings() -> None:
    first, second = (endpoint_slice(external_endpoint("10.0.7.8"), name=name) for name in "ab")
    assert identities(MANUAL, FOREIGN, first) == identities(MANUAL, FOREIGN, second)
    assert identities(MANUAL, FOREIGN, first, second) == identities(MANUAL, FOREIGN, first)


def test_a_slice_of_no_service_goes_by_its_own_name() -> None:
    stray = endpoint_slice(external_endpoint(), name="stray", of_service=None)
    assert {name for _, name, *_ in identities(stray)} == {"stray"}


def test_another_port_on_a_known_address_is_another_finding() -> None:
    more = endpoints(subset(external("10.0.7.8"), ports=[port(80), port(22, name="ssh")]))
    subjects = {subject for *_, rule, subject in identities(MANUAL, FOREIGN, more) if "501" in rule}
    assert subjects == {"10.0.7.8 http:80/TCP,ssh:22/TCP"}


def test_a_finding_at_a_port_or_in_the_object_goes_by_that() -> None:
    wrong = endpoints(subset(external("10.0.0.1"), ports=[port(81)]))
    found = identities(service(), pod(), wrong)
    assert ("Endpoints", "web", "EG402", "http:81/TCP") in found
    alias = service(type="ExternalName", selector=None)
    assert identities(alias, endpoints(subset(external()))) == {
        ("Endpoints", "web", "EG102", "subsets")
    }


def test_fingerprints_are_stable_and_tell_findings_apart() -> None:
    """Baselines are kept in files: another way to compute these digits would make all of them
    stale.
    """
    (judged,) = audited(*WRONG)
    known = identity(judged, judged.findings[0])
    assert known.fingerprint == ("b90d20cd8109b1a57a7898d01832fd80d10d0e1ec36c0fa5b8284ab55aa8dd53")
    others = [
        replace(known, **{field: "x"}) for field in ("kind", "namespace", "name", "rule", "subject")
    ]
    assert len({each.fingerprint for each in (known, *others)}) == 6
