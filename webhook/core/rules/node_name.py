"""nodeName must be the Pod's node.

`internalTrafficPolicy: Local`, topology hints and load-balancer announcers route by it: a false
node name draws traffic to a node or keeps it away. The control plane takes it from the Pod. A
manual address that no Pod of the namespace holds may carry any node name: MetalLB and kube-vip
users set it to choose the announcing node.
"""

from webhook.core.case import AddressCase
from webhook.core.rule import Action, Example, Facet, Ownership, Rule, Violation


def check(case: AddressCase) -> Violation | None:
    node_name, pod = case.listed.node_name, case.pod
    if not node_name or pod is None or pod.node_name == node_name:
        return None
    actual = f"runs on {pod.node_name}" if pod.node_name else "has no node yet"
    return case.violation_at("nodeName", f"nodeName is {node_name}, but Pod {pod.name} {actual}")


RULE = Rule(
    code="EG204",
    slug="node-name",
    title="nodeName is the Pod's node",
    rationale=__doc__,
    remedy="Set nodeName to the Pod's spec.nodeName, or leave it out.",
    default={Ownership.SELECTOR: Action.DENY, Ownership.MANUAL: Action.WARN},
    rests_on=("Service", "Pod"),
    checks=(check,),
    spares_published=True,
    facet=Facet.NODE_NAME,
    examples=(
        Example(
            name="the Pod's node",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses:
  - ip: 40.0.4.3
    nodeName: 244dee94-bfa7-4413-9135-34f902040d7e
    targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc}
  ports: [{port: 80}]
""",
        ),
        Example(
            name="an external address may name the node that announces it",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 198.51.100.7, nodeName: 244dee94-bfa7-4413-9135-34f902040d7e}]
  ports: [{name: mysql, port: 3306}]
""",
        ),
        Example(
            name="another node",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses:
  - ip: 40.0.4.3
    nodeName: 9aeea30f-f08b-47b3-b7aa-ef45f3e800b0
    targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc}
  ports: [{port: 80}]
""",
            findings=("EG204 subsets[0].addresses[0].nodeName",),
        ),
    ),
)
