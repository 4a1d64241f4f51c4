"""Files that people write for this program, in YAML: read, or refused with file, line and key."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from webhook.cluster.documents import NotYaml, lines_of, load_document, repeated_key
from webhook.core.objects import InvalidObject

Value = TypeVar("Value")


class BadFile(Exception):
    """The file cannot be read, or is not what it should be; the message names file, line and
    key.
    """


def read_config(path: Path, what: str, parse: Callable[[Any], Value]) -> Value:
    """What `parse` makes of the file's data; `what` is the word for it. Raises `BadFile`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadFile(f"{what} {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadFile(f"{what} {path}: it is not UTF-8 text") from error
    repeated = repeated_key(text)
    if repeated is not None:
        key, line = repeated
        raise BadFile(f"{what} {path}, line {line}: {key}: it stands there twice; which is meant?")
    try:
        return parse(load_document(text))
    except NotYaml as error:
        raise BadFile(f"{what} {path}: {error}") from error
    except InvalidObject as error:
        line = lines_of(text, (error.path,))[error.path]
        raise BadFile(f"{what} {path}, line {line}: {error}") from error
