"""A policy file, key by key: what it may say, and how it is told that it may not."""

import re
from pathlib import Path

import pytest

from tests.policy.samples import BAD_VALUES, EVERY_KEY, policy
from webhook.cluster.config_files import BadFile
from webhook.cluster.documents import load_document
from webhook.cluster.policies import read_policy
from webhook.core.objects import InvalidObject
from webhook.core.policy import TRUSTED_WRITERS, Policy, parse_policy
from webhook.core.policy_file import (
    Exemption,
    ExternalLimits,
    NamespacePolicy,
    PolicyFile,
    Profile,
)
from webhook.core.profiles import PROFILES
from webhook.core.rule import Action, Rule
from webhook.core.rules import RULES

LIMITS = ExternalLimits(
    allowed_cidrs=("198.51.100.0/24", "2001:db8::/32"),
    forbidden_cidrs=("198.51.100.128/25",),
    allowed_ports=(3306,),
    allowed_names=("*.example.com",),
)
READ = PolicyFile(
    rules={"EG203": Action.OFF, "pod-not-selected": Action.WARN},
    external=LIMITS,
    forbidden_ports=(22623,),
    pod_cidrs=("10.64.0.0/12",),
    namespaces={
        "staging": NamespacePolicy(
            rules={"EG502": Action.AUDIT}, external=LIMITS, forbidden_ports=()
        )
    },
    trusted_writers=("system:apiserver",),
    exemptions=(
        Exemption(
            reason="publishes kubelets",
            expires="2027-01-31",
            users=("system:serviceaccount:monitoring:operator",),
            groups=("admins",),
            namespaces=("monitoring",),
            names=("kubelet",),
            rules=("EG502", "api-server-address"),
        ),
    ),
    profiles=(Profile(name="knative-serving", users=("me",), namespaces=("functions",)),),
    restricted_right=True,
)


def test_every_key_is_read() -> None:
    assert policy(EVERY_KEY).file == READ


def test_trusted_writers_and_profiles_take_effect() -> None:
    read = policy(EVERY_KEY)
    assert read.trusted_writers == {"system:apiserver"}
    of_profile = Exemption(
        reason=f"profile knative-serving: {PROFILES['knative-serving'].reason}",
        users=("me",),
        namespaces=("functions",),
        rules=(*PROFILES["knative-serving"].rules, "EG604"),
    )
    assert read.exemptions == (*READ.exemptions, of_profile)


NOTHING_SAID = ["", "{}", "# nothing but a comment", "rules:", "external: {}", "exemptions: []"]


@pytest.mark.parametrize("text", NOTHING_SAID)
def test_a_policy_that_says_nothing_is_the_default_policy(text: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    assert read_policy(file) == Policy()
    assert read_policy(file).trusted_writers == TRUSTED_WRITERS


@pytest.mark.parametrize("action", ["off", "'off'", "Off", "OFF", "no", "false"])
def test_off_needs_no_quotes(action: str) -> None:
    """YAML 1.1 reads a bare `off` as false, wherever rules stand."""
    rules = f"rules: {{EG201: {action}, readiness: {action}}}"
    expected = {"EG201": Action.OFF, "readiness": Action.OFF}
    assert policy(rules).file.rules == expected
    assert policy(f"namespaces: {{shop: {{{rules}}}}}").file.namespaces["shop"].rules == expected


@pytest.mark.parametrize("name", ["rules", "external", "exemptions"])
def test_a_namespace_may_have_the_name_of_a_key(name: str) -> None:
    read = policy(f"namespaces: {{{name}: {{rules: {{EG201: off}}}}}}")
    assert read.file.namespaces[name].rules == {"EG201": Action.OFF}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_is_named_by_code_or_slug(rule: Rule) -> None:
    for name in (rule.code, rule.slug):
        read = policy(f"rules: {{{name}: audit}}")
        assert {read.action(rule, ownership) for ownership in rule.default} == {Action.AUDIT}


# --- What it may not say


@pytest.mark.parametrize(("text", "key", "line", "words"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_a_bad_value_is_told_by_its_key(text: str, key: str, line: int, words: str) -> None:
    with pytest.raises(InvalidObject, match=re.escape(words)) as raised:
        parse_policy(load_document(text))
    assert key in str(raised.value)


@pytest.mark.parametrize(("text", "key", "line", "words"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_a_bad_file_is_told_by_file_line_and_key(
    text: str, key: str, line: int, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(f"# a comment\n# and another\n{text}\n")
    with pytest.raises(BadFile) as raised:
        read_policy(file)
    assert str(raised.value).startswith(f"policy {file}, line {line}: ")
    assert key in str(raised.value)
    assert words in str(raised.value)


NO_POLICY = {
    "a list": "[]",
    "a number": "42",
    "text": "allow everything",
}


@pytest.mark.parametrize("text", NO_POLICY.values(), ids=NO_POLICY)
def test_what_is_no_map_is_no_policy(text: str) -> None:
    with pytest.raises(InvalidObject, match="a policy is a map"):
        policy(text)


NO_YAML = {
    "a colon too many": ("# x\nrules: {a: b: c}", "line 2"),
    "a tab": ("\tx: 1", "line 1"),
    "two documents": ("rules: {}\n---\nrules: {}", "line 2"),
    "an object of Python": ("rules: !!python/object:os.system {}", "line 1"),
}


@pytest.mark.parametrize(("text", "line"), NO_YAML.values(), ids=NO_YAML)
def test_what_is_no_yaml_is_told_by_its_line(text: str, line: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(BadFile, match=rf"^policy {file}: not YAML or JSON: {line}: "):
        read_policy(file)
