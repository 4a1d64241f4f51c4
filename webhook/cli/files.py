"""Files that a command writes."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from tempfile import NamedTemporaryFile


def write_whole(file: Path, lines: Iterable[str]) -> None:
    """Write beside the file and rename: nobody ever finds half of it."""
    with ExitStack() as stack:
        scratch = stack.enter_context(
            NamedTemporaryFile(
                "w", encoding="utf-8", dir=file.parent, prefix=f".{file.name}.", delete=False
            )
        )
        stack.callback(Path(scratch.name).unlink, missing_ok=True)
        scratch.writelines(lines)
        scratch.flush()
        Path(scratch.name).replace(file)
