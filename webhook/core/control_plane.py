"""The accounts under which Kubernetes' own controllers write, when each has credentials of its own.

Names from kube-controller-manager's bootstrap policy (`controller_policy.go`).
"""

from typing import Final

NAMESPACE: Final = "kube-system"
"""Where their service accounts are."""

CONTROLLERS: Final = (
    "endpoint-controller",
    "endpointslice-controller",
    "generic-garbage-collector",
    "namespace-controller",
    "storage-version-migrator-controller",
)
"""Those that write endpoints out of what they know themselves."""

MIRRORING: Final = "endpointslicemirroring-controller"
"""It republishes what users wrote."""


def username(controller: str) -> str:
    """The full authenticated user name of a controller."""
    return f"system:serviceaccount:{NAMESPACE}:{controller}"
