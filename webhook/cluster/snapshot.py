"""A whole cluster read once: into memory for one judgement, or into a file for later ones.

A snapshot is a `v1 List` with the fields that rules use and no others: no annotation but the one
that marks leader election (emptied), no environment, no command, no secret. It is state for
`check` and `audit`, not a backup.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from webhook.cluster.api import ClusterApi, Page, object_path
from webhook.cluster.errors import MalformedAnswer
from webhook.core.inventory import Inventory
from webhook.core.objects import Endpoints, EndpointSlice, InvalidObject, decode
from webhook.core.objects.decoding import Metadata
from webhook.core.objects.endpoints import LEADER_ANNOTATION, SERVICE_NAME_LABEL
from webhook.core.objects.node import WireNode
from webhook.core.objects.pod import WirePod
from webhook.core.objects.service import WireService

Progress = Callable[[str, int], None]
"""Called after each page with the kind and how many of it have been read so far."""


class _Collection(Struct, frozen=True):
    """A kind to read: where it is, and what its objects decode to."""

    kind: str
    api_version: str
    path: str
    decoder: msgspec.json.Decoder[Any]


_CORE: Final = (
    _Collection("Service", "v1", "/api/v1/services", msgspec.json.Decoder(WireService)),
    _Collection("Pod", "v1", "/api/v1/pods", msgspec.json.Decoder(WirePod)),
    _Collection("Node", "v1", "/api/v1/nodes", msgspec.json.Decoder(WireNode)),
)
_PUBLISHED: Final = (
    _Collection("Endpoints", "v1", "/api/v1/endpoints", msgspec.json.Decoder(Endpoints)),
    _Collection(
        "EndpointSlice",
        "discovery.k8s.io/v1",
        "/apis/discovery.k8s.io/v1/endpointslices",
        msgspec.json.Decoder(EndpointSlice),
    ),
)


def read_cluster(api: ClusterApi, progress: Progress) -> Inventory:
    """Everything that a verdict may depend on. Raises `ClusterUnavailable`."""
    inventory = Inventory()
    for collection in (*_CORE, *_PUBLISHED):
        for wire in _read(api, collection, progress):
            compact = getattr(wire, "compact", None)
            inventory.apply(collection.kind, compact() if compact else wire)
    return inventory


def snapshot_lines(api: ClusterApi, progress: Progress, namespace: str = "") -> Iterator[str]:
    """The text of a snapshot, one object a line. Raises `ClusterUnavailable`.

    With a namespace, only its Endpoints and EndpointSlices are in it.
    """
    yield '{"apiVersion":"v1","kind":"List","items":[\n'
    separator = ""
    for collection in (*_CORE, *_PUBLISHED):
        within = namespace if collection in _PUBLISHED else ""
        for wire in _read(api, collection, progress, within):
            item = msgspec.json.encode(_as_manifest(collection, wire)).decode()
            yield f"{separator}{item}"
            separator = ",\n"
    yield "\n]}\n"


def _read(
    api: ClusterApi, collection: _Collection, progress: Progress, namespace: str = ""
) -> Iterator[Any]:
    count = 0
    for page in _pages(api, collection, namespace):
        for item in page.items or ():
            count += 1
            yield _decoded(item, collection)
        progress(collection.kind, count)


def _pages(api: ClusterApi, collection: _Collection, namespace: str) -> Iterator[Page]:
    yield from api.list_pages(object_path(collection.path, namespace))
    if collection.kind == EndpointSlice.kind and namespace not in ("", "default"):
        # Where the API servers are is a question of every namespace (EG504).
        selector = f"{SERVICE_NAME_LABEL}=kubernetes"
        yield from api.list_pages(object_path(collection.path, "default"), label_selector=selector)


def _decoded(item: msgspec.Raw, collection: _Collection) -> Any:
    try:
        return decode(item, collection.decoder)
    except InvalidObject as error:
        raise MalformedAnswer(f"list {collection.path}: {error}") from error


def _as_manifest(collection: _Collection, wire: Any) -> dict[str, Any]:
    metadata: Metadata = wire.metadata
    annotations = (
        {LEADER_ANNOTATION: ""} if LEADER_ANNOTATION in (metadata.annotations or {}) else None
    )
    bare = msgspec.structs.replace(
        wire, metadata=msgspec.structs.replace(metadata, annotations=annotations)
    )
    fields: dict[str, Any] = msgspec.to_builtins(bare)
    return {"apiVersion": collection.api_version, "kind": collection.kind, **fields}
