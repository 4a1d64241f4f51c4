"""The documents, as far as they claim something: files to write, commands to run, what these say.

A ```yaml block whose first line is `# NAME.yaml` is a file of that name, for the commands below it.
A ```console block has commands after `$ `, each with what it prints; a line `...` stands for any
number of lines. A command that shows no output must succeed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
_GENERATED = {"rules.md", "coverage.md", "metrics.md", "benchmarks.md"}
PAGES = (
    ROOT / "README.md",
    ROOT / "charts" / "endpoints-guard" / "README.md",
    *(p for p in sorted((ROOT / "docs").glob("*.md")) if p.name not in _GENERATED),
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w-]+\.yaml)$")
# helm's and kubectl's client library: that a watch has ended, and the like, whenever it happens.
_ASIDE = re.compile(r"[IWE]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \w+\.go:\d+\] ")
_CLUSTER = re.compile(
    r"\b(helm|kubectl) |--live\b|\bendpoints-guard (snapshot|serve|certs (show|rotate))\b"
    r"|snapshot\.json|\bendpoints-guard (audit|explain \w+/)(?!.*--state)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that the page tells to write."""

    line: int
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command, and the lines that it prints according to the page."""

    line: int
    words: str
    output: tuple[str, ...]

    @property
    def is_make(self) -> bool:
        """Whether it is a target of the Makefile, which cannot run inside of `make test`."""
        return self.words.startswith("make ")

    @property
    def needs_cluster(self) -> bool:
        """Whether it talks to an API server."""
        return _CLUSTER.search(self.words) is not None


Step = File | Command


def steps(page: Path) -> tuple[Step, ...]:
    """Everything that a page tells its reader to do, in order."""
    return tuple(_steps(page.read_text(encoding="utf-8")))


def _steps(text: str) -> Iterator[Step]:
    for block in _FENCE.finditer(text):
        line = text.count("\n", 0, block.start()) + 2
        language, body = block[1], block[2]
        if language == "yaml" and (name := _FILE.match(body.partition("\n")[0])) is not None:
            yield File(line=line, name=name[1], text=body)
        elif language == "console":
            yield from _commands(line, body.splitlines())


def _commands(first: int, lines: list[str]) -> Iterator[Command]:
    assert lines[0].startswith("$ "), f"line {first}: a console block begins with a command"
    starts = [i for i, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        last = start
        while lines[last].endswith("\\"):
            last += 1
        words = "\n".join(lines[start : last + 1]).removeprefix("$ ")
        output = tuple(line for line in lines[last + 1 : end] if line)
        yield Command(line=first + start, words=words, output=output)


def difference(expected: tuple[str, ...], printed: str) -> str:
    """Empty if this is what the page shows; otherwise both, for a reader."""
    lines = (line.rstrip() for line in printed.splitlines())
    found = [line for line in lines if line and not _ASIDE.match(line)]
    parts = (".*\n" if line == "..." else re.escape(f"{line}\n") for line in expected)
    pattern = "".join(f"(?:{part})*" if part == ".*\n" else part for part in parts)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in found)):
        return ""
    return "\n".join(("the page shows:", *expected, "", "it prints:", *found))
