"""Addresses to listen on, as flags."""

import click

from webhook.gateway import Listen


class ListenType(click.ParamType[Listen]):
    """HOST:PORT."""

    name = "HOST:PORT"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Listen:
        """The address, or the end of the command with a word about the text."""
        if isinstance(value, Listen):
            return value
        try:
            return Listen.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
