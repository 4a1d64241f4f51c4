"""Takes out of an installation what the program never runs, and out of the RECORDs that list it.

Run by the installation's own Python. `kubernetes.aio` is the client's asynchronous twin, half of
all the bytes in the image; the other scripts in bin/ belong to libraries. What is left agrees with
its RECORD files, so that scanners and `pip check` find nothing amiss.
"""

import csv
import shutil
import sys
import sysconfig
from pathlib import Path

SITE = Path(sysconfig.get_path("purelib")).resolve()
BIN = Path(sys.prefix, "bin").resolve()
OURS = {"endpoints-guard", "kubectl-endpoints_guard"}


def unwanted(file: Path) -> bool:
    """Whether an installed file is of no use to the program."""
    return file.is_relative_to(SITE / "kubernetes" / "aio") or (
        file.parent == BIN and file.name not in OURS
    )


def prune(record: Path) -> None:
    """Remove the unwanted files of one distribution."""
    with record.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.reader(lines))
    gone = [row for row in rows if unwanted((SITE / row[0]).resolve())]
    for name, *_ in gone:
        (SITE / name).unlink()
    if gone:
        with record.open("w", newline="", encoding="utf-8") as lines:
            csv.writer(lines, lineterminator="\n").writerows(r for r in rows if r not in gone)


def main() -> None:
    """Prune every distribution, then the venv's own scripts and the folders that are empty now."""
    for record in sorted(SITE.glob("*.dist-info/RECORD")):
        prune(record)
    for script in BIN.iterdir():
        if script.name not in OURS and not script.name.startswith("python"):
            script.unlink()
    shutil.rmtree(SITE / "kubernetes" / "aio")


if __name__ == "__main__":
    main()
