"""Port numbers are what targetPort resolves to on the Pod.

A Service offers `port` and sends to `targetPort`; whoever writes another number into the endpoints
reaches any port of the Pod: a debug listener, a sidecar's admin interface, a database bound to the
Pod. A named targetPort is looked up on each Pod, in its containers and then in its restartable init
containers, so it may be a different number on different Pods. A slice port without a number means
every port, and is never what a selector implies. Without a selector the writer chooses the number:
gateways of other clusters all answer on one port.
"""

from webhook.core.case import PortCase
from webhook.core.objects.pod import resolve_port
from webhook.core.rule import Action, Example, Ownership, Rule, Violation


def check(case: PortCase) -> Violation | None:
    service_port = case.service_port
    if service_port is None:
        return None  # EG401 says so
    target, protocol = service_port.target_port, service_port.protocol
    given = case.port.port
    wrong = tuple(
        ports
        for ports in case.part.pod_ports
        if given is None or resolve_port(target, protocol, ports) != given
    )
    if not wrong:
        return None
    listed = case.part.listed_with(wrong)
    others = f" and {len(listed) - 1} more" if len(listed) > 1 else ""
    number = resolve_port(target, protocol, wrong[0])
    implied = f"resolves to {number}" if number is not None else "is no port of that Pod"
    offered = "every port" if given is None else f"port {given}"
    return Violation(
        f"{case.path}.port",
        f"{offered} is not the target port of {listed[0].address.text}{others}",
        detail=f"targetPort {target} {implied}",
        listed=listed,
    )


RULE = Rule(
    code="EG402",
    slug="port-number",
    title="Port numbers are what targetPort resolves to",
    rationale=__doc__,
    remedy="Use the number that the Service's targetPort means on this Pod.",
    default={Ownership.SELECTOR: Action.DENY},
    rests_on=("Service", "Pod"),
    checks=(check,),
    examples=(
        Example(
            name="a named port, declared by a restartable init container",
            state="""\
kind: Service
metadata: {name: metrics, namespace: wordpress-ns}
spec: {selector: {app: probe}, ports: [{name: web, port: 80, targetPort: metrics}]}
---
kind: Pod
metadata: {name: probe-0, namespace: wordpress-ns, labels: {app: probe}}
spec:
  containers: [{name: main}]
  initContainers:
  - {name: setup, ports: [{name: metrics, containerPort: 1}]}
  - {name: sidecar, restartPolicy: Always, ports: [{name: metrics, containerPort: 9102}]}
status: {phase: Running, podIP: 40.0.4.30, conditions: [{type: Ready, status: "True"}]}
""",
            write="""\
kind: Endpoints
metadata: {name: metrics, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.30, targetRef: {kind: Pod, name: probe-0}}]
  ports: [{name: web, port: 9102}]
""",
        ),
        Example(
            name="another port of the right Pod",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.3, targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc}}]
  ports: [{port: 22}]
""",
            findings=("EG402 subsets[0].ports[0].port",),
        ),
        Example(
            name="a slice port without a number: every port",
            write="""\
kind: EndpointSlice
metadata:
  name: wordpress-1
  namespace: wordpress-ns
  labels: {kubernetes.io/service-name: wordpress}
addressType: IPv4
endpoints:
- {addresses: [40.0.4.3], targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc}}
ports: [{name: ""}]
""",
            findings=("EG402 ports[0].port",),
        ),
    ),
)
