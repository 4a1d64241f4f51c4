"""No endpoints at ports that the policy forbids.

Some ports belong to the platform wherever they are: the kubelet's, etcd's, a machine-config
server's. An administrator lists them in `forbiddenPorts`, for the cluster or a namespace. A slice
port without a number means every port, and so the forbidden ones as well.
"""

from webhook.core.case import PortCase
from webhook.core.example_cluster import EXTERNAL_DATABASE
from webhook.core.rule import Action, Example, Rule, Violation, both


def check(case: PortCase) -> Violation | None:
    forbidden, number = case.object.limits.forbidden_ports, case.port.port
    if not forbidden or (number is not None and number not in forbidden):
        return None
    listed = ", ".join(map(str, forbidden))
    given = "every port, and so a forbidden one," if number is None else f"port {number}"
    return Violation(
        f"{case.path}.port", f"{given} is not allowed here", detail=f"forbidden are: {listed}"
    )


RULE = Rule(
    code="EG404",
    slug="forbidden-port",
    title="No port that the policy forbids",
    rationale=__doc__,
    remedy="Use another port, or ask for a change of forbiddenPorts in the policy.",
    default=both(Action.DENY),
    rests_on=(),
    checks=(check,),
    examples=(
        Example(
            name="an ordinary port",
            policy="forbiddenPorts: [22623, 22624]",
            write=EXTERNAL_DATABASE,
        ),
        Example(
            name="a forbidden port, and every port",
            policy="forbiddenPorts: [22623, 22624]",
            write="""\
kind: EndpointSlice
metadata:
  name: database-1
  namespace: wordpress-ns
  labels: {kubernetes.io/service-name: database}
addressType: IPv4
endpoints: [{addresses: [198.51.100.7]}]
ports: [{name: mysql, port: 22623}, {name: mysql}]
""",
            findings=("EG404 ports[0].port", "EG404 ports[1].port"),
        ),
    ),
)
