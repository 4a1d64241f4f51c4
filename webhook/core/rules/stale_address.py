"""An address is no longer that of the Pod for which it was written.

A Pod's address is free again as soon as the Pod has ended, and goes to whichever Pod comes next.
Endpoints that keep it lead there: to a stranger who gets traffic that was never meant for it, or
nowhere. The targetRef says which Pod was meant (by uid, if one is given). This finding says what
became of it: gone, ended, or living on under another address while somebody else has this one.

EG201, EG303 and EG506 deny writing such an address; here it is told as a story, once, so that one
sees at a glance that the entry was true in its time. An address without targetRef says nothing of
its past: where it lies in a Pod range and nobody holds it, EG506 has it.
"""

from webhook.core.case import AddressCase, is_pod_ref
from webhook.core.rule import Action, Example, Rule, Violation, both


def check(case: AddressCase) -> Violation | None:
    pod = case.target_pod
    if pod is not None and case.listed.address.value in pod.ips and not pod.terminal:
        return None
    ref = case.target_ref
    if ref is None or not is_pod_ref(ref) or ref.namespace not in ("", case.object.namespace):
        return None
    fate = _fate(case)
    if not fate:
        return None
    holders = case.object.inventory.live_pods_at(case.listed.address.value)
    now = ", ".join(f"Pod {pod.namespace}/{pod.name}" for pod in holders)
    return case.violation(
        f"{case.text} is listed for Pod {ref.name}, which {fate}",
        private=f"now it is of {now}" if now else "now it is of nobody",
    )


def _fate(case: AddressCase) -> str:
    """What became of the Pod that was meant; empty if it may still hold the address."""
    pod, ip = case.target_pod, case.listed.address.value
    if pod is None:
        return "is gone"
    if pod.terminal:
        return "has ended"
    if ip and ip not in pod.ips and case.object.inventory.live_pods_at(ip):
        return "has another address now"
    return ""


RULE = Rule(
    code="EG601",
    slug="stale-address",
    title="Addresses are still those of the Pods that were meant",
    rationale=__doc__,
    remedy="Delete the entry, or give the address of the Pod that serves now.",
    default=both(Action.AUDIT),
    checks=(check,),
    spares_published=True,
    stored_only=True,
    rests_on=("Pod",),
    examples=(
        Example(
            name="the Pod is there and holds the address",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.5, targetRef: {kind: Pod, name: wordpress-cron}}]
  ports: [{name: mysql, port: 3306}]
""",
        ),
        Example(
            name="the Pod is gone, and its address belongs to another tenant's",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.7.8, targetRef: {kind: Pod, name: database-0, uid: 1f0c}}]
  ports: [{name: mysql, port: 3306}]
""",
            findings=(
                "EG303 subsets[0].addresses[0].targetRef.name",
                "EG501 subsets[0].addresses[0].ip",
                "EG601 subsets[0].addresses[0].ip",
            ),
        ),
        Example(
            name="the Pod has ended",
            state="""\
kind: Pod
metadata: {name: database-0, namespace: wordpress-ns, uid: 1f0c}
status: {phase: Failed, podIP: 40.0.4.30}
""",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.30, targetRef: {kind: Pod, name: database-0, uid: 1f0c}}]
  ports: [{name: mysql, port: 3306}]
""",
            findings=(
                "EG304 subsets[0].addresses[0].targetRef",
                "EG601 subsets[0].addresses[0].ip",
            ),
        ),
        Example(
            name="the Pod was restarted with another address, and its old one was given away",
            state="""\
kind: Pod
metadata: {name: database-0, namespace: wordpress-ns, uid: 1f0c}
status: {phase: Running, podIP: 40.0.4.31}
""",
            write="""\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.5, targetRef: {kind: Pod, name: database-0, uid: 1f0c}}]
  ports: [{name: mysql, port: 3306}]
""",
            findings=(
                "EG304 subsets[0].addresses[0].targetRef",
                "EG601 subsets[0].addresses[0].ip",
            ),
        ),
    ),
)
