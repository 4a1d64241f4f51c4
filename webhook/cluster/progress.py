"""How far a long reading of a cluster has got, told page by page to whoever shows it."""

from collections.abc import Callable, Iterable, Iterator

from msgspec import Raw

from webhook.cluster.api import Page

Progress = Callable[[str, int, int], None]
"""Called after each page: the kind, how many of it have been read, and how many there are in all,
as far as the API server says (which it does of whole collections only).
"""


def unseen(kind: str, count: int, total: int) -> None:
    """Nobody watches."""


def counted(pages: Iterable[Page], kind: str, progress: Progress) -> Iterator[Raw]:
    """The items of these pages, counted as they come."""
    count = 0
    for page in pages:
        items = page.items or ()
        count += len(items)
        yield from items
        progress(kind, count, count + page.metadata.remaining)
