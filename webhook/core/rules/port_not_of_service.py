"""Ports are those of the Service.

A port of endpoints is joined to the Service's port of the same name and protocol; one that matches
none is dead weight for kube-proxy, and for readers that take every port (ingress controllers,
service meshes) a door that the Service does not have. On Services without a selector this is a
warning, because a single unnamed port is widespread there. A Service without any port (headless)
has nothing to compare with, unless it has a selector: then the control plane lists none.
"""

from webhook.core.case import PortCase
from webhook.core.rule import Action, Example, Ownership, Rule, Violation


def check(case: PortCase) -> Violation | None:
    service, port = case.object.service, case.port
    if service is None or service.type == "ExternalName" or case.service_port is not None:
        return None
    if not service.ports and case.object.ownership is Ownership.MANUAL:
        return None
    name, protocol = port.service_port
    named = f"named {name}" if name else "without a name"
    ports = [f"{p.name or '(unnamed)'}/{p.protocol}" for p in service.ports[:10]]
    offered = ", ".join((*ports, "...") if service.ports[10:] else ports) or "none"
    return Violation(
        case.path,
        f"Service {service.name} has no {protocol} port {named}",
        detail=f"its ports are: {offered}",
    )


RULE = Rule(
    code="EG401",
    slug="port-not-of-service",
    title="Ports are those of the Service",
    rationale=__doc__,
    remedy="Give the port the name and protocol of one of the Service's ports.",
    default={Ownership.SELECTOR: Action.DENY, Ownership.MANUAL: Action.WARN},
    rests_on=("Service",),
    checks=(check,),
    examples=(
        Example(
            name="the Service's only, unnamed port",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.3, targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc}}]
  ports: [{port: 80, protocol: TCP}]
""",
        ),
        Example(
            name="a name and a protocol that the Service does not have",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.3, targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc}}]
  ports: [{name: admin, port: 80}, {port: 80, protocol: UDP}]
""",
            findings=("EG401 subsets[0].ports[0]", "EG401 subsets[0].ports[1]"),
        ),
        Example(
            name="an unnamed port is only warned about without a selector",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 198.51.100.7}]
  ports: [{port: 3306}]
""",
            findings=("EG401 subsets[0].ports[0]",),
        ),
    ),
)
