"""The RBAC rules without which webhook and audit cannot see; the chart's roles are made of these.

Reading only, apart from Events. `get` and `list` also serve the live look before a denial, which
asks for objects by name and, where it must, for the Pods of a namespace.
"""

from typing import Final

from msgspec import Struct

from webhook.core.policy_reports import REPORT_APIS

READ: Final = ("get", "list", "watch")


class Permission(Struct, frozen=True, kw_only=True):
    """One rule of a Role or ClusterRole."""

    api_group: str
    """Empty for core/v1."""
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    namespace: str = ""
    """The only namespace in which it is needed; empty: the whole cluster."""


INFORMERS: Final = (
    Permission(api_group="", resources=("nodes", "pods", "services"), verbs=READ),
    Permission(
        api_group="discovery.k8s.io",
        resources=("endpointslices",),
        verbs=("list", "watch"),
        namespace="default",
    ),
)
"""What the informers list and watch. In `default` are the endpoints of the API servers."""

RESTRICTED_RIGHT: Final = Permission(
    api_group="authorization.k8s.io", resources=("subjectaccessreviews",), verbs=("create",)
)
"""Needed only if the policy's `restrictedRight` is on."""

EVENTS: Final = Permission(api_group="events.k8s.io", resources=("events",), verbs=("create",))
"""Needed only for `serve --events`."""

_AUDITED: Final = (
    ("", ("endpoints", "nodes", "pods", "services")),
    ("discovery.k8s.io", ("endpointslices",)),
    (
        "rbac.authorization.k8s.io",
        ("clusterrolebindings", "clusterroles", "rolebindings", "roles"),
    ),
)
AUDIT: Final = tuple(
    Permission(api_group=group, resources=resources, verbs=("list",))
    for group, resources in _AUDITED
)
"""What an audit lists. It gets and watches nothing, and writes nothing."""
AUDIT_WATCH: Final = tuple(
    Permission(api_group=group, resources=resources, verbs=("list", "watch"))
    for group, resources in _AUDITED
)
"""What an audit with `--watch` lists and watches."""
REPORTS: Final = tuple(
    Permission(
        api_group=api.group_version.partition("/")[0],
        resources=(api.cluster_resource, api.resource),
        verbs=("create", "delete", "list", "patch"),
    )
    for api in REPORT_APIS
)
"""What `--write-policy-reports` needs beyond that. To create by apply takes both verbs."""
