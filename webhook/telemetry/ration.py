"""How many lines the log may take: a burst, then a few a second, for the process and each writer.

Whoever may write endpoints can be denied thousands of times a second. Neither do that writer's
lines fill the disk, nor do they push out those about everybody else. What is left out is counted,
by the metrics and by a line of the log; the metrics and the API server's audit log miss nothing.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

WRITERS: Final = 1024
"""How many writers are told apart; whoever has been quiet for longest is forgotten."""
REPORT_SECONDS: Final = 10.0
"""After so long the log says how many lines were left out."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many lines at once, and so many a second in the long run."""

    burst: float
    per_second: float


OF_PROCESS: Final = Rate(burst=100, per_second=5)
OF_WRITER: Final = Rate(burst=20, per_second=0.5)


class _Bucket:
    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = rate.burst
        self._filled = now

    def fill(self, now: float) -> bool:
        """Whether there is one to take, by now."""
        gained = (now - self._filled) * self._rate.per_second
        self._tokens = min(self._rate.burst, self._tokens + gained)
        self._filled = now
        return self._tokens >= 1

    def take(self) -> None:
        self._tokens -= 1


class Ration:
    """Says of each line whether it may be written. From any thread."""

    def __init__(
        self,
        report: Callable[[int], None],
        *,
        clock: Callable[[], float] = monotonic,
        after: Callable[[float, Callable[[], None]], None] | None = None,
    ) -> None:
        """`report` is told how many were left out, some seconds after the first one was; `after`
        calls a function when that time has come.
        """
        self._report = report
        self._clock = clock
        self._after = after or _timer
        self._lock = threading.Lock()
        self._process = _Bucket(OF_PROCESS, clock())
        self._writers: OrderedDict[str, _Bucket] = OrderedDict()
        self._unreported = 0
        self.suppressed = 0
        """Lines left out since the beginning."""

    def allows(self, writer: str) -> bool:
        """Whether a line about this writer may be written; it then counts as written."""
        now = self._clock()
        with self._lock:
            own = self._of(writer, now)
            if own.fill(now) and self._process.fill(now):
                own.take()
                self._process.take()
                return True
            self.suppressed += 1
            self._unreported += 1
            first = self._unreported == 1
        if first:
            self._after(REPORT_SECONDS, self._tell)
        return False

    def _of(self, writer: str, now: float) -> _Bucket:
        bucket = self._writers.pop(writer, None) or _Bucket(OF_WRITER, now)
        self._writers[writer] = bucket
        if len(self._writers) > WRITERS:
            self._writers.popitem(last=False)
        return bucket

    def _tell(self) -> None:
        with self._lock:
            count, self._unreported = self._unreported, 0
        self._report(count)


def _timer(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()
