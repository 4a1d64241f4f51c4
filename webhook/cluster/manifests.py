"""Manifests in files, folders and stdin, as state to judge against and as objects to be judged.

Reads what `kubectl` prints and takes: YAML of any number of documents, JSON, and List objects. Each
document is read on its own, so a broken one costs only itself.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from webhook.cluster.documents import NotYaml, load_document
from webhook.core.inventory import Inventory
from webhook.core.objects import Endpoints, EndpointSlice, InvalidObject, convert
from webhook.core.objects.node import WireNode
from webhook.core.objects.pod import WirePod
from webhook.core.objects.service import WireService

SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Something that could not be read, said so that its writer finds the place."""

    file: str
    document: int
    """Counts from 1; 0 when the file as a whole could not be read."""
    field: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}, document {self.document}" if self.document else self.file
        return ": ".join(filter(None, (place, self.field, self.reason)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """What was read: objects of the kinds that matter, in order, and what was not readable."""

    objects: tuple[tuple[str, object], ...]
    """Kind and value: Service, Pod, Node, Endpoints or EndpointSlice."""
    unreadable: tuple[Unreadable, ...]

    @property
    def subjects(self) -> tuple[Endpoints | EndpointSlice, ...]:
        """The objects that can be judged."""
        return tuple(
            value for _, value in self.objects if isinstance(value, (Endpoints, EndpointSlice))
        )

    def add_to(self, inventory: Inventory) -> None:
        """Make them the state, a later object of the same name in the place of an earlier one."""
        for kind, value in self.objects:
            inventory.apply(kind, value)


def read_paths(paths: Iterable[str]) -> Manifests:
    """Read files, folders (their YAML and JSON files, at any depth) and `-` (standard input)."""
    return _collect(item for path in paths for item in _read_path(path))


def read_text(text: str, file: str = "text") -> Manifests:
    """Read YAML or JSON that is in memory already; `file` is what errors call it."""
    return _collect(_read_documents(text, file))


def state_of(manifests: Manifests) -> Inventory:
    """An inventory that holds just this."""
    inventory = Inventory()
    manifests.add_to(inventory)
    return inventory


_Item = tuple[str, object] | Unreadable

_READERS: Final[Mapping[tuple[str, str], Callable[[Any], object]]] = {
    ("v1", "Service"): lambda data: convert(data, WireService).compact(),
    ("v1", "Pod"): lambda data: convert(data, WirePod).compact(),
    ("v1", "Node"): lambda data: convert(data, WireNode).compact(),
    ("v1", "Endpoints"): lambda data: convert(data, Endpoints),
    ("discovery.k8s.io/v1", "EndpointSlice"): lambda data: convert(data, EndpointSlice),
}
_API_VERSIONS: Final = {kind: api_version for api_version, kind in _READERS}
_NAMESPACED: Final = frozenset({"Service", "Pod", "Endpoints", "EndpointSlice"})


def _collect(items: Iterable[_Item]) -> Manifests:
    objects, unreadable = [], []
    for item in items:
        if isinstance(item, Unreadable):
            unreadable.append(item)
        else:
            objects.append(item)
    return Manifests(objects=tuple(objects), unreadable=tuple(unreadable))


def _read_path(path: str) -> Iterator[_Item]:
    if path == "-":
        yield from _read_documents(sys.stdin.read(), "standard input")
        return
    try:
        for file in _files(Path(path)):
            yield from _read_documents(file.read_text(encoding="utf-8"), str(file))
    except OSError as error:
        yield _whole_file(path, error.strerror or str(error))
    except UnicodeDecodeError:
        yield _whole_file(path, "it is not UTF-8 text")


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file())


def _whole_file(file: str, reason: str) -> Unreadable:
    return Unreadable(file=file, document=0, field="", reason=reason)


def _read_documents(text: str, file: str) -> Iterator[_Item]:
    number = 0
    for number, chunk in enumerate(_documents(text), 1):
        try:
            data = load_document(chunk)
        except NotYaml as error:
            yield Unreadable(file=file, document=number, field="", reason=str(error))
        else:
            yield from _read_object(data, file, number, "")


def _documents(text: str) -> Iterator[str]:
    """Documents as text, padded with empty lines so that errors name the line in the file."""
    begun, lines = 0, text.split("\n")
    for index, line in enumerate([*lines, "---"]):
        if line == "---" or line.startswith("--- "):
            document = "\n".join(lines[begun:index])
            if document.strip():
                yield "\n" * begun + document
            begun = index + 1


def _read_object(data: Any, file: str, number: int, path: str) -> Iterator[_Item]:
    if data is None:
        return
    if not isinstance(data, dict):
        reason = f"expected an object, got {type(data).__name__}"
        yield Unreadable(file=file, document=number, field=path, reason=reason)
        return
    kind = data.get("kind")
    if isinstance(kind, str) and kind.endswith("List") and isinstance(data.get("items"), list):
        for index, item in enumerate(data["items"]):
            yield from _read_object(_with_kind(item, data), file, number, f"{path}items[{index}].")
        return
    if not isinstance(kind, str) or kind not in _API_VERSIONS:
        if not isinstance(kind, str):
            yield Unreadable(file=file, document=number, field=f"{path}kind", reason="missing")
        return
    yield _read_known(kind, data, file, number, path)


def _with_kind(item: Any, parent: Mapping[str, Any]) -> Any:
    """Items of a typed list, such as PodList, may leave out what the list says."""
    kind = str(parent["kind"]).removesuffix("List")
    if not isinstance(item, dict) or "kind" in item or not kind:
        return item
    return {"kind": kind, "apiVersion": parent.get("apiVersion", _API_VERSIONS.get(kind)), **item}


def _read_known(kind: str, data: dict[str, Any], file: str, number: int, path: str) -> _Item:
    def unreadable(field: str, reason: str) -> Unreadable:
        return Unreadable(file=file, document=number, field=f"{path}{field}", reason=reason)

    api_version = data.get("apiVersion", _API_VERSIONS[kind])
    if (api_version, kind) not in _READERS:
        return unreadable("apiVersion", f"{kind} of {api_version}: use {_API_VERSIONS[kind]}")
    metadata = data.get("metadata")
    if not isinstance(metadata, dict) or not (metadata.get("name") or metadata.get("generateName")):
        return unreadable("metadata.name", "missing")
    if kind in _NAMESPACED and not metadata.get("namespace"):
        data = {**data, "metadata": {**metadata, "namespace": "default"}}
    try:
        return kind, _READERS[api_version, kind](data)
    except InvalidObject as error:
        return unreadable(error.path, error.reason)
