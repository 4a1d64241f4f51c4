"""The certificate that is presented: always a sound one, and soon the newest."""

import itertools
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from certs.pki import CertificateProblem, KeyPair, Reason, inspect, issue_client
from certs.serving import LOOK_INTERVAL, CertificateFiles, ServingCertificate
from tests.certs.builders import (
    DAY,
    FOR_CLIENTS,
    NAME,
    alternatives,
    craft,
    sound_ca,
    sound_serving,
)
from tests.certs.handshake import listening, trusting

TODAY = datetime.now(UTC)  # OpenSSL judges dates by the clock of the machine
CA = sound_ca(now=TODAY)
OLD = sound_serving(CA, now=TODAY)
NEW = sound_serving(CA, now=TODAY)


class Clock:
    """Wall clock and monotonic clock that move when told."""

    def __init__(self) -> None:
        self.now = TODAY
        self.seconds = 0.0

    def wall(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds

    def pass_look_interval(self) -> None:
        self.seconds += LOOK_INTERVAL


def look_twice(serving: ServingCertificate, clock: Clock) -> None:
    """From now on files are read only when they look changed."""
    for _ in range(2):
        clock.pass_look_interval()
        serving.context()


class Folder:
    """Certificate and key on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = CertificateFiles(certificate=path / "tls.crt", key=path / "tls.key")
        self.client_ca = path / "client-ca.crt"

    def write(self, pair: KeyPair) -> None:
        self.files.certificate.write_bytes(pair.certificate)
        self.files.key.write_bytes(pair.key)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.write(OLD)
    return folder


def serving_from(folder: Folder, clock: Clock, client_ca: Path | None = None) -> ServingCertificate:
    return ServingCertificate(
        clock=clock.wall, monotonic=clock.monotonic, files=folder.files, client_ca=client_ca
    )


def serial(pair: KeyPair) -> int:
    return inspect(pair.certificate).serial


def presented(serving: ServingCertificate) -> int:
    """The serial that a client sees on a real connection."""
    with listening(serving) as listener:
        return listener.connect(trusting(CA.certificate)).serial


def test_one_listener_presents_the_new_pair_after_the_next_look(
    folder: Folder, clock: Clock
) -> None:
    serving = serving_from(folder, clock)
    client = trusting(CA.certificate)

    with listening(serving) as listener:
        before = listener.connect(client).serial
        folder.write(NEW)
        too_early = listener.connect(client).serial
        clock.pass_look_interval()
        after = listener.connect(client).serial

    assert (before, too_early, after) == (serial(OLD), serial(OLD), serial(NEW))


def test_a_mounted_secret_that_swaps_its_symbolic_link_is_seen(
    tmp_path: Path, clock: Clock
) -> None:
    for version, pair in (("..1", OLD), ("..2", NEW)):
        (tmp_path / version).mkdir()
        Folder(tmp_path / version).write(pair)
        for name in ("tls.crt", "tls.key"):  # same date and size: only the inode tells
            os.utime(tmp_path / version / name, ns=(0, 0))
    (tmp_path / "..data").symlink_to("..1")
    mounted = Folder(tmp_path / "..data")
    serving = serving_from(mounted, clock)
    look_twice(serving, clock)

    (tmp_path / "..tmp").symlink_to("..2")
    (tmp_path / "..tmp").rename(tmp_path / "..data")
    clock.pass_look_interval()

    assert presented(serving) == serial(NEW)


def test_a_broken_version_that_is_taken_back_is_no_error_any_more(
    tmp_path: Path, clock: Clock
) -> None:
    for version, pair in (("..1", OLD), ("..2", replace(NEW, key=b""))):
        (tmp_path / version).mkdir()
        Folder(tmp_path / version).write(pair)
    data = tmp_path / "..data"
    data.symlink_to("..1")
    serving = serving_from(Folder(data), clock)
    look_twice(serving, clock)
    errors = []

    for version in ("..2", "..1"):
        data.unlink()
        data.symlink_to(version)
        clock.pass_look_interval()
        serving.context()
        errors.append(bool(serving.facts().last_error))

    assert errors == [True, False]


def test_files_that_were_touched_but_not_changed_keep_the_context(
    folder: Folder, clock: Clock
) -> None:
    serving = serving_from(folder, clock)
    context = serving.context()

    folder.write(OLD)
    clock.pass_look_interval()

    assert serving.context() is context
    assert serving.facts().loads == 1


def twin_of(pair: KeyPair) -> KeyPair:
    """Another pair of the same size in bytes."""
    while True:
        twin = sound_serving(CA, now=TODAY)
        if len(twin.certificate) == len(pair.certificate) and len(twin.key) == len(pair.key):
            return twin


def test_a_writer_as_quick_as_the_reader_is_seen_at_the_look_after(
    folder: Folder, clock: Clock
) -> None:
    serving = serving_from(folder, clock)
    dates = [path.stat().st_mtime_ns for path in folder.files.paths]

    twin = twin_of(OLD)
    folder.write(twin)  # size and inode stay, and the date, which is coarse, may stay as well
    for path, date in zip(folder.files.paths, dates, strict=True):
        os.utime(path, ns=(date, date))
    clock.pass_look_interval()

    assert presented(serving) == serial(twin)


def test_between_two_looks_no_file_is_touched(folder: Folder, clock: Clock) -> None:
    serving = serving_from(folder, clock)
    folder.files.key.unlink()

    clock.seconds += LOOK_INTERVAL * 0.99
    serving.context()

    assert serving.facts().failures == 0


def cut(pem: bytes) -> bytes:
    return pem[: len(pem) // 2]


def replaced(certificate: bytes, key: bytes) -> Callable[[Folder], None]:
    return lambda folder: folder.write(KeyPair(certificate=certificate, key=key))


def pair(pair: KeyPair) -> Callable[[Folder], None]:
    return lambda folder: folder.write(pair)


EXPIRED = sound_serving(CA, now=TODAY - 2 * DAY, lifetime=DAY)
FUTURE = sound_serving(CA, now=TODAY + 2 * DAY)
CLIENT = craft("x", CA, alternatives(NAME), FOR_CLIENTS, valid=(TODAY - DAY, TODAY + DAY))
BROKEN: dict[str, tuple[Callable[[Folder], object], str]] = {
    "certificate half written": (replaced(cut(NEW.certificate), OLD.key), "cut off"),
    "key half written": (replaced(NEW.certificate, cut(NEW.key)), "not a PEM private key"),
    "certificate replaced, key not yet": (
        replaced(NEW.certificate, OLD.key),
        "replace certificate and key together",
    ),
    "key replaced, certificate not yet": (replaced(OLD.certificate, NEW.key), "does not belong"),
    "both empty": (replaced(b"", b""), "not a PEM certificate"),
    "key missing": (lambda folder: folder.files.key.unlink(), "No such file or directory"),
    "expired": (pair(EXPIRED), "expired at"),
    "not yet valid": (pair(FUTURE), "check this machine's clock"),
    "for clients only": (pair(CLIENT), "serverAuth"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_used_never_replaces_what_is_in_use(
    case: str, folder: Folder, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    break_files, complaint = BROKEN[case]
    serving = serving_from(folder, clock)

    break_files(folder)
    for _ in range(3):
        clock.pass_look_interval()
        serving.context()

    assert presented(serving) == serial(OLD)
    assert serving.facts().failures == 3
    [error] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert str(folder.path) in error.getMessage()
    assert complaint in error.getMessage()

    folder.write(NEW)
    clock.pass_look_interval()

    assert presented(serving) == serial(NEW)
    assert serving.facts().last_error == ""


def test_a_pair_that_was_too_early_is_used_when_its_time_comes(
    folder: Folder, clock: Clock
) -> None:
    serving = serving_from(folder, clock)
    folder.write(FUTURE)
    clock.pass_look_interval()
    serving.context()

    clock.now = TODAY + 2 * DAY
    clock.pass_look_interval()
    serving.context()

    certificate = serving.facts().certificate
    assert certificate is not None
    assert certificate.serial == serial(FUTURE)


def test_what_expires_while_it_is_presented_is_reported(folder: Folder, clock: Clock) -> None:
    serving = serving_from(folder, clock)
    context = serving.context()
    look_twice(serving, clock)

    clock.now = TODAY + 91 * DAY
    clock.pass_look_interval()

    assert serving.context() is context
    assert "expired at" in serving.facts().last_error


def certificate_is_a_folder(folder: Folder) -> None:
    folder.files.certificate.unlink()
    folder.files.certificate.mkdir()


START: dict[str, tuple[Callable[[Folder], object], Reason]] = {
    "certificate missing": (lambda folder: folder.files.certificate.unlink(), Reason.UNREADABLE),
    "certificate is a folder": (certificate_is_a_folder, Reason.UNREADABLE),
    "mismatch": (replaced(NEW.certificate, OLD.key), Reason.KEY_MISMATCH),
    "expired": (pair(EXPIRED), Reason.EXPIRED),
    "client CA cut off": (
        lambda folder: folder.client_ca.write_bytes(cut(CA.certificate)),
        Reason.UNREADABLE,
    ),
    "client CA is a leaf": (
        lambda folder: folder.client_ca.write_bytes(NEW.certificate),
        Reason.UNTRUSTED,
    ),
}


@pytest.mark.parametrize("case", START)
def test_nothing_starts_without_a_pair_that_can_be_presented(
    case: str, folder: Folder, clock: Clock
) -> None:
    break_files, reason = START[case]
    folder.client_ca.write_bytes(CA.certificate)
    break_files(folder)

    with pytest.raises(CertificateProblem) as raised:
        serving_from(folder, clock, folder.client_ca)

    assert raised.value.reason == reason
    assert str(folder.path) in str(raised.value)


def test_a_problem_at_the_start_says_which_file_what_and_what_to_do(
    folder: Folder, clock: Clock
) -> None:
    folder.files.key.write_bytes(NEW.key)

    with pytest.raises(CertificateProblem) as raised:
        serving_from(folder, clock)

    assert str(raised.value) == (
        f"{folder.files.certificate} with key {folder.files.key}: the private key does not belong "
        "to certificate CN=guard; replace certificate and key together"
    )


def test_the_facts_say_what_is_presented_since_when(folder: Folder, clock: Clock) -> None:
    serving = serving_from(folder, clock)
    folder.write(NEW)
    clock.now = TODAY + DAY
    clock.pass_look_interval()
    serving.context()

    facts = serving.facts()

    assert facts.certificate == inspect(NEW.certificate)
    assert (facts.loaded_at, facts.loads) == (TODAY + DAY, 2)


OTHER_CA = sound_ca("other CA", now=TODAY)
CLIENT_OF = {
    "old": issue_client(CA, "api", (), TODAY, DAY),
    "new": issue_client(OTHER_CA, "api", (), TODAY, DAY),
}


def lets_in(serving: ServingCertificate, folder: Folder, client: str) -> bool:
    path = folder.path / f"{client}.pem"
    path.write_bytes(CLIENT_OF[client].certificate + CLIENT_OF[client].key)
    context = trusting(CA.certificate)
    context.load_cert_chain(path)
    with listening(serving) as listener:
        try:
            listener.connect(context)
        except OSError:
            return False
    return True


@pytest.mark.parametrize("in_memory", [False, True], ids=["files", "memory"])
def test_a_client_ca_is_replaced_like_a_pair(in_memory: bool, folder: Folder, clock: Clock) -> None:
    folder.client_ca.write_bytes(CA.certificate)
    if in_memory:
        serving = ServingCertificate(
            clock=clock.wall, monotonic=clock.monotonic, client_ca=folder.client_ca
        )
        serving.present(OLD, "Secret system/guard")
    else:
        serving = serving_from(folder, clock, folder.client_ca)
    verdicts = [(lets_in(serving, folder, "old"), lets_in(serving, folder, "new"))]

    for bundle in (cut(OTHER_CA.certificate), OTHER_CA.certificate):
        folder.client_ca.write_bytes(bundle)
        clock.pass_look_interval()
        verdicts.append((lets_in(serving, folder, "old"), lets_in(serving, folder, "new")))

    assert verdicts == [(True, False), (True, False), (False, True)]


def test_a_pair_in_memory_is_presented_when_it_comes(clock: Clock) -> None:
    serving = ServingCertificate(clock=clock.wall, monotonic=clock.monotonic)
    with pytest.raises(CertificateProblem, match="no serving certificate yet"):
        serving.context()

    serving.present(OLD, "Secret system/guard")
    first = presented(serving)
    serving.present(NEW, "Secret system/guard")

    assert (first, presented(serving)) == (serial(OLD), serial(NEW))


def test_a_pair_in_memory_that_cannot_be_used_is_refused_and_the_last_one_stays(
    clock: Clock,
) -> None:
    serving = ServingCertificate(clock=clock.wall, monotonic=clock.monotonic)
    serving.present(OLD, "Secret system/guard")

    with pytest.raises(CertificateProblem, match=r"Secret system/guard: .* expired"):
        serving.present(EXPIRED, "Secret system/guard")

    clock.pass_look_interval()
    assert presented(serving) == serial(OLD)


def test_a_slow_disk_delays_the_one_connection_that_looks_and_no_other(
    folder: Folder, clock: Clock
) -> None:
    serving = serving_from(folder, clock)
    context = serving.context()
    folder.files.certificate.write_bytes(NEW.certificate)
    folder.files.key.unlink()
    os.mkfifo(folder.files.key)  # reading blocks until somebody writes
    clock.pass_look_interval()
    looking = threading.Thread(target=serving.context, daemon=True)
    looking.start()

    with folder.files.key.open("wb") as slow, ThreadPoolExecutor() as another:  # it is reading
        clock.pass_look_interval()
        try:
            assert another.submit(serving.context).result(timeout=10) is context
        finally:
            slow.write(NEW.key)
            slow.close()
    looking.join(timeout=10)

    assert serving.facts().certificate == inspect(NEW.certificate)


def test_threads_that_ask_during_reloads_always_get_a_sound_context(folder: Folder) -> None:
    seconds = itertools.count()  # every call is time to look
    serving = ServingCertificate(
        clock=lambda: TODAY, monotonic=lambda: float(next(seconds)), files=folder.files
    )
    stop = threading.Event()
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            while not stop.is_set():
                serving.context()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(10):
        folder.write((NEW, OLD)[number % 2])
    folder.write(NEW)
    os.utime(folder.files.key, ns=(0, 0))  # so many writes in so little time share one date
    stop.set()
    for thread in threads:
        thread.join()

    assert failures == []
    assert presented(serving) == serial(NEW)
