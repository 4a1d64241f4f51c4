"""The `--policy` flag, and the policy that it names."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from webhook.cli.problems import UsageProblem
from webhook.cluster.config_files import BadFile
from webhook.cluster.policies import PolicySource


def policy_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--policy`."""
    option = click.option(
        "--policy",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Which rules hold where; see `policy schema`.  [default: every rule's own default]",
    )
    return option(command)


def policy_source(path: Path | None) -> PolicySource:
    """The policy of that file, or the default one. Raises `UsageProblem`."""
    try:
        return PolicySource(path, today)
    except BadFile as error:
        raise UsageProblem(str(error)) from error


def today() -> str:
    """The date in UTC, as exemptions write it."""
    return datetime.now(UTC).date().isoformat()
