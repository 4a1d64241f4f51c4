"""`endpoints-guard rules`: the catalogue."""

import click
import msgspec

from webhook.core.catalogue import as_markdown, as_table, as_values
from webhook.core.rules import RULES


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="json for programs; markdown is docs/rules.md.",
)
def command(output: str) -> None:
    """List the rules, with what breaking each of them means by default.

    `endpoints-guard explain EG201` tells more of one rule, with examples.
    """
    rules = tuple(RULES.values())
    if output == "json":
        document = msgspec.json.encode(as_values(rules))
        click.echo(msgspec.json.format(document, indent=2).decode())
    elif output == "markdown":
        click.echo(as_markdown(rules), nl=False)
    else:
        click.echo(as_table(rules), nl=False)
