"""Endpoints go when their reason goes, and what says the same twice agrees.

The control plane cleans up less than one would think. When a Service loses its selector or becomes
an ExternalName, the Endpoints and EndpointSlices that were made for it stay as they were, for good:
proxies follow them while nobody keeps them current, and the addresses pass to other Pods. Slices
that were orphaned (`kubectl delete --cascade=orphan`) wait for the next Service of that name. An
edit of the Endpoints alone, or of the slices alone, sends some clients elsewhere than others.

Judged are the labels `managed-by` of the controllers, owner references by uid, and, as sets of
addresses, Endpoints against the slices that the control plane makes of the same Pods or of these
Endpoints. Where the two rightly differ nothing is said: Endpoints are cut off at 1,000 addresses,
know one family only, and leave out Pods that terminate or have none of the ports; Endpoints with
`skip-mirror` have no mirror, and a mirror may end early, after the first so many addresses of each
subset (`--mirroring-max-endpoints-per-subset`); slices leave out Pods whose Node is unknown. Of a
Service without any slice of a controller nothing is said either.
"""

from webhook.core.agreement import disagreement
from webhook.core.case import ObjectCase
from webhook.core.example_cluster import EXTERNAL_DATABASE
from webhook.core.objects import Endpoints, ObjectRef
from webhook.core.objects.endpoints import (
    ENDPOINTS_MARK,
    MIRROR_MARK,
    SLICE_MARK,
    OwnerReference,
)
from webhook.core.rule import Action, Example, Rule, Violation, both


def check_reason(case: ObjectCase) -> Violation | None:
    if not case.has_addresses or not case.subject.service_name:
        return None
    return _without_selector(case) or _without_source(case) or _without_owner(case)


def _without_selector(case: ObjectCase) -> Violation | None:
    """Made for a Service with a selector, which there is no more."""
    label, controller = mark = _mark_by_selector(case)
    service, name = case.service, case.subject.service_name
    if not case.subject.metadata.carries(mark):
        return None
    if service is None:
        fate = "is gone"
    elif service.type == "ExternalName":
        fate = "is of type ExternalName now"
    elif service.selector is None:
        fate = "has no selector any more"
    else:
        return None
    message = f"{controller} made this for Service {name}, which {fate}: nobody keeps it current"
    return Violation(f"metadata.labels[{label}]", message)


def _mark_by_selector(case: ObjectCase) -> tuple[str, str]:
    return ENDPOINTS_MARK if case.subject.kind == Endpoints.kind else SLICE_MARK


def _without_source(case: ObjectCase) -> Violation | None:
    """A mirror of Endpoints that are gone, or that are not to be mirrored."""
    service, name = case.service, case.subject.service_name
    if not case.subject.metadata.carries(MIRROR_MARK):
        return None
    source = case.inventory.published(ObjectRef(Endpoints.kind, case.namespace, name))
    if source is None:
        fate = "are gone"
    elif not source.in_effect:
        fate = "are not to be mirrored"
    elif service is None:
        fate = "belong to no Service"
    elif service.selector is not None:
        fate = "belong to a Service with a selector"
    else:
        return None
    message = f"it mirrors the Endpoints {name}, which {fate}"
    return Violation(f"metadata.labels[{MIRROR_MARK[0]}]", message)


def _without_owner(case: ObjectCase) -> Violation | None:
    """Owned by a Service or by Endpoints that are gone, or of which only the name came back."""
    for index, owner in enumerate(case.subject.metadata.owner_references or ()):
        uid = _uid_now(owner, case)
        if uid is not None and owner.uid != uid:
            fate = "was made anew since" if uid else "is gone"
            message = f"it belongs to {owner.kind} {owner.name}, which {fate}"
            return Violation(f"metadata.ownerReferences[{index}]", message)
    return None


def _uid_now(owner: OwnerReference, case: ObjectCase) -> str | None:
    """The uid of what has the owner's name now; empty if nothing has, None where we cannot say.

    Owners that are neither the Service nor its Endpoints are somebody's own affair.
    """
    if owner.api_version != "v1" or owner.name != case.subject.service_name or not owner.uid:
        return None
    if owner.kind == "Service":
        service = case.inventory.service(case.namespace, owner.name)
        return "" if service is None else service.uid or None
    if owner.kind == Endpoints.kind:
        source = case.inventory.published(ObjectRef(Endpoints.kind, case.namespace, owner.name))
        return "" if source is None else source.metadata.uid or None
    return None


def check_agreement(case: ObjectCase) -> Violation | None:
    subject, service = case.subject, case.service
    if not isinstance(subject, Endpoints) or service is None:
        return None
    differ = disagreement(subject, service, case.inventory)
    if not differ:
        return None
    detail = "; ".join(
        f"only {where}: {_some(addresses)}"
        for where, addresses in (
            ("here", differ.only_endpoints),
            ("there", differ.only_slices),
        )
        if addresses
    )
    message = f"the EndpointSlices of Service {service.name} list other addresses"
    return Violation("subsets", message, detail=detail)


def _some(addresses: tuple[str, ...]) -> str:
    more = f" and {len(addresses) - 10} more" if addresses[10:] else ""
    return ", ".join(addresses[:10]) + more


RULE = Rule(
    code="EG602",
    slug="left-behind",
    title="Endpoints go with their Service, and agree with its slices",
    rationale=__doc__,
    remedy="Delete what is left; the control plane makes anew whatever it still wants.",
    default=both(Action.AUDIT),
    checks=(check_reason, check_agreement),
    stored_only=True,
    presumes=("Service", "Endpoints"),
    examples=(
        Example(
            name="a slice of the control plane for a Service with a selector",
            write="""\
kind: EndpointSlice
metadata:
  name: wordpress-1
  namespace: wordpress-ns
  labels:
    kubernetes.io/service-name: wordpress
    endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io
  ownerReferences:
  - {apiVersion: v1, kind: Service, name: wordpress, uid: 0d9e6b5e-63ed-11ea-bd75-005056a6497c}
addressType: IPv4
endpoints:
- addresses: [40.0.4.3]
  targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc, namespace: wordpress-ns}
ports: [{port: 80}]
""",
        ),
        Example(
            name="the selector was taken away, its slice is still followed",
            write="""\
kind: EndpointSlice
metadata:
  name: database-1
  namespace: wordpress-ns
  labels:
    kubernetes.io/service-name: database
    endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io
addressType: IPv4
endpoints:
- addresses: [40.0.4.5]
  targetRef: {kind: Pod, name: wordpress-cron, namespace: wordpress-ns}
ports: [{name: mysql, port: 3306}]
""",
            findings=("EG602 metadata.labels[endpointslice.kubernetes.io/managed-by]",),
        ),
        Example(
            name="the slice of an earlier Service of the same name",
            write="""\
kind: EndpointSlice
metadata:
  name: wordpress-1
  namespace: wordpress-ns
  labels: {kubernetes.io/service-name: wordpress}
  ownerReferences:
  - {apiVersion: v1, kind: Service, name: wordpress, uid: 11111111-63ed-11ea-bd75-005056a6497c}
addressType: IPv4
endpoints:
- addresses: [40.0.4.3]
  targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc, namespace: wordpress-ns}
ports: [{port: 80}]
""",
            findings=("EG602 metadata.ownerReferences[0]",),
        ),
        Example(
            name="Endpoints were edited, their mirror shows what was there before",
            state="""\
kind: EndpointSlice
metadata:
  name: database-1
  namespace: wordpress-ns
  labels:
    kubernetes.io/service-name: database
    endpointslice.kubernetes.io/managed-by: endpointslicemirroring-controller.k8s.io
addressType: IPv4
endpoints: [{addresses: [198.51.100.9]}]
ports: [{name: mysql, port: 3306}]
""",
            write=EXTERNAL_DATABASE,
            findings=("EG602 subsets",),
        ),
    ),
)
