"""targetRef names a Pod.

Every reader of endpoints expects a core/v1 Pod there. On a Service without a selector a Node is
fine too when it lists the address, as the kubelet endpoints of the Prometheus operator do; other
kinds only earn a warning there.
"""

from webhook.core.case import AddressCase, is_pod_ref
from webhook.core.example_cluster import FIRST_POD
from webhook.core.rule import Action, Example, Ownership, Rule, Violation


def check(case: AddressCase) -> Violation | None:
    ref = case.target_ref
    if ref is None or case.target_pod is not None or is_pod_ref(ref):
        return None
    kind = " of ".join(filter(None, (ref.kind or "(no kind given)", ref.api_version)))
    if ref.kind != "Node" or case.object.ownership is Ownership.SELECTOR:
        return case.violation_at("targetRef.kind", f"targetRef is a {kind}, not a Pod")
    node = case.target_node()
    if node is not None and case.listed.address.value in node.ips:
        return None
    message = f"targetRef is Node {ref.name}, which does not list {case.text}"
    return case.violation_at("targetRef.kind", message)


RULE = Rule(
    code="EG305",
    slug="target-ref-kind",
    title="targetRef names a Pod",
    rationale=__doc__,
    remedy="Reference the Pod that serves the address, or leave targetRef out of manual endpoints.",
    default={Ownership.SELECTOR: Action.DENY, Ownership.MANUAL: Action.WARN},
    rests_on=("Service", "Node"),
    checks=(check,),
    spares_published=True,
    examples=(
        Example(
            name="a Pod",
            write=FIRST_POD,
        ),
        Example(
            name="a Deployment",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.3, targetRef: {kind: Deployment, name: wordpress}}]
  ports: [{port: 80}]
""",
            findings=("EG305 subsets[0].addresses[0].targetRef.kind",),
        ),
        Example(
            name="a Node that does not list the address",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses:
  - {ip: 198.51.100.7, targetRef: {kind: Node, name: 244dee94-bfa7-4413-9135-34f902040d7e}}
  ports: [{name: mysql, port: 3306}]
""",
            findings=("EG305 subsets[0].addresses[0].targetRef.kind",),
        ),
    ),
)
