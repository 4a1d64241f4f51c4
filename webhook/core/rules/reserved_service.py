"""Only API servers say where the API server is.

Every client inside the cluster finds the API server through the Service `default/kubernetes`, this
webhook included. Whoever redirects it receives everybody's credentials; whoever breaks it stops the
cluster. API servers maintain it by themselves, as `system:apiserver`; only a cluster that runs with
`--endpoint-reconciler-type=none` needs somebody else to do so, and an exemption for that.
"""

from webhook.core.case import ObjectCase
from webhook.core.rule import Action, Example, Rule, Violation, both


def check(case: ObjectCase) -> Violation | None:
    if not case.writer or not case.is_of_api_servers or not case.has_addresses:
        return None
    return Violation("metadata.name", "the endpoints of default/kubernetes belong to API servers")


RULE = Rule(
    code="EG104",
    slug="reserved-service",
    title="default/kubernetes belongs to API servers",
    rationale=__doc__,
    remedy="Leave it alone; API servers write and mend it by themselves.",
    default=both(Action.DENY),
    rests_on=(),
    checks=(check,),
    examples=(
        Example(
            name="another namespace may have a Service of that name",
            state="""\
kind: Service
metadata: {name: kubernetes, namespace: wordpress-ns}
spec: {clusterIP: None}
""",
            write="""\
kind: Endpoints
metadata: {name: kubernetes, namespace: wordpress-ns}
subsets: [{addresses: [{ip: 198.51.100.7}]}]
""",
        ),
        Example(
            name="a user redirects the API server",
            state="""\
kind: Service
metadata: {name: kubernetes, namespace: default}
spec: {clusterIP: 10.100.0.1, ports: [{name: https, port: 443, targetPort: 6443}]}
""",
            write="""\
kind: Endpoints
metadata: {name: kubernetes, namespace: default}
subsets:
- addresses: [{ip: 198.51.100.7}]
  ports: [{name: https, port: 6443}]
""",
            findings=("EG104 metadata.name",),
        ),
    ),
)
