"""The form of the log: one JSON object a line for collectors, readable text for a terminal."""

import logging
import time
from typing import Any, Final

import msgspec

from webhook import tracing
from webhook.core.text import one_line

LOG: Final = logging.getLogger("endpoints_guard")


def short(text: str, limit: int = 1024) -> str:
    """Anybody may send anything: what they sent stays on its line, and the line has an end."""
    return one_line(text, limit)


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record with its facts, in UTC."""
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{second}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **tracing.ids(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class ReadableLines(logging.Formatter):
    """For a terminal: the message, and each finding of a denial below it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The record, indented facts included."""
        findings = getattr(record, "facts", {}).get("findings", ())
        return "\n".join((super().format(record), *(f"         {text}" for text in findings)))


def configure_logging(stream: Any, *, json: bool) -> None:
    """Send the log of the whole process to a stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if json else ReadableLines())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
