"""WIRES. The command line: reads flags, connects the parts, prints, and sets the exit code.

Exit codes, for every command: 0 nothing to deny; 1 a finding at or above --fail-on; 2 wrong usage,
policy or input; 3 the state of the cluster could not be read.
"""

import signal
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

import click

from webhook import __version__
from webhook.cli.problems import EXIT_UNREAD
from webhook.core.text import did_you_mean

_COMMANDS: Final = {
    "serve": "answer admission reviews over TLS: the webhook itself",
    "check": "judge Endpoints and EndpointSlices in files before they are applied",
    "audit": "judge everything that a cluster has stored",
    "explain": "say what a rule means, or why an object is judged as it is",
    "rules": "list the rules",
    "snapshot": "write the cluster state that an offline check or audit needs",
    "policy": "show, check and describe the policy file",
    "certs": "make, look at and rotate the webhook's certificates",
    "demo": "start the webhook on an example and send it good and bad writes",
}


class _Commands(click.Group):
    """Imports a command when it is called: the Kubernetes client alone takes a third of a
    second.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"webhook.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}{did_you_mean(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_Commands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "ENDPOINTS_GUARD",
    },
)
@click.version_option(__version__, prog_name="endpoints-guard")
def cli() -> None:
    """Check that Endpoints and EndpointSlices lead where their Service says.

    Kubernetes lets whoever may write them send the traffic of a Service anywhere (CVE-2021-25740).
    This is the admission webhook that stops it, and the same judgement for manifests and for whole
    clusters.

    \b
    Try it:  endpoints-guard demo
    Check:   kubectl get svc,pods,endpoints -o yaml | endpoints-guard check -f -
    Audit:   endpoints-guard audit

    Every option can be set by an environment variable too, such as ENDPOINTS_GUARD_SERVE_LISTEN.
    """


def _end(*_: object) -> NoReturn:
    """Until a command listens to signals itself. Linux gives the first process of a container no
    default: without a handler SIGTERM would be lost there, and the Pod killed much later.
    """
    # A server that is told to stop has done its work; a check has found nothing out.
    sys.exit(0 if sys.argv[1:2] == ["serve"] else 128 + signal.SIGTERM)


def main() -> None:
    """Run, under the name by which kubectl called us, if it did."""
    signal.signal(signal.SIGTERM, _end)
    as_plugin = Path(sys.argv[0]).name.startswith("kubectl-")
    try:
        cli(prog_name="kubectl endpoints-guard" if as_plugin else "endpoints-guard")
    except Exception:
        traceback.print_exc()
        click.echo(
            "Error: this is a fault of endpoints-guard; please report it, with this", err=True
        )
        sys.exit(EXIT_UNREAD)
