"""A tag is released only if code, chart and changelog say the same."""

from pathlib import Path

import pytest

from deploy.release import NotReleasable, notes

CHANGELOG = """\
# Changelog

## [Unreleased]

### Added
- not yet

## [1.2.3] - 2026-11-25

### Fixed

- what was broken

## [1.2.2] - 2026-11-01

- older

[1.2.3]: https://example.com
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The files of a project whose version is 1.2.3."""
    (tmp_path / "charts/endpoints-guard").mkdir(parents=True)
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    change(tmp_path)
    return tmp_path


def change(root: Path, version: str = "1.2.3", app: str = "1.2.3") -> None:
    chart = root / "charts/endpoints-guard/Chart.yaml"
    chart.write_text(f"version: {version}\nappVersion: {app}\n")


def test_the_notes_are_the_versions_part_of_the_changelog(root: Path) -> None:
    assert notes("v1.2.3", root, code="1.2.3") == "### Fixed\n\n- what was broken\n"


@pytest.mark.parametrize("tag", ["1.2.3", "v1.2", "v1.2.3-rc1", "v1.2.3 ", "vx.y.z", "main"])
def test_a_tag_has_the_form_of_a_version(tag: str, root: Path) -> None:
    with pytest.raises(NotReleasable, match=r"it must look like v1\.2\.3"):
        notes(tag, root, code="1.2.3")


def test_the_code_must_have_the_tags_version(root: Path) -> None:
    with pytest.raises(NotReleasable, match=r"webhook/__init__\.py says 1\.2\.4"):
        notes("v1.2.3", root, code="1.2.4")


@pytest.mark.parametrize(
    ("key", "version", "app"), [("version", "1.2.4", "1.2.3"), ("appVersion", "1.2.3", "1.2.4")]
)
def test_the_chart_must_have_the_tags_version(key: str, version: str, app: str, root: Path) -> None:
    change(root, version, app)
    with pytest.raises(NotReleasable, match=rf"Chart\.yaml says {key}: 1\.2\.4"):
        notes("v1.2.3", root, code="1.2.3")


def test_the_changelog_must_have_the_tags_version(root: Path) -> None:
    text = (root / "CHANGELOG.md").read_text()
    (root / "CHANGELOG.md").write_text(text.replace("[1.2.3] - 2026-11-25", "[1.2.3]"))
    with pytest.raises(NotReleasable, match=r"nothing under \[1\.2\.3\]"):
        notes("v1.2.3", root, code="1.2.3")
