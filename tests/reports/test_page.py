"""The HTML page in a real browser: what a reader sees, sorts, filters, and what cannot happen."""

import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.core.formats.samples import AUDIT, AUDITED, CLEAN, EMPTY, HOSTILE, REPORT, found, hostile
from tests.reports.attacked import report
from tests.reports.chromium import Browser, browser
from tests.reports.published import AXE, content
from webhook.core.decision import Finding
from webhook.core.formats.html_charts import where
from webhook.core.formats.html_page import render
from webhook.core.objects import ObjectRef
from webhook.core.report import Report
from webhook.core.rule import Action, Violation
from webhook.core.rules import RULES

ATTACKED = report()
FINDINGS = [(judged, finding) for judged in ATTACKED.objects for finding in judged.findings]
Show = Callable[[Report], Browser]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as its:
        yield its


@pytest.fixture
def show(chromium: Browser, tmp_path: Path) -> Show:
    def shown(report: Report) -> Browser:
        return show_text(chromium, tmp_path, render(report, AUDIT))

    return shown


def show_text(chromium: Browser, folder: Path, text: str) -> Browser:
    page = folder / "report.html"
    page.write_text(text, encoding="utf-8")
    chromium.driver.set_window_size(1280, 1000)
    chromium.open(page)
    return chromium


ROWS = """
return [...document.querySelectorAll(".found tbody tr")].filter((row) => !row.hidden)
  .map((row) => [...row.cells].map((cell) => cell.innerText.replace(/\\s+/g, " ").trim()));
"""


def rows(page: Browser) -> list[list[str]]:
    """The cells of the rows that can be seen, from top to bottom."""
    listed: list[list[str]] = page.run(ROWS)
    return listed


def column(page: Browser, index: int) -> list[str]:
    return [row[index] for row in rows(page)]


def click(page: Browser, selector: str, text: str = "") -> None:
    """Click as a person does, and fail if something else is in the way."""
    for element in page.driver.find_elements("css selector", selector):
        if text in element.text:
            page.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
            element.click()
            return
    raise AssertionError(f"there is no {selector} {text}")


def type_into(page: Browser, text: str) -> None:
    field = page.driver.find_element("css selector", "[name=query]")
    field.clear()
    field.send_keys(text)


def choose(page: Browser, name: str, value: str) -> None:
    page.run(
        "const select = document.querySelector(arguments[0]); select.value = arguments[1];"
        "select.dispatchEvent(new Event('input', {bubbles: true}))",
        f"[name={name}]",
        value,
    )


# --- What it shows


def test_every_finding_is_a_row_and_the_gravest_come_first(show: Show) -> None:
    page = show(ATTACKED)
    told = Counter((row[0], row[1].split()[0], row[2]) for row in rows(page))
    assert told == Counter(
        (str(f.action), f.rule.code, where("", judged.ref.namespace)) for judged, f in FINDINGS
    )
    order = ["deny", "warn", "audit"]
    assert column(page, 0) == sorted(column(page, 0), key=order.index)


def test_the_charts_show_the_numbers_of_the_report(show: Show) -> None:
    page = show(ATTACKED)
    tables: list[list[list[str]]] = page.run(
        "return [...document.querySelectorAll('figure')].map((figure) =>"
        " [...figure.querySelectorAll('tr')].map((row) =>"
        "  [row.querySelector('th').textContent, row.lastChild.textContent]))"
    )
    by_action, by_rule, by_namespace = ({name: int(n) for name, n in each} for each in tables)
    assert by_action == Counter(str(f.action) for _, f in FINDINGS)
    assert by_rule == Counter(f"{f.rule.code} {f.rule.slug}" for _, f in FINDINGS)
    assert by_namespace == Counter(where("", judged.ref.namespace) for judged, _ in FINDINGS)


def test_the_drawings_agree_with_the_numbers(show: Show) -> None:
    page = show(ATTACKED)
    bars: list[tuple[int, dict[str, float]]] = page.run(
        "return [...document.querySelectorAll('.bars tr')].map((row) =>"
        " [Number(row.lastChild.textContent), Object.fromEntries("
        "  [...row.querySelectorAll('rect')].map((r) => [r.getAttribute('class'),"
        "   r.getBoundingClientRect().width / r.ownerSVGElement.getBoundingClientRect().width]))])"
    )
    drawn = [(number, sum(parts.values())) for number, parts in bars if parts]
    most = max(number for number, _ in drawn)
    visible = [each for each in drawn if each[1]]
    assert len(visible) >= 10
    for number, width in visible[:10]:
        assert width == pytest.approx(number / visible[0][0], abs=0.01)
    assert most == max(Counter(where("", judged.ref.namespace) for judged, _ in FINDINGS).values())
    dashes: list[str] = page.run(
        "return [...document.querySelectorAll('.ring circle[class]')]"
        ".map((c) => c.getAttribute('stroke-dasharray'))"
    )
    shares = [float(dash.split()[0]) for dash in dashes]
    counts = Counter(f.action for _, f in FINDINGS)
    expected = [100 * counts[a] / len(FINDINGS) for a in Action if counts[a]]
    assert shares == pytest.approx(expected, abs=0.01)


def test_the_totals_are_those_of_the_report(show: Show) -> None:
    page = show(AUDITED)
    totals = page.run(
        "return Object.fromEntries([...document.querySelectorAll('.numbers div')].map((each) =>"
        " [each.querySelector('dt').textContent, each.querySelector('dd').textContent]))"
    )
    assert totals == {
        "objects would be denied": "1",
        "objects warned about": "1",
        "objects allowed": "3",
        "findings": "5",
        "known findings hidden": "3",
    }
    unread = page.driver.find_elements("css selector", ".unread li")
    assert [each.text for each in unread] == [
        "Pods of lab, not judged: pods is forbidden",
        "EndpointSlices, not judged: timed out",
    ]


def test_nothing_found_is_said(show: Show) -> None:
    for its, said in ((EMPTY, "0 objects"), (CLEAN, "1 object")):
        page = show(its)
        assert (
            page.run("return document.querySelector('.lead').textContent")
            == f"Nothing found in {said}."
        )
        assert rows(page) == []
        assert page.errors() == []


# --- Sorting and filtering


def test_a_column_sorts_both_ways_and_says_so(show: Show) -> None:
    page = show(ATTACKED)
    for index, title in enumerate(("Action", "Rule", "Namespace", "Object")):
        key = ["deny", "warn", "audit"].index if title == "Action" else _natural
        before = column(page, index)
        for direction, reverse in (("ascending", False), ("descending", True)):
            click(page, ".found th button", title)
            assert column(page, index) == sorted(before, key=key, reverse=reverse)
            header = f".found th:nth-child({index + 1})"
            assert (
                page.driver.find_element("css selector", header).get_attribute("aria-sort")
                == direction
            )
    assert len(page.driver.find_elements("css selector", "[aria-sort]")) == 1


def _natural(text: str) -> list[tuple[int, str]]:
    """Numbers in a text by their value: web-2 before web-10."""
    return [
        (int(part), "") if part.isdigit() else (0, part.casefold())
        for part in re.split(r"(\d+)", text)
    ]


def test_searching_narrows_to_what_holds_the_text(show: Show) -> None:
    page = show(ATTACKED)
    type_into(page, "KUBELETS")
    assert {row[3] for row in rows(page)} == {"kubelets Endpoints"}
    assert page.driver.find_element("css selector", "output").text == (
        f"3 of {len(FINDINGS)} shown"
    )
    type_into(page, "no such thing")
    assert rows(page) == []
    click(page, "form button")
    assert len(rows(page)) == len(FINDINGS)


def test_rule_namespace_and_action_narrow_together(show: Show) -> None:
    page = show(ATTACKED)
    choose(page, "rule", "EG501 foreign-pod")
    everywhere = set(column(page, 2))
    choose(page, "namespace", "checkout")
    assert everywhere == {"checkout", "sandbox"}
    assert {(row[1], row[2]) for row in rows(page)} == {("EG501 foreign-pod", "checkout")}
    click(page, "[value=deny]")
    assert rows(page) == []
    click(page, "form button")
    click(page, "[value=deny]")
    click(page, "[value=warn]")
    assert set(column(page, 0)) == {"audit"}


def test_what_is_sorted_stays_filtered(show: Show) -> None:
    page = show(ATTACKED)
    choose(page, "namespace", "sandbox")
    before = sorted(column(page, 3), key=_natural)
    click(page, ".found th button", "Object")
    assert column(page, 3) == before


def test_a_bar_leads_to_its_findings(show: Show) -> None:
    page = show(ATTACKED)
    click(page, ".bars a", "EG502 node-address")
    assert {row[1] for row in rows(page)} == {"EG502 node-address"}
    click(page, ".bars a", "mail")
    assert set(column(page, 2)) == {"mail"}


def test_everything_works_from_the_keyboard(show: Show) -> None:
    page = show(ATTACKED)
    reached = set()
    for _ in range(60):
        page.driver.switch_to.active_element.send_keys("\ue004")
        reached.add(page.run("return document.activeElement.tagName"))
    assert {"A", "INPUT", "SELECT", "BUTTON", "SUMMARY"} <= reached
    page.run("document.querySelector('.found th:nth-child(3) button').focus()")
    page.driver.switch_to.active_element.send_keys("\ue007")
    assert column(page, 2) == sorted(column(page, 2))


def test_without_script_it_is_whole(show: Show) -> None:
    page = show(EMPTY)
    page.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page = show(ATTACKED)
        assert len(rows(page)) == len(FINDINGS)
        assert not page.driver.find_element("css selector", "form").is_displayed()
        assert page.driver.find_elements("css selector", ".found th button") == []
    finally:
        page.command("Emulation.setScriptExecutionDisabled", value=False)


def many(number: int) -> Report:
    violation = Violation("subsets[0].addresses[0].ip", "10.0.0.1 belongs to somebody else")
    codes = list(RULES)
    return Report(
        objects=tuple(
            found(
                ObjectRef("Endpoints", f"ns-{index % 97}", f"web-{index}"),
                Finding(RULES[codes[index % len(codes)]], list(Action)[index % 3], violation),
            )
            for index in range(number)
        )
    )


def test_ten_thousand_findings_sort_and_filter(show: Show) -> None:
    page = show(many(10_000))
    assert len(rows(page)) == 10_000
    click(page, ".found th button", "Object")
    assert column(page, 3) == [f"web-{index} Endpoints" for index in range(10_000)]
    type_into(page, "web-777")
    assert column(page, 3) == [
        f"web-{index} Endpoints" for index in range(10_000) if "web-777" in f"web-{index}"
    ]
    assert page.errors() == []


# --- What cannot happen


def test_the_page_asks_for_nothing_and_complains_of_nothing(show: Show) -> None:
    for its in (ATTACKED, AUDITED, REPORT, EMPTY):
        page = show(its)
        assert [url.partition(":")[0] for url in page.requests()] == ["file"]
        assert page.errors() == []


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_others_wrote_is_text_only(show: Show, text: str) -> None:
    page = show(hostile(text))
    assert len(rows(page)) == 6
    assert (
        page.run(
            "return [...document.querySelectorAll('*')].filter((each) =>"
            " ['IMG', 'IFRAME', 'OBJECT', 'EMBED', 'LINK', 'BASE'].includes(each.tagName)"
            " || each.getAttributeNames().some((name) => name.startsWith('on') || name === 'style')"
            ").length"
        )
        == 0
    )
    assert page.run("return [document.scripts.length, document.styleSheets.length]") == [1, 1]
    links: list[str] = page.run(
        "return [...document.links].map((link) => link.getAttribute('href'))"
    )
    assert [href for href in links if not href.startswith(("#", "https://github.com/"))] == []
    assert [url.partition(":")[0] for url in page.requests()] == ["file"]
    assert page.errors() == []


def test_hostile_text_arrives_as_it_is(show: Show) -> None:
    text = HOSTILE["the end of a script"]
    page = show(hostile(text))
    assert page.driver.find_element("css selector", ".message").text == text


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    """A server which the page must not ask for anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def received(listening: socket.socket) -> bytes:
    """Chromium connects to a frame's host before it asks whether the frame is allowed."""
    try:
        connection, _ = listening.accept()
        with connection:
            connection.setblocking(False)
            return connection.recv(1000)
    except BlockingIOError:
        return b""


INJECTED = {
    "a script": "<script>document.title = 'taken over'</script>",
    "a handler": "<svg onload=\"document.title = 'taken over'\"></svg>",
    "a picture": "<img src='http://127.0.0.1:PORT/'>",
    "a style": "<style>body { display: none }</style>",
    "a frame": "<iframe src='http://127.0.0.1:PORT/'></iframe>",
}


@pytest.mark.parametrize("markup", INJECTED.values(), ids=INJECTED)
def test_even_markup_in_the_page_could_do_nothing(
    chromium: Browser, tmp_path: Path, stranger: socket.socket, markup: str
) -> None:
    """The page's own policy stands behind the escaping."""
    markup = markup.replace("PORT", str(stranger.getsockname()[1]))
    text = render(ATTACKED, AUDIT).replace("<main>", f"<main>{markup}", 1)
    page = show_text(chromium, tmp_path, text)
    assert page.run("return document.title").startswith("Endpoints audit")
    assert page.run("return getComputedStyle(document.body).display") == "block"
    assert received(stranger) == b""
    assert any("Content Security Policy" in error for error in page.errors())


# --- For everybody


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 420])
def test_it_is_accessible(show: Show, scheme: str, width: int) -> None:
    """axe-core: names, roles, contrast, headings, landmarks."""
    page = show(AUDITED if width == 420 else ATTACKED)
    page.colours(scheme)
    page.driver.set_window_size(width, 1000)
    page.run(content(AXE))
    violations: list[str] = page.driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run().then((r) => done(r.violations.map((v) =>"
        " v.id + ': ' + v.nodes.map((n) => n.html + n.failureSummary).slice(0, 3).join(' | '))))"
    )
    assert violations == []


def test_it_prints_in_light_colours_with_nothing_to_click(show: Show) -> None:
    page = show(ATTACKED)
    page.command("Emulation.setEmulatedMedia", media="print")
    try:
        ground = page.run("return getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        assert not page.driver.find_element("css selector", "form").is_displayed()
        assert len(rows(page)) == len(FINDINGS)
    finally:
        page.command("Emulation.setEmulatedMedia", media="")


def test_nothing_hangs_over_the_edge_of_a_narrow_screen(show: Show) -> None:
    page = show(ATTACKED)
    page.command(
        "Emulation.setDeviceMetricsOverride",
        width=360,
        height=800,
        deviceScaleFactor=1,
        mobile=False,
    )
    try:
        assert page.run("return document.documentElement.scrollWidth") <= 360
    finally:
        page.command("Emulation.clearDeviceMetricsOverride")
