"""The TLS context for the next connection, from files or from memory.

`ServingCertificate.context()` is asked for every accepted connection, so it answers from a cached
value. Files are looked at once a second at most, by what the path resolves to: a mounted Secret
changes by swapping a symbolic link, which no file event inside the folder announces. A new context
is built aside and put in place whole, only after certificate, key and client CA have been read,
agree, and are valid now. Otherwise the last good one serves on, even past its own expiry: a client
refuses an expired certificate as it would refuse none, and `facts()` lets readiness tell.
A live context is never changed: one with a mismatched pair would refuse every handshake.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from ssl import SSLContext

from certs.pki import CertificateInfo, CertificateProblem, KeyPair, Reason
from certs.tls import build_context
from certs.verification import check_client_ca, check_serving

LOG = logging.getLogger(__name__)

LOOK_INTERVAL = 1.0
"""Seconds of the monotonic clock between two looks at the files."""

_REMEDIES = {
    Reason.UNREADABLE: "put complete, unencrypted PEM there",
    Reason.KEY_MISMATCH: "replace certificate and key together",
    Reason.EXPIRED: "renew it",
    Reason.NOT_YET_VALID: "check this machine's clock, or wait",
    Reason.NOT_FOR_SERVING: "issue one with the extended key usage serverAuth",
    Reason.UNTRUSTED: "put the certificate of a CA there",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """Where certificate (leaf first, then intermediates) and key lie, as PEM."""

    certificate: Path
    key: Path

    def read(self) -> KeyPair:
        """Both files as they are now. Raises CertificateProblem."""
        return KeyPair(certificate=_read(self.certificate), key=_read(self.key))

    @property
    def paths(self) -> tuple[Path, ...]:
        """What to watch."""
        return (self.certificate, self.key)

    @property
    def origin(self) -> str:
        """What to call them in messages."""
        return f"{self.certificate} with key {self.key}"


@dataclass(frozen=True, slots=True)
class _InMemory:
    pair: KeyPair
    origin: str
    paths: tuple[Path, ...] = ()

    def read(self) -> KeyPair:
        return self.pair


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingFacts:
    """What readiness and metrics say about the certificate."""

    certificate: CertificateInfo | None = None
    """The one presented now; None before the first."""
    loaded_at: datetime | None = None
    loads: int = 0
    """How often a context was put in place."""
    failures: int = 0
    """How often a look at changed, or still unusable, files failed."""
    last_error: str = ""
    """Why the newest material is not in use; empty when it is."""


class ServingCertificate:
    """The certificate that a TLS listener presents. Safe for any number of threads.

    With `files`, they are loaded at once (CertificateProblem when unusable) and watched afterwards.
    Without, nothing is served until the first `present`. With `client_ca`, a file of PEM
    certificates that is watched too, clients must present a certificate signed by one of them.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        files: CertificateFiles | None = None,
        client_ca: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._client_ca = client_ca
        # Guards what is below, except that context and facts are swapped whole and read without it.
        self._lock = threading.Lock()
        self._source: CertificateFiles | _InMemory | None = None
        self._material: tuple[KeyPair, bytes | None] | None = None
        self._stamp: tuple[object, ...] = ()
        self._next_look = monotonic() + LOOK_INTERVAL
        self._context: SSLContext | None = None
        self._facts = ServingFacts()
        if files:
            self._load(files)
        else:
            self._read_client_ca()

    def context(self) -> SSLContext:
        """The context for the next connection. Raises CertificateProblem before the first."""
        if self._monotonic() >= self._next_look:
            self._look()
        if self._context is None:
            raise CertificateProblem(Reason.UNREADABLE, "there is no serving certificate yet")
        return self._context

    def facts(self) -> ServingFacts:
        """What is presented now, and what went wrong since."""
        return self._facts

    def present(self, pair: KeyPair, origin: str) -> None:
        """Serve `pair` from now on; `origin` is where it is from, for messages.

        Raises CertificateProblem, and the last good one serves on, when `pair` cannot be used.
        """
        with self._lock:
            self._load(_InMemory(pair, origin))

    def _look(self) -> None:
        if not self._lock.acquire(blocking=False):
            return  # another thread is looking, and the context in place is good
        try:
            self._next_look = self._monotonic() + LOOK_INTERVAL
            if self._source and self._is_due(self._source):
                self._load(self._source)
        except CertificateProblem as problem:
            self._note(problem)
        finally:
            self._lock.release()

    def _is_due(self, source: CertificateFiles | _InMemory) -> bool:
        """A file changed, or the last attempt failed, or what is presented has expired."""
        presented = self._facts.certificate
        return (
            bool(self._facts.last_error)
            or self._stamp != self._stamp_of(source)
            or (presented is not None and self._clock() > presented.not_after)
        )

    def _note(self, problem: CertificateProblem) -> None:
        text = str(problem)
        if text != self._facts.last_error:
            LOG.error("serving on with the last good certificate: %s", text)
        self._facts = replace(self._facts, failures=self._facts.failures + 1, last_error=text)

    def _load(self, source: CertificateFiles | _InMemory) -> None:
        """Read, check, build, and only then put in place. Raises CertificateProblem."""
        stamp = self._stamp_of(source)
        pair, client_ca, now = source.read(), self._read_client_ca(), self._clock()
        with _named(source.origin):
            info = check_serving(pair, now)
            if (pair, client_ca) != self._material:
                self._context = build_context(pair, client_ca)
                self._put_in_place(info, source.origin, now)
                # Dates of files are coarse: a second writer may have been as quick as we were.
                # Only what two looks found unchanged needs no third.
                stamp = ()
        self._source, self._material, self._stamp = source, (pair, client_ca), stamp
        self._facts = replace(self._facts, last_error="")

    def _put_in_place(self, info: CertificateInfo, origin: str, now: datetime) -> None:
        loads = self._facts.loads + 1
        self._facts = replace(self._facts, certificate=info, loaded_at=now, loads=loads)
        LOG.info(
            "serving certificate in use: serial %x, valid until %s, from %s",
            info.serial,
            info.not_after.isoformat(),
            origin,
        )

    def _read_client_ca(self) -> bytes | None:
        if self._client_ca is None:
            return None
        bundle = _read(self._client_ca)
        with _named(f"client CA {self._client_ca}"):
            check_client_ca(bundle, self._clock())
        return bundle

    def _stamp_of(self, source: CertificateFiles | _InMemory) -> tuple[object, ...]:
        client_ca = (self._client_ca,) if self._client_ca else ()
        return tuple(_stamp(path) for path in (*source.paths, *client_ca))


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        stat = path.stat()  # follows symbolic links
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_ino, stat.st_size)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateProblem(
            Reason.UNREADABLE, f"{path} cannot be read: {error.strerror}"
        ) from error


@contextmanager
def _named(origin: str) -> Iterator[None]:
    """Let the problem say where it was found and what to do."""
    try:
        yield
    except CertificateProblem as problem:
        remedy = _REMEDIES.get(problem.reason, "replace it")
        raise CertificateProblem(problem.reason, f"{origin}: {problem}; {remedy}") from problem
