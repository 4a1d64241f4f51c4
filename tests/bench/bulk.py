"""Clusters of any size for the fake API server: its lists, rendered and compressed beforehand.

What is timed is then the webhook that reads them, not whoever renders them. A Pod is that of
`scene.py` with what the API server adds; the Pods of a page differ in what Pods differ in.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.bench import scene
from tests.fake_apiserver.state import Gzipped, State

Json = dict[str, Any]

_PAGE = 500
_LISTS = {"/api/v1/pods": "Pod", "/api/v1/services": "Service", "/api/v1/nodes": "Node"}
_PODS_OF_SERVICE = 15
_SERVICES_OF_NAMESPACE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a cluster is."""

    pods: int
    services: int
    nodes: int

    @classmethod
    def of(cls, pods: int) -> "Size":
        """Return the cluster in proportion: 10,000 Services and 5,000 Nodes for 150,000 Pods."""
        return cls(pods=pods, services=-(-pods // _PODS_OF_SERVICE), nodes=-(-pods // 30))


class BulkState(State):
    """Lists that are ready to be sent. Nothing in them changes."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.bytes = 0
        """Of all pages, before compression."""
        self._pages: dict[str, list[Gzipped]] = {}
        for path, items in (
            ("/api/v1/pods", (pod.listed for pod in pods(size))),
            ("/api/v1/services", _services(size)),
            ("/api/v1/nodes", _nodes(size)),
        ):
            self._pages[path] = [self._compressed(page) for page in _paged(path, items)]

    def page(
        self, path: str, namespace: str, query: Mapping[str, str]
    ) -> tuple[int, Json | Gzipped]:
        """Return a page of 500, whatever limit is asked for."""
        if path not in self._pages or namespace:
            return super().page(path, namespace, query)
        return 200, self._pages[path][int(query.get("continue") or 0)]

    def _compressed(self, page: bytes) -> Gzipped:
        self.bytes += len(page)
        # The API server's own level.
        return Gzipped(gzip.compress(page, 1))


def _paged(path: str, items: Iterator[str]) -> Iterator[bytes]:
    """Render pages, of which each but the last names the next."""
    kind, pages, page = _LISTS[path], 0, list[str]()
    for item in items:
        if len(page) == _PAGE:
            pages += 1
            yield _page(kind, page, str(pages))
            page = []
        page.append(item)
    yield _page(kind, page, "")


def _page(kind: str, items: list[str], following: str) -> bytes:
    metadata = json.dumps({"resourceVersion": "1000", "continue": following})
    head = f'{{"kind":"{kind}List","apiVersion":"v1","metadata":{metadata},"items":['
    return f"{head}{','.join(items)}]}}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedPod:
    """A Pod as JSON."""

    namespace: str
    name: str
    listed: str
    """As an item of a list: it does not say of what kind it is."""

    @property
    def stored(self) -> str:
        """As etcd has it."""
        return f'{{"apiVersion":"v1","kind":"Pod",{self.listed[1:]}'


def pods(size: Size, *, first_address: int = 0) -> Iterator[RenderedPod]:
    """Yield them from a template: rendering each anew would take a minute."""
    template = _template(scene.pod("NAMESPACE", "APP", 0, "ADDRESS"))
    for number in range(size.pods):
        service = number // _PODS_OF_SERVICE
        words = {
            "NAMESPACE": _namespace(service),
            "APP": f"app-{service}",
            "ADDRESS": scene.pod_address(first_address + number),
            "HASH": f"{service * 2654435761 % 2**32:08x}",
            "NODE": f"node-{number % size.nodes}",
            "NUMBER": f"{number:08x}",
        }
        yield RenderedPod(
            namespace=words["NAMESPACE"],
            name=_filled("APP-HASH-NUMBER", **words),
            listed=_filled(template, **words),
        )


def _template(pod: Json) -> str:
    """Return a Pod as the API server lists it, with words in capitals for what differs."""
    metadata = pod["metadata"]
    managers = ({"spec": pod["spec"], "metadata": metadata}, {"status": pod["status"]})
    listed = {
        **pod,
        "metadata": {
            **metadata,
            "uid": "NUMBER-0000-4000-8000-0123456789ab",
            "resourceVersion": "NUMBER",
            "creationTimestamp": "2026-11-23T12:00:00Z",
            "managedFields": [
                {"manager": "kubelet", "apiVersion": "v1", "fieldsV1": _owned(fields)}
                for fields in managers
            ],
        },
    }
    del listed["apiVersion"], listed["kind"]
    text = json.dumps(listed, separators=(",", ":"))
    return (
        text.replace("7d9c6b5f4-00000", "HASH-NUMBER")
        .replace("7d9c6b5f4", "HASH")
        .replace("node-0", "NODE")
    )


def _owned(value: Any) -> Json:
    """Return the fieldsV1 of a value, as server-side apply notes who owns what."""
    if isinstance(value, dict):
        return {f"f:{key}": _owned(inner) for key, inner in value.items()}
    if isinstance(value, list):
        named = ((each.get("name") if isinstance(each, dict) else each, each) for each in value)
        return {f'k:{{"name":{json.dumps(name)}}}': _owned(each) for name, each in named}
    return {}


def _filled(template: str, **words: str) -> str:
    for word, text in words.items():
        template = template.replace(word, text)
    return template


def _services(size: Size) -> Iterator[str]:
    for number in range(size.services):
        address = f"172.{16 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
        made = scene.service(
            _namespace(number),
            f"app-{number}",
            type="ClusterIP",
            clusterIP=address,
            clusterIPs=[address],
            ipFamilies=["IPv4"],
        )
        made["metadata"]["uid"] = f"{number:08x}-0000-4000-8000-0123456789cd"
        yield json.dumps(made)


def _nodes(size: Size) -> Iterator[str]:
    for number in range(size.nodes):
        yield json.dumps(scene.node(number))


def _namespace(service: int) -> str:
    return f"tenant-{service // _SERVICES_OF_NAMESPACE}"
