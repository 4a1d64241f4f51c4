"""The load generator: vegeta, a program that keeps connections alive and reports in JSON.

It was chosen over wrk because it can do both loops. A closed loop, in which each of a fixed number
of workers sends its next request when the last is answered, finds the most that a server can do. An
open loop sends at a fixed rate, whether or not answers come, and so measures the latency that
callers see: a server that stalls cannot make its clients wait politely.
"""

import base64
import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.bench.cores import on_cores

_LONGEST_ANSWER = "30s"
_LONGEST_RUN_SECONDS = 300.0


class LoadError(RuntimeError):
    """Not every request was answered as it should be: there is nothing to be learned from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent, again and again."""

    method: str
    url: str
    body: bytes
    content_type: str = "application/json"

    def target(self) -> str:
        """Return it as vegeta reads it, in a line of JSON."""
        return json.dumps(
            {
                "method": self.method,
                "url": self.url,
                "body": base64.b64encode(self.body).decode(),
                "header": {"Content-Type": [self.content_type]},
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How clients and server know each other."""

    authority: Path
    """PEM, for the server's certificate."""
    client: tuple[Path, Path] | None = None
    """The client's own certificate and key, PEM."""

    def flags(self) -> Sequence[str]:
        words = [f"-root-certs={self.authority}"]
        if self.client:
            words += [f"-cert={self.client[0]}", f"-key={self.client[1]}"]
        return words


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of it."""

    requests: int
    throughput: float
    """Successful answers a second, until the last one was there."""
    p50: float
    """Milliseconds, like those that follow."""
    p90: float
    p99: float
    slowest: float
    answer_bytes: float
    """The mean length of an answer."""
    codes: Mapping[str, int] = field(default_factory=dict)
    errors: Sequence[str] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `vegeta report -type=json` writes."""
        read: dict[str, Any] = json.loads(text)
        latencies = {name: value / 1e6 for name, value in read["latencies"].items()}
        return cls(
            requests=read["requests"],
            throughput=read["throughput"],
            p50=latencies["50th"],
            p90=latencies["90th"],
            p99=latencies["99th"],
            slowest=latencies["max"],
            answer_bytes=read["bytes_in"]["mean"],
            codes=read["status_codes"],
            errors=tuple(read["errors"] or ())[:3],
        )

    @property
    def succeeded(self) -> int:
        """How many requests were answered with a 2xx."""
        return sum(count for code, count in self.codes.items() if code.startswith("2"))


class Vegeta:
    """The program, on the cores that it may use."""

    def __init__(self, program: Path, cores: Sequence[int], folder: Path) -> None:
        self._program = program
        self._cores = cores
        self._folder = folder

    def closed_loop(
        self, requests: Iterable[Request], trust: Trust, *, workers: int, seconds: float
    ) -> Report:
        """Keep this many requests under way. Raises LoadError."""
        flags = ("-rate=0", f"-duration={seconds}s", *_workers(workers))
        return self._sound(self._attack(requests, trust, *flags))

    def open_loop(
        self, requests: Iterable[Request], trust: Trust, *, rate: float, seconds: float
    ) -> Report:
        """Send at this rate. Raises LoadError."""
        # vegeta takes whole numbers of requests in a time.
        flags = (f"-rate={max(1, round(rate * 10))}/10s", f"-duration={seconds}s")
        return self._sound(self._attack(requests, trust, *flags))

    def send_once(self, requests: Sequence[Request], trust: Trust, *, workers: int) -> None:
        """Send each of them once, in no order. Raises LoadError."""
        report = self._attack(requests, trust, "-lazy", "-rate=0", *_workers(workers))
        if report.succeeded != len(requests):
            raise LoadError(f"{report.succeeded} of {len(requests)} succeeded: {report.errors}")

    def _attack(self, requests: Iterable[Request], trust: Trust, *flags: str) -> Report:
        targets, results = self._folder / "targets.jsonl", self._folder / "results.bin"
        targets.write_text("".join(f"{each.target()}\n" for each in requests), encoding="ascii")
        # API servers speak HTTP/1.1 to webhooks.
        common = ("-format=json", f"-targets={targets}", "-http2=false", *trust.flags())
        words = ("attack", *common, f"-timeout={_LONGEST_ANSWER}", *flags)
        self._run(*words, f"-output={results}")
        return Report.parse(self._run("report", "-type=json", str(results)))

    def _run(self, *words: str) -> str:
        command = (str(self._program), *words)
        try:
            with on_cores(self._cores):
                done = subprocess.run(
                    command,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=_LONGEST_RUN_SECONDS,
                )
        except subprocess.TimeoutExpired as error:
            raise LoadError(f"vegeta {words[0]} does not end") from error
        if done.returncode:
            raise LoadError(f"vegeta {words[0]}: {done.stderr.strip()}")
        return done.stdout

    def _sound(self, report: Report) -> Report:
        if not report.requests or report.succeeded != report.requests:
            raise LoadError(
                f"of {report.requests} requests, answers by code: {report.codes}; {report.errors}"
            )
        return report


def _workers(count: int) -> Sequence[str]:
    names = ("workers", "max-workers", "connections", "max-connections")
    return [f"-{name}={count}" for name in names]
