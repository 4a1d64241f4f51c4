"""What processes keep in memory, by what Linux says of them."""

import re
from collections.abc import Iterator
from pathlib import Path


def resident_mib(pid: int) -> float:
    """Proportional set size of a process and its descendants: what is shared counts once."""
    return sum(_kib(each, "smaps_rollup", "Pss") for each in family(pid)) / 1024


def peak_mib(pid: int) -> float:
    """The most that any one process of the family has ever had resident."""
    return max(_kib(each, "status", "VmHWM") for each in family(pid)) / 1024


def family(pid: int) -> Iterator[int]:
    """Yield the process and its descendants."""
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
        yield from family(int(child))


def _kib(pid: int, file: str, name: str) -> int:
    text = Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8")
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"/proc/{pid}/{file} has no {name}")
    return int(found[1])
