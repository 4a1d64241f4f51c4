"""What has changed in an inventory since somebody last looked, while informers change it."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from webhook.core.inventory import Inventory
from webhook.core.tables import Key

Before = object | None
After = object | None
Changed = Mapping[tuple[str, Key], tuple[Before, After]]
"""By kind and key: what the object was, and what it is now; None where there is none."""


class Changes:
    """An inventory as the store of informers, with a memory.

    The indexes for audits are shared by kinds, so informers take turns here.
    """

    def __init__(self) -> None:
        self.inventory = Inventory()
        # Made before informers fill it: from other threads it could not be.
        _ = self.inventory.for_audit, self.inventory.reach
        self._lock = threading.RLock()
        self._changed: dict[tuple[str, Key], tuple[Before, After]] = {}

    def replace(self, kind: str, values: Iterable[object]) -> None:
        """Make these the only objects of the kind."""
        kept = {self.apply(kind, value) for value in values}
        for key in self.inventory.keys(kind):
            if key not in kept:
                self.remove(kind, *key)

    def apply(self, kind: str, value: Any) -> Key:
        """Add the object, or put it in the place of the one with its key, which is returned."""
        key = self.inventory.key_of(kind, value)
        with self._lock:
            before = self.inventory.get(kind, key)
            if before != value:
                self.inventory.apply(kind, value)
                self._note(kind, key, before, value)
        return key

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Forget the object, if it is there."""
        key = namespace, name
        with self._lock:
            before = self.inventory.get(kind, key)
            if before is not None:
                self.inventory.remove(kind, namespace, name)
                self._note(kind, key, before, None)

    @contextmanager
    def still(self) -> Iterator[Inventory]:
        """The inventory, which does not change meanwhile: the informers wait."""
        with self._lock:
            yield self.inventory

    def take(self) -> Changed:
        """Everything that has changed since the last time. What an object was in between is not
        remembered: nobody judged it then.
        """
        with self._lock:
            taken, self._changed = self._changed, {}
        return taken

    def _note(self, kind: str, key: Key, before: Before, after: After) -> None:
        first, _ = self._changed.get((kind, key), (before, None))
        self._changed[kind, key] = first, after
