"""Where the facts for a verdict come from: the one question that the server asks a cluster."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from webhook.core.engine import Indeterminate
from webhook.core.inventory import Inventory
from webhook.core.objects import AdmissionRequest


class State(Protocol):
    """A cluster, as far as it is known."""

    def known(self) -> Inventory | Indeterminate:
        """What is in memory: fast, complete, and possibly a moment old."""

    def confirmed(
        self, request: AdmissionRequest, deadline: float
    ) -> Inventory | Indeterminate | None:
        """What this write depends on, read anew before `deadline` (of `time.monotonic`).

        None when there is nothing newer than what `known` gives.
        """

    def problems(self) -> Mapping[str, str]:
        """What keeps the state from being complete, by part; empty when ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedState:
    """Manifests or a snapshot in the place of a cluster: never late, never incomplete."""

    inventory: Inventory
    _no_problems: Mapping[str, str] = field(default_factory=dict)

    def known(self) -> Inventory:
        """All that there is."""
        return self.inventory

    def confirmed(self, request: AdmissionRequest, deadline: float) -> None:
        """Nothing is newer."""

    def problems(self) -> Mapping[str, str]:
        """None, ever."""
        return self._no_problems
