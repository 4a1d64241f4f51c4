"""`endpoints-guard explain`: what a rule means, and what to do about it."""

import click

from webhook.core.catalogue import as_page
from webhook.core.rules import RULES


@click.command()
@click.argument("rule")
def command(rule: str) -> None:
    """Say what RULE means, why it exists, how to comply, and show examples.

    RULE is a code, such as EG201, or a slug, such as pod-not-selected.
    """
    for candidate in RULES.values():
        if rule.casefold() in (candidate.code.casefold(), candidate.slug):
            click.echo(as_page(candidate), nl=False)
            return
    known = ", ".join(RULES)
    raise click.BadParameter(f"there is no rule {rule}; the rules are {known}", param_hint="RULE")
