"""targetRef stays in the namespace.

A Service serves Pods of its own namespace. A reference into another one is either a mistake or the
mark of a redirection across tenants, which tools that trust targetRef then display as legitimate.
Readers that follow it act on somebody else's Pod. Some operators cross namespaces by design
(Knative's activator): give those an exemption.
"""

from webhook.core.case import AddressCase
from webhook.core.rule import Action, Example, Rule, Violation, both


def check(case: AddressCase) -> Violation | None:
    ref = case.target_ref
    if ref is None or not ref.namespace or ref.namespace == case.object.namespace:
        return None
    return case.violation_at(
        "targetRef.namespace",
        f"targetRef names namespace {ref.namespace}, but these endpoints are in "
        f"{case.object.namespace}",
    )


RULE = Rule(
    code="EG302",
    slug="target-ref-namespace",
    title="targetRef stays in the namespace",
    rationale=__doc__,
    remedy="Reference a Pod of the same namespace; another namespace has its own Services.",
    default=both(Action.DENY),
    rests_on=(),
    checks=(check,),
    spares_published=True,
    examples=(
        Example(
            name="a Pod of the same namespace",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses:
  - {ip: 40.0.4.5, targetRef: {kind: Pod, name: wordpress-cron, namespace: wordpress-ns}}
  ports: [{name: mysql, port: 3306}]
""",
        ),
        Example(
            name="a Pod of another namespace",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses:
  - {ip: 40.0.4.3, targetRef: {kind: Pod, name: vault-0, namespace: tenant-b}}
  ports: [{port: 80}]
""",
            findings=("EG302 subsets[0].addresses[0].targetRef.namespace",),
        ),
    ),
)
