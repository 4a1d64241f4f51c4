"""Manifests in files, folders and stdin, as state to judge against and as objects to be judged.

Reads what `kubectl` prints and takes: YAML of any number of documents, JSON, and List objects. Each
document is read on its own, so a broken one costs only itself.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from webhook.cluster.documents import NotYaml, load_document
from webhook.cluster.origins import Source, source
from webhook.cluster.resources import STORED
from webhook.core.inventory import Inventory
from webhook.core.objects import Endpoints, EndpointSlice, InvalidObject, ObjectRef
from webhook.core.report import Unread

SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Something that could not be read, said so that its writer finds the place."""

    file: str
    document: int
    """Counts from 1; 0 when the file as a whole could not be read."""
    field: str
    reason: str

    @property
    def place(self) -> str:
        """File and document."""
        return f"{self.file}, document {self.document}" if self.document else self.file

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.place, self.field, self.reason)))


class Manifest(Struct, frozen=True):
    """One object that was read, and where."""

    ref: ObjectRef
    value: object
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """What was read: objects of the kinds that matter, in order, and what was not readable."""

    manifests: tuple[Manifest, ...]
    unreadable: tuple[Unreadable, ...]

    @property
    def objects(self) -> tuple[tuple[str, object], ...]:
        """Kind and value, of the kinds in `webhook.cluster.resources`."""
        return tuple((each.ref.kind, each.value) for each in self.manifests)

    @property
    def subjects(self) -> tuple[Endpoints | EndpointSlice, ...]:
        """The objects that can be judged."""
        return tuple(
            value for _, value in self.objects if isinstance(value, (Endpoints, EndpointSlice))
        )

    @property
    def subject_sources(self) -> tuple[Source, ...]:
        """Where the subjects stand, one by one."""
        return tuple(
            each.source
            for each in self.manifests
            if isinstance(each.value, (Endpoints, EndpointSlice))
        )

    @property
    def sources(self) -> Mapping[ObjectRef, Source]:
        """Where each object stands; of several with one name, the last."""
        return {each.ref: each.source for each in self.manifests}

    @property
    def unread(self) -> tuple[Unread, ...]:
        """What was not readable, as reports say it."""
        return tuple(
            Unread(place=each.place, field=each.field, reason=each.reason)
            for each in self.unreadable
        )

    def add_to(self, inventory: Inventory) -> None:
        """Make them the state, a later object of the same name in the place of an earlier one."""
        for each in self.manifests:
            inventory.apply(each.ref.kind, each.value)


def read_paths(paths: Iterable[str], namespace: str = "default") -> Manifests:
    """Read files, folders (their YAML and JSON files, at any depth) and `-` (standard input).

    Objects that name no namespace are taken to be in `namespace`.
    """
    texts = (text for path in paths for text in _texts(path))
    return _collect(item for text in texts for item in _read(text, namespace))


def read_text(text: str, file: str = "text", namespace: str = "default") -> Manifests:
    """Read YAML or JSON that is in memory already; `file` is what errors call it."""
    return _collect(_read(_Text(file, text), namespace))


def read_state(paths: Iterable[str]) -> tuple[Inventory, tuple[Unreadable, ...]]:
    """Files, folders and `-` as an inventory, and what in them could not be read."""
    manifests = read_paths(paths)
    return state_of(manifests), manifests.unreadable


def state_of(manifests: Manifests) -> Inventory:
    """An inventory that holds just this."""
    inventory = Inventory()
    manifests.add_to(inventory)
    return inventory


_Item = Manifest | Unreadable


class _Text(Struct, frozen=True):
    """The content of one file."""

    file: str
    content: str


class _Document(Struct, frozen=True):
    """One document of a file, and where objects are that name no namespace."""

    file: str
    number: int
    namespace: str
    lines_before: int
    text: str

    def unreadable(self, field: str, reason: str) -> Unreadable:
        """Say that something in it cannot be read."""
        return Unreadable(file=self.file, document=self.number, field=field, reason=reason)


_BY_KIND: Final = {resource.kind: resource for resource in STORED}


def _collect(items: Iterable[_Item]) -> Manifests:
    manifests, unreadable = [], []
    for item in items:
        if isinstance(item, Unreadable):
            unreadable.append(item)
        else:
            manifests.append(item)
    return Manifests(manifests=tuple(manifests), unreadable=tuple(unreadable))


def _texts(path: str) -> Iterator[_Text | Unreadable]:
    if path == "-":
        yield _text("standard input", sys.stdin.buffer.read)
        return
    for file in _files(Path(path)):
        yield _text(str(file), file.read_bytes)


def _text(file: str, read: Callable[[], bytes]) -> _Text | Unreadable:
    try:
        return _Text(file, read().decode("utf-8-sig"))
    except OSError as error:
        return _whole_file(file, error.strerror or str(error))
    except UnicodeDecodeError:
        return _whole_file(file, "it is not UTF-8 text")


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and not p.is_dir())


def _whole_file(file: str, reason: str) -> Unreadable:
    return Unreadable(file=file, document=0, field="", reason=reason)


def _read(text: _Text | Unreadable, namespace: str) -> Iterator[_Item]:
    if isinstance(text, Unreadable):
        yield text
        return
    for number, (lines_before, chunk) in enumerate(_documents(text.content), 1):
        document = _Document(text.file, number, namespace, lines_before, chunk)
        try:
            data = load_document(chunk, lines_before)
        except NotYaml as error:
            yield document.unreadable("", str(error))
        else:
            yield from _read_object(data, document, "")


def _documents(text: str) -> Iterator[tuple[int, str]]:
    """Each document with the number of the line before it."""
    begun, lines = 0, text.split("\n")
    for index, line in enumerate([*lines, "---"]):
        if line.rstrip() != "---" and not line.startswith("--- "):
            continue
        document = "\n".join(lines[begun:index])
        if document.strip(" \n-"):
            yield begun, document
        # What follows the marker on its line belongs to the next document, marker included.
        begun = index


def _read_object(data: Any, document: _Document, path: str) -> Iterator[_Item]:
    if data is None:
        return
    if not isinstance(data, dict):
        yield document.unreadable(
            path.rstrip("."), f"expected an object, got {type(data).__name__}"
        )
        return
    kind = data.get("kind")
    if not isinstance(kind, str):
        yield document.unreadable(f"{path}kind", "missing")
    elif kind.endswith("List") and isinstance(data.get("items"), list):
        for index, item in enumerate(data["items"]):
            yield from _read_object(_with_kind(item, data), document, f"{path}items[{index}].")
    elif kind in _BY_KIND and _is_of_kubernetes(kind, data.get("apiVersion")):
        yield _read_known(kind, data, document, path)


def _is_of_kubernetes(kind: str, api_version: object) -> bool:
    """Other API groups have kinds of the same name, such as Knative's Service."""
    group = api_version.rpartition("/")[0] if isinstance(api_version, str) else None
    return group is None or group == _BY_KIND[kind].api_version.rpartition("/")[0]


def _with_kind(item: Any, parent: Mapping[str, Any]) -> Any:
    """Items of a typed list, such as PodList, may leave out what the list says."""
    kind = str(parent["kind"]).removesuffix("List")
    if not isinstance(item, dict) or "kind" in item or not kind:
        return item
    known = _BY_KIND.get(kind)
    default = known.api_version if known is not None else None
    return {"kind": kind, "apiVersion": parent.get("apiVersion", default), **item}


def _read_known(kind: str, data: dict[str, Any], document: _Document, path: str) -> _Item:
    resource = _BY_KIND[kind]
    api_version = data.get("apiVersion", resource.api_version)
    if api_version != resource.api_version:
        reason = f"{kind} of {api_version}: use {resource.api_version}"
        return document.unreadable(f"{path}apiVersion", reason)
    metadata = data.get("metadata")
    if not isinstance(metadata, dict) or not (metadata.get("name") or metadata.get("generateName")):
        return document.unreadable(f"{path}metadata.name", "missing")
    if resource.namespaced and not metadata.get("namespace"):
        data = {**data, "metadata": {**metadata, "namespace": document.namespace}}
    try:
        value = resource.read_plain(data)
    except InvalidObject as error:
        return document.unreadable(f"{path}{error.path}", error.reason)
    name = metadata.get("name") or metadata["generateName"]
    ref = ObjectRef(kind, data["metadata"].get("namespace") or "", name)
    place = source(document.file, document.lines_before, document.text, path)
    return Manifest(ref, value, place)
