"""The JSON Schema of a policy file says what the reader says, as far as types can."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.policy.samples import BAD_VALUES, EVERY_KEY
from tests.policy.schema import problems
from webhook.cli import cli
from webhook.cluster.documents import load_document
from webhook.core.policy_review import as_schema
from webhook.core.rules import RULES

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads(as_schema())


def in_yaml_1_2(text: str) -> object:
    """As editors and validators read it: there a bare `off` is text."""
    return load_document(re.sub(r"\boff\b", "'off'", text))


def of_the_readme() -> str:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    return str(next(block for block in blocks if "exemptions:" in block))


GOOD = {
    "every key": EVERY_KEY,
    "nothing": "{}",
    "the README's": of_the_readme(),
    "the strict one of the coverage tests": (ROOT / "tests/coverage/strict.yaml").read_text(),
    **{
        f"{rule.code} {example.name}": example.policy
        for rule in RULES.values()
        for example in rule.examples
        if example.policy
    },
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_good_policy_is_valid(text: str) -> None:
    assert problems(in_yaml_1_2(text), SCHEMA) == []


BEYOND_TYPES = {
    "no CIDR",
    "no CIDR of a namespace",
    "a CIDR with host bits",
    "an empty Pod range",
    "an exemption for everything",
    "an exemption from an unknown rule",
    "an expiry that is no date",
    "day and month exchanged",
    "a day that no month has",
    "an unknown profile",
}
"""What only the reader can say, and does."""
BAD = {name: text for name, (text, *_) in BAD_VALUES.items() if name not in BEYOND_TYPES}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_bad_policy_is_not(text: str) -> None:
    assert problems(in_yaml_1_2(text), SCHEMA)


def test_every_key_is_described() -> None:
    for definition in SCHEMA["$defs"].values():
        assert definition["description"]


def test_the_command_prints_it() -> None:
    printed = CliRunner().invoke(cli, ["policy", "schema"])
    assert printed.exit_code == 0
    assert json.loads(printed.stdout) == SCHEMA
