"""Addresses must be those of Pods that the Service selects.

A Service with a selector says which Pods receive its traffic; its endpoints may say nothing else.
Whoever may write endpoints could otherwise send the traffic of a Service to any address: another
tenant's Pod, a node, a host outside (CVE-2021-25740). The control plane repairs such an edit late
or never: the endpoints controller does not watch for foreign updates, and slices without its label
are never touched.

An address is accepted if a live Pod of the same namespace holds it (`status.podIPs`) and has every
label of the selector. Terminating Pods count, because the control plane lists them too; Pods that
have succeeded or failed do not, because their address may already belong to somebody else.
Addresses are compared as values, not as text.
"""

from typing import Final

from webhook.core.case import AddressCase
from webhook.core.rule import Action, Example, Ownership, Rule, Violation

_NAMED: Final = 3
"""Pods that are named: on their node's network a hundred share an address."""


def check(case: AddressCase) -> Violation | None:
    is_name = case.part.address_type == "FQDN"
    if case.pod is not None or not (case.listed.address.value or is_name):
        return None  # text that is neither is EG509's
    service = case.object.service
    assert service is not None
    return case.violation(
        f"{case.text} is not the address of a live Pod that Service {service.name} selects",
        detail=_what_the_namespace_shows(case),
        private=_who_holds_it(case),
    )


def _what_the_namespace_shows(case: AddressCase) -> str:
    if case.own_pods:
        return f"Pod {case.own_pods[0].name} holds it, but its labels do not match the selector"
    if case.target_pod is not None and case.target_pod.terminal:
        return f"Pod {case.target_pod.name} has ended and holds no address any more"
    return "no live Pod of this namespace holds it"


def _who_holds_it(case: AddressCase) -> str:
    """Elsewhere; what the namespace's own Pods hold is no secret, and said already."""
    pods = case.object.inventory.live_pods_at(case.listed.address.value)
    others = [pod for pod in pods if pod.namespace != case.object.namespace]
    named = [f"Pod {pod.namespace}/{pod.name}" for pod in others[:_NAMED]]
    more = [f"{len(others) - _NAMED} more"] if others[_NAMED:] else []
    return f"held by {', '.join(named + more)}" if others else ""


RULE = Rule(
    code="EG201",
    slug="pod-not-selected",
    title="Addresses are those of selected Pods",
    rationale=__doc__,
    remedy="Leave them to the control plane, or remove the selector to manage them by hand.",
    default={Ownership.SELECTOR: Action.DENY},
    rests_on=("Service", "Pod"),
    by_absence=True,
    checks=(check,),
    spares_published=True,
    examples=(
        Example(
            name="both Pods of the Service",
            write="""\
kind: EndpointSlice
metadata:
  name: wordpress-1
  namespace: wordpress-ns
  labels: {kubernetes.io/service-name: wordpress}
addressType: IPv4
endpoints:
- addresses: [40.0.4.3]
  targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc, namespace: wordpress-ns}
- addresses: [40.0.4.4]
  targetRef: {kind: Pod, name: wordpress-dccb8668f-ntbm8, namespace: wordpress-ns}
ports: [{port: 80}]
""",
        ),
        Example(
            name="an address of no Pod",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses:
  - {ip: 40.0.4.99, targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc}}
  ports: [{port: 80}]
""",
            findings=(
                "EG201 subsets[0].addresses[0].ip",
                "EG304 subsets[0].addresses[0].targetRef",
            ),
        ),
        Example(
            name="a Pod of the namespace that the selector does not match",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses:
  - {ip: 40.0.4.5, targetRef: {kind: Pod, name: wordpress-cron}}
  ports: [{port: 80}]
""",
            findings=("EG201 subsets[0].addresses[0].ip",),
        ),
        Example(
            name="another tenant's Pod, listed as not ready",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- notReadyAddresses:
  - {ip: 40.0.7.8, targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc}}
  ports: [{port: 80}]
""",
            findings=(
                "EG201 subsets[0].notReadyAddresses[0].ip",
                "EG304 subsets[0].notReadyAddresses[0].targetRef",
            ),
        ),
    ),
)
