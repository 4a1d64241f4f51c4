"""From the items and lines of the Kubernetes API to values: one bad object never spoils the others.

An event is decoded in one pass over its bytes; only what is rare (a deletion, an object that does
not decode) is looked at a second time, for its name.
"""

from collections.abc import Callable
from contextlib import suppress
from copy import copy
from typing import Any, Final, Generic, TypeVar

from msgspec import DecodeError, Raw, Struct, json

from webhook.cluster.errors import ClusterUnavailable, MalformedAnswer, Status, refusal
from webhook.cluster.paths import object_path
from webhook.core.objects import InvalidObject, convert, decode
from webhook.core.objects.nesting import read_json

Wire = TypeVar("Wire")


class WatchEvent(Struct, frozen=True, gc=False):
    """What one line of a watch says."""

    type: str
    """ADDED, MODIFIED, DELETED or BOOKMARK."""
    value: object | None = None
    """The object, when it was added or modified and can be decoded."""
    namespace: str = ""
    name: str = ""
    """Whose event it is, given when there is no value."""
    problem: str = ""
    """Why an object that was added or modified cannot be decoded."""


class Undecodable(Struct, frozen=True, gc=False):
    """An object that is there, but is not what its kind should be."""

    namespace: str
    name: str
    problem: str
    """Names the field."""


class _Metadata(Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Head(Struct, frozen=True, gc=False):
    metadata: _Metadata = _Metadata()


class _Event(Struct, Generic[Wire], frozen=True, gc=False):
    type: str
    object: Wire


_HEADS: Final = json.Decoder(_Head)
_PLAIN: Final[json.Decoder[Any]] = json.Decoder()
_EVENT_HEADS: Final = json.Decoder(_Event[_Head])
_EVENT_STATUSES: Final = json.Decoder(_Event[Status])
_BOOKMARK: Final = WatchEvent("BOOKMARK")
_PRESENT: Final = frozenset({"ADDED", "MODIFIED"})
_MALFORMED: Final = (DecodeError, UnicodeDecodeError)


class Resource(Generic[Wire]):
    """A kind that is listed and watched, and how its objects become values."""

    def __init__(
        self,
        *,
        kind: str,
        path: str,
        wire: type[Wire],
        convert: Callable[[Wire], object],
        namespaced: bool = True,
    ) -> None:
        """`path` is the collection, such as `/api/v1/pods`; `wire` is a msgspec type for one object
        as JSON; `convert` makes the value that is kept. Both may refuse an object by raising.
        """
        self.kind = kind
        self.path = path
        self.api_version = "/".join(path.split("/")[2:-1])
        self.namespaced = namespaced
        self._wire = wire
        self._convert = convert
        self._objects = json.Decoder(wire)
        self._events: json.Decoder[Any] = json.Decoder(_Event[wire])  # type: ignore[valid-type]

    def within(self, namespace: str) -> "Resource[Wire]":
        """The same kind in one namespace only."""
        narrow = copy(self)
        narrow.path = object_path(self.path, namespace)
        return narrow

    def read_wire(self, body: bytes | Raw) -> Wire:
        """One object as it stands on the wire. Raises `InvalidObject`."""
        return decode(body, self._objects)

    def read(self, body: bytes | Raw) -> object:
        """The value of one object. Raises `InvalidObject`."""
        return self._convert(self.read_wire(body))

    def read_manifest(self, data: Any) -> Wire:
        """One object of a manifest, which is JSON or plain data that YAML gave, as it would stand
        on the wire. A null counts as absent. Raises `InvalidObject`.
        """
        if isinstance(data, Raw):
            with suppress(InvalidObject):
                return self.read_wire(data)
            data = decode(data, _PLAIN)
        return convert(data, self._wire)

    def value_of(self, wire: Wire) -> object:
        """The value that is kept. Raises `InvalidObject`."""
        return self._convert(wire)

    def read_item(self, item: Raw) -> object:
        """The value of one item of a list, or `Undecodable`."""
        try:
            return self._convert(read_json(item, self._objects))
        except Exception as error:
            return self._undecodable(item, error)

    def read_event(self, line: bytes) -> WatchEvent:
        """One line of a watch. Raises `ClusterUnavailable` for an ERROR event, and its
        `MalformedAnswer` for a line that does not even say which object it is about.
        """
        problem = ""
        try:
            event = read_json(line, self._events)
            if event.type in _PRESENT:
                return WatchEvent(event.type, self._convert(event.object))
        except Exception as error:
            problem = _one_line(error)
        return self._event_without_value(line, problem)

    def key_of(self, line: bytes) -> tuple[str, str]:
        """Namespace and name of the object that a line is about."""
        metadata = self._head(line).object.metadata
        return metadata.namespace, metadata.name

    def version_of(self, line: bytes) -> str:
        """The resourceVersion from which a watch goes on after this line."""
        return self._head(line).object.metadata.resource_version

    def _event_without_value(self, line: bytes, problem: str) -> WatchEvent:
        head = self._head(line)
        if head.type == "BOOKMARK":
            return _BOOKMARK
        if head.type == "ERROR":
            raise self._error(line)
        namespace, name = self.key_of(line)
        if name and (head.type == "DELETED" or head.type in _PRESENT):
            problem = problem if head.type in _PRESENT else ""
            return WatchEvent(head.type, None, namespace, name, problem)
        raise MalformedAnswer(f"watch {self.path}: an event {head.type!r} of object {name!r}")

    def _head(self, line: bytes) -> _Event[_Head]:
        try:
            return read_json(line, _EVENT_HEADS)
        except _MALFORMED as error:
            raise MalformedAnswer(f"watch {self.path}: a line is no event: {error}") from None

    def _error(self, line: bytes) -> ClusterUnavailable:
        try:
            status = read_json(line, _EVENT_STATUSES).object
        except _MALFORMED as error:
            return MalformedAnswer(f"watch {self.path}: an error that is no Status: {error}")
        return refusal(verb="watch", path=self.path, status=status)

    def _undecodable(self, item: Raw, error: Exception) -> Undecodable:
        try:
            metadata = read_json(item, _HEADS).metadata
        except _MALFORMED:
            metadata = _Metadata()
        return Undecodable(metadata.namespace, metadata.name, _one_line(error))


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.replace("`$.object", "`$")
