"""Objects by name, and by whatever else is asked of them: the dicts that an inventory is made of.

One writer per kind and any number of readers, without a lock: every change is a single assignment
into a dict, and entries of an `Index` are replaced, never mutated (docs/adr/0004).
"""

from collections.abc import Callable, Collection, Iterable
from typing import Generic, Protocol, TypeVar

Key = tuple[str, str]
"""Namespace and name; the namespace is empty for what belongs to the whole cluster."""
Value = TypeVar("Value")
Indexed_contra = TypeVar("Indexed_contra", contravariant=True)


class Findable(Protocol[Indexed_contra]):
    """What a table keeps current with its objects."""

    def add(self, value: Indexed_contra, /) -> None:
        """Make it findable."""

    def discard(self, value: Indexed_contra, /) -> None:
        """Make it unfindable again; it must be the very object that was added."""


class Index(Generic[Value]):
    """Objects by something that several of them may share, such as an IP address."""

    def __init__(self, keys: Callable[[Value], Iterable[str]]) -> None:
        self.keys = keys
        self.entries: dict[str, tuple[Value, ...]] = {}

    def add(self, value: Value) -> None:
        """Make it findable."""
        for key in self.keys(value):
            self.entries[key] = (*self.entries.get(key, ()), value)

    def discard(self, value: Value) -> None:
        """Make it unfindable again; it must be the very object that was added."""
        for key in self.keys(value):
            left = tuple(other for other in self.entries.get(key, ()) if other is not value)
            if left:
                self.entries[key] = left
            else:
                self.entries.pop(key, None)


class Table(Generic[Value]):
    """All objects of one kind, by namespace and name, with their indexes."""

    def __init__(self, key: Callable[[Value], Key], *indexes: Findable[Value]) -> None:
        self.key = key
        self._indexes = indexes
        self.objects: dict[Key, Value] = {}

    def add_index(self, index: Findable[Value]) -> None:
        """Keep one more index current, from now on; nobody may change the table meanwhile."""
        for value in self.objects.values():
            index.add(value)
        self._indexes = (*self._indexes, index)

    def apply(self, value: Value) -> None:
        """Add it, or put it in the place of the object with the same namespace and name."""
        key = self.key(value)
        before = self.objects.get(key)
        if before is value:
            return
        # The new entry first: an address that stays with the object is never unfindable.
        for index in self._indexes:
            index.add(value)
        self.objects[key] = value
        if before is not None:
            for index in self._indexes:
                index.discard(before)

    def remove(self, key: Key) -> None:
        """Forget it; an unknown key is fine."""
        before = self.objects.pop(key, None)
        if before is not None:
            for index in self._indexes:
                index.discard(before)

    def replace(self, values: Iterable[Value], namespaces: Collection[str] | None = None) -> None:
        """Make these the only ones (of some namespaces); readers never see fewer than are in
        both.
        """
        kept = set()
        for value in values:
            kept.add(self.key(value))
            self.apply(value)
        for key in [key for key in self.objects if key not in kept]:
            if namespaces is None or key[0] in namespaces:
                self.remove(key)
