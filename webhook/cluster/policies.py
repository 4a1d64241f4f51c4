"""The policy file: read at the start, read again when it changes, the last good one kept.

In a cluster the file is a ConfigMap's, which the kubelet replaces by swapping a symbolic link; so
what the path leads to is compared, not watched.
"""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from webhook.cluster.config_files import BadFile, read_config
from webhook.core.policy import Policy, parse_policy

LOOK_SECONDS: Final = 1.0
"""How often the file is looked at, at the most."""

log: Final = logging.getLogger(__name__)


def read_policy(path: Path) -> Policy:
    """The policy in a file; an empty one is the default. Raises `BadFile`."""
    return read_config(path, "policy", lambda data: parse_policy({} if data is None else data))


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFacts:
    """What readiness and metrics say about the policy."""

    source: str
    loads: int = 0
    failures: int = 0
    last_error: str = ""
    """Why the file as it is now is not in force; empty when it is."""


class PolicySource:
    """The policy in force, from any number of threads."""

    def __init__(self, path: Path | None, today: Callable[[], str]) -> None:
        """Without a path it is the default policy. `today` gives the date as YYYY-MM-DD, in UTC.

        Raises `BadFile` when the file is not usable now.
        """
        self._path = path
        self._today = today
        self._lock = threading.Lock()
        self._next_look = monotonic() + LOOK_SECONDS
        self._stamp = _stamp(path)
        self._loaded = Policy() if path is None else read_policy(path)
        self._current = self._loaded.on(today())
        self._facts = PolicyFacts(source=str(path or "the default policy"), loads=1)
        self._loaded_at = monotonic()

    def current(self) -> Policy:
        """What holds now."""
        if monotonic() >= self._next_look:
            self._look()
        return self._current

    def facts(self) -> PolicyFacts:
        """How the file is doing."""
        return self._facts

    def age(self) -> float:
        """Seconds since the policy in force was loaded."""
        return monotonic() - self._loaded_at

    def _look(self) -> None:
        if not self._lock.acquire(blocking=False):
            return  # somebody else is looking; the last good policy is good enough meanwhile
        try:
            self._next_look = monotonic() + LOOK_SECONDS
            stamp, today = _stamp(self._path), self._today()
            if stamp != self._stamp:
                self._stamp = stamp
                self._reload()
            self._current = self._loaded.on(today)
        finally:
            self._lock.release()

    def _reload(self) -> None:
        assert self._path is not None  # noqa: S101 - a stamp that changes is a file's
        facts = self._facts
        try:
            self._loaded = read_policy(self._path)
        except BadFile as error:
            log.error("%s; the last good policy stays in force", error)  # noqa: TRY400
            self._facts = PolicyFacts(
                source=facts.source,
                loads=facts.loads,
                failures=facts.failures + 1,
                last_error=str(error),
            )
            return
        self._facts = PolicyFacts(
            source=facts.source, loads=facts.loads + 1, failures=facts.failures
        )
        self._loaded_at = monotonic()
        log.info("policy %s loaded", self._path)


def _stamp(path: Path | None) -> tuple[int, ...]:
    """Changes when the file does, a swapped symbolic link included; empty when there is none."""
    if path is None:
        return ()
    try:
        found = os.stat(path)  # noqa: PTH116 - the link's target, as one system call
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size
