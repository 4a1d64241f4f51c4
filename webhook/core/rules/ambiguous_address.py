"""Addresses read the same to everybody.

`010.0.0.1` is 10.0.0.1 to Go and 8.0.0.1 to libc; `::ffff:10.0.0.1` is IPv4 to some and IPv6 to
others; a zone id means something on one host only. What one reader checks is then not what another
reader connects to (KEP-4858). Newer API servers refuse most of these in new objects, older ones
store them. The verdicts of all other rules refer to what Go reads.
"""

from msgspec.structs import replace

from webhook.core.case import AddressCase
from webhook.core.rule import Action, Example, Facet, Rule, Violation, both


def check(case: AddressCase) -> Violation | None:
    ambiguity = case.listed.address.ambiguity
    if not ambiguity or case.part.address_type == "FQDN":
        return None
    text = case.text[:64] or "(an empty string)"
    return replace(case.violation(f"{text}: {ambiguity}"), malformed=True)


RULE = Rule(
    code="EG509",
    slug="ambiguous-address",
    title="Addresses read the same to everybody",
    rationale=__doc__,
    remedy="Write the canonical form: dotted decimal without leading zeros, or lower-case IPv6.",
    default=both(Action.DENY),
    rests_on=(),
    checks=(check,),
    spares_published=True,
    facet=Facet.SPELLING,
    examples=(
        Example(
            name="long and upper-case IPv6 is ugly, but means one thing",
            state="""\
kind: Service
metadata: {name: six, namespace: wordpress-ns}
spec: {clusterIP: None, ipFamilies: [IPv6]}
""",
            write="""\
kind: Endpoints
metadata: {name: six, namespace: wordpress-ns}
subsets: [{addresses: [{ip: "2001:DB8:0::0001"}]}]
""",
        ),
        Example(
            name="leading zeros, an IPv4-mapped address, and no address at all",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 198.051.100.007}, {ip: "::ffff:198.51.100.7"}, {ip: localhost}]
  ports: [{name: mysql, port: 3306}]
""",
            findings=(
                "EG509 subsets[0].addresses[0].ip",
                "EG509 subsets[0].addresses[1].ip",
                "EG509 subsets[0].addresses[2].ip",
            ),
        ),
    ),
)
