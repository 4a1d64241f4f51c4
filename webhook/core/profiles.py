"""Ready-made exemptions for operators that legitimately do what the default policy refuses.

A profile names the rules, and the service account of the operator's own manifests; where it runs
under another name, the policy says so. Each is as narrow as the operator's behaviour allows.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from webhook.core.policy_file import Exemption, Profile


class Operator(Struct, frozen=True, kw_only=True):
    """What an operator writes that is refused otherwise."""

    reason: str
    users: tuple[str, ...]
    rules: tuple[str, ...]


def _account(namespace: str, name: str) -> str:
    return f"system:serviceaccount:{namespace}:{name}"


PROFILES: Final[Mapping[str, Operator]] = MappingProxyType(
    {
        "prometheus-operator": Operator(
            reason="publishes the kubelet of every node, those of API servers included",
            users=(
                _account("monitoring", "prometheus-operator"),
                _account("default", "prometheus-operator"),
            ),
            rules=("EG502", "EG504"),
        ),
        "kube-prometheus-stack": Operator(
            reason="publishes control-plane components on the nodes from fixed values",
            users=(_account("argocd", "argocd-application-controller"),),
            rules=("EG502", "EG504"),
        ),
        "knative-serving": Operator(
            reason="points revisions at the activator's Pods in its own namespace",
            users=(_account("knative-serving", "controller"),),
            rules=("EG302", "EG303", "EG501", "EG506"),
        ),
        "cilium-gateway": Operator(
            reason="points a Gateway's Service at backends of other namespaces (ReferenceGrant)",
            users=(_account("kube-system", "cilium-operator"),),
            rules=("EG302", "EG303", "EG501", "EG506"),
        ),
        "cilium-clustermesh": Operator(
            reason="adds Pods of other clusters to global Services that have a selector",
            users=(_account("kube-system", "cilium-operator"),),
            rules=("EG201", "EG303"),
        ),
        "submariner-lighthouse": Operator(
            reason="exports own Pods, and imports those of other clusters by 242.0.0.0/8",
            users=(_account("submariner-operator", "submariner-lighthouse-agent"),),
            rules=("EG303", "EG502", "EG505", "EG506"),
        ),
        "ovn-kubernetes": Operator(
            reason="mirrors slices with addresses of user-defined networks and of nodes",
            users=(
                _account("ovn-kubernetes", "ovn-kubernetes-cluster-manager"),
                _account("openshift-ovn-kubernetes", "ovn-kubernetes-control-plane"),
            ),
            rules=("EG303", "EG502"),
        ),
        "kubevirt-cloud-provider": Operator(
            reason="publishes addresses of virtual machines on bridged networks",
            users=(_account("kubevirt", "kubevirt-cloud-controller-manager"),),
            rules=("EG501", "EG506"),
        ),
        "antrea-multicluster": Operator(
            reason="publishes ClusterIPs of other clusters, whose Service ranges may overlap",
            users=(_account("kube-system", "antrea-mc-controller"),),
            rules=("EG503",),
        ),
    }
)
"""By name."""


def exemptions_of(profile: Profile) -> tuple[Exemption, ...]:
    """The exemptions that a profile stands for; its name must be one of PROFILES.

    That the operator's account may write at all (EG604) is meant by each of them.
    """
    operator = PROFILES[profile.name]
    exemption = Exemption(
        reason=f"profile {profile.name}: {operator.reason}",
        users=profile.users or operator.users,
        namespaces=profile.namespaces,
        rules=(*operator.rules, "EG604"),
    )
    return (exemption,)
