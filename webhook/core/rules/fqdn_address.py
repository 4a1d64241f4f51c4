"""Names are not verifiable backends.

A slice of type FQDN holds DNS names, and whoever owns the name decides afterwards where it leads;
looking it up here would only tell where it leads now. The API server accepts texts such as
`169.254.169.254` as names, too. No part of Kubernetes uses these slices, some gateways do:
`external.allowedNames` in the policy names what may be used.
"""

from webhook.core.addresses import parse
from webhook.core.case import AddressCase
from webhook.core.rule import Action, Example, Rule, Violation, both


def check(case: AddressCase) -> Violation | None:
    if case.part.address_type != "FQDN":
        return None
    name = case.text.rstrip(".").lower()
    if any(_covers(allowed, name) for allowed in case.object.limits.allowed_names):
        return None
    return case.violation(f"{case.text[:253]} is a name, and names cannot be verified")


def _covers(allowed: str, name: str) -> bool:
    if parse(name).value:
        return False
    allowed = allowed.rstrip(".").lower()
    return name == allowed or (allowed.startswith("*.") and name.endswith(allowed[1:]))


RULE = Rule(
    code="EG508",
    slug="fqdn-address",
    title="No names instead of addresses",
    rationale=__doc__,
    remedy="List IP addresses, or ask for external.allowedNames in the policy.",
    default=both(Action.DENY),
    rests_on=(),
    checks=(check,),
    spares_published=True,
    examples=(
        Example(
            name="a name that the policy allows",
            policy="external: {allowedNames: ['*.db.example.com']}",
            write="""\
kind: EndpointSlice
metadata:
  name: database-1
  namespace: wordpress-ns
  labels: {kubernetes.io/service-name: database}
addressType: FQDN
endpoints: [{addresses: [eu.db.example.com]}]
ports: [{name: mysql, port: 3306}]
""",
        ),
        Example(
            name="any other name, and an address in a name's clothes",
            policy="external: {allowedNames: ['*.254']}",
            write="""\
kind: EndpointSlice
metadata:
  name: database-1
  namespace: wordpress-ns
  labels: {kubernetes.io/service-name: database}
addressType: FQDN
endpoints: [{addresses: [db.example.org]}, {addresses: [169.254.169.254]}]
ports: [{name: mysql, port: 3306}]
""",
            findings=(
                "EG505 endpoints[1].addresses[0]",
                "EG508 endpoints[0].addresses[0]",
                "EG508 endpoints[1].addresses[0]",
            ),
        ),
    ),
)
