"""A cluster as an audit reads it: all that can be read, and what could not be, kind by kind.

Memory is bounded by the values that are kept: pages are decoded as they come, and no JSON stays.
The kinds are listed one after the other, each from one consistent state, but of different moments;
so whatever looks wrong is read again before anybody is told (`read_again`).
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from time import sleep
from typing import Any, Final

from msgspec import Struct

from webhook.cluster.api import ClusterApi, Page
from webhook.cluster.decoding import Resource, Undecodable
from webhook.cluster.errors import (
    ClusterTimeout,
    ClusterUnavailable,
    ConnectionLost,
    Forbidden,
    ResourceExpired,
    Unauthorized,
    Unreachable,
)
from webhook.cluster.paths import object_path
from webhook.cluster.progress import Progress, counted, unseen
from webhook.cluster.resources import API_SERVER_SLICES, PUBLISHED, STORED
from webhook.core.inventory import API_SERVER, Inventory
from webhook.core.objects.endpoints import SERVICE_NAME_LABEL

ATTEMPTS: Final = 3
"""How often a list is begun in all."""
PAUSE: Final = 1.0
"""Seconds before a list is begun again, unless the server asks for more."""
LONGEST_PAUSE: Final = 5.0
"""Seconds, whatever the server asks for."""
FEW_NAMESPACES: Final = 16
"""Up to so many are read again one by one; beyond that, the whole collection is."""


class Gap(Struct, frozen=True, kw_only=True):
    """A kind of which not everything is known."""

    kind: str
    reason: str
    known: int
    """How many objects of it are known nevertheless."""

    def __str__(self) -> str:
        known = f" (only {self.known} could be read)" if self.known else ""
        return f"{self.reason}{known}"


class ClusterReader:
    """Fills an inventory from one API server."""

    def __init__(
        self,
        api: ClusterApi,
        *,
        namespaces: Collection[str] = (),
        background: Inventory | None = None,
        progress: Progress = unseen,
        pause: Callable[[float], object] = sleep,
    ) -> None:
        """With `namespaces`, only theirs is read of what is judged. The facts are always those of
        the whole cluster, since an address may be anybody's. The `background` is for what is read
        in parts only (`Inventory`).
        """
        self.inventory = Inventory(background=background)
        self.gaps: dict[str, Gap] = {}
        """By kind: what is missing. What rests on such a kind cannot be judged."""
        self._api = api
        self._namespaces = tuple(sorted(set(namespaces)))
        self._progress = progress
        self._pause = pause
        self._gone: ClusterUnavailable | None = None

    def read(self, resources: Iterable[Resource[Any]] = STORED) -> None:
        """Everything, once. What cannot be read becomes a gap; nothing is raised."""
        for resource in resources:
            self._read(resource, self._scope(resource))

    def read_again(
        self, resources: Iterable[Resource[Any]], namespaces: Collection[str]
    ) -> tuple[Gap, ...]:
        """Make these kinds newer, at least in these namespaces. What could not be is returned, and
        is then as it was before, or newer in parts.
        """
        before, self.gaps = self.gaps, {}
        for resource in resources:
            if resource.kind not in before:
                self._read(resource, self._scope_again(resource, namespaces))
        failed, self.gaps = tuple(self.gaps.values()), before
        return failed

    def _scope(self, resource: Resource[Any]) -> tuple[str, ...]:
        """The namespaces to list; the empty one is the whole cluster."""
        return self._namespaces or ("",) if resource in PUBLISHED else ("",)

    def _scope_again(self, resource: Resource[Any], namespaces: Collection[str]) -> tuple[str, ...]:
        few = resource.namespaced and len(namespaces) <= FEW_NAMESPACES
        if not few:
            return self._scope(resource)
        wanted = sorted(set(namespaces))
        if resource in PUBLISHED and self._namespaces:
            wanted = [each for each in wanted if each in self._namespaces]
        return tuple(wanted)

    def _read(self, resource: Resource[Any], scope: tuple[str, ...]) -> None:
        if self._gone is not None:
            self._note(resource, f"not asked for: the server was gone ({self._gone.reason})")
            return
        try:
            self._read_patiently(resource, scope)
        except (ConnectionLost, ClusterTimeout, Unauthorized, Unreachable) as error:
            self._gone = error
            self._note(resource, error.reason)
        except ClusterUnavailable as error:
            self._note(resource, error.reason)

    def _read_patiently(self, resource: Resource[Any], scope: tuple[str, ...]) -> None:
        for _ in range(ATTEMPTS - 1):
            try:
                self._list(resource, scope)
            except (Forbidden, Unauthorized):
                raise  # asking once more does not change who may read what
            except ResourceExpired:
                continue
            except ClusterUnavailable as error:
                self._pause(min(max(PAUSE, error.retry_after or 0.0), LONGEST_PAUSE))
            else:
                return
        self._list(resource, scope)

    def _list(self, resource: Resource[Any], scope: tuple[str, ...]) -> None:
        bad: list[Undecodable] = []
        pages = chain.from_iterable(self._pages(resource, scope))
        items = counted(pages, resource.kind, self._progress)
        values = _decodable(map(resource.read_item, items), bad)
        self.inventory.replace(resource.kind, values, None if scope == ("",) else scope)
        if bad:
            first = "/".join(filter(None, (bad[0].namespace, bad[0].name)))
            self._note(resource, f"{len(bad)} cannot be decoded, such as {first}: {bad[0].problem}")

    def _pages(self, resource: Resource[Any], scope: tuple[str, ...]) -> Iterator[Iterable[Page]]:
        for namespace in scope:
            yield self._api.list_pages(object_path(resource.path, namespace))
        if resource.kind == API_SERVER_SLICES.kind and not {"", API_SERVER[0]} & {*scope}:
            # Where the API servers are is a question of every namespace (EG504).
            selector = f"{SERVICE_NAME_LABEL}={API_SERVER[1]}"
            yield self._api.list_pages(API_SERVER_SLICES.path, label_selector=selector)

    def _note(self, resource: Resource[Any], reason: str) -> None:
        known = len(self.inventory.keys(resource.kind))
        self.gaps[resource.kind] = Gap(kind=resource.kind, reason=reason, known=known)


def _decodable(values: Iterable[object], bad: list[Undecodable]) -> Iterator[object]:
    for value in values:
        if isinstance(value, Undecodable):
            bad.append(value)
        else:
            yield value
