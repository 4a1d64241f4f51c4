"""What becomes of a write or an object, and why: the values that an answer is made of."""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

from webhook.core.inventory import Inventory
from webhook.core.objects import ListedAddress, Port
from webhook.core.rule import Action, Rule, Violation

MOST_OF_A_RULE: Final = 1000
"""Findings of one rule about one write that are kept. The largest write breaks five rules at each
of 100,000 addresses, and all of that would fill the memory of a replica.
"""


class Verdict(StrEnum):
    """What becomes of an object."""

    ALLOW = "allow"
    WARN = "warn"
    DENY = "deny"


class Reason(StrEnum):
    """Why a decision was taken the way it was."""

    TRUSTED_WRITER = "trusted writer"
    NOTHING_WRITTEN = "nothing written"
    """A deletion, or an operation on a subresource."""
    RESTRICTED_RIGHT = "restricted right"
    """Judged, and the writer has the right that overrides the address rules."""
    UNCHANGED = "unchanged"
    """Addresses, ports, address type and owning Service are as before: metadata only."""
    JUDGED = "judged"


class Finding(Struct, frozen=True, gc=False):
    """A violation with the action that it got."""

    rule: Rule
    action: Action
    violation: Violation
    old: bool = False
    """It was there before the update, and is warned about instead of denied."""
    listed: ListedAddress | None = None
    """The address that it is about, if it is about a single one."""
    ports: tuple[Port, ...] = ()
    """The ports of that address, or the port that it is about."""


def verdict_of(findings: tuple[Finding, ...]) -> Verdict:
    """What becomes of an object in which this was found: the gravest finding decides."""
    if not findings:
        return Verdict.ALLOW
    worst = max(finding.action.severity for finding in findings)
    if worst == Action.DENY.severity:
        return Verdict.DENY
    return Verdict.WARN if worst == Action.WARN.severity else Verdict.ALLOW


class Grounds(Struct, frozen=True, gc=False):
    """What was known of the cluster when a decision was taken."""

    inventory: Inventory
    live: bool
    """Whether the API server was asked for this very decision, and bore it out."""


class Decision(Struct, frozen=True, gc=False):
    """The answer, with everything it rests on."""

    reason: Reason
    findings: tuple[Finding, ...] = ()
    """The gravest first; of each rule and action only the first ones, where there are many."""
    left_out: Mapping[tuple[str, Action], int] = {}
    """How many more there are, by code and action."""
    grounds: Grounds | None = None
    """Given by whoever knows, where there is something to explain."""

    @property
    def verdict(self) -> Verdict:
        """The most severe of its findings."""
        return verdict_of(self.findings)

    @property
    def total(self) -> int:
        """How many findings there are in all."""
        return len(self.findings) + sum(self.left_out.values())

    def more(self, action: Action) -> int:
        """How many findings with this action are left out."""
        if not self.left_out:
            return 0
        return sum(count for (_, its), count in self.left_out.items() if its is action)

    @property
    def allowed(self) -> bool:
        """Whether the write may go ahead."""
        return self.verdict is not Verdict.DENY


class Obstacle(StrEnum):
    """What keeps us from telling."""

    NOT_SYNCED = "not synced"
    """The cluster has not been read completely yet."""
    UNAVAILABLE = "unavailable"
    """The API server gave no answer, or not in time, or none that can be used."""
    TOO_MUCH = "too much"
    """More would have to be read than is read for one write."""


class Indeterminate(Struct, frozen=True, gc=False):
    """We cannot tell: the state that the answer depends on could not be read."""

    because: str
    obstacle: Obstacle = Obstacle.UNAVAILABLE


def judged(found: Iterable[Finding], most: int = MOST_OF_A_RULE) -> Decision:
    """The decision that comes of these findings; of each rule and action it keeps `most`."""
    kept: dict[tuple[int, str], list[Finding]] = {}
    left_out: dict[tuple[str, Action], int] = {}
    for finding in found:
        code, action = finding.rule.code, finding.action
        alike = kept.setdefault((-action.severity, code), [])
        if len(alike) < most:
            alike.append(finding)
        else:
            left_out[code, action] = left_out.get((code, action), 0) + 1
    if not kept:
        return Decision(Reason.JUDGED)
    gravest_first = tuple([finding for key in sorted(kept) for finding in kept[key]])
    return Decision(Reason.JUDGED, gravest_first, left_out)


def overridden(decision: Decision) -> Decision:
    """The decision for a writer with the restricted right: what denied is only noted."""
    noted = tuple(
        structs.replace(finding, action=_only_noted(finding.action))
        for finding in decision.findings
    )
    left_out: Counter[tuple[str, Action]] = Counter()
    for (code, action), count in decision.left_out.items():
        left_out[code, _only_noted(action)] += count
    reason = Reason.RESTRICTED_RIGHT
    return structs.replace(decision, reason=reason, findings=noted, left_out=left_out)


def _only_noted(action: Action) -> Action:
    return Action.AUDIT if action is Action.DENY else action
