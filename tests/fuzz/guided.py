"""`python -m tests.fuzz.guided TARGET FOLDER [options of libFuzzer]`: one target under Atheris.

FOLDER keeps the inputs that reached something new, for the next run. A file instead of a folder is
tried once: so a crash is seen again.
"""

import logging
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["webhook", "gunicorn.http", "werkzeug"]):
    from tests.fuzz.targets import TARGETS


def main(name: str, where: Path, options: list[str]) -> None:
    """Never returns: libFuzzer ends the process, with 77 when it has found something."""
    logging.getLogger().addHandler(logging.NullHandler())  # Else what is denied is told.
    target = TARGETS[name]
    if not where.is_file():
        _plant(where, name)
    atheris.Setup([sys.argv[0], str(where), *options], target.run)
    atheris.Fuzz()


def _plant(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        (folder / f"seed-{number}").write_bytes(seed)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
