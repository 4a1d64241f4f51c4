"""The kubectl plugin as krew installs it, run by the real kubectl against a live cluster."""

import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.krew import LAUNCHER, build, manifest
from tests.e2e.cluster import NewNamespace, endpoints, pod, service
from tests.e2e.controlplane import ControlPlane
from tests.e2e.controlplane.process import environment

# The first time it downloads the locked wheels for every version of Python.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PLATFORM = "linux/amd64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """Somebody at a terminal who has installed it."""

    plane: ControlPlane
    bin: Path

    def kubectl(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """What `kubectl endpoints-guard` does, whatever that is."""
        variables = environment(self.plane.directory)
        return subprocess.run(
            [str(self.plane.binaries.kubectl), "endpoints-guard", *words],
            env=variables
            | {
                "KUBECONFIG": str(self.plane.kubeconfig()),
                "PATH": f"{self.bin}:{variables['PATH']}",
            },
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def plugin(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Plugin:
    """Unpacked and linked as krew does both."""
    home = tmp_path_factory.mktemp("krew")
    archive = build(PLATFORM, home / "download")
    store = home / "store" / "endpoints-guard" / "v0.0.0"
    with tarfile.open(archive) as packed:
        packed.extractall(store, filter="data")
    (home / "bin").mkdir()
    (entry,) = manifest({PLATFORM: archive})["spec"]["platforms"]
    (home / "bin" / LAUNCHER).symlink_to(store / entry["bin"])
    return Plugin(plane=plane, bin=home / "bin")


def test_kubectl_runs_it_under_its_own_name(plugin: Plugin) -> None:
    done = plugin.kubectl("--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: kubectl endpoints-guard [OPTIONS] COMMAND")


def test_check_judges_a_manifest_against_the_cluster(
    plugin: Plugin, new_namespace: NewNamespace
) -> None:
    namespace = new_namespace()
    namespace.create(service(selector={"app": "web"}))
    made = namespace.run(pod("web-1", labels={"app": "web"}))
    namespace.published("web")
    stranger = endpoints("web", {"ip": "198.51.100.7"})

    good = namespace.get("Endpoints", "web")
    done = plugin.kubectl("check", "--live", "-f", "-", stdin=json.dumps(good))
    assert done.returncode == 0, done.stderr
    assert "1 object: 0 denied" in done.stdout

    bad = json.dumps(namespace.placed(stranger))
    done = plugin.kubectl("check", "--live", "-f", "-", "--output", "json", stdin=bad)
    assert done.returncode == 1, done.stderr
    (judged,) = json.loads(done.stdout)["objects"]
    assert judged["verdict"] == "deny"
    assert "EG201" in {finding["rule"] for finding in judged["findings"]}
    assert made["status"]["podIP"] not in done.stdout


def test_the_demo_runs_from_it_too(plugin: Plugin) -> None:
    done = plugin.kubectl("demo")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("9 writes: 2 allowed, 7 denied\n")
