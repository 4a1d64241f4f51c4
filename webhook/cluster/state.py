"""Where the facts for a verdict come from: the one question that the server asks a cluster."""

from dataclasses import dataclass
from typing import Protocol

from webhook.core.decision import Indeterminate
from webhook.core.excerpt import Excerpt
from webhook.core.inventory import Inventory
from webhook.core.objects import AdmissionRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How a part of the process is doing: a line of /readyz."""

    part: str
    ready: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """What one write depends on, read a moment ago."""

    inventory: Inventory
    complete: bool = True
    """False when there was more to read than is read for one write: what is here is true, but an
    allowing verdict may lack something.
    """


class State(Protocol):
    """A cluster, as far as it is known."""

    def known(self) -> Inventory | Indeterminate:
        """What is in memory: fast, complete, and possibly a moment old."""

    def confirmed(self, excerpt: Excerpt, deadline: float) -> Confirmed | Indeterminate | None:
        """What the verdict on this depends on, read anew before `deadline` (of `time.monotonic`).

        None when there is nothing newer than what `known` gives.
        """

    def may_restricted(self, request: AdmissionRequest, deadline: float) -> bool | Indeterminate:
        """Whether the writer may create `endpoints/restricted` (or `endpointslices/restricted`).

        A virtual right: no such subresource exists. OpenShift made it up, and operators ask for it.
        """

    def conditions(self) -> tuple[Condition, ...]:
        """How complete and how fresh it is, part by part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedState:
    """Manifests or a snapshot in the place of a cluster: never late, never incomplete."""

    inventory: Inventory

    def known(self) -> Inventory:
        """All that there is."""
        return self.inventory

    def confirmed(self, excerpt: Excerpt, deadline: float) -> None:
        """Nothing is newer."""

    def may_restricted(self, request: AdmissionRequest, deadline: float) -> bool:
        """Files grant no rights."""
        return False

    def conditions(self) -> tuple[Condition, ...]:
        """Always ready."""
        return (Condition(part="state", ready=True, text="from files"),)
