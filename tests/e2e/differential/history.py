"""Every version of every Service, Pod and Endpoints, and when it was there.

The API server tells a watcher of each version, one by one, so nothing is missing between two.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Self

from tests.e2e.api import Api, Json, Watch
from tests.e2e.cluster import eventually

KINDS = ("Service", "Pod", "Endpoints")
FOREVER = float("inf")

Key = tuple[str, str, str]
"""Kind, namespace and name."""


@dataclass(slots=True, kw_only=True, eq=False)
class Version:
    """An object as it was from `since` until `until`, times of `time.monotonic`."""

    object: Json
    since: float
    until: float = FOREVER
    deleted: bool = False
    """It ended with a deletion."""

    @property
    def uid(self) -> str:
        return str(self.object["metadata"]["uid"])

    @property
    def resource_version(self) -> str:
        return str(self.object["metadata"]["resourceVersion"])

    def was_there(self, begin: float, end: float) -> bool:
        """At some time in between."""
        return self.since <= end and self.until >= begin

    def was_there_throughout(self, begin: float, end: float) -> bool:
        return self.since <= begin and self.until >= end


class History:
    """The versions, by object; complete up to what `catch_up` has waited for."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._versions: dict[Key, list[Version]] = defaultdict(list)
        self._watches: list[Watch] = []
        self._threads: list[threading.Thread] = []

    @classmethod
    @contextmanager
    def recorded(cls, api: Api) -> Iterator[Self]:
        history = cls(api)
        for kind in KINDS:
            history._start(kind)
        try:
            yield history
        finally:
            for watch in history._watches:
                watch.end()
            for thread in history._threads:
                thread.join(10)

    def versions(self, kind: str, namespace: str, name: str) -> list[Version]:
        """Oldest first."""
        with self._lock:
            return list(self._versions.get((kind, namespace, name), ()))

    def all_versions(self, kind: str) -> list[Version]:
        """Of all objects of a kind."""
        with self._lock:
            every = [v for key, v in self._versions.items() if key[0] == kind]
        return [version for versions in every for version in versions]

    def catch_up(self) -> None:
        """Wait until everything that the API server has had by now is here."""
        for kind in KINDS:
            asked, listed = time.monotonic(), self._api.items(kind)
            eventually(partial(self._covers, kind, listed, asked))

    def _covers(self, kind: str, listed: list[Json], asked: float) -> bool:
        """All that was listed is or was here, and nothing else that is older than the list."""
        wanted = {_key(kind, each): each["metadata"]["resourceVersion"] for each in listed}
        left = [key for key in self._keys(kind) if key not in wanted]
        return all(
            version in {known.resource_version for known in self.versions(*key)}
            for key, version in wanted.items()
        ) and not any(
            each.until == FOREVER and each.since < asked
            for key in left
            for each in self.versions(*key)
        )

    def _keys(self, kind: str) -> list[Key]:
        with self._lock:
            return [key for key in self._versions if key[0] == kind]

    def _start(self, kind: str) -> None:
        begin = self._api.collection(kind)
        for item in begin["items"] or []:
            self._note(kind, {"type": "ADDED", "object": item})
        watch = self._api.watch(kind, begin["metadata"]["resourceVersion"])
        self._watches.append(watch)
        thread = threading.Thread(target=self._follow, args=(kind, watch), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _follow(self, kind: str, watch: Watch) -> None:
        for event in watch:
            self._note(kind, event)

    def _note(self, kind: str, event: Json) -> None:
        now, given = time.monotonic(), event["object"]
        given["metadata"].pop("managedFields", None)
        with self._lock:
            versions = self._versions[_key(kind, given)]
            if versions and versions[-1].until == FOREVER:
                versions[-1].until = now
                versions[-1].deleted = event["type"] == "DELETED"
            if event["type"] != "DELETED":
                versions.append(Version(object=given, since=now))


def _key(kind: str, given: Json) -> Key:
    metadata = given["metadata"]
    return kind, metadata.get("namespace", ""), metadata["name"]
