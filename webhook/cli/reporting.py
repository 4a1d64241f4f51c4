"""How a command reports: the flags that `check` and `audit` share, the writing, and the exit code.

@click.command()
@reporting_options
def command(*, reporting: Reporting) -> None: ...
"""

import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, Final, Literal

import click
import yaml
from msgspec import Struct

from webhook import __version__
from webhook.cli.problems import EXIT_FINDINGS, EXIT_UNREAD, EXIT_USAGE, UsageProblem
from webhook.core.formats import (
    github_annotations,
    html_page,
    json_document,
    junit,
    markdown,
    sarif,
    text,
)
from webhook.core.formats.about import About
from webhook.core.report import Report
from webhook.core.rule import Action

_NEVER: Final = "never"
_COLOURS: Final = {
    "deny": "red",
    "warn": "yellow",
    "audit": "cyan",
    "allow": "green",
    "error": "red",
    "unread": "red",
}


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Spells out what stands there twice."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _as_yaml(report: Report, _about: About) -> str:
    """The JSON document in YAML. It is made here, because the core knows no YAML.

    Item by item: PyYAML keeps a node of each scalar until it writes, and of a whole report there
    are so many that it takes twice as long.
    """
    return "".join(
        f"{key}:\n{''.join(_yaml([item]) for item in value)}"
        if isinstance(value, list) and value
        else _yaml({key: value})
        for key, value in json_document.document(report).items()
    )


def _yaml(values: Any) -> str:
    made: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**30)
    return made


FORMATS: Final[Mapping[str, Callable[[Report, About], str]]] = {
    "text": text.render,
    "json": json_document.render,
    "yaml": _as_yaml,
    "sarif": sarif.render,
    "junit": junit.render,
    "markdown": markdown.render,
    "github": github_annotations.render,
    "html": html_page.render,
}


class Output(Struct, frozen=True):
    """A format, and the file that it goes to; standard output when there is none."""

    format: str
    file: Path | None = None


class Reporting(Struct, frozen=True, kw_only=True):
    """What the flags of `reporting_options` ask for."""

    outputs: tuple[Output, ...]
    fail_on: Action | None
    """The mildest action that makes the exit code 1; None when no finding does."""

    def write(self, report: Report, command: Literal["check", "audit"]) -> None:
        """Write every output. Raises `UsageProblem` for a file that cannot be written."""
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        about = About(command=command, version=__version__, at=at, fail_on=self.fail_on)
        for output in self.outputs:
            if output.file is not None:
                _write_file(FORMATS[output.format](report, about), output.file)
            elif output.format == "text" and _coloured():
                click.echo(_in_colour(report, about), nl=False, color=True)
            else:
                click.echo(FORMATS[output.format](report, about), nl=False)

    def exit_code(self, report: Report) -> int:
        """2 when something was unreadable, 3 when a cluster was, 1 for findings, otherwise 0."""
        if report.unreadable:
            return EXIT_USAGE
        if report.unjudged:
            return EXIT_UNREAD
        failed = self.fail_on is not None and report.has_finding_at(self.fail_on)
        return EXIT_FINDINGS if failed else 0


class _OutputType(click.ParamType[Output]):
    """`FORMAT` or `FORMAT=FILE`."""

    name = "output"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Output:
        format_, equals, file = str(value).partition("=")
        if format_ not in FORMATS:
            self.fail(f"{format_!r} is not one of {', '.join(FORMATS)}", param, ctx)
        if equals and not file:
            self.fail(f"{value!r} names no file", param, ctx)
        return Output(format_, Path(file) if file else None)


def reporting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--output`, `--output-file` and `--fail-on`, and pass them on as one `reporting`."""

    @click.option(
        "-o",
        "--output",
        "outputs",
        type=_OutputType(),
        multiple=True,
        metavar="FORMAT[=FILE]",
        help=f"{', '.join(FORMATS)}. May be repeated: `-o text -o sarif=report.sarif` writes the "
        "second to a file.  [default: text]",
    )
    @click.option(
        "--output-file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Write the report there.  [default: standard output]",
    )
    @click.option(
        "--fail-on",
        type=click.Choice(["deny", "warn", "audit", _NEVER]),
        default=str(Action.DENY),
        show_default=True,
        help="Exit with 1 when there is a finding of this action or a graver one.",
    )
    @wraps(command)
    def with_reporting(
        *, outputs: tuple[Output, ...], output_file: Path | None, fail_on: str, **others: Any
    ) -> Any:
        reporting = Reporting(
            outputs=_destinations(outputs or (Output("text"),), output_file),
            fail_on=None if fail_on == _NEVER else Action(fail_on),
        )
        return command(reporting=reporting, **others)

    return with_reporting


def _destinations(outputs: tuple[Output, ...], file: Path | None) -> tuple[Output, ...]:
    unnamed = [output.format for output in outputs if output.file is None]
    if len(unnamed) > 1:
        raise UsageProblem(
            f"--output: {' and '.join(unnamed)} would go to the same place; "
            f"give one of them a file, as in {unnamed[-1]}=report.{unnamed[-1]}"
        )
    if file is not None and not unnamed:
        raise UsageProblem("--output-file: every --output names a file already")
    return tuple(
        Output(output.format, file) if output.file is None else output for output in outputs
    )


def _write_file(made: str, file: Path) -> None:
    try:
        file.write_text(made, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageProblem(f"{file}: {error.strerror}") from error


def _coloured() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _in_colour(report: Report, about: About) -> str:
    return "".join(
        "".join(_span(span) for span in line) + "\n" for line in text.lines(report, about)
    )


def _span(span: text.Span) -> str:
    if span.style == "title":
        return click.style(span.text, bold=True)
    return click.style(span.text, fg=_COLOURS[span.style]) if span.style else span.text
