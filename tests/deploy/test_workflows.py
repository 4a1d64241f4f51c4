"""What of the workflows no linter knows: they agree with the project and with each other."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))


def loaded(name: str) -> dict[Any, Any]:
    """A workflow; YAML reads its key `on` as true."""
    text = (ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def uses() -> set[tuple[str, str, str]]:
    """Action, commit and version of every step that uses another repository's action."""
    found = set()
    for path in WORKFLOWS:
        for line in path.read_text(encoding="utf-8").splitlines():
            if (used := re.match(r"\s*(?:- )?uses: (?!\$/)(.*)", line)) is not None:
                pinned = re.fullmatch(r"([\w./-]+)@([0-9a-f]{40}) # (v[\d.]+)", used[1])
                assert pinned is not None, line
                found.add((pinned[1], pinned[2], pinned[3]))
    return found


def test_every_action_is_pinned_to_one_commit() -> None:
    actions = [action for action, _, _ in uses()]
    assert len(actions) == len(set(actions)) > 5


def test_the_tests_run_on_every_python_that_the_project_claims() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    claimed = re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"]))
    matrix = loaded("test.yaml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == claimed


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_may_do_nothing_but_what_it_lists(path: Path) -> None:
    workflow = loaded(path.name)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"]


def test_only_a_release_may_write_anywhere() -> None:
    writing = {
        (path.name, name)
        for path in WORKFLOWS
        for name, job in loaded(path.name)["jobs"].items()
        if "write" in job["permissions"].values()
    }
    assert writing == {
        ("image.yaml", "push"),
        *(("release.yaml", name) for name in ("image", "chart", "pypi", "github")),
    }
    assert loaded("image.yaml")["jobs"]["push"]["if"] == "startsWith(github.ref, 'refs/tags/v')"
    assert list(loaded("release.yaml")[True]["push"]) == ["tags"]


def test_every_target_that_a_workflow_makes_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    text = "\n".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    made = {word for words in re.findall(r"\bmake ([a-z0-9 ]+)", text) for word in words.split()}
    assert {"lint", "test", "e2e", "chart", "image", "dist"} <= made <= targets


def test_a_release_publishes_nothing_before_everything_is_built() -> None:
    jobs = loaded("release.yaml")["jobs"]
    assert "needs" not in jobs["build"]
    for name in ("image", "chart", "pypi", "github"):
        assert "build" in jobs[name]["needs"]
    assert set(jobs["github"]["needs"]) == set(jobs) - {"github"}
