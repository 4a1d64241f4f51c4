"""Objects by name, and by whatever else is asked of them: the dicts that an inventory is made of.

One writer per kind and any number of readers, without a lock: every change is a single assignment
into a dict, and entries of an `Index` are replaced, never mutated (docs/adr/0004).
"""

from collections.abc import Callable, Collection, Iterable, Iterator
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
    """Objects by something that several of them may share, such as an IP address.

    Usually none do: one object is kept as it is, without a tuple of its own for each of 150,000.
    """

    def __init__(self, keys: Callable[[Value], Iterable[str]]) -> None:
        self.keys = keys
        self._entries: dict[str, Value | tuple[Value, ...]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def at(self, key: str) -> tuple[Value, ...]:
        """All objects with this key, in the order in which they came."""
        found = self._entries.get(key)
        if found is None:
            return ()
        return found if isinstance(found, tuple) else (found,)

    def add(self, value: Value) -> None:
        """Make it findable."""
        for key in self.keys(value):
            before = self.at(key)
            self._entries[key] = (*before, value) if before else value

    def discard(self, value: Value) -> None:
        """Make it unfindable again; it must be the very object that was added."""
        for key in self.keys(value):
            left = tuple(other for other in self.at(key) if other is not value)
            if left:
                self._entries[key] = left if len(left) > 1 else left[0]
            else:
                self._entries.pop(key, None)


class Tally(Generic[Value]):
    """How many objects have something in common: whether there is one at all."""

    def __init__(self, keys: Callable[[Value], Iterable[str]]) -> None:
        self.keys = keys
        self._counts: dict[str, int] = {}

    def __contains__(self, key: str) -> bool:
        return self._counts.get(key, 0) > 0

    def add(self, value: Value) -> None:
        """Count it."""
        for key in self.keys(value):
            self._counts[key] = self._counts.get(key, 0) + 1

    def discard(self, value: Value) -> None:
        """Count it no longer; it must have been added."""
        for key in self.keys(value):
            self._counts[key] -= 1


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
        self._put(self.key(value), value)

    def _put(self, key: Key, value: Value) -> None:
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
        gone = set(self.objects)
        for value in values:
            key = self.key(value)
            gone.discard(key)
            self._put(key, value)
        for key in gone:
            if namespaces is None or key[0] in namespaces:
                self.remove(key)
