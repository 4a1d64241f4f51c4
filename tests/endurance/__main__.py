"""`python -m tests.endurance`: run the scenes, print what was promised and measured, keep it."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.machine import describe
from tests.endurance.scenes import Result, overload, restarts, soak

_PAGE = Path(__file__).parents[2] / "docs" / "endurance.md"
_HEAD = """\
<!-- Written by `make soak`; do not edit. -->
# Endurance

Measured by `make soak`: {machine}. Clients and the stand-in for the API server share the cores
with the webhook. [tests/endurance](../tests/endurance) has the scenes.

| scene | promise | measured | kept |
| --- | --- | --- | --- |
"""


def main() -> int:
    """Return the exit code: 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=180, help="for all together, about (%(default)s)"
    )
    parser.add_argument("--write", action="store_true", help="write docs/endurance.md")
    arguments = parser.parse_args()
    results = []
    for result in _results(arguments.seconds):
        results.append(result)
        print(f"{'ok' if result.kept else 'BROKEN':<7}{result.scene}: {result.promise}", flush=True)
        print(f"       {result.measured}", flush=True)
    if arguments.write:
        _PAGE.write_text(_page(results), encoding="utf-8")
    return 0 if all(result.kept for result in results) else 1


def _results(seconds: float) -> Iterator[Result]:
    yield from soak(max(9.0, seconds * 0.5))
    yield from overload(max(3.0, seconds * 0.15))
    yield from restarts(max(1, round(seconds / 45)))


def _page(results: Sequence[Result]) -> str:
    rows = (
        f"| {each.scene} | {each.promise} | {each.measured} | {'yes' if each.kept else '**no**'} |"
        for each in results
    )
    its = describe()
    machine = f"{its.processor}, {its.cores} cores, {its.memory_gib} GiB, Python {its.python}"
    return _HEAD.format(machine=machine) + "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.exit(main())
