"""A whole cluster read once: into memory for one judgement, or into a file for later ones.

A snapshot is a `v1 List` with the fields that rules use and no others: no annotation but the two
that mark leader election and cut-off Endpoints (emptied), no environment, no command, no secret.
It is state for `check` and `audit`, not a backup.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import msgspec

from webhook.cluster.api import ClusterApi, Page
from webhook.cluster.decoding import Resource
from webhook.cluster.errors import MalformedAnswer
from webhook.cluster.paths import object_path
from webhook.cluster.progress import Progress, counted
from webhook.cluster.resources import PUBLISHED, RESOURCES, STORED
from webhook.core.inventory import Inventory
from webhook.core.objects import EndpointSlice, InvalidObject
from webhook.core.objects.decoding import Metadata
from webhook.core.objects.endpoints import (
    LEADER_ANNOTATION,
    OVER_CAPACITY_ANNOTATION,
    SERVICE_NAME_LABEL,
)

Value = TypeVar("Value")

_ANNOTATIONS: Final = (LEADER_ANNOTATION, OVER_CAPACITY_ANNOTATION)
"""Of which rules ask whether they are there; their values stay out."""


def read_cluster(api: ClusterApi, progress: Progress) -> Inventory:
    """Everything that a verdict about a write may depend on. Raises `ClusterUnavailable`."""
    inventory = Inventory()
    for resource in RESOURCES:
        for item in _items(api, resource, progress):
            inventory.apply(resource.kind, _decoded(item, resource.read, resource.path))
    return inventory


def snapshot_lines(api: ClusterApi, progress: Progress, namespace: str = "") -> Iterator[str]:
    """The text of a snapshot, one object a line. Raises `ClusterUnavailable`.

    With a namespace, only its Endpoints and EndpointSlices are in it.
    """
    yield '{"apiVersion":"v1","kind":"List","items":[\n'
    separator = ""
    for resource in STORED:
        within = namespace if resource in PUBLISHED else ""
        for item in _items(api, resource, progress, within):
            wire = _decoded(item, resource.read_wire, resource.path)
            yield separator + msgspec.json.encode(_as_manifest(resource, wire)).decode()
            separator = ",\n"
    yield "\n]}\n"


def _items(
    api: ClusterApi, resource: Resource[Any], progress: Progress, namespace: str = ""
) -> Iterator[msgspec.Raw]:
    yield from counted(_pages(api, resource, namespace), resource.kind, progress)


def _pages(api: ClusterApi, resource: Resource[Any], namespace: str) -> Iterator[Page]:
    yield from api.list_pages(object_path(resource.path, namespace))
    if resource.kind == EndpointSlice.kind and namespace not in ("", "default"):
        # Where the API servers are is a question of every namespace (EG504).
        selector = f"{SERVICE_NAME_LABEL}=kubernetes"
        yield from api.list_pages(object_path(resource.path, "default"), label_selector=selector)


def _decoded(item: msgspec.Raw, read: Callable[[msgspec.Raw], Value], path: str) -> Value:
    try:
        return read(item)
    except InvalidObject as error:
        raise MalformedAnswer(f"list {path}: {error}") from error


def _as_manifest(resource: Resource[Any], wire: Any) -> dict[str, Any]:
    metadata: Metadata = wire.metadata
    kept = {key: "" for key in _ANNOTATIONS if key in (metadata.annotations or {})}
    bare = msgspec.structs.replace(
        wire, metadata=msgspec.structs.replace(metadata, annotations=kept or None)
    )
    fields: dict[str, Any] = msgspec.to_builtins(bare)
    return {"apiVersion": resource.api_version, "kind": resource.kind, **fields}
