"""`--baseline` and `--write-baseline`: findings that are known, in a file."""

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click
from msgspec import Struct

from webhook.cli.files import write_whole
from webhook.cli.problems import UsageProblem
from webhook.cluster.auditor import Scope
from webhook.cluster.config_files import BadFile, read_config
from webhook.core.baseline import baseline_lines, found_in, hide, parse_baseline
from webhook.core.fingerprint import Identity
from webhook.core.report import Report
from webhook.core.text import one_line

_NAMED: Final = 10
"""How many entries that match nothing are named."""


class Baseline(Struct, frozen=True, kw_only=True):
    """What the flags of `baseline_options` ask for."""

    known: frozenset[Identity] = frozenset()
    to: Path | None = None
    """Where to write what is found."""

    def applied(self, report: Report, scope: Scope) -> Report:
        """The report without what is known, after the file was written, if one is wanted.

        What is written counts as known, too. Raises `UsageProblem`.
        """
        incomplete = report.unjudged or report.unreadable
        found = found_in(report)
        if self.to is None:
            if not incomplete:
                _tell_of_stale(each for each in self.known - found if scope.covers(each))
            return hide(report, self.known)
        if incomplete:
            click.echo(f"{self.to} is not written: the audit is not complete", err=True)
            return hide(report, self.known)
        # What was not audited now stays as it was.
        kept = {each for each in self.known if not scope.covers(each)}
        _write(self.to, found | frozenset(kept))
        return hide(report, found)


def baseline_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--baseline` and `--write-baseline`, and pass them on as one `baseline`."""

    @click.option(
        "--baseline",
        "known",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Hide the findings in this file, and say which of them are gone.",
    )
    @click.option(
        "--write-baseline",
        "to",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Write what is found to this file. It then counts as known: the report is empty.",
    )
    @wraps(command)
    def with_baseline(*, known: Path | None, to: Path | None, **others: Any) -> Any:
        held = frozenset() if known is None else _read(known)
        return command(baseline=Baseline(known=held, to=to), **others)

    return with_baseline


def _read(file: Path) -> frozenset[Identity]:
    try:
        return read_config(file, "baseline", parse_baseline)
    except BadFile as error:
        raise UsageProblem(str(error)) from error


def _write(file: Path, found: frozenset[Identity]) -> None:
    try:
        write_whole(file, baseline_lines(found))
    except OSError as error:
        raise UsageProblem(f"{file}: {error.strerror}") from error


def _tell_of_stale(stale: Iterable[Identity]) -> None:
    gone = sorted(stale)
    if not gone:
        return
    count = f"{len(gone)} known finding{'' if len(gone) == 1 else 's'}"
    click.echo(f"{count} not there any more (--write-baseline forgets them):", err=True)
    for each in gone[:_NAMED]:
        where = "/".join(filter(None, (each.kind, each.namespace, each.name)))
        click.echo(one_line(f"  {each.rule} {where}: {each.subject}", 200), err=True)
    if gone[_NAMED:]:
        click.echo(f"  and {len(gone) - _NAMED} more", err=True)
