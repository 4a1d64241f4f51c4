"""`policy show` and `policy lint`: what a policy amounts to, and what is unwise about it."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.policy.samples import EVERY_KEY, policy
from webhook.cli import cli
from webhook.core.policy_review import as_text, lint
from webhook.core.profiles import PROFILES

TODAY = "2026-11-23"
TRUSTED = """\
  system:apiserver
  system:kube-controller-manager
  system:serviceaccount:kube-system:endpoint-controller
  system:serviceaccount:kube-system:endpointslice-controller
  system:serviceaccount:kube-system:generic-garbage-collector
  system:serviceaccount:kube-system:namespace-controller
  system:serviceaccount:kube-system:storage-version-migrator-controller
"""
DEFAULT = f"""\
Limits
  external addresses: every
  except: none
  external ports: every
  names: none
  forbidden ports: none
  Pod ranges beyond those of nodes: none
Trusted writers
{TRUSTED}\
Restricted right overrides EG5xx: no
Exemptions
"""
FULL = """\
Limits
  external addresses: 198.51.100.0/24, 2001:db8::/32
  except: 198.51.100.128/25
  external ports: 3306
  names: *.example.com
  forbidden ports: 22623
  Pod ranges beyond those of nodes: 10.64.0.0/12
Trusted writers
  system:apiserver
Restricted right overrides EG5xx: yes
Exemptions
  EG502, api-server-address for users system:serviceaccount:monitoring:operator and groups admins \
and namespaces monitoring and names kubelet until 2027-01-31: publishes kubelets
  {rules} for users me and namespaces functions: profile knative-serving: {reason}
"""


def shown(text: str, namespace: str = "", today: str = TODAY) -> tuple[str, str]:
    """The rules, and the rest."""
    page = as_text(policy(text), namespace, today)
    rules, limits, rest = page.partition("Limits\n")
    return rules, limits + rest


def test_the_default_policy_is_spelled_out() -> None:
    rules, rest = shown("")
    assert rules.startswith("Rules\n  EG101 no-service             selector: off    manual: warn\n")
    assert rest == DEFAULT


def test_a_policy_is_spelled_out_with_profiles_and_exemptions() -> None:
    profile = PROFILES["knative-serving"]
    full = FULL.format(rules=", ".join((*profile.rules, "EG604")), reason=profile.reason)
    assert shown(EVERY_KEY)[1] == full


def test_an_exemption_that_no_longer_counts_is_shown_as_such() -> None:
    text = "exemptions: [{reason: r, users: [a], expires: 2026-11-22}]"
    assert shown(text)[1].endswith("  every rule for users a until 2026-11-22 (expired): r\n")
    assert shown(text, today="2026-11-22")[1].endswith("until 2026-11-22: r\n")


def test_a_namespace_is_shown_as_it_is_there() -> None:
    rules, rest = shown(EVERY_KEY, "staging")
    assert rules.startswith("Rules in namespace staging\n")
    assert "  EG502 node-address           selector: off    manual: audit\n" in rules
    assert "  EG203 readiness              selector: off    manual: off\n" in rules
    assert "  forbidden ports: none\n" in rest


# --- Lint

PROMETHEUS = "system:serviceaccount:monitoring:prometheus-operator"
CONSEQUENCE = (
    "Whoever may create Pods or tokens in namespace monitoring can write as this service account: "
    "the whole namespace is trusted with it."
)
WISE = {
    "nothing said": "",
    "an exemption for a person, from named rules": (
        "exemptions: [{reason: r, users: [alice], rules: [EG502]}]"
    ),
    "a warning in the place of a denial": "rules: {EG502: warn}",
    "limits": "external: {allowedCIDRs: [198.51.100.0/24], allowedNames: ['*.example.com']}",
}


@pytest.mark.parametrize("text", WISE.values(), ids=WISE)
def test_lint_says_nothing_of_what_is_wise(text: str) -> None:
    assert lint(policy(text), TODAY) == ()


UNWISE = {
    "a service account that trusts its namespace": (
        f"exemptions: [{{reason: r, users: ['{PROMETHEUS}'], rules: [EG502]}}]",
        f"exemptions[0]: {PROMETHEUS} is exempt. {CONSEQUENCE}",
    ),
    "an exemption that has expired": (
        "exemptions: [{reason: r, users: [a], rules: [EG502], expires: 2026-11-22}]",
        "exemptions[0]: it expired on 2026-11-22 and no longer counts",
    ),
    "an exemption for everybody": (
        "exemptions: [{reason: r, groups: ['system:authenticated'], rules: [EG502]}]",
        "exemptions[0]: the group system:authenticated is nearly everybody",
    ),
    "an exemption from everything": (
        "exemptions: [{reason: r, users: [a]}]",
        "exemptions[0]: it exempts from every rule; name those that are meant",
    ),
    "an exemption for every writer of a namespace": (
        "exemptions: [{reason: r, namespaces: [a], rules: [EG502]}]",
        "exemptions[0]: it holds for every writer there; name users or groups",
    ),
    "an exemption of writers from a rule for what is stored": (
        "exemptions: [{reason: r, users: [a], rules: [EG601, left-behind]}]",
        "exemptions[0]: it never counts, since nobody knows who wrote what is stored; name objects",
    ),
    "an exemption that never matches": (
        "exemptions: [{reason: r, users: ['system:apiserver'], rules: [EG502]}]",
        "exemptions[0]: it never matches a trusted writer, who is not judged at all",
    ),
    "a rule that is off": (
        "rules: {EG502: off}",
        "rules.EG502: it is off everywhere; audit would at least show what it misses",
    ),
    "a rule that is off in a namespace": (
        "namespaces: {shop: {rules: {EG502: off}}}",
        "namespaces.shop.rules.EG502: it is off there",
    ),
    "no external address": (
        "external: {allowedCIDRs: []}",
        "external.allowedCIDRs: it is empty, so no external address is allowed anywhere",
    ),
    "a namespace that cannot be": (
        "namespaces: {Shop: {rules: {EG502: warn}}}",
        "namespaces: Shop never matches: no object of Kubernetes can have this name",
    ),
    "a pattern of namespaces": (
        "exemptions: [{reason: r, users: [a], namespaces: [team-*], rules: [EG502]}]",
        "exemptions[0].namespaces: team-* never matches: names are no patterns",
    ),
    "a pattern of users": (
        "exemptions: [{reason: r, users: ['team:*'], rules: [EG502]}]",
        "exemptions[0].users: team:* never matches: names are no patterns",
    ),
    "a name that is an address": (
        "external: {allowedNames: [198.51.100.7]}",
        "external.allowedNames: 198.51.100.7 never matches: it is no DNS name",
    ),
}


@pytest.mark.parametrize(("text", "remark"), UNWISE.values(), ids=UNWISE)
def test_lint_says_what_is_unwise(text: str, remark: str) -> None:
    assert lint(policy(text), TODAY) == (remark,)


WISE = {
    "objects, from rules for what is stored": "names: [legacy], rules: [EG602]",
    "a writer, from the rule that looks for writers": "users: [alice], rules: [EG604]",
}


@pytest.mark.parametrize("exemption", WISE.values(), ids=WISE)
def test_lint_has_nothing_against_a_wise_exemption(exemption: str) -> None:
    assert lint(policy(f"exemptions: [{{reason: r, {exemption}}}]"), TODAY) == ()


MIRRORING = "system:serviceaccount:kube-system:endpointslicemirroring-controller"


def test_lint_warns_of_trusting_the_mirroring_controller_and_of_not_trusting_the_rest() -> None:
    remarks = lint(policy(f"trustedWriters: ['{MIRRORING}', alice]"), TODAY)
    assert remarks[0] == "trustedWriters: alice is never judged."
    assert remarks[1] == (
        f"trustedWriters: {MIRRORING} is never judged. "
        "It republishes what users wrote, so every rule can be evaded through it."
    )
    assert remarks[2] == (
        "trustedWriters: without system:apiserver the control plane can be refused"
    )
    assert len(remarks) == 9


# --- The commands


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["policy", *words])


def test_the_commands_read_a_file_or_take_the_default_policy(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("rules: {EG502: off}")
    wise, unwise = run("lint"), run("lint", str(file))
    assert (wise.exit_code, wise.stdout) == (0, "0 remarks\n")
    assert (unwise.exit_code, unwise.stdout.splitlines()[-1]) == (1, "1 remark")
    assert run("show").stdout.endswith(DEFAULT)
    assert "EG502 node-address           selector: off    manual: off" in (
        run("show", str(file), "-n", "shop").stdout
    )


@pytest.mark.parametrize("command", ["show", "lint"])
def test_what_is_no_policy_is_wrong_usage(command: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("rules:\n  EG999: deny\n")
    ended = run(command, str(file))
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert f"policy {file}, line 2: rules.EG999: there is no such rule" in ended.stderr
