"""docs/coverage.md is what `python -m tests.coverage` prints."""

from pathlib import Path

from tests.coverage.document import as_markdown

ROOT = Path(__file__).parents[2]


def test_the_generated_page_is_current() -> None:
    assert (ROOT / "docs/coverage.md").read_text(encoding="utf-8") == as_markdown()
