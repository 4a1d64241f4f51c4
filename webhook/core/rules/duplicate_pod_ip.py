"""Two Pods never hold one address.

Endpoints name addresses, and every rule here asks who holds them. If two live Pods do, whoever
writes endpoints for one of them also writes for the other, and packets reach either. It happens
when a network plugin loses its records, when a node comes back from a partition, or when somebody
with the right to write `pods/status` invents an address, to have endpoints taken for his own.

Pods with `hostNetwork` share their node's address by design, a Pod that has ended holds none, and
one that is being deleted may have given its address back already.
"""

from webhook.core.objects import Pod
from webhook.core.rule import Action, Example, Rule, Violation, both
from webhook.core.stored_case import PodCase


def check(case: PodCase) -> Violation | None:
    for index, ip in enumerate(case.pod.ips):
        holders = case.inventory.live_pods_at(ip)
        others = _others(case.pod, holders) if len(holders) > 1 else ""
        if others:
            return Violation(
                f"status.podIPs[{index}].ip",
                f"{ip} is the address of another live Pod as well",
                private=f"{others} has it, too",
                subject=ip,
            )
    return None


def _others(pod: Pod, holders: tuple[Pod, ...]) -> str:
    """Who else has an address that a Pod should have alone."""
    if not _has_its_own(pod):
        return ""
    others = (each for each in holders if each.key != pod.key and _has_its_own(each))
    return ", ".join(sorted(f"Pod {each.namespace}/{each.name}" for each in others))


def _has_its_own(pod: Pod) -> bool:
    return not (pod.host_network or pod.terminal or pod.deleting)


RULE = Rule(
    code="EG603",
    slug="duplicate-pod-ip",
    title="No two live Pods hold one address",
    rationale=__doc__,
    remedy="Restart the Pod that does not really have it, and see who may write pods/status.",
    default=both(Action.AUDIT),
    checks=(check,),
    stored_only=True,
    rests_on=("Pod",),
    examples=(
        Example(
            name="Pods on the network of their node",
            state="""\
kind: Pod
metadata: {name: exporter-1, namespace: monitoring}
spec: {hostNetwork: true}
status: {phase: Running, podIP: 192.168.160.21}
""",
            write="""\
kind: Pod
metadata: {name: proxy-1, namespace: kube-system}
spec: {hostNetwork: true}
status: {phase: Running, podIP: 192.168.160.21}
""",
        ),
        Example(
            name="the address of a Pod that has ended",
            state="""\
kind: Pod
metadata: {name: migrate, namespace: wordpress-ns}
status: {phase: Succeeded, podIP: 40.0.4.40}
""",
            write="""\
kind: Pod
metadata: {name: migrate-again, namespace: wordpress-ns}
status: {phase: Running, podIP: 40.0.4.40}
""",
        ),
        Example(
            name="another tenant's Pod claims the address of a Pod",
            write="""\
kind: Pod
metadata: {name: pretender, namespace: tenant-b}
status: {phase: Running, podIP: 40.0.4.3}
""",
            findings=("EG603 status.podIPs[0].ip",),
        ),
    ),
)
