"""One object explained to an administrator: who owns each address, what admission would say and
why, and what the audit finds besides.

Names everything, other namespaces included: it is for whoever may read the whole cluster.
"""

import sys
from collections.abc import Iterable, Iterator

from webhook.core.audit import judge_ref
from webhook.core.case import ObjectCase
from webhook.core.decision import Decision, Finding
from webhook.core.engine import decide
from webhook.core.inventory import Inventory
from webhook.core.objects import (
    AdmissionRequest,
    Endpoints,
    EndpointSlice,
    ListedAddress,
    ObjectRef,
)
from webhook.core.policy import Policy
from webhook.core.rule import Action, Ownership


def explain(subject: Endpoints | EndpointSlice, inventory: Inventory, policy: Policy) -> str:
    """Text about an object as if an ordinary user wrote it now."""
    request = AdmissionRequest(ref=subject.ref, new=subject, username="an ordinary user")
    decision = decide(request, inventory, policy, most=sys.maxsize)
    lines = [
        f"{subject.kind} {subject.metadata.namespace}/{subject.metadata.name}",
        f"  {ownership(subject, inventory)}",
        "",
        *_addresses(subject, inventory),
        "",
        f"Written now by an ordinary user, the answer would be: {decision.verdict}",
        *_findings(decision.findings),
        *_way_out(subject, decision),
        *_audit(subject, inventory, policy),
    ]
    return "\n".join([*lines, ""])


def ownership(subject: Endpoints | EndpointSlice, inventory: Inventory) -> str:
    """Which Service the endpoints are of, and whether it has a selector: one sentence."""
    case = ObjectCase(subject, inventory)
    service, name = case.service, subject.service_name
    if service is None:
        return f"there is no Service {name}" if name else "no label names its Service"
    if service.type == "ExternalName":
        return f"Service {name} is of type ExternalName: it has no endpoints"
    if case.ownership is Ownership.MANUAL:
        return f"Service {name} has no selector: endpoints are written by hand"
    selector = ",".join(f"{key}={value}" for key, value in (service.selector or {}).items())
    return f"Service {name} selects {selector}: the control plane writes its endpoints"


def _addresses(subject: Endpoints | EndpointSlice, inventory: Inventory) -> Iterator[str]:
    for part in subject.parts:
        ports = ", ".join(map(str, part.ports)) or "no port"
        for listed in part.addresses:
            held_by = "; ".join(owners(inventory, listed)) or "nobody in this cluster"
            ready = "" if listed.ready else ", not ready"
            yield f"  {listed.path}: {listed.address.text} ({ports}{ready}) is of {held_by}"


def owners(inventory: Inventory, listed: ListedAddress) -> Iterator[str]:
    """Everybody whom traffic to an address would reach, namespaces included."""
    for address in listed.address.destinations:
        for pod in inventory.live_pods_at(address.value):
            network = ", on its node's network" if pod.host_network else ""
            readiness = "ready" if pod.ready else "not ready"
            yield f"Pod {pod.namespace}/{pod.name} ({readiness}{network})"
        yield from (f"Node {node.name}" for node in inventory.nodes_at(address.value))
        for service in inventory.services_at(address.value):
            yield f"Service {service.namespace}/{service.name}"
        if inventory.is_api_server(address.value):
            yield "the API server"
        if address.special:
            yield f"nobody: it is a {address.special} address"


def _findings(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        violation = finding.violation
        detail = f" ({violation.detail})" if violation.detail else ""
        where = f"{finding.rule.code} {violation.field}"
        yield f"  {finding.action} {where}: {violation.message}{detail}"
        yield f"       -> {finding.rule.remedy}"


def _audit(
    subject: Endpoints | EndpointSlice, inventory: Inventory, policy: Policy
) -> Iterator[str]:
    """What only the audit says, of the object as it is stored and of its Service."""
    service = ObjectRef("Service", subject.metadata.namespace, subject.service_name)
    for ref in (subject.ref, service):
        judged = judge_ref(ref, inventory, policy)
        found = [f for f in judged.findings if f.rule.stored_only] if judged is not None else []
        if found:
            yield ""
            yield f"The audit finds in {ref.kind} {ref.name}:"
            yield from _findings(found)


def _way_out(subject: Endpoints | EndpointSlice, decision: Decision) -> Iterator[str]:
    codes = [f.rule.code for f in decision.findings if f.action is Action.DENY]
    if not codes:
        return
    yield ""
    yield "If this is as it should be, the policy can exempt one writer:"
    yield "  exemptions:"
    yield '  - reason: "say why"'
    yield "    users: [system:serviceaccount:NAMESPACE:NAME]"
    yield f"    namespaces: [{subject.metadata.namespace}]"
    yield f"    names: [{subject.metadata.name}]"
    yield f"    rules: [{', '.join(dict.fromkeys(codes))}]"
