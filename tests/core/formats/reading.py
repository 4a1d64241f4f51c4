"""Every format read back, as a reader of its own kind would: which findings does it tell?"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree as ET

import yaml
from markdown_it import MarkdownIt

from webhook.core.report import Report

Told = tuple[str, str, str, str]
"""Rule, action, field and message."""


def told(report: Report) -> Counter[Told]:
    """What there is to tell."""
    return Counter(
        (f.rule.code, str(f.action), f.violation.field, f.violation.message)
        for judged in report.objects
        for f in judged.findings
    )


def read(format_: str, text: str) -> Counter[Told]:
    """What a format tells. A message is read without its detail."""
    return Counter(_READERS[format_](text))


def _text(text: str) -> Iterator[Told]:
    lines = text.split("\n")
    for line, after in pairwise(lines):
        match = re.fullmatch(r" +(deny|warn|audit) +(EG\d+) [a-z-]+ at (.*)", line)
        if match:
            field = match[3].removesuffix(" (was there before)")
            yield match[2], match[1], field, after.strip()


def _values(document: dict) -> Iterator[Told]:  # type: ignore[type-arg]
    for each in document["objects"]:
        for found in each["findings"]:
            yield found["rule"], found["action"], found["field"], found["message"]


_SARIF_LEVELS = {"error": "deny", "warning": "warn", "note": "audit", "notice": "audit"}


def _sarif(text: str) -> Iterator[Told]:
    (run,) = json.loads(text)["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        remedy = rules[result["ruleIndex"]]["help"]["text"].rpartition("\n")[2]
        said = result["message"]["text"].removesuffix(f". {remedy}")
        _, _, after = said.partition(" ")
        yield result["ruleId"], _SARIF_LEVELS[result["level"]], *_field_and_message(after)


def _field_and_message(said: str) -> tuple[str, str]:
    """Of `NAME FIELD: MESSAGE`; neither name nor field has a space or a colon here."""
    field, _, message = said.partition(" ")[2].partition(": ")
    return field, message


def _junit(text: str) -> Iterator[Told]:
    for case in ET.fromstring(text).iter("testcase"):
        for outcome in (*case.iter("failure"), *case.iter("skipped")):
            rule, _, field = case.attrib["name"].partition(" at ")
            action, _, message = (outcome.text or "").partition("\n")[0].partition(": ")
            assert outcome.get("message") in (None, f"{action}: {message}")
            yield rule.split()[0], action, field, message


def _markdown(text: str) -> Iterator[Told]:
    for row in cells(text):
        action = row[0].rpartition(" ")[2]
        if action in ("deny", "warn", "audit"):
            yield row[1].split()[0], action, row[3], row[4]


def cells(document: str) -> Iterator[list[str]]:
    """The text of each row of each table, as GitHub's readers see it."""
    row: list[str] = []
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(document):
        if token.type == "tr_open":
            row = []
        elif token.type == "inline":
            children = token.children or []
            text = "".join(child.content for child in children if child.type in _SHOWN)
            row.append(text.replace("\u200b", ""))
        elif token.type == "tr_close":
            yield row


_SHOWN = ("text", "text_special")


def _github(text: str) -> Iterator[Told]:
    for line in text.splitlines():
        match = re.fullmatch(r"::(error|warning|notice) (.*?)::(.*)", line)
        assert match, line
        title = re.search(r"title=(EG\d+) ", match[2])
        if title:
            message = _unescaped(match[3]).partition("\n")[0]
            after = message.partition(" ")[2]
            yield title[1], _SARIF_LEVELS.get(match[1], "warn"), *_field_and_message(after)


def _unescaped(data: str) -> str:
    return data.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")


class _Rows(HTMLParser):
    """The rows of the table of findings, each value by the class of its element."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[dict[str, str]] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = (dict(attrs).get("class") or "").partition(" ")[0]
        if tag == "tr" and "found" in self._open:
            self.rows.append({})
        if tag not in ("meta", "br", "input", "circle", "rect"):
            self._open.append(name)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("circle", "rect"):
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self.rows and "found" in self._open:
            self.rows[-1][self._open[-1]] = self.rows[-1].get(self._open[-1], "") + data


def _html(text: str) -> Iterator[Told]:
    reader = _Rows()
    reader.feed(text)
    for row in reader.rows:
        if "action" in row:
            yield row["code"], row["action"], row["field"], row["message"]


_READERS: dict[str, Callable[[str], Iterator[Told]]] = {
    "text": _text,
    "json": lambda text: _values(json.loads(text)),
    "yaml": lambda text: _values(yaml.safe_load(text)),
    "sarif": _sarif,
    "junit": _junit,
    "markdown": _markdown,
    "github": _github,
    "html": _html,
}
