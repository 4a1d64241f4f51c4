"""The Dockerfile, as far as tests ask about it: its stages and their instructions."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction, without its continuation marks."""

    stage: int
    word: str
    rest: str


def instructions() -> tuple[Instruction, ...]:
    """Every instruction of the file, in order."""
    return tuple(_read(DOCKERFILE.read_text(encoding="utf-8")))


def _read(text: str) -> Iterator[Instruction]:
    stage = -1
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in code.replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        stage += word == "FROM"
        if word:
            yield Instruction(stage=stage, word=word, rest=re.sub(r" +", " ", rest.strip()))


def every(word: str) -> list[str]:
    """What follows each instruction of this kind, in any stage."""
    return [each.rest for each in instructions() if each.word == word]


def final(word: str) -> str:
    """What follows the one instruction of this kind in the last stage."""
    last = max(each.stage for each in instructions())
    (found,) = (i.rest for i in instructions() if (i.stage, i.word) == (last, word))
    return found


def allocator() -> dict[str, str]:
    """The variables by which the C library is told how to manage memory."""
    variables = (each.partition("=") for each in final("ENV").split())
    return {name: value for name, _, value in variables if name.startswith("MALLOC_")}


def healthcheck() -> list[str]:
    """The command of the health check."""
    found: list[str] = json.loads(final("HEALTHCHECK").partition(" CMD ")[2])
    return found
