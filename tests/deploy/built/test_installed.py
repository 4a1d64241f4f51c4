"""What deploy/install.sh makes, run as a container would: by a stranger who can write nothing.

Downloads the locked wheels, so `make image` runs it and `make test` does not.
"""

import base64
import csv
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.dockerfile import ROOT, final, healthcheck
from tests.e2e.cluster import eventually
from webhook import __version__

pytestmark = pytest.mark.timeout(600)

USER, GROUP = final("USER").split(":")
# Root's own folders may hold the interpreter here: reading is allowed, writing is not.
READ = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
STRANGER = (
    ("setpriv", f"--reuid={USER}", f"--regid={GROUP}", "--clear-groups", *READ)
    if os.geteuid() == 0
    else ()
)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """The installation. Not in tmp_path, into which only its owner may look."""
    scratch = Path(tempfile.mkdtemp(prefix="endpoints-guard-image-"))
    scratch.chmod(0o755)
    try:
        install(scratch / "installed")
        yield scratch / "installed"
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(scratch)], check=True)
        shutil.rmtree(scratch)


def install(folder: Path) -> None:
    subprocess.run(
        [str(ROOT / "deploy" / "install.sh"), str(folder)],
        env={**os.environ, "PYTHON": sys.executable},
        check=True,
    )
    subprocess.run(["chmod", "-R", "a-w", str(folder)], check=True)


def command(home: Path, *words: str) -> tuple[str, ...]:
    return (*STRANGER, str(home / "bin" / words[0]), *words[1:])


def run(home: Path, *words: str) -> str:
    """What a command that succeeds says; nothing of the checkout is in its reach."""
    done = subprocess.run(
        command(home, *words),
        cwd="/",
        env={"PATH": f"{home}/bin:/usr/bin:/bin", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tree(home: Path) -> dict[str, str]:
    """Every file, by a digest of its content."""
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in home.rglob("*")
        if path.is_file()
    }


def test_it_serves_the_demo_and_writes_nothing(home: Path) -> None:
    before = tree(home)
    said = run(home, "endpoints-guard", "demo")
    assert re.search(r"^9 writes: 2 allowed, 7 denied$", said, re.MULTILINE)
    assert tree(home) == before


def test_the_health_check_follows_the_server(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    asked = [word.replace("8081", str(port)) for word in healthcheck()]
    with serving(home, port):
        eventually(lambda: healthy(home, asked), 60)
    assert not healthy(home, asked)


def healthy(home: Path, asked: list[str]) -> bool:
    """What the health check says."""
    done = subprocess.run(command(home, *asked), capture_output=True, check=False, timeout=60)
    return done.returncode == 0


@contextmanager
def serving(home: Path, port: int) -> Iterator[None]:
    """The webhook, with its health port there, stopped in the end."""
    certificates = home.parent / "tls"
    certificates.mkdir(mode=0o777)
    certificates.chmod(0o777)
    run(home, "endpoints-guard", "certs", "issue", "-d", str(certificates))
    state = certificates.parent / "state.yaml"
    state.write_text("kind: Service\nmetadata: {name: a, namespace: b}\n", encoding="utf-8")
    flags = {
        "--listen": "127.0.0.1:0",
        "--health-listen": f"127.0.0.1:{port}",
        "--tls-cert": certificates / "tls.crt",
        "--tls-key": certificates / "tls.key",
        "--state": state,
        "--drain-seconds": 0,
    }
    words = (str(word) for flag in flags.items() for word in flag)
    process = subprocess.Popen(command(home, "endpoints-guard", "serve", *words), cwd="/")
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def test_the_commands_are_there_under_both_names(home: Path) -> None:
    assert run(home, "endpoints-guard", "--version").endswith(f"version {__version__}\n")
    assert "Usage: kubectl endpoints-guard" in run(home, "kubectl-endpoints_guard", "--help")


def test_nothing_but_the_program_is_in_bin(home: Path) -> None:
    names = {path.name for path in (home / "bin").iterdir()}
    programs = {name for name in names if not name.startswith("python")}
    assert programs == {"endpoints-guard", "kubectl-endpoints_guard"}


def test_it_has_no_pip_and_no_second_client(home: Path) -> None:
    code = "import importlib.util as u; print([n for n in {!r} if u.find_spec(n)])"
    absent = ["pip", "setuptools", "kubernetes.aio", "pytest", "hypothesis"]
    assert run(home, "python", "-c", code.format(absent)) == "[]\n"


def test_every_file_is_what_its_record_says(home: Path) -> None:
    (site,) = (home / "lib").glob("python3.*/site-packages")
    records = sorted(site.glob("*.dist-info/RECORD"))
    locked = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    assert len(records) == len(re.findall(r"^[a-z0-9-]+==", locked, re.MULTILINE)) + 1
    for record in records:
        with record.open(newline="", encoding="utf-8") as lines:
            for name, digest, _ in csv.reader(lines):
                content = (site / name).read_bytes()
                if digest:
                    found = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
                    assert digest == f"sha256={found.decode().rstrip('=')}", name


def test_nothing_in_it_tells_where_it_was_built(home: Path) -> None:
    (site,) = (home / "lib").glob("python3.*/site-packages")
    assert not list(site.glob("*.dist-info/direct_url.json"))
    ours = [p for p in (*site.glob("webhook/**/*"), *site.glob("certs/**/*")) if p.is_file()]
    assert any(path.suffix == ".pyc" for path in ours)
    assert [p for p in ours if str(ROOT).encode() in p.read_bytes()] == []
