"""Manual endpoints do not wait for somebody else's Pod.

An address of a Pod range that no Pod of the namespace holds is nobody's today and a victim's
tomorrow: endpoints written now would reach the next Pod that gets it. The ranges are
`spec.podCIDRs` of the nodes and `podCIDRs` of the policy. Where Pods share a network with other
hosts, nodes carry no ranges, and this rule is silent unless the policy names some. A Pod that has
ended holds no address any more.
"""

from webhook.core.case import AddressCase
from webhook.core.rule import Action, Example, Ownership, Rule, Violation


def check(case: AddressCase) -> Violation | None:
    if case.own_pods:
        return None
    inventory, limits = case.object.inventory, case.object.limits
    for address in case.listed.address.destinations:
        if inventory.live_pods_at(address.value) or inventory.nodes_at(address.value):
            continue  # EG501 and EG502 say whose it is
        if inventory.in_pod_range(address) or address in limits.pod_networks:
            return case.violation(f"{case.text} is in a Pod range, but no Pod of yours holds it")
    return None


RULE = Rule(
    code="EG506",
    slug="unowned-pod-address",
    title="No Pod address that nobody holds yet",
    rationale=__doc__,
    remedy="List the current address of a live Pod of this namespace.",
    default={Ownership.MANUAL: Action.DENY},
    rests_on=("Service", "Pod", "Node"),
    presumes=("Service", "Pod"),
    by_absence=True,
    checks=(check,),
    examples=(
        Example(
            name="a Pod of the namespace",
            state="""\
kind: Node
metadata: {name: worker}
spec: {podCIDRs: [40.0.4.0/24]}
""",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.5}]
  ports: [{name: mysql, port: 3306}]
""",
        ),
        Example(
            name="the next free address, by a node's range and by the policy's",
            state="""\
kind: Node
metadata: {name: worker}
spec: {podCIDRs: [40.0.4.0/24]}
""",
            policy="podCIDRs: [40.1.0.0/16]",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.77}, {ip: 40.1.9.9}]
  ports: [{name: mysql, port: 3306}]
""",
            findings=(
                "EG506 subsets[0].addresses[0].ip",
                "EG506 subsets[0].addresses[1].ip",
            ),
        ),
    ),
)
