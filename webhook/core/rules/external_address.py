"""External addresses are those that the policy allows.

A Service without a selector may point outside the cluster; that is what it is for. But what is
outside is not everybody's: another team's database trusts the cluster's egress address, whoever
sends. With `external.allowedCIDRs`, `forbiddenCIDRs` and `allowedPorts`, for the cluster or for a
namespace, an administrator says where to. By default every external address is allowed. Pods of the
writer's own namespace are not external.
"""

from webhook.core.case import AddressCase, PortCase
from webhook.core.example_cluster import EXTERNAL_DATABASE
from webhook.core.rule import Action, Example, Ownership, Rule, Violation


def check_address(case: AddressCase) -> Violation | None:
    address, limits = case.listed.address, case.object.limits
    if case.own_pods or not address.value:
        return None
    allowed = limits.allowed_networks
    if (allowed is None or address in allowed) and not limits.forbids(address):
        return None
    return case.violation(f"{case.text} is not an external address that this namespace may use")


def check_port(case: PortCase) -> Violation | None:
    allowed = case.object.limits.allowed_ports
    if allowed is None or case.port.port in allowed or not case.part.external:
        return None
    return Violation(
        f"{case.path}.port",
        f"{case.port} is not an external port that this namespace may use",
        detail=f"allowed are: {', '.join(map(str, allowed)) or 'none'}",
        listed=case.part.external,
    )


RULE = Rule(
    code="EG507",
    slug="external-address",
    title="External addresses are those that the policy allows",
    rationale=__doc__,
    remedy="Use an address and port that the policy allows, or ask for external.allowedCIDRs.",
    default={Ownership.MANUAL: Action.DENY},
    rests_on=("Service", "Pod"),
    by_absence=True,
    checks=(check_address, check_port),
    examples=(
        Example(
            name="within the allowed range",
            policy="external: {allowedCIDRs: [198.51.100.0/24], allowedPorts: [3306]}",
            write=EXTERNAL_DATABASE,
        ),
        Example(
            name="outside of it",
            policy="external: {allowedCIDRs: [198.51.100.0/24]}",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 203.0.113.9}]
  ports: [{name: mysql, port: 3306}]
""",
            findings=("EG507 subsets[0].addresses[0].ip",),
        ),
        Example(
            name="a range that is taken out, and a port that this namespace may not use",
            policy="""\
namespaces:
  wordpress-ns:
    external: {forbiddenCIDRs: [198.51.100.128/25], allowedPorts: [3306]}
""",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 198.51.100.200}]
  ports: [{name: mysql, port: 3306}]
- addresses: [{ip: 198.51.100.7}]
  ports: [{name: mysql, port: 22}]
""",
            findings=("EG507 subsets[0].addresses[0].ip", "EG507 subsets[1].ports[0].port"),
        ),
    ),
)
