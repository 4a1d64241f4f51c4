"""The content of files, folders and standard input, as bytes, and what of it cannot be read."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec import Struct

SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_BYTE_ORDER_MARK: Final = "\ufeff".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Something that could not be read, said so that its writer finds the place."""

    file: str
    document: int
    """Counts from 1; 0 when the file as a whole could not be read."""
    field: str
    reason: str

    @property
    def place(self) -> str:
        """File and document."""
        return f"{self.file}, document {self.document}" if self.document else self.file

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.place, self.field, self.reason)))


class Text(Struct, frozen=True):
    """The content of one file."""

    file: str
    content: bytes


def texts(path: str) -> Iterator[Text | Unreadable]:
    """A file, the YAML and JSON files of a folder at any depth, or `-`, standard input."""
    if path == "-":
        yield _text("standard input", sys.stdin.buffer.read)
        return
    for file in _files(Path(path)):
        yield _text(str(file), file.read_bytes)


def _text(file: str, read: Callable[[], bytes]) -> Text | Unreadable:
    try:
        return Text(file, read().removeprefix(_BYTE_ORDER_MARK))
    except OSError as error:
        return whole_file(file, error.strerror or str(error))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and not p.is_dir())


def whole_file(file: str, reason: str) -> Unreadable:
    """Nothing in it can be read."""
    return Unreadable(file=file, document=0, field="", reason=reason)
