"""Workflow commands of GitHub Actions."""

import pytest

from tests.core.formats.samples import (
    AUDIT,
    AUDITED,
    CHECK,
    CLEAN,
    EMPTY,
    FIELD,
    FROM_FILE,
    HOSTILE,
    hostile,
)
from webhook.core.formats.github_annotations import render
from webhook.core.rules import RULES


def test_a_finding_in_a_file_points_at_its_line() -> None:
    assert (
        render(FROM_FILE, CHECK)
        == f"""\
::error file=app/a b.yaml,line=19,title=EG201 pod-not-selected::\
Endpoints shop/web {FIELD}: 10.0.7.8 is no Pod of yours (a detail)%0A{RULES["EG201"].remedy}
::warning file=app/a b.yaml,line=12,title=EG101 no-service::\
Endpoints shop/web metadata.name: there is no Service%0A{RULES["EG101"].remedy}
"""
    )


def test_the_gravest_come_first_and_what_was_not_read_is_an_error() -> None:
    """GitHub shows ten of each level."""
    lines = render(AUDITED, AUDIT).splitlines()
    assert [line.partition("title=")[0] for line in lines] == [
        "::error ",
        "::warning ",
        "::warning ",
        "::notice ",
        "::notice ",
        "::error ",
        "::error ",
    ]
    assert lines[4] == (
        "::notice title=EG507 external-address::lab: ClusterRoleBinding everybody subjects[0]: "
        f"Group everybody may write endpoints%0A{RULES['EG507'].remedy}"
    )
    assert lines[5] == "::error title=Pods of lab not judged::pods is forbidden"


def test_nothing_wrong_says_nothing() -> None:
    assert render(EMPTY, CHECK) == render(CLEAN, AUDIT) == ""


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_every_line_is_one_command_of_ours(text: str) -> None:
    lines = render(hostile(text), CHECK).splitlines()
    assert len(lines) == 8
    for line in lines:
        command, properties, message = line.removeprefix("::").partition("::")[0], "", ""
        level, _, properties = command.partition(" ")
        message = line.partition("::")[2].partition("::")[2]
        keys = [each.partition("=")[0] for each in properties.split(",")]
        assert level in ("error", "warning", "notice")
        assert keys in (["title"], ["file", "line", "title"])
        assert message


def test_characters_with_a_meaning_are_escaped() -> None:
    line = render(hostile("50%: a, b::c"), CHECK).splitlines()[0]
    assert line == (
        "::error file=50%25%3A a%2C b%3A%3Ac,line=1,title=EG302 target-ref-namespace::"
        "50%25: a, b::c: Endpoints 50%25: a, b::c/50%25: a, b::c 50%25: a, b::c: "
        "50%25: a, b::c (50%25: a, b::c); to mend it, run: 50%25: a, b::c"
        f"%0A{RULES['EG302'].remedy}"
    )
