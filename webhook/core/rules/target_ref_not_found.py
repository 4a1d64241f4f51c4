"""The Pod in targetRef exists.

A reference to a Pod that is gone, or to an earlier Pod of the same name (another uid), says that
the address was true once: by now it may belong to anybody. The uid is compared only when one is
given: virtual clusters rename Pods and leave it empty.
"""

from webhook.core.case import AddressCase, is_pod_ref
from webhook.core.rule import Action, Example, Rule, Violation, both


def check(case: AddressCase) -> Violation | None:
    ref = case.target_ref
    if ref is None or case.target_pod is not None or not is_pod_ref(ref):
        return None
    if ref.namespace not in ("", case.object.namespace):
        return None  # EG302 says so; to look there would tell the writer what exists elsewhere
    namesake = case.object.inventory.pod(case.object.namespace, ref.name)
    if namesake is None:
        message = f"there is no Pod {ref.name or '(no name given)'} in this namespace"
        return case.violation_at("targetRef.name", message, detail=_meant(case))
    message = f"Pod {ref.name} has another uid: it is not the Pod that was meant"
    return case.violation_at("targetRef.uid", message, detail=f"its uid is {namesake.uid}")


def _meant(case: AddressCase) -> str:
    ref = case.target_ref
    pod = case.object.inventory.pod_with_uid(ref.uid) if ref is not None and ref.uid else None
    if pod is None or pod.namespace != case.object.namespace:
        return ""
    return f"the uid is that of Pod {pod.name}"


RULE = Rule(
    code="EG303",
    slug="target-ref-not-found",
    title="The Pod in targetRef exists",
    rationale=__doc__,
    remedy="Reference the Pod that holds the address now, by name and current uid.",
    default=both(Action.DENY),
    rests_on=("Pod",),
    checks=(check,),
    spares_published=True,
    examples=(
        Example(
            name="an empty uid is not compared",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.3, targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc, uid: ""}}]
  ports: [{port: 80}]
""",
        ),
        Example(
            name="an earlier Pod of that name",
            write="""\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses:
  - ip: 40.0.4.3
    targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc, uid: 11111111-6708-11ea}
  ports: [{port: 80}]
""",
            findings=("EG303 subsets[0].addresses[0].targetRef.uid",),
        ),
        Example(
            name="no such Pod",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.5, targetRef: {kind: Pod, name: database-0}}]
  ports: [{name: mysql, port: 3306}]
""",
            findings=("EG303 subsets[0].addresses[0].targetRef.name",),
        ),
    ),
)
