"""YAML as Kubernetes reads it: safe, fast where libyaml is there, and with dates left as text."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

import msgspec
import yaml

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # a PyYAML built without libyaml: slower, the same result
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

_DEEPEST: Final = 500
_BRACKETS: Final = re.compile(r"[\[\]{}]")
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_NUMBERS: Final = {
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)"),
    "tag:yaml.org,2002:float": re.compile(
        r"[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+]?[0-9]+)?|\.[0-9][0-9_]*([eE][-+]?[0-9]+)?"
        r"|[0-9][0-9_]*[eE][-+]?[0-9]+|\.(inf|Inf|INF)|\.(nan|NaN|NAN))"
    ),
}
"""Without the base 60 of YAML 1.1, which makes a number of `12:30` and of `2001:10:20`."""
_STEP: Final = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")
_SOMETHING: Final = re.compile(rb"[^ \n-]")
_MOST_NODES: Final = 5_000_000
_TEMPLATE: Final = ". If this is a template, render it first, as with `helm template`"
_ALIAS: Final = re.compile(r"(?:^|[\s\[,{])\*[^\s,\]}]")


def _whole(tag: str, pattern: re.Pattern[str]) -> re.Pattern[str]:
    ours = _NUMBERS.get(tag)
    return pattern if ours is None else re.compile(rf"(?:{ours.pattern})\Z")


class _Loader(_SafeLoader):
    """Kubernetes goes through JSON, which has no dates and no base 60: both stay text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, _whole(tag, pattern)) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items()
    }


class NotYaml(ValueError):
    """The text is no YAML (nor JSON, which is a part of it); the message names the line."""


def documents_of(content: bytes) -> Iterator[tuple[int, bytes | str]]:
    """Each document of a file, with the number of lines above it. Raises `UnicodeDecodeError`.

    A file without separators is one document, as it is: a dump of a cluster has millions of lines.
    """
    if content.startswith(b"---") or b"\n---" in content:
        yield from _between_separators(content.decode())
    elif _SOMETHING.search(content):
        yield 0, content


def _between_separators(text: str) -> Iterator[tuple[int, str]]:
    begun, lines = 0, text.split("\n")
    for index, line in enumerate([*lines, "---"]):
        if line.rstrip() != "---" and not line.startswith("--- "):
            continue
        document = "\n".join(lines[begun:index])
        if document.strip(" \n-"):
            yield begun, document
        # What follows the marker on its line belongs to the next document, marker included.
        begun = index


def open_document(chunk: bytes | str, lines_before: int = 0) -> Any:
    """One document of `documents_of`: JSON as `msgspec.Raw` that nobody has looked into, YAML as
    plain data. Raises `NotYaml`, and `UnicodeDecodeError` for what is not JSON.
    """
    with suppress(msgspec.DecodeError, UnicodeEncodeError):
        return _json(chunk, msgspec.Raw)
    return load_document(chunk if isinstance(chunk, str) else chunk.decode(), lines_before)


def load_document(text: str, lines_before: int = 0) -> Any:
    """One document as plain data. Raises `NotYaml`; `lines_before` stand above it in its file."""
    if text.lstrip()[:1] in ("{", "["):
        with suppress(msgspec.DecodeError, UnicodeEncodeError):
            return _json(text)
    data = _yaml(text, lines_before)
    if _ALIAS.search(text):
        try:
            _require_modest(data)
        except RecursionError:
            raise NotYaml("nested too deeply") from None
    return data


def _yaml(text: str, lines_before: int) -> Any:
    if _may_nest_deeply(text):
        raise NotYaml("nested too deeply")
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a safe loader
    except yaml.YAMLError as error:
        hint = _TEMPLATE if "{{" in text else ""
        raise NotYaml(f"{_reason(error, lines_before)}{hint}") from None
    except ValueError as error:
        raise NotYaml(f"not YAML or JSON: {error}") from None
    except (LookupError, AttributeError):  # how PyYAML's constructors fail, as in `!!bool maybe`
        raise NotYaml("not YAML or JSON: a value is not what its tag says") from None
    except RecursionError:
        raise NotYaml("nested too deeply") from None


def _require_modest(data: Any) -> None:
    """A few lines of aliases can stand for more nodes than any memory holds."""
    if _size(data, {}, set()) > _MOST_NODES:
        raise NotYaml("its aliases multiply to more than anybody writes")


def _size(data: Any, known: dict[int, int], open_: set[int]) -> int:
    """How many nodes a document has with its aliases spelled out. Raises `NotYaml` for a cycle."""
    if not isinstance(data, dict | list):
        return 1
    if id(data) in open_:
        raise NotYaml("nested too deeply: it contains itself")
    if id(data) not in known:
        open_.add(id(data))
        inner = data.values() if isinstance(data, dict) else data
        known[id(data)] = 1 + sum(_size(each, known, open_) for each in inner)
        open_.discard(id(data))
    return known[id(data)]


def _json(text: bytes | str, to: Any = Any) -> Any:
    """Most machine-made input is JSON, which reads fifty times faster as such."""
    try:
        return msgspec.json.decode(text, type=to)
    except RecursionError:
        raise NotYaml("nested too deeply") from None


def _may_nest_deeply(text: str) -> bool:
    """Whether the text could nest deeper than any manifest does. libyaml does not survive it.

    An upper bound: what stands before the first word of a line, and brackets that stay open.
    """
    prefix = max((len(line) - len(line.lstrip(" -?\t")) for line in text.splitlines()), default=0)
    depth = deepest = 0
    for bracket in _BRACKETS.findall(text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return prefix + deepest > _DEEPEST


def _reason(error: yaml.YAMLError, lines_before: int) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = " ".join(str(getattr(error, "problem", None) or error).split())
    line = f"line {lines_before + mark.line + 1}: " if mark else ""
    return f"not YAML or JSON: {line}{problem}"


def repeated_key(text: str) -> tuple[str, int] | None:
    """A key that a map of this YAML has twice, and the line of its second time.

    Parsers let the last one win, and nobody knows which of the two was meant.
    """
    found = (_repeated_in(node) for node in _nodes(_composed(text)))
    return next((key for key in found if key is not None), None)


def _nodes(root: Any) -> Iterator[Any]:
    """Every node once, even of a document that contains itself."""
    pending, known = [root], set[int]()
    while pending:
        node = pending.pop()
        if id(node) in known or not isinstance(node, yaml.CollectionNode):
            continue
        known.add(id(node))
        yield node
        is_map = isinstance(node, yaml.MappingNode)
        pending.extend(value for _, value in node.value) if is_map else pending.extend(node.value)


def _repeated_in(node: Any) -> tuple[str, int] | None:
    seen: set[str] = set()
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode) and key.value in seen - {"<<"}:
            return key.value, key.start_mark.line + 1
        seen.add(str(key.value))
    return None


def lines_of(text: str, paths: Iterable[str]) -> dict[str, int]:
    """The line, from 1, at which each key such as `rules.EG201` or `exemptions[0].reason` stands.

    The nearest line above when a path leads nowhere, 1 when the text is no YAML.
    """
    root = _composed(text)
    return {path: _line(root, path) for path in paths}


def _composed(text: str) -> Any:
    if not _may_nest_deeply(text):
        with suppress(yaml.YAMLError, ValueError):
            return yaml.compose(text, Loader=_Loader)
    return None


def _line(node: Any, path: str) -> int:
    line: int = node.start_mark.line if node is not None else 0
    for in_brackets, plain in _STEP.findall(path):
        node, line = _step(node, in_brackets or plain, line)
    return line + 1


def _step(node: Any, step: str, line: int) -> tuple[Any, int]:
    if isinstance(node, yaml.SequenceNode) and step.isdecimal():
        child = node.value[int(step)] if int(step) < len(node.value) else None
        return child, child.start_mark.line if child else line
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):
            if key.value == step:
                return value, key.start_mark.line
    return None, line
