"""The flags by which `check` and `audit` report: formats, files, colours, exit codes."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from tests.core.formats.reading import read, told
from tests.core.formats.samples import AUDITED, CLEAN, EMPTY, NOTED, OLD, REPORT, finding, judged
from webhook.cli.reporting import FORMATS, Output, Reporting, reporting_options
from webhook.core.decision import Verdict
from webhook.core.report import Report
from webhook.core.rule import Action, Violation

DENY = finding("EG201", Action.DENY, Violation("subsets[0]", "10.0.7.8 is no Pod of yours"))
FOUND = Report(objects=(judged("web", Verdict.DENY, DENY), *REPORT.objects[1:]))
WARNED = Report(objects=(judged("old", Verdict.WARN, OLD),))
ONLY_NOTED = Report(objects=(judged("noted", Verdict.ALLOW, NOTED),))


def run(*arguments: str, report: Report = FOUND) -> tuple[int, str, str]:
    """A command that reports this and nothing else."""

    @click.command()
    @reporting_options
    def command(*, reporting: Reporting) -> None:
        reporting.write(report, "check")
        raise SystemExit(reporting.exit_code(report))

    done = CliRunner().invoke(command, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_is_an_output(format_: str) -> None:
    code, text, errors = run("--output", format_)
    assert (code, errors) == (1, "")
    assert read(format_, text) == told(FOUND)


def test_the_formats_are_the_documented_ones() -> None:
    assert list(FORMATS) == [
        *("text", "json", "yaml", "sarif", "junit", "markdown", "github", "html")
    ]


def test_yaml_is_the_json_document(folder: Path) -> None:
    run("-o", "json=a.json", "-o", "yaml=a.yaml", report=AUDITED)
    as_yaml = yaml.safe_load((folder / "a.yaml").read_text())
    assert as_yaml == json.loads((folder / "a.json").read_text())


def test_several_outputs_come_of_one_run(folder: Path) -> None:
    code, text, _ = run("-o", "text", "-o", "json=a.json", "-o", "junit=a=b.xml")
    assert code == 1
    assert text == run()[1]
    assert read("json", (folder / "a.json").read_text()) == told(FOUND)
    assert read("junit", (folder / "a=b.xml").read_text()) == told(FOUND)


def test_with_files_only_nothing_goes_to_standard_output(folder: Path) -> None:
    assert run("-o", "json=a.json") == (1, "", "")
    assert (folder / "a.json").exists()


def test_the_output_file_is_for_the_format_that_names_none(folder: Path) -> None:
    assert run("-o", "yaml=a.yaml", "-o", "json", "--output-file", "a.json") == (1, "", "")
    assert read("json", (folder / "a.json").read_text()) == told(FOUND)


def test_the_report_says_when_it_was_made() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    (invocation,) = json.loads(run("-o", "sarif")[1])["runs"][0]["invocations"]
    assert before <= datetime.fromisoformat(invocation["endTimeUtc"]) <= datetime.now(UTC)


WRONG = {
    "an unknown format": (("-o", "xml"), "'xml' is not one of text, json, yaml"),
    "a file without a name": (("-o", "json="), "'json=' names no file"),
    "two for standard output": (
        ("-o", "json", "-o", "sarif"),
        "give one of them a file, as in sarif=report.sarif",
    ),
    "a file for nothing": (
        ("-o", "json=a.json", "--output-file", "b.json"),
        "every --output names a file already",
    ),
    "a file that cannot be written": (("-o", "json=no/such/a.json"), "no/such/a.json: No such"),
    "a folder": (("-o", "json=."), ".: Is a directory"),
    "an unknown level": (("--fail-on", "sometimes"), "'sometimes' is not one of"),
}


@pytest.mark.parametrize(("arguments", "error"), WRONG.values(), ids=WRONG)
def test_wrong_usage_is_2_and_names_the_remedy(arguments: tuple[str, ...], error: str) -> None:
    code, text, errors = run(*arguments)
    assert (code, text) == (2, "")
    assert error in " ".join(errors.split())


EXITS: dict[str, tuple[Report, str, int]] = {
    "a denial, for denials": (FOUND, "deny", 1),
    "a warning, for denials": (WARNED, "deny", 0),
    "a warning, for warnings": (WARNED, "warn", 1),
    "a note, for warnings": (ONLY_NOTED, "warn", 0),
    "a note, for notes": (ONLY_NOTED, "audit", 1),
    "a denial, for nothing": (FOUND, "never", 0),
    "nothing found": (CLEAN, "audit", 0),
    "nothing judged": (EMPTY, "audit", 0),
    "something unreadable, and a denial": (REPORT, "deny", 2),
    "something unreadable, for nothing": (REPORT, "never", 2),
    "a part of a cluster unread, and a denial": (AUDITED, "deny", 3),
    "a part of a cluster unread, for nothing": (AUDITED, "never", 3),
}


@pytest.mark.parametrize(("report", "fail_on", "code"), EXITS.values(), ids=EXITS)
def test_the_exit_code(report: Report, fail_on: str, code: int) -> None:
    assert run("--fail-on", fail_on, report=report)[0] == code


class Terminal:
    """Standard output that is one."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> str:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    reporting = Reporting(outputs=(Output("text"),), fail_on=None)
    reporting.write(FOUND, "check")
    return terminal.text


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = on_terminal(monkeypatch)
    assert text.startswith("\x1b[31mdeny \x1b[0m  Endpoints shop/web\n")
    assert click.unstyle(text) == run()[1]


def test_a_terminal_gets_none_where_they_are_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert on_terminal(monkeypatch) == run()[1]
