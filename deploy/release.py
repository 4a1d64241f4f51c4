"""Decides whether a tag may be released, and writes its notes.

    python -m deploy.release --tag v1.2.3 --notes dist/notes.md

The version stands in the code, in the chart and in the changelog. A release in which they disagree
would be found out by users, so it ends here: exit 2, naming the file and what it should say.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Final

import yaml

from webhook import __version__

ROOT: Final = Path(__file__).parents[1]


class NotReleasable(ValueError):
    """The tag is not what the files say; the message names the first file that disagrees."""


def notes(tag: str, root: Path = ROOT, *, code: str = __version__) -> str:
    """The notes of this tag, Markdown, from the changelog. Raises `NotReleasable`."""
    version = tag.removeprefix("v")
    if not re.fullmatch(r"v\d+\.\d+\.\d+((a|b|rc)\d+)?", tag):
        raise NotReleasable(f"the tag is {tag}: it must look like v1.2.3 or v1.2.3rc1")
    if code != version:
        raise NotReleasable(f"webhook/__init__.py says {code}: let __version__ be {version}")
    chart = yaml.safe_load((root / "charts/endpoints-guard/Chart.yaml").read_text(encoding="utf-8"))
    for key in ("version", "appVersion"):
        if str(chart[key]) != version:
            raise NotReleasable(f"Chart.yaml says {key}: {chart[key]}: let it be {version}")
    return _section((root / "CHANGELOG.md").read_text(encoding="utf-8"), version)


def _section(changelog: str, version: str) -> str:
    """What stands under the heading of a version."""
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |^\[.*\]: |\Z)"
    found = re.search(heading, changelog, re.MULTILINE | re.DOTALL)
    if found is None or not found[1].strip():
        raise NotReleasable(
            f"CHANGELOG.md has nothing under [{version}]: rename [Unreleased] to "
            f"[{version}] - YYYY-MM-DD, and begin a new [Unreleased]"
        )
    return found[1].strip() + "\n"


def main() -> None:
    """Check the tag of the command line and write its notes."""
    parser = argparse.ArgumentParser(prog="python -m deploy.release", description=__doc__)
    parser.add_argument("--tag", required=True)
    parser.add_argument("--notes", type=Path, required=True, help="file to write")
    given = parser.parse_args()
    try:
        text = notes(given.tag)
    except NotReleasable as problem:
        sys.stderr.write(f"not releasable: {problem}\n")
        sys.exit(2)
    given.notes.parent.mkdir(parents=True, exist_ok=True)
    given.notes.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
