"""Markdown as GitHub renders it."""

from collections.abc import Iterator

import pytest
from markdown_it import MarkdownIt

from tests.core.formats.reading import cells
from tests.core.formats.samples import (
    AUDIT,
    AUDITED,
    CHECK,
    CLEAN,
    EMPTY,
    FROM_FILE,
    HOSTILE,
    finding,
    hostile,
    judged,
)
from webhook.core.decision import Verdict
from webhook.core.formats.markdown import render
from webhook.core.report import Report
from webhook.core.rule import Action, Violation
from webhook.core.rules import RULES

PAGE = "https://github.com/endpoints-guard/endpoints-guard/blob/main/docs/rules.md"


def test_the_totals_the_rules_and_a_table_for_each_namespace() -> None:
    assert (
        render(FROM_FILE, CHECK)
        == f"""\
## endpoints-guard check

1 object: 1 denied, 0 warned.

| rule | deny | warn | audit | remedy |
| --- | ---: | ---: | ---: | --- |
| [EG201 pod-not-selected]({PAGE}#eg201) | 1 | 0 | 0 | {RULES["EG201"].remedy} |
| [EG101 no-service]({PAGE}#eg101) | 0 | 1 | 0 | {RULES["EG101"].remedy} |

### Namespace shop

| | rule | object | field | what is wrong |
| --- | --- | --- | --- | --- |
| 🔴 deny | [EG201 pod-not-selected]({PAGE}#eg201) | Endpoints web<br>app/a b.yaml&#58;19 \
| subsets&#91;0&#93;.addresses&#91;0&#93;.ip | 10.0.7.8 is no Pod of yours (a detail) |
| 🟡 warn | [EG101 no-service]({PAGE}#eg101) | Endpoints web<br>app/a b.yaml&#58;12 \
| metadata.name | there is no Service |
"""
    )


@pytest.mark.parametrize(
    ("report", "said"),
    [(EMPTY, "Nothing found in 0 objects."), (CLEAN, "Nothing found in 1 object.")],
    ids=["no object", "an object"],
)
def test_nothing_found_is_one_line(report: Report, said: str) -> None:
    assert render(report, CHECK) == f"## endpoints-guard check\n\n✅ {said}\n"


def test_the_worst_namespace_of_all_clusters_comes_first_and_what_was_not_read_last() -> None:
    headings = [line for line in render(AUDITED, AUDIT).splitlines() if line.startswith("###")]
    assert headings == [
        "### prod: Namespace shop",
        "### lab: Whole cluster",
        "### prod: Namespace calm",
        "### Could not be read",
    ]
    assert list(cells(render(AUDITED, AUDIT)))[-2:] == [
        ["Pods of lab, not judged", "pods is forbidden"],
        ["EndpointSlices, not judged", "timed out"],
    ]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_others_wrote_is_no_markup(text: str) -> None:
    """No HTML but line breaks and code, no link but those to the rules, no picture, no emphasis."""
    made = render(hostile(text), AUDIT)
    allowed = {"text", "text_special", "link_open", "link_close", "html_inline"}
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(made):
        for child in token.children or []:
            assert child.type in allowed
            assert child.type != "html_inline" or child.content in ("<br>", "<code>", "</code>")
            assert child.type != "link_open" or str(child.attrs["href"]).startswith(PAGE)
    assert len([row for row in cells(made) if row[0].endswith("deny")]) == 2


@pytest.mark.parametrize("text", ["@octocat", "see #1", "http://evil.example", "www.evil.example"])
def test_github_makes_neither_mention_nor_link_of_it(text: str) -> None:
    """It looks for them in what is left when the markup is gone, code excepted."""
    shown = "".join(_texts(render(hostile(text), CHECK)))
    assert not [each for each in ("@o", "#1", "://", "www.") if each in shown]


def _texts(document: str) -> Iterator[str]:
    in_code = False
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(document):
        for child in token.children or []:
            if child.type == "html_inline":
                in_code = child.content == "<code>"
            elif child.type.startswith("text") and not in_code:
                yield child.content


def test_a_command_can_be_copied_as_it_is() -> None:
    command = "kubectl delete clusterrolebinding -- 'a|b@c www.d <e> `f` https://g'"
    violation = Violation("subjects[0]", "it may write", command=command)
    its = finding("EG604", Action.AUDIT, violation)
    report = Report(objects=(judged("web", Verdict.ALLOW, its),))
    row = list(cells(render(report, AUDIT)))[-1]
    assert row[4] == f"it may write{command}"
    assert "\u200b" not in render(report, AUDIT)
