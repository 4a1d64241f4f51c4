"""A control-plane label is only worth something on what the control plane wrote.

`endpoints.kubernetes.io/managed-by` and `endpointslice.kubernetes.io/managed-by` can be set by
anybody. Tools and people take them as a mark of origin, and the API server itself keeps quiet about
bad addresses in objects that carry them. No verdict here depends on them; a writer who sets the
value of a controller without being it is worth a warning. Who copies an object, label and all,
should drop the label.
"""

from typing import Final

from webhook.core.case import ObjectCase
from webhook.core.objects.endpoints import ENDPOINTS_MARK, MIRROR_MARK, SLICE_MARK
from webhook.core.rule import Action, Example, Rule, Violation, both

_CONTROLLERS: Final = {
    ENDPOINTS_MARK: "endpoint-controller",
    SLICE_MARK: "endpointslice-controller",
    MIRROR_MARK: "endpointslicemirroring-controller",
}


def check(case: ObjectCase) -> Violation | None:
    if not case.writer or not case.has_addresses:
        return None
    for mark, controller in _CONTROLLERS.items():
        if case.subject.metadata.carries(mark) and not _is(case.writer, controller):
            label, value = mark
            return Violation(f"metadata.labels[{label}]", f"the label says {value} wrote this")
    return None


def _is(writer: str, controller: str) -> bool:
    account = f"system:serviceaccount:kube-system:{controller}"
    return writer in (account, "system:kube-controller-manager")


RULE = Rule(
    code="EG103",
    slug="claims-controller",
    title="Only a controller carries its label",
    rationale=__doc__,
    remedy="Remove the managed-by label, or set a value of your own.",
    default=both(Action.WARN),
    rests_on=(),
    checks=(check,),
    examples=(
        Example(
            name="a label of one's own",
            write="""\
kind: EndpointSlice
metadata:
  name: database-1
  namespace: wordpress-ns
  labels:
    kubernetes.io/service-name: database
    endpointslice.kubernetes.io/managed-by: dba.example.com
addressType: IPv4
endpoints: [{addresses: [198.51.100.7]}]
ports: [{name: mysql, port: 3306}]
""",
        ),
        Example(
            name="a user with the label of the mirroring controller",
            write="""\
kind: EndpointSlice
metadata:
  name: database-1
  namespace: wordpress-ns
  labels:
    kubernetes.io/service-name: database
    endpointslice.kubernetes.io/managed-by: endpointslicemirroring-controller.k8s.io
addressType: IPv4
endpoints: [{addresses: [198.51.100.7]}]
ports: [{name: mysql, port: 3306}]
""",
            findings=("EG103 metadata.labels[endpointslice.kubernetes.io/managed-by]",),
        ),
    ),
)
