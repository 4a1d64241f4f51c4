"""What a fake API server has stored, and its history: LIST, GET and WATCH without a wire."""

import base64
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

Object = dict[str, Any]
Key = tuple[str, str]
Backup = tuple[int, dict[str, dict[Key, Object]]]

KINDS = {
    "/api/v1/endpoints": "Endpoints",
    "/api/v1/namespaces": "Namespace",
    "/api/v1/nodes": "Node",
    "/api/v1/pods": "Pod",
    "/api/v1/services": "Service",
    "/apis/discovery.k8s.io/v1/endpointslices": "EndpointSlice",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings": "ClusterRoleBinding",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles": "ClusterRole",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings": "RoleBinding",
    "/apis/rbac.authorization.k8s.io/v1/roles": "Role",
}
REPORTS = {
    "/apis/openreports.io/v1alpha1/reports": "Report",
    "/apis/openreports.io/v1alpha1/clusterreports": "ClusterReport",
    "/apis/wgpolicyk8s.io/v1alpha2/policyreports": "PolicyReport",
    "/apis/wgpolicyk8s.io/v1alpha2/clusterpolicyreports": "ClusterPolicyReport",
}
"""Served only if their group is."""
_ALL = {**KINDS, **REPORTS}


class Gzipped(bytes):
    """An answer that is rendered and compressed already."""


@dataclass(slots=True, eq=False)
class Watch:
    """A watch that somebody has open, and what shall become of it."""

    path: str
    silent: bool = False
    cut: bool = False
    error: Object | None = None

    @property
    def ordered(self) -> bool:
        return self.cut or self.error is not None


class State:
    """The objects, by collection path; every method may be called from any thread."""

    def __init__(self) -> None:
        self.bookmark_every = 3600.0
        """Seconds."""
        self.longest_watch = 3600.0
        """Seconds after which a watch ends, even if it was asked for longer."""
        self.groups: set[str] = set()
        """Groups and versions that are served beyond those of every cluster."""
        self.bookmarks: list[str] = []
        """The versions of the bookmarks that were sent."""
        self._changed = threading.Condition()
        self._version = 1000
        self._compacted = 0
        self._dropped = 0
        self._objects: dict[str, dict[Key, Object]] = {path: {} for path in _ALL}
        self._history: list[tuple[int, str, str, Object]] = []
        self._snapshots: dict[int, list[Object]] = {}
        self._watches: set[Watch] = set()

    def put(self, path: str, obj: Object) -> str:
        """Create or update an object of this collection; gives its resourceVersion."""
        with self._changed:
            change = "MODIFIED" if key_of(obj) in self._objects[path] else "ADDED"
            stored = self._record(path, change, obj)
            self._objects[path][key_of(obj)] = stored
            return str(self._version)

    def delete(self, path: str, namespace: str, name: str) -> None:
        """Delete an object."""
        with self._changed:
            self._record(path, "DELETED", self._objects[path].pop((namespace, name)))

    def objects(self, path: str) -> dict[Key, Object]:
        """What is stored, by namespace and name."""
        with self._changed:
            return dict(self._objects[path])

    def serves(self, path: str) -> bool:
        """Whether there is such a collection, or such a group and version."""
        if path in KINDS or path.removeprefix("/apis/") in self.groups:
            return True
        return path in REPORTS and path.removeprefix("/apis/").rpartition("/")[0] in self.groups

    def compact(self) -> None:
        """Forget the history: continue tokens and watches from before are 410 from now on."""
        with self._changed:
            self._dropped = self._version
            self._version += 1
            self._compacted = self._version
            self._history.clear()
            self._snapshots.clear()

    def backup(self) -> Backup:
        """What there is now, to come back to."""
        with self._changed:
            return self._version, {path: dict(found) for path, found in self._objects.items()}

    def restore(self, backup: Backup) -> None:
        """Go back to that, as etcd does from a snapshot: versions that were given are given again.

        A watch from a version that is not there yet is silent until it is.
        """
        with self._changed:
            self._version = backup[0]
            self._objects = {path: dict(found) for path, found in backup[1].items()}
            self._compacted = self._dropped = self._version
            self._history.clear()
            self._snapshots.clear()

    def cut_watches(self) -> None:
        """Break the connection of every open watch, without a last word."""
        self._order(lambda watch: setattr(watch, "cut", True))

    def silence_watches(self) -> None:
        """Every open watch stays open, and says nothing any more."""
        self._order(lambda watch: setattr(watch, "silent", True))

    def fail_watches(self, code: int, message: str = "as scripted") -> None:
        """Every open watch gets an ERROR event, and ends."""
        error = status(code, message)
        self._order(lambda watch: setattr(watch, "error", error))

    def watching(self, path: str) -> bool:
        """Whether somebody has a watch open that works."""
        with self._changed:
            return any(w.path == path and not (w.ordered or w.silent) for w in self._watches)

    def page(
        self, path: str, namespace: str, query: Mapping[str, str]
    ) -> tuple[int, Object | Gzipped]:
        """HTTP status and body of a LIST."""
        limit = int(query.get("limit", "0"))
        version, start = _position(query.get("continue", ""))
        with self._changed:
            if not version:
                version = self._version
                found = sorted(self._objects[path].items())
                items = [o for k, o in found if _selected(o, k, namespace, query)]
            elif version in self._snapshots:
                items = self._snapshots[version]
            else:
                return 410, status(410, "The provided continue parameter is too old", "Expired")
            end = start + limit if limit else len(items)
            metadata: Object = {"resourceVersion": str(version)}
            if end < len(items):
                self._snapshots[version] = items
                if not (query.get("labelSelector") or query.get("fieldSelector")):
                    metadata["remainingItemCount"] = len(items) - end
                metadata["continue"] = base64.b64encode(f"{version}:{end}".encode()).decode()
        page = {"kind": f"{_ALL[path]}List", "apiVersion": _api_version(path)}
        return 200, {**page, "metadata": metadata, "items": items[start:end]}

    def get(self, path: str, namespace: str, name: str) -> tuple[int, Object]:
        """HTTP status and body of a GET."""
        obj = self.objects(path).get((namespace, name))
        if obj is None:
            return 404, status(404, f'"{name}" not found', "NotFound", name=name)
        return 200, _typed(path, obj)

    def is_gone(self, version: int) -> bool:
        """Whether a watch can no longer start here."""
        with self._changed:
            return version < self._compacted

    def events(self, path: str, query: Mapping[str, str], silent: bool) -> Iterator[Object | None]:
        """What a watch says, until its time is over. None: hang up."""
        watch = Watch(path, silent)
        seconds = float(query.get("timeoutSeconds", "3600"))
        end = monotonic() + min(seconds, self.longest_watch)
        with self._changed:
            self._watches.add(watch)
        try:
            yield from self._follow(watch, int(query["resourceVersion"]), end)
        finally:
            with self._changed:
                self._watches.discard(watch)

    def _follow(self, watch: Watch, version: int, end: float) -> Iterator[Object | None]:
        bookmark = monotonic() + self.bookmark_every
        while monotonic() < end or watch.silent:
            with self._changed:
                if version < self._dropped and not watch.silent:
                    # It was too slow: what it has not seen yet is forgotten.
                    watch.error = watch.error or EXPIRED
                news, version = self._news(watch, version), self._version
                if not news and not watch.ordered:
                    self._changed.wait(max(0.01, min(end, bookmark) - monotonic()))
            if watch.ordered:
                yield watch.error and {"type": "ERROR", "object": watch.error}
                return
            for _, path, change, obj in news:
                yield {"type": change, "object": _typed(path, obj)}
            if monotonic() >= bookmark and not watch.silent:
                bookmark = monotonic() + self.bookmark_every
                self.bookmarks.append(str(version))
                yield {"type": "BOOKMARK", "object": _at_version(watch.path, version)}

    def _news(self, watch: Watch, version: int) -> list[tuple[int, str, str, Object]]:
        if watch.silent:
            return []
        since = bisect_right(self._history, version, key=lambda event: event[0])
        return [event for event in self._history[since:] if event[1] == watch.path]

    def _order(self, order: Callable[[Watch], None]) -> None:
        with self._changed:
            for watch in self._watches:
                order(watch)
            self._changed.notify_all()

    def _record(self, path: str, change: str, obj: Object) -> Object:
        self._version += 1
        metadata = {**obj["metadata"], "resourceVersion": str(self._version)}
        stored = {**obj, "metadata": metadata}
        self._history.append((self._version, path, change, stored))
        self._changed.notify_all()
        return stored


def status(code: int, message: str, reason: str = "", name: str = "") -> Object:
    """A metav1.Status that says no."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": {"name": name} if name else {},
        "code": code,
    }


EXPIRED = status(410, "too old resource version", "Expired")


def key_of(obj: Object) -> Key:
    """Namespace and name."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _api_version(path: str) -> str:
    return "/".join(path.split("/")[2:-1])


def _typed(path: str, obj: Object) -> Object:
    return {"kind": _ALL[path], "apiVersion": _api_version(path), **obj}


def _at_version(path: str, version: int) -> Object:
    return _typed(path, {"metadata": {"resourceVersion": str(version)}})


def _position(token: str) -> tuple[int, int]:
    version, _, start = base64.b64decode(token).decode().partition(":")
    return int(version or 0), int(start or 0)


def _selected(obj: Object, key: Key, namespace: str, query: Mapping[str, str]) -> bool:
    fields = {
        "metadata.name": key[1],
        "metadata.namespace": key[0],
        "status.podIP": obj.get("status", {}).get("podIP", ""),
    }
    labels = obj["metadata"].get("labels", {})
    return (
        namespace in ("", key[0])
        and all(fields[k] == v for k, v in _pairs(query.get("fieldSelector", "")))
        and all(labels.get(k) == v for k, v in _pairs(query.get("labelSelector", "")))
    )


def _pairs(selector: str) -> list[tuple[str, str]]:
    terms = (term.partition("=") for term in selector.split(",") if term)
    return [(key, value.removeprefix("=")) for key, _, value in terms]
