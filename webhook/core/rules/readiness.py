"""Listed as ready should mean that the Pod is ready.

Traffic sent to a Pod that is not ready is lost, and a ready Pod that is listed as not ready gets
none. The Pod's condition `Ready` decides, as for the control plane; a Service with
`publishNotReadyAddresses` lists every Pod as ready, and a terminating Pod is never ready in a
slice. Readiness changes by the second, so this is a warning only.
"""

from webhook.core.case import AddressCase
from webhook.core.example_cluster import FIRST_POD
from webhook.core.rule import Action, Example, Facet, Ownership, Rule, Violation


def check(case: AddressCase) -> Violation | None:
    pod, service = case.pod, case.object.service
    if pod is None or service is None:
        return None
    serving = pod.ready and not (pod.deleting and case.object.subject.kind == "EndpointSlice")
    if case.listed.ready == (serving or service.publish_not_ready):
        return None
    listed, actual = ("ready", "not ready") if case.listed.ready else ("not ready", "ready")
    return case.violation(f"{case.text} is listed as {listed}, but Pod {pod.name} is {actual}")


RULE = Rule(
    code="EG203",
    slug="readiness",
    title="Readiness is the Pod's",
    rationale=__doc__,
    remedy="Move the address to the list (or set the condition) that the Pod's readiness asks for.",
    default={Ownership.SELECTOR: Action.WARN},
    rests_on=("Service", "Pod"),
    checks=(check,),
    spares_published=True,
    facet=Facet.READY,
    examples=(
        Example(
            name="a ready Pod, listed as ready",
            write=FIRST_POD,
        ),
        Example(
            name="a ready Pod, listed as not ready",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- notReadyAddresses: [{ip: 40.0.4.3, targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc}}]
  ports: [{port: 80}]
""",
            findings=("EG203 subsets[0].notReadyAddresses[0].ip",),
        ),
        Example(
            name="publishNotReadyAddresses lists a Pod that is not ready",
            state="""\
kind: Service
metadata: {name: peers, namespace: wordpress-ns}
spec: {clusterIP: None, selector: {app: peer}, publishNotReadyAddresses: true}
---
kind: Pod
metadata: {name: peer-0, namespace: wordpress-ns, labels: {app: peer}}
status: {phase: Running, podIP: 40.0.4.20}
""",
            write="""\
kind: Endpoints
metadata: {name: peers, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.20, targetRef: {kind: Pod, name: peer-0}}]
""",
        ),
    ),
)
