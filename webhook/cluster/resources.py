"""The kinds that are read, where they are served, and what their objects become.

Whatever reads a cluster or a manifest takes them from here: informers, live reads, snapshots,
audits and files.
"""

from typing import Final

from webhook.cluster.decoding import Resource
from webhook.core.objects import Endpoints, EndpointSlice
from webhook.core.objects.node import WireNode
from webhook.core.objects.pod import WirePod
from webhook.core.objects.rbac import (
    WireClusterRole,
    WireClusterRoleBinding,
    WireRole,
    WireRoleBinding,
)
from webhook.core.objects.service import WireService


def _as_is(value: Endpoints | EndpointSlice) -> object:
    """Their wire form is the value that rules see."""
    return value


SERVICE: Final = Resource(
    kind="Service", path="/api/v1/services", wire=WireService, convert=WireService.compact
)
POD: Final = Resource(kind="Pod", path="/api/v1/pods", wire=WirePod, convert=WirePod.compact)
NODE: Final = Resource(
    kind="Node",
    path="/api/v1/nodes",
    wire=WireNode,
    convert=WireNode.compact,
    namespaced=False,
)
ENDPOINTS: Final = Resource(
    kind="Endpoints", path="/api/v1/endpoints", wire=Endpoints, convert=_as_is
)
ENDPOINT_SLICE: Final = Resource(
    kind="EndpointSlice",
    path="/apis/discovery.k8s.io/v1/endpointslices",
    wire=EndpointSlice,
    convert=_as_is,
)
API_SERVER_SLICES: Final = ENDPOINT_SLICE.within("default")
"""Where the addresses of the API servers are; everybody else's slices are judged, not believed."""

CLUSTER_ROLE: Final = Resource(
    kind="ClusterRole",
    path="/apis/rbac.authorization.k8s.io/v1/clusterroles",
    wire=WireClusterRole,
    convert=WireClusterRole.compact,
    namespaced=False,
)
ROLE: Final = Resource(
    kind="Role",
    path="/apis/rbac.authorization.k8s.io/v1/roles",
    wire=WireRole,
    convert=WireRole.compact,
)
CLUSTER_ROLE_BINDING: Final = Resource(
    kind="ClusterRoleBinding",
    path="/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    wire=WireClusterRoleBinding,
    convert=WireClusterRoleBinding.compact,
    namespaced=False,
)
ROLE_BINDING: Final = Resource(
    kind="RoleBinding",
    path="/apis/rbac.authorization.k8s.io/v1/rolebindings",
    wire=WireRoleBinding,
    convert=WireRoleBinding.compact,
)

FACTS: Final = (SERVICE, POD, NODE)
"""What endpoints are judged by."""
PUBLISHED: Final = (ENDPOINTS, ENDPOINT_SLICE)
"""What is judged."""
RESOURCES: Final = (*FACTS, *PUBLISHED)
"""What a verdict about endpoints may depend on."""
RBAC: Final = (CLUSTER_ROLE, ROLE, CLUSTER_ROLE_BINDING, ROLE_BINDING)
"""Who may write endpoints: a question of the audit alone."""
STORED: Final = (*RESOURCES, *RBAC)
"""What an audit reads."""
