"""A ready Pod that a Service selects gets its traffic.

The control plane lists every selected Pod. If a ready one is in none of the Service's endpoints,
somebody took it out, or no controller keeps them any more: the Service runs with fewer Pods than it
seems to, or with those of somebody else only. Endpoints stay as they were edited until the next
event of a Pod or the Service.

Nothing is said while Endpoints are cut off at 1,000 addresses and there are no slices, of a Pod
whose Node is unknown (slices leave it out as well), of a Pod without an address of the Service's
families, nor of a Service of which nothing is published at all, not even the empty slice that the
control plane keeps: then endpoints were not read, or the cluster has no such controller.
"""

from collections.abc import Iterator
from typing import Final

from webhook.core.agreement import is_cut_off, listed_in
from webhook.core.objects import Endpoints, Pod
from webhook.core.placement import in_endpoints, in_slices
from webhook.core.rule import Action, Example, Ownership, Rule, Violation
from webhook.core.stored_case import ServiceCase


def check(case: ServiceCase) -> Violation | None:
    names = sorted(pod.name for pod in _left_out(case))
    if not names:
        return None
    more = f" and {len(names) - 1} more" if names[1:] else ""
    return Violation(
        "spec.selector",
        f"it selects Pod {names[0]}{more}, ready, but no endpoints list it",
        detail=", ".join(names[:10]) + (", ..." if names[10:] else "") if more else "",
    )


def _left_out(case: ServiceCase) -> Iterator[Pod]:
    service, index = case.service, case.inventory.for_audit
    published = index.published_of(service.namespace, service.name)
    endpoints = [each for each in published if isinstance(each, Endpoints)]
    by_slices = len(endpoints) < len(published)
    if not published or (not by_slices and is_cut_off(endpoints[0])):
        return
    listed = listed_in(*published)
    for pod in index.pods_of(service):
        if pod.ready and not pod.deleting and listed.isdisjoint(pod.ips):
            in_one = (in_endpoints(pod, service),)
            if any(in_slices(pod, service, case.inventory) if by_slices else in_one):
                yield pod


_WORDPRESS: Final = """\
kind: Service
metadata: {name: wordpress, namespace: wordpress-ns}
spec:
  selector: {app: wordpress}
  ports: [{port: 80, protocol: TCP, targetPort: 80}]
"""

RULE = Rule(
    code="EG605",
    slug="unselected-ready-pod",
    title="Every ready Pod that a Service selects is in its endpoints",
    rationale=__doc__,
    remedy="Let the control plane write the endpoints again: delete those that somebody edited.",
    default={Ownership.SELECTOR: Action.AUDIT},
    checks=(check,),
    stored_only=True,
    presumes=("Service",),
    examples=(
        Example(
            name="both Pods are listed, in Endpoints or in a slice",
            state="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.3}]
  ports: [{port: 80}]
---
kind: EndpointSlice
metadata:
  name: wordpress-1
  namespace: wordpress-ns
  labels: {kubernetes.io/service-name: wordpress}
addressType: IPv4
endpoints: [{addresses: [40.0.4.4]}]
ports: [{port: 80}]
""",
            write=_WORDPRESS,
        ),
        Example(
            name="one of two Pods was taken out",
            state="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.3}]
  ports: [{port: 80}]
""",
            write=_WORDPRESS,
            findings=("EG605 spec.selector",),
        ),
        Example(
            name="Endpoints that are cut off need not list every Pod",
            state="""\
kind: Endpoints
metadata:
  name: wordpress
  namespace: wordpress-ns
  annotations: {endpoints.kubernetes.io/over-capacity: truncated}
subsets:
- addresses: [{ip: 40.0.4.3}]
  ports: [{port: 80}]
""",
            write=_WORDPRESS,
        ),
    ),
)
