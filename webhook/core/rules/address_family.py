"""The family of an address should be one of the Service's, and the slice's own.

Proxies of one family ignore addresses of the other, so the endpoint receives no traffic, without a
word. It harms nobody else, hence a warning. An IPv4-mapped IPv6 address counts as IPv4, as it does
for the control plane.
"""

from webhook.core.case import AddressCase
from webhook.core.example_cluster import EXTERNAL_DATABASE
from webhook.core.rule import Action, Example, Rule, Violation, both


def check(case: AddressCase) -> Violation | None:
    family = case.listed.address.family
    address_type, service = case.part.address_type, case.object.service
    if not family or address_type == "FQDN":
        return None
    if address_type and family != address_type:
        return case.violation(f"{case.text} is {family}, but addressType is {address_type}")
    if service is None or not service.families or family in service.families:
        return None
    families = " and ".join(service.families)
    return case.violation(f"{case.text} is {family}, but Service {service.name} is {families}")


RULE = Rule(
    code="EG202",
    slug="address-family",
    title="Address families agree",
    rationale=__doc__,
    remedy="List the Pod's address of the Service's family, or make the Service dual-stack.",
    default=both(Action.WARN),
    rests_on=("Service",),
    checks=(check,),
    spares_published=True,
    examples=(
        Example(
            name="IPv4 for an IPv4 Service",
            write=EXTERNAL_DATABASE,
        ),
        Example(
            name="IPv6 for an IPv4 Service",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: "2001:db8::7"}]
  ports: [{name: mysql, port: 3306}]
""",
            findings=("EG202 subsets[0].addresses[0].ip",),
        ),
    ),
)
