"""The page that is written, from results made for the purpose."""

import re
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace

from tests.bench import document, plot
from tests.bench.results import PARTS, Results
from tests.bench.samples import RUN, leg, results, serving
from tests.bench.serving import GATEKEEPER, SERVERS, WEBHOOK

HEADINGS = {
    "serving": ["Reviews", "Beside a route that does nothing"],
    "writing": ["Whole writes"],
    "syncing": ["Starting in a large cluster"],
    "footprints": ["Beside Gatekeeper in a larger cluster"],
    "auditing": ["Audit"],
}


def headings(page: str) -> list[str]:
    return re.findall(r"^## (.+)$", page, re.MULTILINE)


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without the line below its head."""
    (section,) = re.findall(rf"^## {heading}\n(.+?)(?=^## )", page, re.MULTILINE | re.DOTALL)
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [line.strip("| ").split(" | ") for line in (lines[0], *lines[2:])]


def test_every_part_has_its_section() -> None:
    expected = [heading for part in PARTS for heading in HEADINGS[part]]
    assert headings(document.as_markdown(results())) == ["Targets", *expected, "Method"]


@pytest.mark.parametrize("part", PARTS)
def test_what_was_not_measured_is_left_out(part: str) -> None:
    page = document.as_markdown(replace(results(), **{part: None}))
    assert not set(HEADINGS[part]) & set(headings(page))


def test_the_machine_is_described() -> None:
    page = document.as_markdown(results())
    assert "at commit abc1234: Example 3000, 2 cores, 16 GiB, Linux 6.1, Python 3.11.7" in page
    assert "The load average was 0.2 when it began" in page
    assert "Kubernetes v1.37.2, Gatekeeper v3.23.1, vegeta v12.13.0" in page


def test_a_quick_run_is_not_to_be_trusted() -> None:
    warning = "do not trust a number"
    assert warning not in document.as_markdown(results())
    quick = replace(results(), run=replace(RUN, quick=True))
    assert warning in document.as_markdown(quick)


def test_reviews_are_compared_write_by_write() -> None:
    table = rows(document.as_markdown(results()), "Reviews")
    assert table[0] == [
        *("write", "answers/s", "Gatekeeper", "ratio"),
        *("p50 ms", "Gatekeeper", "ratio", "p99 ms", "Gatekeeper"),
    ]
    assert table[1] == [
        *("Endpoints 2 allowed", "1,961", "490", "4.00×"),
        *("0.51", "2.04", "4.00×", "3.00", "3.00"),
    ]
    assert [row[0] for row in table[1:]] == [
        f"Endpoints {size} {verdict}"
        for size in (2, 20, 100, 1000)
        for verdict in ("allowed", "denied")
    ]


def test_a_range_is_told_where_there_is_one() -> None:
    legs = [
        leg(server=server, round=number, throughput=speed)
        for server, speeds in {WEBHOOK: (200.0, 300.0), GATEKEEPER: (100.0, 100.0)}.items()
        for number, speed in enumerate(speeds)
    ]
    floors = [replace(each, server=s) for each in legs[2:] for s in SERVERS[2:]]
    measured = replace(serving(), legs=(*legs, *floors))
    table = rows(document.as_markdown(Results(run=RUN, serving=measured)), "Reviews")
    assert table[1][3] == "2.50× (2.00–3.00)"


def test_the_floors_are_compared_for_what_is_allowed() -> None:
    table = rows(document.as_markdown(results()), "Beside a route that does nothing")
    assert table[1] == ["Endpoints 2 allowed", "1,961", "2,451", "1.25×", "1,961", "1.00×"]
    assert len(table) == 1 + 4


def test_writes_are_compared_with_nobody_asked() -> None:
    (_, row) = rows(document.as_markdown(results()), "Whole writes")
    assert row == ["slice of 2", "4.00", "3.00", "6.00", "3.00", "12.0", "3.00", "1.50×", "3.00×"]


def test_clusters_are_told_by_size() -> None:
    table = rows(document.as_markdown(results()), "Starting in a large cluster")
    assert table[-1] == [
        "150,000",
        "10,000",
        "5,000",
        "750.0",
        "1.5",
        "206",
        "70",
        "1.25× (1.20–1.30)",
    ]


def test_the_audit_is_told_in_a_sentence() -> None:
    page = document.as_markdown(results())
    assert "read in 1.5 s, judged by every rule in 0.08 s, 125,000 addresses a second" in page


def test_the_picture_has_a_line_for_each_server_and_needs_nothing_from_elsewhere() -> None:
    picture = plot.as_svg(serving())
    root = ET.fromstring(picture)
    assert root.tag.endswith("svg")
    assert all(server in picture for server in SERVERS)
    assert "<script" not in picture
    assert not re.search(r"(?:href|src)=\"https?://", picture)


def test_the_picture_is_the_same_for_the_same_results() -> None:
    assert plot.as_svg(serving()) == plot.as_svg(serving())
