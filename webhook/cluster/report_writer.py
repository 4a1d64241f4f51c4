"""Keeps the report objects of one cluster equal to what an audit found.

Ours are those of our name that bear our label. Nothing else is written to, nor removed: an object
of our name that somebody else made is left alone, and said.
"""

from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, Final

import msgspec
from msgspec import Struct

from webhook.cluster.api import ClusterApi
from webhook.cluster.errors import ClusterUnavailable, MalformedAnswer, NotFound
from webhook.cluster.paths import object_path
from webhook.core.objects import InvalidObject, decode
from webhook.core.objects.decoding import NO_METADATA, Metadata
from webhook.core.policy_reports import (
    DIGEST,
    MANAGED_BY,
    NAME,
    REPORT_APIS,
    ReportApi,
    report_objects,
)
from webhook.core.report import Report

MANAGER: Final = "endpoints-guard-audit"
"""The field manager of what is written."""


class Written(Struct, frozen=True, kw_only=True):
    """What became of the objects of one cluster."""

    kind: str
    written: int = 0
    unchanged: int = 0
    removed: int = 0
    problems: tuple[str, ...] = ()
    """What could not be written or removed, and why."""

    def __str__(self) -> str:
        return (
            f"{self.kind} objects: {self.written} written, {self.unchanged} unchanged, "
            f"{self.removed} removed"
        )


class _Stored(Struct, frozen=True):
    metadata: Metadata = NO_METADATA

    @property
    def is_ours(self) -> bool:
        return (self.metadata.labels or {}).get(MANAGED_BY) == NAME

    @property
    def digest(self) -> str:
        return (self.metadata.annotations or {}).get(DIGEST, "")


_DECODER: Final = msgspec.json.Decoder(_Stored)


def served_api(api: ClusterApi, wanted: str = "auto") -> ReportApi | None:
    """The API that the cluster has of those wanted (a name, or `auto`); None when it has none.

    Raises `ClusterUnavailable`.
    """
    for candidate in REPORT_APIS:
        if wanted in ("auto", candidate.name):
            try:
                if api.get(f"/apis/{candidate.group_version}") is not None:
                    return candidate
            except ClusterUnavailable as error:
                if error.status != 404:
                    raise
    return None


def write_reports(
    api: ClusterApi,
    report_api: ReportApi,
    report: Report,
    seconds: int,
    namespaces: Collection[str] = (),
) -> Written:
    """Write what changed, and remove what has no finding any more; only in `namespaces`, if given.

    `seconds` since 1970: now. Raises `ClusterUnavailable` when it is not even known what is there.
    """
    writer = _Writer(api, report_api)
    stored = writer.stored(namespaces)
    wanted = report_objects(report, report_api, seconds)
    for namespace, body in wanted.items():
        writer.write(namespace, body, stored.get(namespace))
    for namespace, there in stored.items():
        if namespace not in wanted and there.is_ours:
            writer.remove(namespace, there)
    return writer.written()


class _Writer:
    def __init__(self, api: ClusterApi, report_api: ReportApi) -> None:
        self._api = api
        self._report_api = report_api
        self._counts: Counter[str] = Counter()
        self._problems: list[str] = []

    def stored(self, namespaces: Collection[str]) -> dict[str, _Stored]:
        """The objects of our name, by namespace."""
        found = (
            stored
            for path in (self._report_api.path, self._report_api.cluster_path)
            for stored in self._api.list_all(path, _read, field_selector=f"metadata.name={NAME}")
        )
        by_namespace = {stored.metadata.namespace: stored for stored in found}
        if namespaces:
            return {each: by_namespace[each] for each in namespaces if each in by_namespace}
        return by_namespace

    def write(self, namespace: str, body: dict[str, Any], there: _Stored | None) -> None:
        """Make this the report of the namespace, unless it is already, or is somebody else's."""
        if there is not None and not there.is_ours:
            where = f"{self._report_api.kind} {namespace}/{NAME}"
            self._problems.append(f"{where}: somebody else made it; it stays as it is")
            return
        if there is not None and there.digest == body["metadata"]["annotations"][DIGEST]:
            self._counts["unchanged"] += 1
            return
        path = self._path(namespace)
        self._try("written", lambda: self._api.apply(path, body, manager=MANAGER))

    def remove(self, namespace: str, there: _Stored) -> None:
        """Delete the report of a namespace in which nothing is found any more."""
        path, uid = self._path(namespace), there.metadata.uid
        self._try("removed", lambda: self._api.delete(path, uid=uid))

    def written(self) -> Written:
        """What became of them."""
        return Written(kind=self._report_api.kind, problems=tuple(self._problems), **self._counts)

    def _path(self, namespace: str) -> str:
        own = self._report_api
        return object_path(own.path if namespace else own.cluster_path, namespace, NAME)

    def _try(self, count: str, send: Callable[[], object]) -> None:
        try:
            send()
        except ClusterUnavailable as error:
            # With its namespace the findings go, too.
            if not isinstance(error, NotFound) and "being terminated" not in error.reason:
                self._problems.append(error.reason)
        else:
            self._counts[count] += 1


def _read(item: msgspec.Raw) -> _Stored:
    try:
        return decode(item, _DECODER)
    except InvalidObject as error:
        raise MalformedAnswer(f"a report: {error}") from error
