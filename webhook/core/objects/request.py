"""A write that somebody asks for: the AdmissionRequest as a plain value, free of its wire
format.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from webhook.core.objects.decoding import ObjectRef
from webhook.core.objects.endpoints import Endpoints, EndpointSlice

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


class AdmissionRequest(Struct, frozen=True, kw_only=True):
    """Who wants to write what in place of what."""

    ref: ObjectRef
    operation: Operation = "CREATE"
    username: str = ""
    """Full authenticated name, such as `system:serviceaccount:kube-system:endpoint-controller`."""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = {}
    """What the authenticator added, such as the scopes of a token; authorizers may need it."""
    dry_run: bool = False
    new: Endpoints | EndpointSlice | None = None
    """None on DELETE, and where the writer alone decides."""
    old: Endpoints | EndpointSlice | None = None
