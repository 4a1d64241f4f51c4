"""hostname must be what the Pod and the Service imply.

Cluster DNS publishes `hostname.service.namespace` from it, so a false one takes over a peer's name:
with it, a Pod of a StatefulSet poses as another. The control plane sets it exactly when the Pod's
`spec.hostname` is set and its `spec.subdomain` is the Service's name (endpointslice util
ShouldSetHostname), and leaves it empty otherwise.
"""

from webhook.core.case import AddressCase
from webhook.core.rule import Action, Example, Facet, Ownership, Rule, Violation


def check(case: AddressCase) -> Violation | None:
    pod, service = case.pod, case.object.service
    if pod is None or service is None:
        return None
    implied = pod.hostname if pod.subdomain == service.name else ""
    if case.listed.hostname == implied:
        return None
    given = f"hostname is {case.listed.hostname}" if case.listed.hostname else "hostname is missing"
    wanted = f"be {implied}" if implied else "have none"
    message = f"{given}, but for Pod {pod.name} and Service {service.name} it must {wanted}"
    return case.violation_at("hostname", message)


RULE = Rule(
    code="EG205",
    slug="hostname",
    title="hostname is what Pod and Service imply",
    rationale=__doc__,
    remedy="Copy spec.hostname of the Pod if its spec.subdomain is the Service; else leave it out.",
    default={Ownership.SELECTOR: Action.DENY},
    rests_on=("Service", "Pod"),
    checks=(check,),
    spares_published=True,
    facet=Facet.HOSTNAME,
    examples=(
        Example(
            name="a StatefulSet's Pod under its headless Service",
            state="""\
kind: Service
metadata: {name: peers, namespace: wordpress-ns}
spec: {clusterIP: None, selector: {app: peer}}
---
kind: Pod
metadata: {name: peer-0, namespace: wordpress-ns, labels: {app: peer}}
spec: {hostname: peer-0, subdomain: peers}
status: {phase: Running, podIP: 40.0.4.20, conditions: [{type: Ready, status: "True"}]}
""",
            write="""\
kind: Endpoints
metadata: {name: peers, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.20, hostname: peer-0, targetRef: {kind: Pod, name: peer-0}}]
""",
        ),
        Example(
            name="a name that no Pod asked for",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses:
  - {ip: 40.0.4.3, hostname: admin, targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc}}
  ports: [{port: 80}]
""",
            findings=("EG205 subsets[0].addresses[0].hostname",),
        ),
    ),
)
