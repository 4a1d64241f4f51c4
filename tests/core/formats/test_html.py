"""The HTML page as a document. `make reports` opens it in a browser."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from tests.core.formats.samples import (
    AUDIT,
    AUDITED,
    CHECK,
    CLEAN,
    EMPTY,
    FROM_FILE,
    HOSTILE,
    REPORT,
    hostile,
)
from webhook.core.formats.html_page import render
from webhook.core.report import Report

VOID = frozenset({"meta", "br", "input"})


class Outline(HTMLParser):
    """Tags with their attributes, and whether everything that opens closes again."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def count(self, tag: str) -> int:
        return sum(each == tag for each, _ in self.tags)


REPORTS = {
    "nothing": EMPTY,
    "an object without findings": CLEAN,
    "an unreadable file": REPORT,
    "a place in a file": FROM_FILE,
    "several clusters": AUDITED,
    **{f"hostile: {name}": hostile(text) for name, text in HOSTILE.items()},
}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_the_page_is_well_formed_and_holds_one_style_one_script_and_nothing_from_outside(
    report: Report,
) -> None:
    outline = Outline(render(report, AUDIT))
    assert outline.open == []
    assert (outline.count("style"), outline.count("script")) == (1, 1)
    assert {tag for tag, _ in outline.tags}.isdisjoint({"img", "link", "iframe", "object", "base"})
    for _, attributes in outline.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert (attributes.get("href") or "#").startswith(("#", "https://github.com/"))
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_its_policy_allows_just_its_own_style_and_script() -> None:
    text = render(AUDITED, AUDIT)
    (policy,) = (
        attributes["content"]
        for _, attributes in Outline(text).tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == (
        f"default-src 'none'; style-src {digest(text, 'style')}; "
        f"script-src {digest(text, 'script')}; base-uri 'none'; form-action 'none'"
    )


def digest(page: str, tag: str) -> str:
    (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


TITLES: dict[str, tuple[Report, str]] = {
    "nothing": (EMPTY, "Endpoints check: nothing found in 0 objects"),
    "findings": (FROM_FILE, "Endpoints check: 1 denied and 0 warned of 1 object"),
    "something unreadable": (REPORT, "Endpoints check: 1 denied and 1 warned of 4 objects"),
}


@pytest.mark.parametrize(("report", "title"), TITLES.values(), ids=TITLES)
def test_the_title_says_how_it_is(report: Report, title: str) -> None:
    assert f"<title>{title}</title>" in render(report, CHECK)


def test_a_finding_leads_to_what_its_rule_means() -> None:
    outline = Outline(render(AUDITED, AUDIT))
    ids = {attributes.get("id") for _, attributes in outline.tags}
    targets = {
        (attributes["href"] or "").removeprefix("#")
        for tag, attributes in outline.tags
        if tag == "a" and (attributes["href"] or "").startswith("#")
    }
    assert {"EG201", "EG507"} <= targets
    assert targets <= ids


def test_the_place_in_a_file_is_shown() -> None:
    page = render(FROM_FILE, CHECK)
    assert '<span class="place">app/a b.yaml:19</span>' in page
    assert '<span class="place">app/a b.yaml:12</span>' in page
