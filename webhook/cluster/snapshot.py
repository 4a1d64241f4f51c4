"""A whole cluster read once: into memory for one judgement, or into a file for later ones.

A snapshot is a `v1 List` with the fields that rules use and no others: no annotation but the two
that mark leader election and cut-off Endpoints (emptied), no environment, no command, no secret.
It is state for `check` and `audit`, not a backup.
"""

from collections.abc import Callable, Iterable, Iterator
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
Json = dict[str, Any]

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
        items = _items(api, resource, progress, within)
        for made in _or_nothing(resource, (_kept(resource, item) for item in items)):
            yield separator + msgspec.json.encode(made).decode()
            separator = ",\n"
    yield "\n]}\n"


def _or_nothing(resource: Resource[Any], made: Iterable[Json]) -> Iterator[Json]:
    """The objects, or an empty list: what was looked for is not missing in the snapshot."""
    nothing = True
    for each in made:
        nothing = False
        yield each
    if nothing:
        yield {"apiVersion": resource.api_version, "kind": f"{resource.kind}List", "items": []}


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


def _kept(resource: Resource[Any], item: msgspec.Raw) -> Json:
    wire: Any = _decoded(item, resource.read_wire, resource.path)
    metadata: Metadata = wire.metadata
    kept = {key: "" for key in _ANNOTATIONS if key in (metadata.annotations or {})}
    bare = msgspec.structs.replace(
        wire, metadata=msgspec.structs.replace(metadata, annotations=kept or None)
    )
    fields: Json = msgspec.to_builtins(bare)
    return {"apiVersion": resource.api_version, "kind": resource.kind, **fields}
