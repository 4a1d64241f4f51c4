"""The Pod in targetRef holds the address.

A targetRef that is true in itself makes a foreign address look tame to whoever reads the object,
and to tools that decide by it. On a Service without a selector this is a warning: a Pod on a second
network (Multus, a storage network) has addresses that its status does not list. There the address
itself is judged, whatever targetRef says.
"""

from webhook.core.case import AddressCase
from webhook.core.rule import Action, Example, Ownership, Rule, Violation


def check(case: AddressCase) -> Violation | None:
    pod, address = case.target_pod, case.listed.address
    if pod is None or not address.value:
        return None
    if pod.holds(address.value):
        return None
    held = "no address any more" if pod.terminal else ", ".join(pod.ips) or "no address yet"
    message = f"Pod {pod.name} does not hold {case.text}"
    return case.violation_at("targetRef", message, detail=f"it holds {held}")


RULE = Rule(
    code="EG304",
    slug="target-ref-address",
    title="The Pod in targetRef holds the address",
    rationale=__doc__,
    remedy="Give the address of the Pod in targetRef, or name the Pod that holds the address.",
    default={Ownership.SELECTOR: Action.DENY, Ownership.MANUAL: Action.WARN},
    rests_on=("Service", "Pod"),
    checks=(check,),
    spares_published=True,
    examples=(
        Example(
            name="the Pod's own address",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.5, targetRef: {kind: Pod, name: wordpress-cron}}]
  ports: [{name: mysql, port: 3306}]
""",
        ),
        Example(
            name="the address of the other Pod",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.4, targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc}}]
  ports: [{port: 80}]
""",
            findings=("EG304 subsets[0].addresses[0].targetRef",),
        ),
        Example(
            name="an address on a second network is only warned about",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 172.30.9.9, targetRef: {kind: Pod, name: wordpress-cron}}]
  ports: [{name: mysql, port: 3306}]
""",
            findings=("EG304 subsets[0].addresses[0].targetRef",),
        ),
    ),
)
