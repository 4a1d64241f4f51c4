"""appProtocol is the Service port's.

Proxies that read it speak another protocol to the backend: TLS or not, HTTP/2 or not. The control
plane copies it from the Service, so a difference means that somebody overrides the Service's owner.
"""

from webhook.core.case import PortCase
from webhook.core.example_cluster import FIRST_POD
from webhook.core.rule import Action, Example, Ownership, Rule, Violation


def check(case: PortCase) -> Violation | None:
    service_port, port = case.service_port, case.port
    if service_port is None or (port.app_protocol or "") == service_port.app_protocol:
        return None
    given, wanted = port.app_protocol or "not set", service_port.app_protocol or "none"
    return Violation(
        f"{case.path}.appProtocol", f"appProtocol is {given}, but the Service's port has {wanted}"
    )


RULE = Rule(
    code="EG403",
    slug="app-protocol",
    title="appProtocol is the Service port's",
    rationale=__doc__,
    remedy="Copy appProtocol from the Service's port, or set it there.",
    default={Ownership.SELECTOR: Action.DENY},
    rests_on=("Service",),
    checks=(check,),
    examples=(
        Example(
            name="none on either side",
            write=FIRST_POD,
        ),
        Example(
            name="one that the Service does not have",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.3, targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc}}]
  ports: [{port: 80, appProtocol: kubernetes.io/h2c}]
""",
            findings=("EG403 subsets[0].ports[0].appProtocol",),
        ),
    ),
)
