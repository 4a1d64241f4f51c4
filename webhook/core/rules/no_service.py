"""Endpoints should belong to a Service.

Endpoints without a Service carry no traffic yet, but they wait: as soon as somebody creates a
Service of that name without a selector, they do. Nor can ports, readiness or hostnames be compared
with anything. They are legal all the same: manifests list Endpoints before the Service,
multi-cluster implementations use labels of their own, and conformance tests create them bare. So
this is a warning, and the addresses are judged as those of a Service without a selector. Endpoints
without addresses, such as old leader-election locks, are of no concern.
"""

from webhook.core.case import ObjectCase
from webhook.core.example_cluster import EXTERNAL_DATABASE
from webhook.core.rule import Action, Example, Ownership, Rule, Violation


def check(case: ObjectCase) -> Violation | None:
    if case.service is not None or not case.has_addresses:
        return None
    name = case.subject.service_name
    if name:
        return Violation(_field(case), f"there is no Service {name} in this namespace")
    return Violation(_field(case), "no label kubernetes.io/service-name says which Service owns it")


def _field(case: ObjectCase) -> str:
    if case.subject.kind == "Endpoints":
        return "metadata.name"
    return "metadata.labels[kubernetes.io/service-name]"


RULE = Rule(
    code="EG101",
    slug="no-service",
    title="Endpoints belong to a Service",
    rationale=__doc__,
    remedy="Create the Service first, or correct the name or the label that leads to it.",
    default={Ownership.MANUAL: Action.WARN},
    rests_on=("Service",),
    checks=(check,),
    examples=(
        Example(
            name="an external database, with its Service",
            write=EXTERNAL_DATABASE,
        ),
        Example(
            name="a leader-election lock has no addresses",
            write="""\
kind: Endpoints
metadata:
  name: provisioner-lock
  namespace: wordpress-ns
  annotations: {control-plane.alpha.kubernetes.io/leader: '{"holderIdentity":"a"}'}
""",
        ),
        Example(
            name="the Service does not exist",
            write="""\
kind: Endpoints
metadata: {name: databse, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 198.51.100.7}]
  ports: [{name: mysql, port: 3306}]
""",
            findings=("EG101 metadata.name",),
        ),
        Example(
            name="a slice without the label that names its Service",
            write="""\
kind: EndpointSlice
metadata: {name: database-1, namespace: wordpress-ns}
addressType: IPv4
endpoints: [{addresses: [198.51.100.7]}]
ports: [{name: mysql, port: 3306}]
""",
            findings=("EG101 metadata.labels[kubernetes.io/service-name]",),
        ),
    ),
)
