"""Manual endpoints never reach the API server.

What arrives at the API server through somebody's Service comes from a trusted address and carries
the clients' credentials to wherever the Service's owner looks. The addresses are those of the
endpoints of `default/kubernetes`, which API servers maintain by themselves.
"""

from webhook.core.case import AddressCase
from webhook.core.example_cluster import EXTERNAL_DATABASE
from webhook.core.rule import Action, Example, Ownership, Rule, Violation


def check(case: AddressCase) -> Violation | None:
    if case.object.is_of_api_servers:
        return None
    for ip in case.listed.address.reaches:
        if case.object.inventory.is_api_server(ip):
            return case.violation(f"{case.text} is the address of the API server")
    return None


RULE = Rule(
    code="EG504",
    slug="api-server-address",
    title="No address of the API server",
    rationale=__doc__,
    remedy="Use kubernetes.default.svc in the client instead of a Service of your own.",
    default={Ownership.MANUAL: Action.DENY},
    rests_on=("Service", "Endpoints", "EndpointSlice"),
    presumes=("Service",),
    checks=(check,),
    examples=(
        Example(
            name="an external address",
            write=EXTERNAL_DATABASE,
        ),
        Example(
            name="the API server itself",
            state="""\
kind: EndpointSlice
metadata:
  name: kubernetes
  namespace: default
  labels: {kubernetes.io/service-name: kubernetes}
addressType: IPv4
endpoints: [{addresses: [192.168.160.10]}]
ports: [{name: https, port: 6443}]
""",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 192.168.160.10}]
  ports: [{name: mysql, port: 6443}]
""",
            findings=("EG504 subsets[0].addresses[0].ip",),
        ),
    ),
)
