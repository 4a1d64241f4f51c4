"""No loopback, link-local, multicast, broadcast, reserved or cloud metadata address.

None of them is a backend. Loopback reaches the proxy's own host (CVE-2020-8558), link-local the
cloud's metadata server and with it the node's credentials. The API server refuses loopback,
link-local and some multicast on new objects (CVE-2021-25737), and nothing else of this list: not
100.100.100.200, 168.63.129.16, fd00:ec2::254, nor broadcast, nor the translated spellings (NAT64,
6to4, Teredo, IPv4-mapped, IPv4-translated) of any of them. All are unwrapped here; a NAT64 prefix
of a network's own is not known, and belongs into `external.forbiddenCIDRs`.
"""

from webhook.core.case import AddressCase
from webhook.core.example_cluster import EXTERNAL_DATABASE
from webhook.core.rule import Action, Example, Rule, Violation, both


def check(case: AddressCase) -> Violation | None:
    address = case.listed.address
    if not address.special:
        return None
    wrapped = ", ".join(inner.value for inner in address.embedded)
    inner = f" (it wraps {wrapped})" if wrapped else ""
    return case.violation(f"{case.text} is a {address.special} address{inner}")


RULE = Rule(
    code="EG505",
    slug="special-address",
    title="No special address",
    rationale=__doc__,
    remedy="Use an address that belongs to a host.",
    default=both(Action.DENY),
    rests_on=(),
    checks=(check,),
    spares_published=True,
    examples=(
        Example(
            name="an ordinary external address",
            write=EXTERNAL_DATABASE,
        ),
        Example(
            name="the metadata servers of two clouds",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 169.254.169.254}, {ip: 100.100.100.200}]
  ports: [{name: mysql, port: 3306}]
""",
            findings=(
                "EG505 subsets[0].addresses[0].ip",
                "EG505 subsets[0].addresses[1].ip",
            ),
        ),
    ),
)
