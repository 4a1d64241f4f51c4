"""Progress bars, on a terminal only: a pipe or a log gets none."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from webhook.cluster.progress import Progress, unseen


@contextmanager
def reading_progress(label: str = "", *, wanted: bool = True) -> Iterator[Progress]:
    """A bar for each kind that is read, gone when all is read; `label` says of which cluster."""
    if not wanted or not sys.stderr.isatty():
        yield unseen
        return
    # Imported late: it takes a tenth of a second, and no pipe needs it.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn  # noqa: PLC0415
    from rich.progress import Progress as Bars  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = {}

        def show(kind: str, count: int, total: int) -> None:
            if kind not in tasks:
                tasks[kind] = bars.add_task(" ".join(filter(None, (label, kind))))
            bars.update(tasks[kind], completed=count, total=total)

        yield show
