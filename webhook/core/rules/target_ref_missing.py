"""Endpoints of a Service with a selector name their Pods.

The control plane always sets targetRef with kind, namespace, name and uid. Without it nobody can
tell later whether the Pod that was meant is still the Pod that holds the address: addresses are
reused, uids are not (kubernetes#109414). Manual endpoints need none.
"""

from webhook.core.case import AddressCase
from webhook.core.example_cluster import EXTERNAL_DATABASE
from webhook.core.rule import Action, Example, Ownership, Rule, Violation


def check(case: AddressCase) -> Violation | None:
    if case.target_ref is not None:
        return None
    detail = f"Pod {case.pod.name} holds {case.text}" if case.pod is not None else ""
    return case.violation_at("targetRef", f"{case.text} has no targetRef", detail=detail)


RULE = Rule(
    code="EG301",
    slug="target-ref-missing",
    title="Endpoints name their Pods",
    rationale=__doc__,
    remedy="Add a targetRef with the Pod's kind, namespace, name and uid.",
    default={Ownership.SELECTOR: Action.DENY},
    rests_on=("Service",),
    checks=(check,),
    spares_published=True,
    examples=(
        Example(
            name="manual endpoints need none",
            write=EXTERNAL_DATABASE,
        ),
        Example(
            name="the right Pod, but unnamed",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.3}]
  ports: [{port: 80}]
""",
            findings=("EG301 subsets[0].addresses[0].targetRef",),
        ),
    ),
)
