"""`endpoints-guard policy`: what a policy may say, what one says, and what is wrong with it."""

import sys
from pathlib import Path

import click

from webhook.cli.policies import today
from webhook.cli.problems import EXIT_FINDINGS, UsageProblem
from webhook.cluster.config_files import BadFile
from webhook.cluster.policies import read_policy
from webhook.core.policy import Policy
from webhook.core.policy_review import as_schema, as_text, lint

_FILE = click.argument(
    "file", type=click.Path(dir_okay=False, path_type=Path), required=False, metavar="[FILE]"
)


@click.group()
def command() -> None:
    """Look at the policy: which rules hold where, and for whom not."""


@command.command()
def schema() -> None:
    """Print the JSON Schema of a policy file, for editors and CI."""
    click.echo(as_schema())


@command.command()
@_FILE
@click.option("-n", "--namespace", default="", help="As it holds in this namespace.")
def show(*, file: Path | None, namespace: str) -> None:
    """Print what holds under a policy file, defaults and profiles spelled out.

    Without FILE it is the default policy.
    """
    click.echo(as_text(_read(file), namespace, today()), nl=False)


@command.command("lint")
@_FILE
def check(*, file: Path | None) -> None:
    """Report what is dangerous in a policy file, expired, or without effect.

    Exit code: 0 nothing, 1 something, 2 the file is no policy.
    """
    remarks = lint(_read(file), today())
    for remark in remarks:
        click.echo(remark)
    click.echo(f"{len(remarks)} remark{'' if len(remarks) == 1 else 's'}")
    sys.exit(EXIT_FINDINGS if remarks else 0)


def _read(file: Path | None) -> Policy:
    try:
        return Policy() if file is None else read_policy(file)
    except BadFile as error:
        raise UsageProblem(str(error)) from error
