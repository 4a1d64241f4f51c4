"""What is read of vegeta, and what it is told: with a script in its place, as it is a program."""

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.bench.vegeta import LoadError, Report, Request, Trust, Vegeta

REPORT: dict[str, Any] = {
    "latencies": {
        "total": 9_000_000,
        "mean": 3_000_000,
        "50th": 2_500_000,
        "90th": 4_000_000,
        "95th": 4_100_000,
        "99th": 4_200_000,
        "max": 4_300_000,
        "min": 1_900_000,
    },
    "bytes_in": {"total": 600, "mean": 200},
    "bytes_out": {"total": 3000, "mean": 1000},
    "requests": 3,
    "rate": 30.5,
    "throughput": 29.75,
    "success": 1,
    "status_codes": {"200": 3},
    "errors": [],
}
REVIEW = Request(method="POST", url="https://127.0.0.1:1/validate", body=b"{}")
TRUST = Trust(authority=Path("ca.crt"))

SCRIPT = """#!/bin/sh
echo "$@" >> "{log}"
if [ "$1" = attack ]; then
  for word; do
    case "$word" in -targets=*) cat "${{word#-targets=}}" >> "{log}.targets" ;; esac
  done
else
  cat "{report}"
fi
"""


class Scripted:
    """vegeta, as far as it is needed to see how it is used."""

    def __init__(self, folder: Path) -> None:
        self._log, self._report = folder / "log", folder / "report"
        program = folder / "vegeta"
        program.write_text(SCRIPT.format(log=self._log, report=self._report))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.answers()
        self.vegeta = Vegeta(program, (0,), folder)

    def answers(self, **fields: Any) -> None:
        self._report.write_text(json.dumps({**REPORT, **fields}))

    @property
    def attack(self) -> list[str]:
        return self._log.read_text().splitlines()[0].split()

    @property
    def targets(self) -> list[dict[str, Any]]:
        lines = Path(f"{self._log}.targets").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def scripted(tmp_path: Path) -> Scripted:
    return Scripted(tmp_path)


def test_a_report_is_read_in_milliseconds_and_answers_a_second() -> None:
    assert Report.parse(json.dumps(REPORT)) == Report(
        requests=3,
        throughput=29.75,
        p50=2.5,
        p90=4.0,
        p99=4.2,
        slowest=4.3,
        answer_bytes=200,
        codes={"200": 3},
        errors=(),
    )


def test_errors_are_read_where_there_are_some() -> None:
    report = Report.parse(json.dumps({**REPORT, "errors": ["a", "b", "c", "d"]}))
    assert report.errors == ("a", "b", "c")
    assert Report.parse(json.dumps({**REPORT, "errors": None})).errors == ()


@pytest.mark.parametrize(
    ("codes", "succeeded"),
    [({"200": 3}, 3), ({"200": 1, "201": 2}, 3), ({"0": 2, "503": 1}, 0), ({}, 0)],
)
def test_only_a_2xx_is_a_success(codes: dict[str, int], succeeded: int) -> None:
    assert Report.parse(json.dumps({**REPORT, "status_codes": codes})).succeeded == succeeded


def test_a_closed_loop_has_a_fixed_number_of_workers_and_connections(scripted: Scripted) -> None:
    scripted.vegeta.closed_loop([REVIEW], TRUST, workers=8, seconds=2.0)
    assert {
        *("-rate=0", "-duration=2.0s", "-http2=false", "-root-certs=ca.crt"),
        *("-workers=8", "-max-workers=8", "-connections=8", "-max-connections=8"),
    } <= set(scripted.attack)


@pytest.mark.parametrize(("rate", "told"), [(120.0, "1200/10s"), (1.26, "13/10s"), (0.01, "1/10s")])
def test_an_open_loop_has_a_rate(scripted: Scripted, rate: float, told: str) -> None:
    scripted.vegeta.open_loop([REVIEW], TRUST, rate=rate, seconds=2.0)
    assert f"-rate={told}" in scripted.attack
    assert not any(word.startswith("-max-workers") for word in scripted.attack)


def test_the_client_identifies_itself_where_it_can(scripted: Scripted) -> None:
    trust = Trust(authority=Path("ca.crt"), client=(Path("me.crt"), Path("me.key")))
    scripted.vegeta.closed_loop([REVIEW], trust, workers=1, seconds=1.0)
    assert {"-cert=me.crt", "-key=me.key"} <= set(scripted.attack)


def test_every_request_is_a_target(scripted: Scripted) -> None:
    patch = Request(method="PATCH", url="https://x/y", body=b"\x00", content_type="text/plain")
    scripted.answers(status_codes={"200": 2, "0": 7})
    scripted.vegeta.send_once([REVIEW, patch], TRUST, workers=2)
    assert scripted.targets == [
        {
            "method": "POST",
            "url": "https://127.0.0.1:1/validate",
            "body": base64.b64encode(b"{}").decode(),
            "header": {"Content-Type": ["application/json"]},
        },
        {
            "method": "PATCH",
            "url": "https://x/y",
            "body": base64.b64encode(b"\x00").decode(),
            "header": {"Content-Type": ["text/plain"]},
        },
    ]


@pytest.mark.parametrize(
    "fields",
    [{"status_codes": {"200": 2, "503": 1}}, {"status_codes": {"0": 3}}, {"requests": 0}],
)
def test_a_leg_in_which_a_request_fails_is_no_result(
    scripted: Scripted, fields: dict[str, Any]
) -> None:
    scripted.answers(**fields)
    with pytest.raises(LoadError):
        scripted.vegeta.closed_loop([REVIEW], TRUST, workers=1, seconds=1.0)
    with pytest.raises(LoadError):
        scripted.vegeta.open_loop([REVIEW], TRUST, rate=1.0, seconds=1.0)


def test_what_is_sent_once_has_to_succeed(scripted: Scripted) -> None:
    scripted.answers(status_codes={"201": 1, "409": 1}, errors=["409 Conflict"])
    with pytest.raises(LoadError, match=r"1 of 2 succeeded: \('409 Conflict',\)"):
        scripted.vegeta.send_once([REVIEW, REVIEW], TRUST, workers=1)


def test_what_vegeta_complains_about_is_said(tmp_path: Path) -> None:
    program = tmp_path / "vegeta"
    program.write_text("#!/bin/sh\necho no such file >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(LoadError, match="vegeta attack: no such file"):
        Vegeta(program, (0,), tmp_path).closed_loop([REVIEW], TRUST, workers=1, seconds=1.0)
