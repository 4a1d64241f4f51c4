"""The Dockerfile says what the chart, the lock files and the installer say."""

import fnmatch
import json
import re
import subprocess
from pathlib import Path

import yaml

from tests.chart.helm import CHART
from tests.deploy.dockerfile import ROOT, every, final, instructions
from webhook import __version__

VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


def test_every_stage_is_made_from_one_base_that_is_pinned_by_digest() -> None:
    base, *others = every("FROM")
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64} AS base", base)
    assert [each.split()[0] for each in others] == ["base", "base", "scratch"]


def test_python_is_the_version_that_the_requirements_are_locked_with() -> None:
    python = re.findall(r"\bpython:?(3\.\d+)", " ".join(i.rest for i in instructions()))
    locked = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    assert set(python) == set(re.findall(r"with Python (3\.\d+)", locked))


def test_the_program_is_installed_by_the_script_that_make_image_runs() -> None:
    installing = [each for each in every("RUN") if "pip" not in each]
    assert installing == [
        "PYTHON=/usr/local/bin/python3.11 /source/deploy/install.sh /opt/endpoints-guard"
    ]
    assert "--from=program /opt/endpoints-guard /opt/endpoints-guard" in every("COPY")
    assert final("ENV").startswith("PATH=/opt/endpoints-guard/bin:")


def test_user_ports_and_program_are_those_of_the_chart() -> None:
    uid, gid = (VALUES["podSecurityContext"][key] for key in ("runAsUser", "runAsGroup"))
    assert final("USER") == f"{uid}:{gid}"
    ports = VALUES["ports"]
    assert final("EXPOSE") == f"{ports['webhook']} {ports['health']}"
    assert json.loads(final("ENTRYPOINT")) == ["endpoints-guard"]
    template = (CHART / "templates" / "deployment.yaml").read_text(encoding="utf-8")
    assert "command: [endpoints-guard]" in template


def test_labels_name_this_version_its_source_and_its_base() -> None:
    assert f"VERSION={__version__}" in every("ARG")
    labels = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]*)"', final("LABEL")))
    assert labels["base.name"].removeprefix("docker.io/library/") in every("FROM")[0]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert labels["source"] == chart["sources"][0]
    assert labels["description"] == chart["description"]
    assert labels["licenses"] == "Apache-2.0"
    # The package's page of GitHub's registry is found by the source.
    repository = VALUES["image"]["repository"].removeprefix("ghcr.io/")
    assert labels["source"] == f"https://github.com/{repository}"


def test_the_context_has_all_that_the_installer_reads_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line[1:] for line in lines if line.startswith("!")]
    read = {
        *("pyproject.toml", "README.md", "LICENSE", "webhook", "certs"),
        *("requirements/build.txt", "requirements/runtime.txt"),
        *("deploy/install.sh", "deploy/prune.py"),
    }
    assert lines[1] == "*"
    for path in read:
        assert (ROOT / path).exists()
        assert any(fnmatch.fnmatch(path, pattern) for pattern in patterns), path
    for pattern in patterns:
        assert any(fnmatch.fnmatch(path, pattern) for path in read), pattern


def test_the_installer_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    script = ROOT / "deploy" / "install.sh"
    done = subprocess.run(
        [str(script), str(tmp_path / "here")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert list((tmp_path / "here").iterdir()) == []
