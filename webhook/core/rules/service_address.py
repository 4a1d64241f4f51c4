"""Manual endpoints never reach another namespace's Service.

The address of a Service (cluster IP, external IP, load balancer) leads to whatever it selects, past
the NetworkPolicies that look at the client's namespace, and an L7 proxy follows it even though
kube-proxy cannot. The writer's own Services are only warned about: it does not work with
kube-proxy, but harms nobody else.
"""

from msgspec.structs import replace

from webhook.core.case import AddressCase
from webhook.core.example_cluster import EXTERNAL_DATABASE
from webhook.core.rule import Action, Example, Ownership, Rule, Violation


def check(case: AddressCase) -> Violation | None:
    for ip in case.listed.address.reaches:
        services = case.object.inventory.services_at(ip)
        if not services:
            continue
        owner = case.object.holders.owner_among(ip, services)
        if owner.namespace != case.object.namespace:
            return case.violation(
                f"{case.text} is the address of a Service of another namespace",
                private=f"Service {owner.namespace}/{owner.name} has {ip}",
            )
        own = case.violation(f"{case.text} is the address of Service {owner.name}")
        return replace(own, mild=True)
    return None


RULE = Rule(
    code="EG503",
    slug="service-address",
    title="No address of another Service",
    rationale=__doc__,
    remedy="Use the Service's DNS name in the client, or publish the Pods behind it.",
    default={Ownership.MANUAL: Action.DENY},
    rests_on=("Service",),
    checks=(check,),
    examples=(
        Example(
            name="an external address",
            write=EXTERNAL_DATABASE,
        ),
        Example(
            name="another tenant's Service, and one's own",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 10.100.200.90}, {ip: 10.100.200.174}]
  ports: [{name: mysql, port: 8200}]
""",
            findings=(
                "EG503 subsets[0].addresses[0].ip",
                "EG503 subsets[0].addresses[1].ip",
            ),
        ),
    ),
)
