"""What a fake API server was asked, and what shall go wrong with the answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody asked; the verb is RBAC's."""

    verb: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    at: float
    """When, on the clock of `time.monotonic()`."""
    connection: int
    """The client's port."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to the next requests with this verb."""

    verb: str
    """get, list, watch or create."""
    path: str = ""
    """Only this path; any when empty."""
    after: int = 0
    """How many such requests are still answered well."""
    times: int = 1
    delay: float = 0.0
    """Seconds before anything is sent."""
    status: int = 0
    """Answer with a Status of this code."""
    message: str = "as scripted"
    headers: Mapping[str, str] = field(default_factory=dict)
    mangle: Callable[[bytes], bytes] | None = None
    """What becomes of a body, or of each line of a watch; its length is announced truthfully."""
    break_off: bool = False
    """Send half of the answer, or of the first line of a watch, and hang up."""
    drip: float = 0.0
    """Seconds before each single byte of the body."""
    hang_up: bool = False
    """Close the connection without a word."""
    silent: bool = False
    """Accept a watch, and never send a byte: the other half is gone, and nobody said so."""

    def strikes(self, verb: str, path: str) -> bool:
        """Whether this request is one of those; it is then counted."""
        if self.times <= 0 or self.verb != verb or self.path not in ("", path):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


NO_FAULT = Fault(verb="", times=0)
