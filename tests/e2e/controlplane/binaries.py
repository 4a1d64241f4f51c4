"""Finds the four programs, or builds them once from the Go modules that `gomod/` pins.

`$KUBEBUILDER_ASSETS` (the envtest convention) wins, program by program. What is missing there is
built into a cache outside the checkout, under a key made of everything that decides the result, so
a stale program is never used and a second run costs one `go env`. No prebuilt program is fetched.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

GOMOD = Path(__file__).parent / "gomod"

_KUBERNETES = "k8s.io/kubernetes"
_ETCD = "go.etcd.io/etcd/server/v3"
_PACKAGES: Mapping[str, str] = {
    "etcd": "./etcd",
    "kube-apiserver": f"{_KUBERNETES}/cmd/kube-apiserver",
    "kube-controller-manager": f"{_KUBERNETES}/cmd/kube-controller-manager",
    "kubectl": f"{_KUBERNETES}/cmd/kubectl",
}
# The tags of Kubernetes' own release builds.
_TAGS = "selinux,notest,grpcnotrace"
_HEARTBEAT = 60.0


class BinariesError(RuntimeError):
    """The control plane's programs are neither there nor buildable here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """Where each program is."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path


def find_or_build() -> Binaries:
    """Return all four programs, building what is missing; safe to call from several processes."""
    found = _assets()
    missing = [name for name in _PACKAGES if name not in found]
    if missing:
        found |= _cached(missing)
    return Binaries(**{name.replace("-", "_"): path for name, path in found.items()})


def _assets() -> dict[str, Path]:
    """Return the programs in `$KUBEBUILDER_ASSETS`."""
    directory = os.environ.get("KUBEBUILDER_ASSETS")
    if not directory:
        return {}
    candidates = {name: Path(directory).absolute() / name for name in _PACKAGES}
    return {name: path for name, path in candidates.items() if os.access(path, os.X_OK)}


def _cached(names: Sequence[str]) -> dict[str, Path]:
    """Return the programs from the cache, which one process at a time may fill."""
    directory = _cache_root() / _cache_key()
    paths = {name: directory / name for name in names}
    if not all(path.exists() for path in paths.values()):
        with _lock(directory):
            for name, path in paths.items():
                if not path.exists():
                    _build(name, path)
    return paths


def _cache_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "endpoints-guard" / "controlplane"


def _cache_key() -> str:
    """Name one result: sources, toolchain, platform, and the flags in this file."""
    digest = hashlib.sha256(json.dumps(_go_env(), sort_keys=True).encode())
    for name in ("go.mod", "go.sum", "etcd/main.go"):
        digest.update((GOMOD / name).read_bytes())
    digest.update(" ".join(_build_command("", "")).encode())
    return f"{kubernetes_version()}-{digest.hexdigest()[:16]}"


def kubernetes_version() -> str:
    """Return the Kubernetes version that go.mod pins, as "v1.2.3"."""
    return _pinned(_KUBERNETES)


def _pinned(module: str) -> str:
    text = (GOMOD / "go.mod").read_text(encoding="utf-8")
    version = re.search(rf"^\s*(?:require )?{re.escape(module)} (v[\d.]+)", text, re.MULTILINE)
    if version is None:
        raise BinariesError(f"{GOMOD / 'go.mod'} does not pin {module}")
    return version[1]


def _go_env() -> dict[str, str]:
    """Ask Go what it would build with. Run in `gomod/`, where go.mod may choose the toolchain."""
    names = ("GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT")
    command = ("go", "env", "-json", *names)
    try:
        done = subprocess.run(
            command, cwd=GOMOD, env=_go_environment(), capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise BinariesError(
            "there is no `go` to build the control plane with: install Go (version: gomod/go.mod), "
            f"or set KUBEBUILDER_ASSETS to a directory with {', '.join(_PACKAGES)}"
        ) from error
    if done.returncode:
        raise BinariesError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return dict(json.loads(done.stdout))


def _go_environment() -> dict[str, str]:
    """Return the caller's environment less what would change the result unseen."""
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}


@contextmanager
def _lock(directory: Path) -> Iterator[None]:
    """Hold the lock of one cache entry; the kernel releases it even when the holder is killed."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another process is building: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(name: str, path: Path) -> None:
    """Build aside, then rename, so that nobody ever sees half a program."""
    started = time.monotonic()
    _say(f"building {name} {_pinned(_ETCD if name == 'etcd' else _KUBERNETES)}")
    scratch = Path(tempfile.mkdtemp(prefix=".build-", dir=path.parent))
    try:
        _run_build(name, str(scratch / name), started)
        (scratch / name).replace(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _say(f"built {name} in {time.monotonic() - started:.0f} s ({path.stat().st_size >> 20} MiB)")


def _run_build(name: str, output: str, started: float) -> None:
    command = _build_command(_PACKAGES[name], output)
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command, cwd=GOMOD, env=_go_environment(), stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait_visibly(process, name, started)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            log.seek(0)
            raise BinariesError(f"building {name} failed:\n{log.read()[-4000:]}")


def _wait_visibly(process: subprocess.Popen[bytes], name: str, started: float) -> None:
    """Wait, with a sign of life every minute: silence for ten minutes looks like a hang."""
    while True:
        try:
            process.wait(_HEARTBEAT)
        except subprocess.TimeoutExpired:
            _say(f"still building {name}, {time.monotonic() - started:.0f} s")
        else:
            return


def _build_command(package: str, output: str) -> tuple[str, ...]:
    return (
        *("go", "build", "-trimpath", "-buildvcs=false", "-tags", _TAGS),
        *("-ldflags", f"-s -w {_version_flags()}", "-o", output, package),
    )


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


def _say(message: str) -> None:
    print(f"controlplane: {message}", file=sys.stderr, flush=True)
