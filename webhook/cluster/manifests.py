"""Manifests in files, folders and stdin, as state to judge against and as objects to be judged.

Reads what `kubectl` prints and takes: YAML of any number of documents, JSON, and List objects. Each
document is read on its own, so a broken one costs only itself. JSON becomes values with no plain
data in between: a dump of a whole cluster takes the memory of its bytes and of what is kept.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Raw, Struct, json, structs

from webhook.cluster.decoding import Resource
from webhook.cluster.documents import NotYaml, documents_of, open_document
from webhook.cluster.files import Text, Unreadable, texts, whole_file
from webhook.cluster.origins import Source, legible
from webhook.cluster.resources import STORED
from webhook.core.inventory import Inventory
from webhook.core.objects import Endpoints, EndpointSlice, InvalidObject, ObjectRef, decode
from webhook.core.objects.decoding import Metadata
from webhook.core.report import Unread


class Manifest(Struct, frozen=True, gc=False):
    """One object that was read, and where."""

    ref: ObjectRef
    value: object
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """What was read: objects of the kinds that matter, in order, and what was not readable."""

    manifests: tuple[Manifest, ...]
    unreadable: tuple[Unreadable, ...]
    listed: frozenset[str] = frozenset()
    """The kinds of typed lists, such as a PodList, that may have been empty."""

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of which something is known, if only that there is none."""
        return self.listed.union(each.ref.kind for each in self.manifests)

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
    every = (text for path in paths for text in texts(path))
    return _collect(item for text in every for item in _read(text, namespace))


def read_text(text: str, file: str = "text", namespace: str = "default") -> Manifests:
    """Read YAML or JSON that is in memory already; `file` is what errors call it."""
    return _collect(_read(Text(file, text.encode(errors="surrogatepass")), namespace))


def read_state(paths: Iterable[str]) -> tuple[Inventory, tuple[Unreadable, ...]]:
    """Files, folders and `-` as an inventory, and what in them could not be read."""
    manifests = read_paths(paths)
    return state_of(manifests), manifests.unreadable


def state_of(manifests: Manifests) -> Inventory:
    """An inventory that holds just this."""
    inventory = Inventory()
    manifests.add_to(inventory)
    return inventory


class _Listed(Struct, frozen=True):
    """A list of this kind."""

    kind: str


_Item = Manifest | Unreadable | _Listed


class _Document(Struct, frozen=True):
    """One document of a file, and where objects are that name no namespace."""

    file: str
    number: int
    namespace: str
    lines_before: int
    text: str
    """For lines to be looked up in it."""

    def unreadable(self, field: str, reason: str) -> Unreadable:
        """Say that something in it cannot be read."""
        place = field.rstrip(".")
        return Unreadable(file=self.file, document=self.number, field=place, reason=reason)


class _Head(Struct, frozen=True, gc=False, rename="camel"):
    """What an object says it is, as far as it does."""

    kind: str | None = None
    api_version: str | None = None


class _List(Struct, frozen=True):
    items: list[Raw] | None = None


_NOTHING_SAID: Final = _Head()
_KINDS: Final[Mapping[str, Resource[Any]]] = {each.kind: each for each in STORED}
_HEADS: Final = json.Decoder(_Head)
_LISTS: Final = json.Decoder(_List)
_PLAIN: Final[json.Decoder[Any]] = json.Decoder()


def _collect(items: Iterable[_Item]) -> Manifests:
    manifests, unreadable, listed = [], [], set()
    for item in items:
        if isinstance(item, Manifest):
            manifests.append(item)
        elif isinstance(item, _Listed):
            listed.add(item.kind)
        else:
            unreadable.append(item)
    return Manifests(
        manifests=tuple(manifests), unreadable=tuple(unreadable), listed=frozenset(listed)
    )


def _read(text: Text | Unreadable, namespace: str) -> Iterator[_Item]:
    if isinstance(text, Unreadable):
        yield text
        return
    try:
        yield from _read_documents(text, namespace)
    except UnicodeDecodeError:
        yield whole_file(text.file, "it is not UTF-8 text")


def _read_documents(text: Text, namespace: str) -> Iterator[_Item]:
    for number, (lines_before, chunk) in enumerate(documents_of(text.content), 1):
        document = _Document(text.file, number, namespace, lines_before, legible(chunk))
        try:
            data = open_document(chunk, lines_before)
        except NotYaml as error:
            yield document.unreadable("", str(error))
        else:
            yield from _read_object(data, document, "")


def _read_object(
    data: Any, document: _Document, path: str, parent: _Head = _NOTHING_SAID
) -> Iterator[_Item]:
    """One object and what is in it, of plain data or of JSON that nobody has looked into.

    Items of a typed list, such as PodList, may leave out what the list says: the `parent`.
    """
    try:
        head, data = _opened(data)
    except InvalidObject as error:
        yield document.unreadable(f"{path}{error.path}", error.reason)
        return
    if data is None:
        return
    if head.kind is None and parent.kind:
        head = _Head(parent.kind, head.api_version or parent.api_version)
    kind = head.kind or ""
    items = _items(data) if kind.endswith("List") else None
    if wrong := _wrong_kind(head):
        yield document.unreadable(f"{path}kind", wrong)
    elif items is not None:
        inner_kind = kind.removesuffix("List")
        inner = _Head(inner_kind, head.api_version)
        if inner_kind in _KINDS:
            yield _Listed(inner_kind)
        for index, item in enumerate(items):
            yield from _read_object(item, document, f"{path}items[{index}].", inner)
    elif kind in _KINDS and _is_of_kubernetes(kind, head.api_version):
        yield _read_known(head, data, document, path)


def _opened(data: Any) -> tuple[_Head, Any]:
    """What an object says it is, and the object itself: plain data, JSON, or None for a null.

    Raises `InvalidObject` for what is no object at all.
    """
    if isinstance(data, Raw):
        with suppress(InvalidObject):
            return decode(data, _HEADS), data
        data = decode(data, _PLAIN)
    if data is None:
        return _NOTHING_SAID, None
    if not isinstance(data, dict):
        raise InvalidObject("", f"expected an object, got {type(data).__name__}")
    kind, api_version = data.get("kind"), data.get("apiVersion")
    said = _Head(
        kind if isinstance(kind, str) else None, None if api_version is None else str(api_version)
    )
    return said, data


def _items(data: Any) -> list[Any] | None:
    if isinstance(data, Raw):
        with suppress(InvalidObject):
            return decode(data, _LISTS).items
        return None
    items = data.get("items")
    return items if isinstance(items, list) else None


def _wrong_kind(head: _Head) -> str:
    """Why nothing can be of this kind: there is none, or it is a slip for ours, as `endpoints` is.

    API servers know no such kind either, and what is passed over looks as if it were allowed.
    """
    if head.kind is None:
        return "missing"
    letters = head.kind.casefold().rstrip("s")
    near = (each for each in _KINDS if each.casefold().rstrip("s") == letters)
    meant = next((each for each in near if _is_of_kubernetes(each, head.api_version)), head.kind)
    return "" if meant == head.kind else f"{head.kind}: the kind is {meant}"


def _is_of_kubernetes(kind: str, api_version: str | None) -> bool:
    """Other API groups have kinds of the same name, such as Knative's Service."""
    ours = _KINDS[kind].api_version
    return api_version is None or api_version.rpartition("/")[0] == ours.rpartition("/")[0]


def _read_known(head: _Head, data: Any, document: _Document, path: str) -> _Item:
    resource = _KINDS[head.kind or ""]
    if head.api_version not in (None, resource.api_version):
        reason = f"{head.kind} of {head.api_version}: use {resource.api_version}"
        return document.unreadable(f"{path}apiVersion", reason)
    try:
        wire = resource.read_manifest(data)
    except InvalidObject as error:
        return document.unreadable(f"{path}{error.path}", error.reason)
    metadata: Metadata = wire.metadata
    name = metadata.name or metadata.generate_name
    if not name:
        return document.unreadable(f"{path}metadata.name", "missing")
    if resource.namespaced and not metadata.namespace:
        metadata = structs.replace(metadata, namespace=document.namespace)
        wire = structs.replace(wire, metadata=metadata)
    ref = ObjectRef(resource.kind, metadata.namespace, name)
    place = Source(
        file=document.file, lines_before=document.lines_before, text=document.text, path=path
    )
    return Manifest(ref, resource.value_of(wire), place)
