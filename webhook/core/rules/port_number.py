"""Port numbers are what targetPort resolves to on the Pod.

A Service offers `port` and sends to `targetPort`; whoever writes another number into the endpoints
reaches any port of the Pod: a debug listener, a sidecar's admin interface, a database bound to the
Pod. A named targetPort is looked up on each Pod, in its containers and then in its restartable init
containers, so it may be a different number on different Pods. A slice port without a number means
every port, and is never what a selector implies. Without a selector the writer chooses the number:
gateways of other clusters all answer on one port.
"""

from webhook.core.case import AddressPortCase
from webhook.core.rule import Action, Example, Ownership, Rule, Scope, Violation


def check(case: AddressPortCase) -> Violation | None:
    pod, service, port = case.address.pod, case.address.object.service, case.port
    if pod is None or service is None:
        return None
    service_port = service.port(*port.service_port)
    if service_port is None:
        return None  # EG401 says so
    number = pod.port_number(service_port.target_port, service_port.protocol)
    if number is not None and number == port.port:
        return None
    target = service_port.target_port
    implied = f"resolves to {number}" if number is not None else "is not a port of that Pod"
    given = "every port" if port.port is None else f"port {port.port}"
    message = f"{given} is not the target port of {case.address.text}"
    return Violation(
        f"{case.path}.port", message, detail=f"targetPort {target} {implied} (Pod {pod.name})"
    )


RULE = Rule(
    code="EG402",
    slug="port-number",
    title="Port numbers are what targetPort resolves to",
    rationale=__doc__,
    remedy="Use the number that the Service's targetPort means on this Pod.",
    default={Ownership.SELECTOR: Action.DENY},
    scope=Scope.ADDRESS_PORT,
    check=check,
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
