"""The trace that a write belongs to (W3C Trace Context): read, logged, and passed on unchanged.

We record no spans, so we are no link of the trace: what the API server sent with a review goes out
again with the reads that the review makes necessary, and its ids stand in the log. The context is
that of the thread that answers the review, and so needs no place among anybody's arguments.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

_TRACEPARENT: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?",
    re.ASCII,
)
_TRACESTATE: Final = re.compile(r"[ -~]{1,512}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Which trace, and which span of it we are called from."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    flags: str
    state: str = ""
    """What tracing systems add, if anything."""

    @property
    def headers(self) -> dict[str, str]:
        """As we send it: in the one version that there is."""
        sent = {"traceparent": f"00-{self.trace_id}-{self.span_id}-{self.flags}"}
        return sent | {"tracestate": self.state} if self.state else sent


_NOTHING: Final[Mapping[str, str]] = {}
_current: ContextVar[TraceContext | None] = ContextVar("trace", default=None)


def trace_of(environ: Mapping[str, Any]) -> TraceContext | None:
    """The trace of a request, from its WSGI environment. What is malformed counts as not sent."""
    traceparent = environ.get("HTTP_TRACEPARENT")
    if traceparent is None:
        return None
    found = _TRACEPARENT.fullmatch(traceparent)
    # Only a later version of the specification may have more fields.
    if found is None or (found[1] == "00" and found[5] is not None):
        return None
    state = environ.get("HTTP_TRACESTATE", "")
    return TraceContext(found[2], found[3], found[4], state if _TRACESTATE.fullmatch(state) else "")


@contextmanager
def part_of(trace: TraceContext | None) -> Iterator[None]:
    """What this thread does meanwhile belongs to the trace."""
    token = _current.set(trace)
    try:
        yield
    finally:
        _current.reset(token)


def headers() -> Mapping[str, str]:
    """What to send along with a request that this thread makes."""
    trace = _current.get()
    return trace.headers if trace is not None else _NOTHING


def ids() -> Mapping[str, str]:
    """What to write into the log."""
    trace = _current.get()
    if trace is None:
        return _NOTHING
    return {"trace_id": trace.trace_id, "span_id": trace.span_id}
