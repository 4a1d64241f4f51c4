"""Manual endpoints never reach another namespace's Pods.

This is CVE-2021-25740: a Service without a selector, endpoints with the address of somebody else's
Pod, and the traffic of an ingress or load balancer, which the victim's NetworkPolicy trusts,
arrives there. A live Pod of any other namespace that holds the address is enough, even if a Pod of
the writer's own namespace claims to hold it as well. Pods that share their node's network have the
node's address: that is EG502. The writer's own Pods are always fine.
"""

from webhook.core.case import AddressCase
from webhook.core.rule import Action, Example, Ownership, Rule, Violation


def check(case: AddressCase) -> Violation | None:
    for ip in case.listed.address.reaches:
        holders = case.object.inventory.live_pods_at(ip)
        if not holders or holders == case.own_pods:
            continue
        stranger = case.object.holders.stranger_among(ip, holders)
        if stranger is not None:
            return case.violation(
                f"{case.text} belongs to a Pod of another namespace",
                private=f"Pod {stranger.namespace}/{stranger.name} holds {ip}",
            )
    return None


RULE = Rule(
    code="EG501",
    slug="foreign-pod",
    title="No Pod of another namespace",
    rationale=__doc__,
    remedy="Ask the owner of that namespace for a Service or Gateway, and use its name instead.",
    default={Ownership.MANUAL: Action.DENY},
    rests_on=("Service", "Pod", "Node"),
    presumes=("Service",),
    checks=(check,),
    examples=(
        Example(
            name="a Pod of the writer's own namespace",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.5}]
  ports: [{name: mysql, port: 3306}]
""",
        ),
        Example(
            name="another tenant's Pod, by a slice",
            write="""\
kind: EndpointSlice
metadata:
  name: database-1
  namespace: wordpress-ns
  labels: {kubernetes.io/service-name: database}
addressType: IPv4
endpoints: [{addresses: [40.0.7.8], conditions: {ready: false}}]
ports: [{name: mysql, port: 8200}]
""",
            findings=("EG501 endpoints[0].addresses[0]",),
        ),
    ),
)
