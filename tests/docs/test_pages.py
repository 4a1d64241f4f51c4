"""Every page is followed as far as that goes without a cluster, and what it shows is true.

What needs a cluster is followed in tests/e2e/test_documents.py.
"""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.chart.helm import CHART
from tests.docs.pages import EXAMPLES, PAGES, ROOT, Command, File, difference, steps
from tests.docs.terminal import Terminal
from webhook import __version__
from webhook.cluster.documents import load_document
from webhook.core.example_cluster import CLUSTER
from webhook.core.policy import Policy, parse_policy
from webhook.core.profiles import PROFILES
from webhook.core.rule import Action, Ownership
from webhook.core.rules import RULES
from webhook.telemetry.catalogue import METRICS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_shows_is_what_happens(page: Path, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, {})
    for step in steps(page):
        if isinstance(step, File) or not (step.needs_cluster or step.is_make):
            terminal.follow(page, step)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_version_of_ours_that_is_shown_is_this_one(page: Path) -> None:
    shown = re.findall(r"(?:endpoints-guard:|--version )(\d\S*)", page.read_text(encoding="utf-8"))
    assert set(shown) <= {__version__}


def test_the_index_lists_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"\]\((?:\./)?([\w-]+\.md)\)", index))
    assert listed == {p.name for p in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_every_target_of_make_that_is_shown_exists_and_the_demo_is_the_demo() -> None:
    shown = [
        step for page in PAGES for step in steps(page) if isinstance(step, Command) and step.is_make
    ]
    assert shown
    for step in shown:
        done = subprocess.run(
            ["make", "--no-print-directory", "--dry-run", *shlex.split(step.words)[1:]],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        if step.words == "make demo":
            assert done.stdout.splitlines()[-1].endswith("/endpoints-guard demo")


def test_the_demo_prints_what_the_readme_shows(tmp_path: Path) -> None:
    (demo,) = (
        step
        for step in steps(ROOT / "README.md")
        if isinstance(step, Command) and step.words == "make demo"
    )
    as_run = Command(line=demo.line, words="endpoints-guard demo", output=demo.output)
    Terminal(tmp_path, {}).follow(ROOT / "README.md", as_run)


def policies() -> dict[str, Policy]:
    """The policies of the cookbook, by file name."""
    files = [s for s in steps(ROOT / "docs" / "policy.md") if isinstance(s, File)]
    return {f.name: parse_policy(load_document(f.text)) for f in files if f.name != "role.yaml"}


def test_under_the_first_policy_of_a_roll_out_nothing_is_denied() -> None:
    gentle = policies()["warn.yaml"]
    assert denying(gentle) == set()
    # And no rule is in the list that would not deny.
    loud = yaml.safe_load(steps_file("warn.yaml"))["rules"]
    assert denying(parse_policy({})) == set(loud)


def denying(policy: Policy) -> set[str]:
    """The rules that deny something, by code."""
    return {
        rule.code
        for rule in RULES.values()
        for ownership in Ownership
        if policy.action(rule, ownership) is Action.DENY
    }


def steps_file(name: str) -> str:
    """A file of the cookbook."""
    page = steps(ROOT / "docs" / "policy.md")
    return next(s.text for s in page if isinstance(s, File) and s.name == name)


def test_the_cookbook_names_every_profile_and_no_other() -> None:
    text = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    (listed,) = re.findall(r"There are profiles for\n?([^;]*);", text)
    assert re.findall(r"[a-z]+(?:-[a-z]+)+", listed) == sorted(PROFILES)


def test_the_alerts_to_know_are_those_of_the_chart() -> None:
    template = CHART / "templates" / "monitoring.yaml"
    made = re.findall(r'list "(EndpointsGuard\w+)"', template.read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (EndpointsGuard\w+) \|", page, re.MULTILINE) == made


def test_metrics_that_are_named_exist() -> None:
    known = {metric.name for metric in METRICS}
    for page in PAGES:
        named = re.findall(r"\bendpoints_guard_\w+", page.read_text(encoding="utf-8"))
        assert {re.sub("_bucket$", "", name) for name in named} <= known, page


def test_the_example_is_that_of_the_demo() -> None:
    shown = (EXAMPLES / "wordpress" / "wordpress.yaml").read_text(encoding="utf-8")
    documents = list(yaml.safe_load_all(shown))
    assert documents == list(yaml.safe_load_all(CLUSTER))


DIFFERENCES = {
    "the same lines": (("a", "b"), "a\nb\n", True),
    "a line less": (("a", "b"), "a\n", False),
    "a line more": (("a",), "a\nb\n", False),
    "another line": (("a",), "b\n", False),
    "anything for an ellipsis": (("a", "...", "d"), "a\nb\nc\nd\n", True),
    "nothing for an ellipsis": (("a", "..."), "a\n", True),
    "not what follows an ellipsis": (("...", "d"), "a\nb\n", False),
    "no pattern but the ellipsis": (("a.c",), "abc\n", False),
    "empty lines and ends of lines aside": (("a", "b"), "a  \n\nb\n", True),
    "what client-go logs aside": (
        ("a",),
        'I1126 09:59:48.641382     976 reflector.go:664] "Warning: watch ended with error"\na\n',
        True,
    ),
    "an error that is no log line": (("a",), "E1126: watch ended\na\n", False),
}


@pytest.mark.parametrize(("shown", "printed", "same"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_shown_and_printed_are_compared_line_by_line(
    shown: tuple[str, ...], printed: str, same: bool
) -> None:
    assert (difference(shown, printed) == "") == same
