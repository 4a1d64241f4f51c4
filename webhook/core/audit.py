"""Judges everything that is stored, whoever wrote it.

The rules, the policy and the judgement are those of admission: of an object the audit says what a
write of it would be told now, with nothing before it and by a writer without a name. What only an
audit looks at, the rules with `stored_only` say (docs/adr/0012).

Exemptions count where they name neither users nor groups: who wrote an object is not known. Of a
role binding the subject is known, and an exemption for it as a writer counts.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

from msgspec import structs

from webhook.core.decision import Finding, Verdict, verdict_of
from webhook.core.engine import judge, judge_stored, without_exempt
from webhook.core.grants import Grant, grants
from webhook.core.inventory import Inventory
from webhook.core.objects import (
    AdmissionRequest,
    Endpoints,
    EndpointSlice,
    ObjectRef,
)
from webhook.core.policy import Policy
from webhook.core.report import Judged
from webhook.core.rule import Ownership
from webhook.core.stored_case import GrantCase, PodCase, ServiceCase


def audit(
    inventory: Inventory,
    policy: Policy,
    *,
    namespaces: Collection[str] | None = None,
    rules: Collection[str] | None = None,
) -> Iterator[Judged]:
    """Everything stored, by kind, namespace and name: all Endpoints and EndpointSlices, and what
    else has findings. Only in some namespaces, or by some rules (their codes), if given.
    """
    slices: list[Judged] = []
    # Endpoints and slices of a namespace together: they share most addresses, parsed only once.
    for ref in _refs(_PUBLISHED, inventory, namespaces):
        judged = _judged(ref, inventory, policy, rules)
        if judged is None:
            continue
        if ref.kind == EndpointSlice.kind:
            slices.append(judged)
        else:
            yield judged
    yield from slices
    for kind in _BESIDE:
        for ref in _refs((kind,), inventory, namespaces):
            judged = _judged(ref, inventory, policy, rules)
            if judged is not None and judged.findings:
                yield judged


def _refs(
    kinds: Iterable[str], inventory: Inventory, namespaces: Collection[str] | None
) -> Iterator[ObjectRef]:
    """By namespace first."""
    keys = [(key[0], kind, key[1]) for kind in kinds for key in inventory.keys(kind)]
    for namespace, kind, name in sorted(keys):
        if namespaces is None or namespace in namespaces:
            yield ObjectRef(kind, namespace, name)


def _judged(
    ref: ObjectRef, inventory: Inventory, policy: Policy, rules: Collection[str] | None
) -> Judged | None:
    judged = judge_ref(ref, inventory, policy)
    if judged is None or not judged.findings or rules is None:
        return judged
    return with_findings(judged, (f for f in judged.findings if f.rule.code in rules))


def judge_ref(ref: ObjectRef, inventory: Inventory, policy: Policy) -> Judged | None:
    """What the audit says of one object; None when there is none of this name (any more)."""
    found = _JUDGES[ref.kind](ref, inventory, policy)
    if found is None:
        return None
    if not found and ref.kind in _BESIDE:
        return Judged(ref=ref, verdict=Verdict.ALLOW, findings=())
    subject = inventory.published(ref) if ref.kind in _PUBLISHED else None
    service_name = subject.service_name if subject is not None else ""
    judged = Judged(ref=ref, verdict=Verdict.ALLOW, findings=(), service_name=service_name)
    if not found:
        return judged
    request = AdmissionRequest(ref=ref, new=subject)
    return with_findings(judged, map(_opened, without_exempt(found, request, policy)))


def with_findings(judged: Judged, findings: Iterable[Finding]) -> Judged:
    """The object with these findings only."""
    held = tuple(findings)
    return structs.replace(judged, verdict=verdict_of(held), findings=held)


def _opened(finding: Finding) -> Finding:
    """Who reads an audit may see the whole cluster: nothing is private."""
    violation = finding.violation
    if not violation.private:
        return finding
    detail = "; ".join(filter(None, (violation.detail, violation.private)))
    opened = structs.replace(violation, detail=detail, private="")
    return structs.replace(finding, violation=opened)


def _of_published(
    ref: ObjectRef, inventory: Inventory, policy: Policy
) -> tuple[Finding, ...] | None:
    subject = inventory.published(ref)
    return None if subject is None else judge(subject, inventory, policy, stored=True)


def _of_service(ref: ObjectRef, inventory: Inventory, policy: Policy) -> tuple[Finding, ...] | None:
    service = inventory.service(ref.namespace, ref.name)
    if service is None:
        return None
    ownership = Ownership.SELECTOR if service.has_selector else Ownership.MANUAL
    rules = policy.in_force(ref.namespace).stored_rule_sets[ownership]
    return judge_stored(rules.service, ServiceCase(service, inventory))


def _of_pod(ref: ObjectRef, inventory: Inventory, policy: Policy) -> tuple[Finding, ...] | None:
    pod = inventory.pod(ref.namespace, ref.name)
    if pod is None:
        return None
    rules = policy.in_force(ref.namespace).stored_rule_sets[Ownership.MANUAL]
    return judge_stored(rules.pod, PodCase(pod, inventory))


def _of_binding(ref: ObjectRef, inventory: Inventory, policy: Policy) -> tuple[Finding, ...] | None:
    binding = inventory.binding(ref)
    if binding is None:
        return None
    rules = policy.in_force(ref.namespace).stored_rule_sets[Ownership.MANUAL]
    return tuple(
        finding
        for grant in grants(binding, inventory)
        for finding in without_exempt(
            judge_stored(rules.grant, GrantCase(grant)), _writes_of(grant, ref), policy
        )
    )


def _writes_of(grant: Grant, ref: ObjectRef) -> AdmissionRequest:
    """Exemptions name writers, and that is what the subject of a grant is."""
    subject = grant.subject
    groups = (subject.name,) if subject.kind == "Group" else ()
    return AdmissionRequest(ref=ref, username=subject.username, groups=groups)


_PUBLISHED: Final = (Endpoints.kind, EndpointSlice.kind)
_JUDGES: Final[
    Mapping[str, Callable[[ObjectRef, Inventory, Policy], tuple[Finding, ...] | None]]
] = {
    "Endpoints": _of_published,
    "EndpointSlice": _of_published,
    "Service": _of_service,
    "Pod": _of_pod,
    "ClusterRoleBinding": _of_binding,
    "RoleBinding": _of_binding,
}
_BESIDE: Final = tuple(kind for kind in _JUDGES if kind not in _PUBLISHED)
