"""An ExternalName Service has no endpoints.

It is a DNS alias and nothing else: kube-proxy ignores endpoints of such a Service, and the control
plane neither writes nor removes them. Other readers do use them: the mirroring controller copies
them, and some ingress controllers follow them. Whoever adds endpoints there either expects an
effect that will not come, or one that should not. The mirroring controller does not look at the
type, so it is refused here, too, for as long as there are Endpoints for it to copy. Note that the
alias itself, `spec.externalName`, is outside of what this webhook sees.
"""

from webhook.core.case import ObjectCase
from webhook.core.rule import Action, Example, Ownership, Rule, Violation


def check(case: ObjectCase) -> Violation | None:
    if case.service is None or case.service.type != "ExternalName" or not case.has_addresses:
        return None
    field = "subsets" if case.subject.kind == "Endpoints" else "endpoints"
    return Violation(
        field, f"Service {case.service.name} is of type ExternalName: it has no endpoints"
    )


RULE = Rule(
    code="EG102",
    slug="external-name-service",
    title="An ExternalName Service has no endpoints",
    rationale=__doc__,
    remedy="Make the Service a ClusterIP Service without a selector, or remove the endpoints.",
    default={Ownership.MANUAL: Action.DENY},
    rests_on=("Service",),
    checks=(check,),
    examples=(
        Example(
            name="what is left after the addresses were removed",
            state="""\
kind: Service
metadata: {name: alias, namespace: wordpress-ns}
spec: {type: ExternalName, externalName: db.example.com}
""",
            write="""\
kind: Endpoints
metadata: {name: alias, namespace: wordpress-ns}
""",
        ),
        Example(
            name="a slice for an alias",
            state="""\
kind: Service
metadata: {name: alias, namespace: wordpress-ns}
spec: {type: ExternalName, externalName: db.example.com}
""",
            write="""\
kind: EndpointSlice
metadata:
  name: alias-1
  namespace: wordpress-ns
  labels: {kubernetes.io/service-name: alias}
addressType: IPv4
endpoints: [{addresses: [198.51.100.7]}]
ports: [{port: 443}]
""",
            findings=("EG102 endpoints",),
        ),
    ),
)
