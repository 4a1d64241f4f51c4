"""Where the programs come from. Without Go: `go` is a script that notes what it is asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .binaries import BinariesError, find_or_build

ROOT = Path(__file__).parents[3]
NAMES = {"etcd", "kube-apiserver", "kube-controller-manager", "kubectl"}

GO = """#!/bin/sh
case "$1" in
env) echo '{"GOVERSION": "go1.0", "GOOS": "plan9"}' ;;
build)
  while [ "$1" != -o ]; do shift; done
  echo "$3" >> "$GO_LOG"
  sleep 0.1
  if [ -n "$GO_FAILS" ]; then echo "half" > "$2"; echo "no such luck" >&2; exit 1; fi
  echo program > "$2" && chmod +x "$2" ;;
esac
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the script in the place of `go`; return what it writes down: the packages built."""
    script = tmp_path / "bin" / "go"
    script.parent.mkdir()
    script.write_text(GO)
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("GO_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return tmp_path / "log"


def built(log: Path) -> list[str]:
    return [line.rsplit("/", 1)[1] for line in log.read_text().splitlines()]


def test_each_program_is_built_once(log: Path) -> None:
    first = find_or_build()
    assert first == find_or_build()
    assert sorted(built(log)) == sorted(NAMES)
    assert first.kube_apiserver.read_text() == "program\n"
    assert first.kube_apiserver.parent.name.startswith("v1.")


def test_two_processes_at_once_build_once(log: Path) -> None:
    command = [sys.executable, "-c", "from tests.e2e.controlplane import find_or_build as f; f()"]
    both = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert sorted(built(log)) == sorted(NAMES)


def test_a_failed_build_leaves_no_program(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GO_FAILS", "1")
    with pytest.raises(BinariesError, match=r"building etcd failed:\nno such luck"):
        find_or_build()
    monkeypatch.delenv("GO_FAILS")
    assert find_or_build().etcd.read_text() == "program\n"


def test_envtest_assets_come_first_one_by_one(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    for name in ("etcd", "kube-apiserver"):
        (assets / name).write_text("theirs")
        (assets / name).chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    binaries = find_or_build()
    assert (binaries.etcd, binaries.kube_apiserver) == (assets / "etcd", assets / "kube-apiserver")
    assert set(built(log)) == {"kube-controller-manager", "kubectl"}


def test_without_go_the_error_says_what_to_do(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(log.parent))
    with pytest.raises(BinariesError, match=r"install Go.*or set KUBEBUILDER_ASSETS"):
        find_or_build()
