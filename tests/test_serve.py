"""`serve` and `certs` with what they cannot use: exit 2, and a message that names it."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certs.pki import issue_ca, issue_serving
from certs.serving import CertificateFiles, ServingCertificate
from webhook.cli.certificates import condition_of

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made, now = tmp_path_factory.mktemp("serve"), datetime.now(UTC)
    ca = issue_ca("ca", now, 10 * DAY)
    good = issue_serving(ca, ("localhost",), now, DAY)
    old = issue_serving(issue_ca("ca", now - 9 * DAY, DAY), ("localhost",), now - 9 * DAY, DAY)
    other = issue_serving(ca, ("localhost",), now, DAY)
    for name, content in {
        "tls.crt": good.certificate,
        "tls.key": good.key,
        "other.key": other.key,
        "old.crt": old.certificate,
        "old.key": old.key,
        "cut.crt": good.certificate[:-40],
        "state.yaml": b"kind: Service\nmetadata: {name: a}\n",
        "bad.yaml": b"kind: Service\nmetadata: {name: a}\nspec: {ports: 80}\n",
        "policy.yaml": b"rules: {EG201: dney}\n",
    }.items():
        (made / name).write_bytes(content)
    return made


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "webhook", *words)
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


FILES = ("--tls-cert", "tls.crt", "--tls-key", "tls.key")
STATE = ("--state", "state.yaml")

UNUSABLE: dict[str, tuple[tuple[str, ...], str]] = {
    "no certificate": (STATE, "--self-managed-certs"),
    "a certificate without a key": (("--tls-cert", "tls.crt", *STATE), "--tls-key"),
    "a missing file": (("--tls-cert", "no.crt", "--tls-key", "tls.key", *STATE), "no.crt"),
    "a key that does not match": (
        ("--tls-cert", "tls.crt", "--tls-key", "other.key", *STATE),
        "other.key",
    ),
    "an expired certificate": (
        ("--tls-cert", "old.crt", "--tls-key", "old.key", *STATE),
        "old.crt",
    ),
    "half a certificate": (("--tls-cert", "cut.crt", "--tls-key", "tls.key", *STATE), "cut.crt"),
    "two kinds of certificate": ((*FILES, "--self-managed-certs", *STATE), "exclude each other"),
    "a client name without a CA": ((*FILES, "--client-name", "x", *STATE), "--client-ca"),
    "a client CA that is no CA": ((*FILES, "--client-ca", "tls.crt", *STATE), "tls.crt"),
    "lifetimes that do not fit": (
        ("--self-managed-certs", "--cert-lifetime", "10m", *STATE),
        "--cert-lifetime at least twelve times --cert-propagation",
    ),
    "a certificate that would outlive its CA": (
        ("--self-managed-certs", "--cert-lifetime", "183d", *STATE),
        "--ca-lifetime must be at least twice --cert-lifetime",
    ),
    "a lifetime that is none": (("--self-managed-certs", "--ca-lifetime", "1y", *STATE), "90d"),
    "a Secret without a namespace": (
        ("--self-managed-certs", "--cert-secret", "x", *STATE),
        "NAMESPACE/NAME",
    ),
    "a listen address that is none": ((*FILES, "--listen", "8443", *STATE), "HOST:PORT"),
    "state that cannot be read": ((*FILES, "--state", "bad.yaml"), "spec.ports"),
    "a policy that is none": ((*FILES, *STATE, "--policy", "policy.yaml"), "line 1: rules.EG201"),
    "events without a cluster": ((*FILES, *STATE, "--events"), "leave out --state"),
    "files and a cluster": ((*FILES, *STATE, "--context", "prod"), "leave out --kubeconfig, --con"),
    "an address of another machine": (
        (*FILES, *STATE, "--listen", "192.0.2.1:8443"),
        "this machine has no such address",
    ),
    "a port twice": (
        (*FILES, *STATE, "--listen", "127.0.0.1:46193", "--health-listen", "127.0.0.1:46193"),
        "127.0.0.1:46193: Address already in use; stop what listens there, or choose another port",
    ),
    "a cluster that is not named": ((*FILES, "--kubeconfig", "no.kubeconfig"), "no.kubeconfig"),
}


@pytest.mark.parametrize(("flags", "named"), UNUSABLE.values(), ids=UNUSABLE)
def test_serve_does_not_begin_with_what_it_cannot_use(
    folder: Path, flags: tuple[str, ...], named: str
) -> None:
    done = run(folder, "serve", *flags)
    assert done.returncode == 2, done.stderr
    assert named in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [(("serve", *FILES, "--state", "pipe"), 0), (("check", "-f", "pipe"), 128 + signal.SIGTERM)],
    ids=["serve", "check"],
)
def test_sigterm_ends_a_command_that_is_still_reading(
    folder: Path, command: tuple[str, ...], code: int
) -> None:
    """Even as the first process of a container, which has no default for it."""
    os.mkfifo(folder / "pipe")
    started = subprocess.Popen(
        (sys.executable, "-m", "webhook", *command), cwd=folder, stderr=subprocess.PIPE, text=True
    )
    with started as process, (folder / "pipe").open("w"):  # which waits until it is read
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == code
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    (folder / "pipe").unlink()


def test_certificates_are_not_overwritten_unless_asked(folder: Path) -> None:
    assert run(folder, "certs", "issue", "-d", "made").returncode == 0
    again = run(folder, "certs", "issue", "-d", "made")
    assert (again.returncode, "--overwrite" in again.stderr) == (2, True)
    assert run(folder, "certs", "issue", "-d", "made", "--overwrite").returncode == 0
    assert (folder / "made" / "tls.key").stat().st_mode & 0o077 == 0


def test_show_exits_with_1_when_something_does_not_match(folder: Path) -> None:
    assert run(folder, "certs", "issue", "-d", "shown", "--service", "a", "-n", "b").returncode == 0
    files = ("--tls-cert", "shown/tls.crt", "--tls-key", "shown/tls.key")
    bundle = ("--ca-bundle", "shown/ca.crt")
    assert run(folder, "certs", "show", *files, *bundle, "--cert-service", "b/a").returncode == 0
    other = run(folder, "certs", "show", *files, *bundle)
    assert (other.returncode, "BAD  lacks" in other.stdout) == (1, True)


def test_readiness_fails_before_the_certificate_does(folder: Path) -> None:
    files = CertificateFiles(certificate=folder / "tls.crt", key=folder / "tls.key")
    certificate = ServingCertificate(clock=lambda: datetime.now(UTC), files=files)
    assert condition_of(certificate).ready
    assert not condition_of(certificate, margin=2 * DAY).ready
