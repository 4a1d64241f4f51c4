"""Builds programs once from the Go modules that a small go.mod of the tests pins.

The result is kept in a cache outside the checkout, under a key made of everything that decides it,
so a stale program is never used and a second run costs one `go env`. No prebuilt program is
fetched.
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

_HEARTBEAT = 60.0


class BinariesError(RuntimeError):
    """The programs are neither there nor buildable here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoProgram:
    """A program and what it is made of."""

    package: str
    """What `go build` is told to build; relative to the folder of go.mod, or of a module."""
    module: str
    """The module whose version in go.mod is the program's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoPrograms:
    """The programs of one go.mod."""

    name: str
    """Of the folder in the cache."""
    folder: Path
    """Where go.mod and go.sum are."""
    programs: Mapping[str, GoProgram]
    flags: Sequence[str]
    """Of `go build`, beyond those that every build here has."""
    version_of: str
    """The module whose version names the entry of the cache."""
    sources: Sequence[str] = ()
    """Files in `folder` that are built too."""
    instead: str = ""
    """What to do where there is no Go: the end of the error's sentence."""

    def find_or_build(self, names: Sequence[str]) -> dict[str, Path]:
        """Return these programs from the cache, which one process at a time may fill.

        Raises BinariesError.
        """
        directory = _cache_root() / self.name / self._cache_key()
        paths = {name: directory / name for name in names}
        if not all(path.exists() for path in paths.values()):
            with self._lock(directory):
                for name, path in paths.items():
                    if not path.exists():
                        self._build(name, path)
        return paths

    def version(self, name: str) -> str:
        """Return the version of a program, as "v1.2.3"."""
        return pinned_version(self.folder, self.programs[name].module)

    def module_folder(self, module: str) -> Path:
        """Return where the sources of a module are, which are downloaded if need be."""
        told = self._go("mod", "download", "-json", module)
        return Path(json.loads(told)["Dir"])

    def _cache_key(self) -> str:
        """Name one result: sources, toolchain, platform, and the flags."""
        names = ("GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT")
        toolchain = json.loads(self._go("env", "-json", *names))
        digest = hashlib.sha256(json.dumps(toolchain, sort_keys=True).encode())
        for name in ("go.mod", "go.sum", *self.sources):
            digest.update((self.folder / name).read_bytes())
        digest.update(" ".join(self._build_command("", "")).encode())
        return f"{pinned_version(self.folder, self.version_of)}-{digest.hexdigest()[:16]}"

    def _go(self, *words: str) -> str:
        """Ask Go, in `folder`, where go.mod may choose the toolchain."""
        try:
            done = subprocess.run(
                ("go", *words),
                cwd=self.folder,
                env=_go_environment(),
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise BinariesError(
                f"there is no `go` to build the {self.name}'s programs with: install Go (version: "
                f"{self.folder.name}/go.mod), or {self.instead}"
            ) from error
        if done.returncode:
            raise BinariesError(f"`go {' '.join(words)}` failed: {done.stderr.strip()}")
        return done.stdout

    @contextmanager
    def _lock(self, directory: Path) -> Iterator[None]:
        """Hold the lock of one cache entry; the kernel releases it even if the holder is killed."""
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._say("another process is building: waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _build(self, name: str, path: Path) -> None:
        """Build aside, then rename, so that nobody ever sees half a program."""
        started = time.monotonic()
        self._say(f"building {name} {self.version(name)}")
        scratch = Path(tempfile.mkdtemp(prefix=".build-", dir=path.parent))
        try:
            self._run_build(name, str(scratch / name), started)
            (scratch / name).replace(path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        seconds = time.monotonic() - started
        self._say(f"built {name} in {seconds:.0f} s ({path.stat().st_size >> 20} MiB)")

    def _run_build(self, name: str, output: str, started: float) -> None:
        command = self._build_command(self.programs[name].package, output)
        with tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=_go_environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                self._wait_visibly(process, name, started)
            finally:
                process.kill()
                process.wait()
            if process.returncode:
                log.seek(0)
                raise BinariesError(f"building {name} failed:\n{log.read()[-4000:]}")

    def _wait_visibly(self, process: subprocess.Popen[bytes], name: str, started: float) -> None:
        """Wait, with a sign of life every minute: silence for ten minutes looks like a hang."""
        while True:
            try:
                process.wait(_HEARTBEAT)
            except subprocess.TimeoutExpired:
                self._say(f"still building {name}, {time.monotonic() - started:.0f} s")
            else:
                return

    def _build_command(self, package: str, output: str) -> tuple[str, ...]:
        return ("go", "build", "-trimpath", "-buildvcs=false", *self.flags, "-o", output, package)

    def _say(self, message: str) -> None:
        print(f"{self.name}: {message}", file=sys.stderr, flush=True)


def pinned_version(folder: Path, module: str) -> str:
    """Return the version of a module that `folder`/go.mod pins, as "v1.2.3"."""
    text = (folder / "go.mod").read_text(encoding="utf-8")
    version = re.search(rf"^\s*(?:require )?{re.escape(module)} (v[\d.]+)", text, re.MULTILINE)
    if version is None:
        raise BinariesError(f"{folder / 'go.mod'} does not pin {module}")
    return version[1]


def programs_in(directory: str | None, names: Sequence[str]) -> dict[str, Path]:
    """Return those of the programs that somebody has put into a directory."""
    if not directory:
        return {}
    candidates = {name: Path(directory).absolute() / name for name in names}
    return {name: path for name, path in candidates.items() if os.access(path, os.X_OK)}


def _cache_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "endpoints-guard"


def _go_environment() -> dict[str, str]:
    """Return the caller's environment less what would change the result unseen."""
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
