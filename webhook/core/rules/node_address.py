"""Manual endpoints never reach a node.

At a node's address listen the kubelet, on control-plane nodes etcd and the API server, and every
NodePort of every namespace, all of them trusting that only the platform can reach them. An own Pod
with `hostNetwork` does not make a node's address the writer's: the other ports of the node are
still there. Operators that publish nodes on purpose (the Prometheus operator its kubelets) get a
profile or an exemption.
"""

from webhook.core.case import AddressCase
from webhook.core.example_cluster import EXTERNAL_DATABASE
from webhook.core.rule import Action, Example, Ownership, Rule, Violation


def check(case: AddressCase) -> Violation | None:
    if case.object.is_of_api_servers:
        return None  # they run on nodes
    for ip in case.listed.address.reaches:
        for node in case.object.inventory.nodes_at(ip):
            return case.violation(
                f"{case.text} is the address of a node",
                private=f"Node {node.name} has {ip}",
            )
    return None


RULE = Rule(
    code="EG502",
    slug="node-address",
    title="No address of a node",
    rationale=__doc__,
    remedy="Reach what runs there through its own Service; a platform operator needs an exemption.",
    default={Ownership.MANUAL: Action.DENY},
    rests_on=("Service", "Node"),
    checks=(check,),
    examples=(
        Example(
            name="an external address",
            write=EXTERNAL_DATABASE,
        ),
        Example(
            name="the kubelet of a node, in its IPv6 disguise",
            write="""\
kind: EndpointSlice
metadata:
  name: database-1
  namespace: wordpress-ns
  labels: {kubernetes.io/service-name: database}
addressType: IPv6
endpoints: [{addresses: ["64:ff9b::c0a8:a015"]}]
ports: [{name: mysql, port: 10250}]
""",
            findings=(
                "EG502 endpoints[0].addresses[0]",
                "EG202 endpoints[0].addresses[0]",
            ),
        ),
    ),
)
