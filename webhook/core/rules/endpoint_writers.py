"""Few may write endpoints, and each of them is known.

Whoever may create, update or patch Endpoints or EndpointSlices decides where traffic goes, and no
other permission tells so. Broad roles give that right along the way: a wildcard, an aggregated
role, or `edit` and `admin` as Kubernetes made them before 1.22. A cluster that was upgraded since
keeps that rule, because an upgrade adds to default roles and never removes (CVE-2021-25740).

The audit reports every subject of every binding that gives the right, with the role, and the
command that takes it away. It is silent on the bindings that Kubernetes makes for its own
controllers, as long as they hold the expected subject and no other, and on `system:masters`, which
the API server obeys without asking RBAC. Deleting is not counted: it leads traffic nowhere.

Not told is who could give the right to himself: by `escalate` or `bind` on roles, or by using a
service account that has it, for which creating Pods or tokens in its namespace, or `impersonate`,
is enough. To read a finding as "this namespace may write" is therefore right.

For an operator that has to write endpoints, an exemption with its service account in `users` (or a
profile that names it) and this rule hides the finding; `names` are those of bindings. A binding for
the whole cluster belongs to no namespace, so an exemption with `namespaces` does not cover it.
Administrators are reported like everybody else, such as the group `kubeadm:cluster-admins`: exempt
them, too, and do not run the command by which they would lock themselves out.
"""

from collections.abc import Iterator
from typing import Final

from webhook.core.grants import Grant
from webhook.core.mending import EDIT_ROLES, Way, mending
from webhook.core.rule import Action, Example, Rule, Violation, both
from webhook.core.stored_case import GrantCase


def check(case: GrantCase) -> Violation | None:
    grant = case.grant
    if grant.is_of_control_plane:
        return None
    subject, namespace = str(grant.subject), grant.binding.namespace
    mend = mending(grant)
    where = f"in namespace {namespace}" if namespace else "in every namespace"
    return Violation(
        f"subjects[{grant.indexes[0]}]",
        f"{subject} may {grant.rights} {where}, by {_role(grant)}",
        detail="; ".join((*_details(grant), _WAYS[mend.way])),
        command=mend.command,
        subject=subject,
    )


def _role(grant: Grant) -> str:
    role = f"{grant.role.kind} {grant.role.name}"
    parts = sorted({source.role.name for source in grant.sources if source.aggregated})
    if parts:
        more = f" and {len(parts) - 3} more" if len(parts) > 3 else ""
        role = f"{role}, put together of ClusterRole {', '.join(parts[:3])}{more}"
    wildcards = sorted({field for source in grant.sources for field in source.wildcards})
    return f"{role}, with * for {', '.join(wildcards)}" if wildcards else role


def _details(grant: Grant) -> Iterator[str]:
    if any(source.role.name in EDIT_ROLES for source in grant.sources):
        yield "Kubernetes gave this right to edit and admin before 1.22, and upgrades keep it"
    if grant.restricted:
        yield "it also has the restricted right, which overrides EG5xx where the policy says so"
    if not grant.binding.namespace and any(s.rule.is_everything for s in grant.sources):
        yield "an administrator: exempt whom you would lock out"


_WAYS: Final = {
    Way.NARROW_ROLE: "the command cuts this out of the role, for everybody who has the role",
    Way.LEAVE_BINDING: "the command takes the whole role away from this subject",
}


RULE = Rule(
    code="EG604",
    slug="endpoint-writers",
    title="RBAC lets this subject write Endpoints or EndpointSlices",
    rationale=__doc__,
    remedy="Take the right away with the command, or exempt a writer that is meant to have it.",
    default=both(Action.AUDIT),
    checks=(check,),
    rests_on=("ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding"),
    presumes=(),
    stored_only=True,
    examples=(
        Example(
            name="the control plane's own binding",
            state="""\
kind: ClusterRole
metadata: {name: "system:controller:endpoint-controller"}
rules:
- {apiGroups: [""], resources: [endpoints], verbs: [create, delete, get, list, update]}
""",
            write="""\
kind: ClusterRoleBinding
metadata: {name: "system:controller:endpoint-controller"}
roleRef: {kind: ClusterRole, name: "system:controller:endpoint-controller"}
subjects: [{kind: ServiceAccount, name: endpoint-controller, namespace: kube-system}]
""",
        ),
        Example(
            name="somebody else in the control plane's own binding",
            state="""\
kind: ClusterRole
metadata: {name: "system:controller:endpoint-controller"}
rules:
- {apiGroups: [""], resources: [endpoints], verbs: [create, delete, get, list, update]}
""",
            write="""\
kind: ClusterRoleBinding
metadata: {name: "system:controller:endpoint-controller"}
roleRef: {kind: ClusterRole, name: "system:controller:endpoint-controller"}
subjects:
- {kind: ServiceAccount, name: endpoint-controller, namespace: kube-system}
- {kind: User, name: mallory}
""",
            findings=("EG604 subjects[1]",),
        ),
        Example(
            name="reading and deleting lead no traffic elsewhere",
            state="""\
kind: Role
metadata: {name: reader, namespace: wordpress-ns}
rules:
- {apiGroups: [""], resources: [endpoints], verbs: [get, list, watch, delete]}
""",
            write="""\
kind: RoleBinding
metadata: {name: readers, namespace: wordpress-ns}
roleRef: {kind: Role, name: reader}
subjects: [{kind: Group, name: developers}]
""",
        ),
        Example(
            name="edit as it was before Kubernetes 1.22",
            state="""\
kind: ClusterRole
metadata: {name: edit}
aggregationRule:
  clusterRoleSelectors:
  - matchLabels: {rbac.authorization.k8s.io/aggregate-to-edit: "true"}
---
kind: ClusterRole
metadata:
  name: system:aggregate-to-edit
  labels: {rbac.authorization.k8s.io/aggregate-to-edit: "true"}
rules:
- apiGroups: [""]
  resources: [services, endpoints, configmaps]
  verbs: [create, delete, deletecollection, patch, update]
""",
            write="""\
kind: RoleBinding
metadata: {name: developers, namespace: wordpress-ns}
roleRef: {kind: ClusterRole, name: edit}
subjects: [{kind: Group, name: developers}]
""",
            findings=("EG604 subjects[0]",),
        ),
        Example(
            name="a wildcard in the whole cluster",
            state="""\
kind: ClusterRole
metadata: {name: deployer}
rules: [{apiGroups: ["*"], resources: ["*"], verbs: [create, patch]}]
""",
            write="""\
kind: ClusterRoleBinding
metadata: {name: deployers}
roleRef: {kind: ClusterRole, name: deployer}
subjects: [{kind: ServiceAccount, name: pipeline, namespace: ci}]
""",
            findings=("EG604 subjects[0]",),
        ),
        Example(
            name="an operator that is meant to write",
            state="""\
kind: Role
metadata: {name: publisher, namespace: wordpress-ns}
rules: [{apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [create, update]}]
""",
            policy="""\
exemptions:
- reason: publishes the replicas outside of the cluster
  users: ["system:serviceaccount:wordpress-ns:publisher"]
  rules: [EG604]
""",
            write="""\
kind: RoleBinding
metadata: {name: publisher, namespace: wordpress-ns}
roleRef: {kind: Role, name: publisher}
subjects: [{kind: ServiceAccount, name: publisher}]
""",
        ),
    ),
)
