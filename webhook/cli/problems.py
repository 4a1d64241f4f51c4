"""How a command ends when it does not end well: one line for people, a code for programs."""

from typing import Final

import click

EXIT_FINDINGS: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREAD: Final = 3


class UsageProblem(click.ClickException):
    """What the command was given cannot be used: a flag, a file, a policy."""

    exit_code = EXIT_USAGE


class UnreadProblem(click.ClickException):
    """The state of the cluster could not be read, so nothing can be said of it."""

    exit_code = EXIT_UNREAD
