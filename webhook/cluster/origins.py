"""Where in a file an object and its fields stand, for reports that point at lines."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from webhook.cluster.documents import lines_of
from webhook.core.report import Judged, Origin

_LONGEST: Final = 2_000_000
"""Length of a document in which lines are looked up: it takes a second or two."""


class Source(Struct, frozen=True, kw_only=True, gc=False):
    """The place of an object: a document of a file, and the path in it when it is in a list."""

    file: str
    lines_before: int
    """Lines of the file above the document."""
    text: str
    """The document; empty when it is so long that nobody reads it by lines."""
    path: str = ""
    """Such as `items[3].`, to be put before the path of a field."""


def legible(document: bytes | str) -> str:
    """The text of a document for a `Source`. That of long ones is not kept."""
    if len(document) > _LONGEST:
        return ""
    return document if isinstance(document, str) else document.decode(errors="replace")


def located(judged: Sequence[Judged], sources: Sequence[Source | None]) -> tuple[Judged, ...]:
    """The same objects with their origins, as far as the sources beside them are known."""
    by_document: dict[int, list[int]] = defaultdict(list)
    for index, its in enumerate(sources):
        if its is not None:
            by_document[id(its.text)].append(index)
    origins: dict[int, Origin] = {}
    for indices in by_document.values():
        origins |= _origins({index: (judged[index], sources[index]) for index in indices})
    return tuple(
        structs.replace(each, origin=origins.get(index)) for index, each in enumerate(judged)
    )


def _origins(of_document: Mapping[int, tuple[Judged, Source | None]]) -> dict[int, Origin]:
    """Of the objects of one document, which is parsed once for all of them."""
    wanted = {index: (its, judged) for index, (judged, its) in of_document.items() if its}
    texts = [its.text for its, _ in wanted.values()]
    paths = [path for its, judged in wanted.values() for path in _paths(its, judged)]
    lines = lines_of(texts[0], paths)
    return {
        index: Origin(
            file=_relative(its.file),
            line=its.lines_before + lines[its.path],
            fields={field: its.lines_before + lines[its.path + field] for field in _fields(judged)},
        )
        for index, (its, judged) in wanted.items()
    }


def _paths(its: Source, judged: Judged) -> Iterable[str]:
    return its.path, *(its.path + field for field in _fields(judged))


def _fields(judged: Judged) -> Iterable[str]:
    return dict.fromkeys(finding.violation.field for finding in judged.findings)


def _relative(file: str) -> str:
    """Code scanning looks for files below the folder that it was started in."""
    path = Path(file)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return file
