"""Values that the documents show are values that the chart takes, with every helm."""

from pathlib import Path

import pytest
import yaml

from tests.chart.helm import MAJORS, Helm
from tests.docs.pages import PAGES, File, steps

FILES = [
    step
    for page in PAGES
    for step in steps(page)
    if isinstance(step, File) and step.name.endswith("values.yaml")
]


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_values_of_the_documents_can_be_rendered(file: File, major: str, tmp_path: Path) -> None:
    helm = Helm(major, tmp_path)
    plain = helm.rendered()
    shown = helm.rendered(yaml.safe_load(file.text))
    assert shown.objects != plain.objects
