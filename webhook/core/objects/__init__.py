"""Kubernetes objects as frozen values: only the fields that rules use, decoded straight from JSON.

Unknown fields are ignored, so a newer API server changes nothing; a known field of a wrong type is
an `InvalidObject` that names its path.
"""

from webhook.core.objects.decoding import InvalidObject, ObjectRef, convert, decode
from webhook.core.objects.endpoints import (
    Endpoints,
    EndpointSlice,
    ListedAddress,
    Part,
    Port,
    TargetRef,
)
from webhook.core.objects.node import Node
from webhook.core.objects.pod import ContainerPort, Pod
from webhook.core.objects.rbac import PolicyRule, Role, RoleBinding, Subject
from webhook.core.objects.request import AdmissionRequest
from webhook.core.objects.service import Service, ServicePort

__all__ = [
    "AdmissionRequest",
    "ContainerPort",
    "EndpointSlice",
    "Endpoints",
    "InvalidObject",
    "ListedAddress",
    "Node",
    "ObjectRef",
    "Part",
    "Pod",
    "PolicyRule",
    "Port",
    "Role",
    "RoleBinding",
    "Service",
    "ServicePort",
    "Subject",
    "TargetRef",
    "convert",
    "decode",
]
