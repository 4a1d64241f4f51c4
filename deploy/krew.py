"""Builds the kubectl plugin as krew takes it: an archive for each platform, and the manifest.

    python -m deploy.krew --output dist/krew                       all platforms
    python -m deploy.krew --output dist/krew --platform linux/amd64

An archive holds the program and the locked wheels in one folder `lib`. Extension modules carry the
version of Python in their names, so one folder serves every version that the project supports. The
same commit makes the same bytes (SOURCE_DATE_EPOCH), so anybody can check the manifest's sums.
"""

import argparse
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from webhook import __version__

ROOT: Final = Path(__file__).parents[1]
NAME: Final = "endpoints-guard"
LAUNCHER: Final = "kubectl-endpoints_guard"
HOME: Final = "https://github.com/endpoints-guard/endpoints-guard"
PLATFORMS: Final[Mapping[str, tuple[str, ...]]] = {
    "linux/amd64": ("manylinux2014_x86_64", "manylinux_2_28_x86_64"),
    "linux/arm64": ("manylinux2014_aarch64", "manylinux_2_28_aarch64"),
    "darwin/arm64": ("macosx_13_0_arm64",),
}
"""Operating system and architecture in krew's words, and the wheels that run there.

Not darwin/amd64: cryptography has no wheels for Intel Macs any more.
"""

_CAVEATS: Final = """\
It needs one of {pythons} in PATH.

Judge manifests before they are applied, against the cluster of your kubeconfig:
  kubectl endpoints-guard check -f endpoints.yaml --live
It reads Services, Pods, Nodes and EndpointSlices, and writes nothing.
"""
_DESCRIPTION: Final = """\
Whoever may write Endpoints or EndpointSlices decides where the traffic of a Service goes, and
Kubernetes checks none of it (CVE-2021-25740). This plugin compares them with the owning Service and
its Pods: addresses of other tenants' Pods, of nodes, of cloud metadata servers, wrong ports, and
targetRefs that lie. It is the same judgement as that of the endpoints-guard admission webhook.
"""


def pythons() -> tuple[str, ...]:
    """The versions of Python that the project supports, newest first: "3.13", "3.12"."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = re.findall(r"Python :: (3\.\d+)$", "\n".join(project["classifiers"]), re.MULTILINE)
    return tuple(sorted(found, key=lambda version: int(version.partition(".")[2]), reverse=True))


def build(platform: str, output: Path) -> Path:
    """Make the archive of a platform; return its path. Raises CalledProcessError if pip fails."""
    output.mkdir(parents=True, exist_ok=True)
    archive = output / f"{NAME}_{platform.replace('/', '_')}.tar.gz"
    with tempfile.TemporaryDirectory(prefix=f"{NAME}-krew-") as scratch:
        folder = Path(scratch, "plugin")
        _lay_out(platform, folder, Path(scratch))
        archive.write_bytes(packed(folder))
    return archive


def _lay_out(platform: str, folder: Path, scratch: Path) -> None:
    library = folder / "lib"
    for version in pythons():
        wheels = scratch / version
        _install_wheels(platform, version, wheels)
        merge(wheels, library)
    shutil.rmtree(library / "kubernetes" / "aio")
    for package in ("webhook", "certs"):
        shutil.copytree(ROOT / package, library / package, ignore=_byte_code)
    shutil.copy(ROOT / "LICENSE", folder)
    shutil.copy(ROOT / "deploy" / f"{LAUNCHER}.py", folder)
    launcher = (ROOT / "deploy" / LAUNCHER).read_text(encoding="utf-8")
    names = " ".join(f"python{version}" for version in pythons())
    (folder / LAUNCHER).write_text(launcher.replace("@PYTHONS@", names), encoding="utf-8")
    (folder / LAUNCHER).chmod(0o755)


def _byte_code(_: str, names: Sequence[str]) -> set[str]:
    return {name for name in names if name == "__pycache__"}


def _install_wheels(platform: str, python: str, folder: Path) -> None:
    tags = (word for tag in PLATFORMS[platform] for word in ("--platform", tag))
    command = (
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--target", str(folder), "--python-version", python, *tags),
        *("--only-binary", ":all:", "--no-deps", "--no-compile", "--require-hashes"),
        *("--requirement", str(ROOT / "requirements" / "runtime.txt")),
    )
    subprocess.run(command, check=True)  # noqa: S603 - pip, with our own flags


def merge(wheels: Path, library: Path) -> None:
    """Add what one version of Python needs. Raises ValueError where two versions would differ."""
    shutil.rmtree(wheels / "bin", ignore_errors=True)
    for file in _files(wheels):
        name = file.relative_to(wheels)
        if _of_one_wheel(name):
            continue
        target = library / name
        if target.exists() and target.read_bytes() != file.read_bytes():
            raise ValueError(f"{name} is not the same for every version of Python")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def _of_one_wheel(name: Path) -> bool:
    """What describes a single wheel; licenses and metadata hold for all of them."""
    about = name.parts[1:] if name.parts[0].endswith(".dist-info") else ()
    return about[:1] in {("RECORD",), ("WHEEL",), ("sboms",)}


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def packed(folder: Path) -> bytes:
    """The folder as a tar.gz: same content, same bytes."""
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or 0)
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=buffer, mode="wb", mtime=epoch) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for file in _files(folder):
            info = tarfile.TarInfo(str(file.relative_to(folder)))
            info.size, info.mtime = file.stat().st_size, epoch
            info.mode = 0o755 if file.name == LAUNCHER else 0o644
            with file.open("rb") as content:
                archive.addfile(info, content)
    return buffer.getvalue()


def manifest(archives: Mapping[str, Path], *, version: str = __version__) -> dict[str, Any]:
    """The plugin's manifest, for archives that hang on the GitHub release of this version."""
    names = ", ".join(f"python{each}" for each in pythons())
    return {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": NAME},
        "spec": {
            "version": f"v{version}",
            "homepage": HOME,
            "shortDescription": "Check where Endpoints and EndpointSlices really lead",
            "description": _DESCRIPTION,
            "caveats": _CAVEATS.format(pythons=names),
            "platforms": [_platform(name, path, version) for name, path in archives.items()],
        },
    }


def _platform(platform: str, archive: Path, version: str) -> dict[str, Any]:
    system, architecture = platform.split("/")
    return {
        "selector": {"matchLabels": {"os": system, "arch": architecture}},
        "uri": f"{HOME}/releases/download/v{version}/{archive.name}",
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "bin": LAUNCHER,
    }


def main() -> None:
    """Build what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m deploy.krew", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--platform", action="append", choices=PLATFORMS, help="default: all")
    given = parser.parse_args()
    archives = {each: build(each, given.output) for each in given.platform or PLATFORMS}
    file = given.output / f"{NAME}.yaml"
    text = yaml.safe_dump(manifest(archives), sort_keys=False, width=100)
    file.write_text(text, encoding="utf-8")
    for path in (*archives.values(), file):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
