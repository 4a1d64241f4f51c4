"""The RBAC rules without which the webhook cannot see; the chart's ClusterRole is made of these.

Reading only. `get` and `list` also serve the live look before a denial, which asks for one Pod by
name and for the Pods that hold one address.
"""

from typing import Final

from msgspec import Struct

READ: Final = ("get", "list", "watch")


class Permission(Struct, frozen=True, kw_only=True):
    """One rule of a ClusterRole."""

    api_group: str
    """Empty for core/v1."""
    resources: tuple[str, ...]
    verbs: tuple[str, ...]


INFORMERS: Final = (
    Permission(api_group="", resources=("nodes", "pods", "services"), verbs=READ),
    Permission(api_group="discovery.k8s.io", resources=("endpointslices",), verbs=READ),
)
"""What the informers list and watch, for the whole cluster."""

ACCESS_REVIEWS: Final = Permission(
    api_group="authorization.k8s.io", resources=("subjectaccessreviews",), verbs=("create",)
)
"""Only for a policy in which the `restricted` subresource overrides rules."""
