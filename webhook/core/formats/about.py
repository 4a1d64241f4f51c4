"""What a report says of the run that it comes from."""

from typing import Literal

from msgspec import Struct

from webhook.core.rule import Action


class About(Struct, frozen=True, kw_only=True):
    """The run: which command, when, and what counts as failed."""

    command: Literal["check", "audit"] = "check"
    """`check` answers the writer of a manifest, `audit` whoever may read the whole cluster."""
    version: str = ""
    """Of endpoints-guard."""
    at: str = ""
    """When it ended, as RFC 3339 in UTC; empty where it does not matter."""
    fail_on: Action | None = Action.DENY
    """The mildest action that fails the run; None when nothing does."""

    @property
    def denied(self) -> str:
        """What became of an object that must not be: what is stored was not denied."""
        return "would be denied" if self.command == "audit" else "denied"

    def fails(self, action: Action) -> bool:
        """Whether a finding of this action fails the run."""
        return self.fail_on is not None and action.severity >= self.fail_on.severity
