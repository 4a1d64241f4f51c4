"""YAML as Kubernetes reads it, and the line at which a key stands."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.cluster.documents import NotYaml, lines_of, load_document

READ: dict[str, tuple[str, Any]] = {
    "nothing": ("", None),
    "a comment": ("# nothing", None),
    "a map": ("a: {b: [1, true, null, x]}", {"a": {"b": [1, True, None, "x"]}}),
    "JSON": ('{"a": ["x", 1.5]}', {"a": ["x", 1.5]}),
    "a date is text": ("expires: 2027-01-31", {"expires": "2027-01-31"}),
    "a time is text": ("at: 2026-11-23T12:00:00Z", {"at": "2026-11-23T12:00:00Z"}),
    "a date in a list": ("[2027-01-31]", ["2027-01-31"]),
    "an address is text": ("ip: 10.0.0.1", {"ip": "10.0.0.1"}),
    "a padded address is text": ("ip: 010.0.0.1", {"ip": "010.0.0.1"}),
    "an IPv6 address is text": ("ip: fd00::1", {"ip": "fd00::1"}),
    "an anchor": ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
}


@pytest.mark.parametrize(("text", "data"), READ.values(), ids=READ)
def test_a_document_is_plain_data(text: str, data: Any) -> None:
    assert load_document(text) == data


NOT_YAML = {
    "a wrong bracket": ("a: 1\nb: [1, 2}\n", "line 2: "),
    "a bad indentation": ("a:\n  b: 1\n c: 2", "line 3: "),
    "a tab": ("a:\n\t- 1", "line 2: "),
    "an unknown anchor": ("a: *x", "line 1: "),
    "two documents": ("a: 1\n---\nb: 2", "line 2: "),
    "an object of Python": ("!!python/object/apply:os.system ['true']", "line 1: "),
    "a key that is a list": ("? [a]\n: b", "line 1: "),
    "a control character": ("a: \x00", ""),
}


@pytest.mark.parametrize(("text", "place"), NOT_YAML.values(), ids=NOT_YAML)
def test_what_is_no_yaml_is_told_with_its_line(text: str, place: str) -> None:
    with pytest.raises(NotYaml, match=f"^not YAML or JSON: {place}"):
        load_document(text)


def test_the_line_is_that_of_the_file() -> None:
    with pytest.raises(NotYaml, match="line 12: "):
        load_document("a: }", lines_before=11)


def test_aliases_do_not_multiply() -> None:
    """A few hundred bytes that stand for a billion values; whoever reads them all never ends."""
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
    with pytest.raises(NotYaml, match="alias"):
        load_document("a0: &a0 x\n" + levels)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(NotYaml):
        load_document(text)


POLICY = """\
# a comment
rules:
  EG201: deny
  EG203:
    off
namespaces:
  shop: {rules: {EG502: warn}}
exemptions:
- reason: first
  users: [a]

- reason: second
  users:
  - a
  - b
"""
LINES = {
    "": 2,
    "rules": 2,
    "rules.EG201": 3,
    "rules.EG203": 4,
    "namespaces.shop.rules.EG502": 7,
    "exemptions": 8,
    "exemptions[0]": 9,
    "exemptions[0].users": 10,
    "exemptions[1]": 12,
    "exemptions[1].reason": 12,
    "exemptions[1].users[1]": 15,
    # What leads nowhere ends at the last step that is there.
    "rules.EG999": 2,
    "exemptions[7]": 8,
    "exemptions[1].expires": 12,
    "nothing": 2,
    "rules[0]": 2,
    "rules[...]": 2,
    "rules[EG203]": 4,
    "rules.EG203.": 4,
}


@pytest.mark.parametrize(("path", "line"), LINES.items(), ids=LINES)
def test_a_key_is_found_at_its_line(path: str, line: int) -> None:
    assert lines_of(POLICY, [path]) == {path: line}


def test_the_last_of_two_equal_keys_counts() -> None:
    """As it does for whoever reads the values."""
    assert lines_of("a: 1\nb: 2\na: 3\n", ["a", "b"]) == {"a": 3, "b": 2}


def test_a_key_with_dots_and_slashes_stands_in_brackets() -> None:
    text = "metadata:\n  labels:\n    x: y\n    kubernetes.io/service-name: web\n"
    path = "metadata.labels[kubernetes.io/service-name]"
    assert lines_of(text, [path]) == {path: 4}


@given(st.text(), st.text())
def test_any_text_has_lines(text: str, path: str) -> None:
    assert lines_of(text, [path])[path] >= 1


@pytest.mark.parametrize("text", ["", "a: [", "text", "[]", "[" * 100_000])
def test_where_there_is_no_key_it_is_the_first_line(text: str) -> None:
    assert lines_of(text, ["rules.EG201"]) == {"rules.EG201": 1}
