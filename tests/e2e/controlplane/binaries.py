"""Finds the four programs, or builds them once from the Go modules that `gomod/` pins.

`$KUBEBUILDER_ASSETS` (the envtest convention) wins, program by program.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from tests.go_programs import BinariesError, GoProgram, GoPrograms, pinned_version, programs_in

__all__ = ["Binaries", "BinariesError", "find_or_build", "kubernetes_version"]

_KUBERNETES = "k8s.io/kubernetes"
_ETCD = "go.etcd.io/etcd/server/v3"
_FOLDER = Path(__file__).parent / "gomod"
# The tags of Kubernetes' own release builds.
_TAGS = "selinux,notest,grpcnotrace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """Where each program is."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path


def find_or_build() -> Binaries:
    """Return all four programs, building what is missing; safe to call from several processes."""
    programs = _programs()
    found = programs_in(os.environ.get("KUBEBUILDER_ASSETS"), list(programs.programs))
    missing = [name for name in programs.programs if name not in found]
    if missing:
        found |= programs.find_or_build(missing)
    return Binaries(**{name.replace("-", "_"): path for name, path in found.items()})


def kubernetes_version() -> str:
    """Return the Kubernetes version that go.mod pins, as "v1.2.3"."""
    return pinned_version(_FOLDER, _KUBERNETES)


def _programs() -> GoPrograms:
    names = ("kube-apiserver", "kube-controller-manager", "kubectl")
    commands = {name: f"{_KUBERNETES}/cmd/{name}" for name in names}
    return GoPrograms(
        name="controlplane",
        folder=_FOLDER,
        programs={
            "etcd": GoProgram(package="./etcd", module=_ETCD),
            **{n: GoProgram(package=p, module=_KUBERNETES) for n, p in commands.items()},
        },
        flags=_flags(),
        version_of=_KUBERNETES,
        sources=("etcd/main.go",),
        instead=f"set KUBEBUILDER_ASSETS to a directory with etcd, {', '.join(names)}",
    )


def _flags() -> tuple[str, ...]:
    return "-tags", _TAGS, "-ldflags", f"-s -w {_version_flags()}"


def _version_flags() -> str:
    """Stamp the version, which release builds take from git, into /version and user agents."""
    version = kubernetes_version()
    major, minor, _ = version.removeprefix("v").split(".")
    stamps = {
        "gitVersion": version,
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": "",
        "gitTreeState": "archive",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(f"-X {p}.{name}={value}" for p in packages for name, value in stamps.items())
