"""Judges a write, or an object that is stored: the only caller of rules.

Admission, `check` and `audit` all end up in `judge`; they differ in what they do with its findings,
so they cannot disagree about an object.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

from webhook.core.case import ObjectCase, PartCase, port_case
from webhook.core.claims import OldClaims, Ports, counted_as_old, port_claims, starts_afresh
from webhook.core.inventory import Inventory
from webhook.core.objects import (
    AdmissionRequest,
    Endpoints,
    EndpointSlice,
    ListedAddress,
    Part,
    Port,
)
from webhook.core.policy import Active, Policy, RuleSet
from webhook.core.rule import Action, Facet, Rule, Violation

Subject = Endpoints | EndpointSlice

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
    """The gravest first, and no more than `MOST_OF_A_RULE` of each rule and action."""
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


def decide_by_request(request: AdmissionRequest, policy: Policy) -> Decision | None:
    """The answer where the request alone gives it, whatever the cluster looks like; else None."""
    if request.username in policy.trusted_writers:
        return Decision(Reason.TRUSTED_WRITER)
    new, old = request.new, request.old
    if new is None:
        return Decision(Reason.NOTHING_WRITTEN)
    if old is not None and new.content == old.content and not starts_afresh(new, old):
        return Decision(Reason.UNCHANGED)
    return None


def decide(request: AdmissionRequest, inventory: Inventory, policy: Policy) -> Decision:
    """The answer to a write, against this state of the cluster."""
    decided = decide_by_request(request, policy)
    return decide_by_state(request, inventory, policy) if decided is None else decided


def decide_by_state(
    request: AdmissionRequest,
    inventory: Inventory,
    policy: Policy,
    parts: tuple[Part, ...] | None = None,
) -> Decision:
    """The answer to a write that `decide_by_request` leaves open, or to some `parts` of it."""
    if request.new is None:
        return Decision(Reason.NOTHING_WRITTEN)
    found = _found_in_write(request, request.new, inventory, policy, parts)
    return _judged(found)


def decide_if_faultless(
    request: AdmissionRequest, inventory: Inventory, policy: Policy
) -> Decision | None:
    """The same answer where nothing is wrong; None as soon as something is.

    So a write that is full of violations takes no longer than one that has none.
    """
    if request.new is None:
        return Decision(Reason.NOTHING_WRITTEN)
    found = _found_in_write(request, request.new, inventory, policy)
    return Decision(Reason.JUDGED) if next(found, None) is None else None


def without_exempt(
    found: Iterable[Finding], request: AdmissionRequest, policy: Policy
) -> Iterator[Finding]:
    """The findings of those rules that the policy does not waive here."""
    exempt = policy.exempt_rules(request)
    return (finding for finding in found if finding.rule.code not in exempt)


def _judged(found: Iterable[Finding]) -> Decision:
    """The decision, without keeping more than it holds."""
    kept: dict[tuple[int, str], list[Finding]] = {}
    left_out: Counter[tuple[str, Action]] = Counter()
    for finding in found:
        code, action = finding.rule.code, finding.action
        alike = kept.setdefault((-action.severity, code), [])
        if len(alike) < MOST_OF_A_RULE:
            alike.append(finding)
        else:
            left_out[code, action] += 1
    gravest_first = tuple([finding for key in sorted(kept) for finding in kept[key]])
    return Decision(Reason.JUDGED, gravest_first, left_out)


def can_be_overridden(decision: Decision, policy: Policy) -> bool:
    """Whether the restricted right would let a denied write through: only address rules deny."""
    denied = [f.rule.code for f in decision.findings if f.action is Action.DENY]
    return policy.file.restricted_right and all(code.startswith("EG5") for code in denied)


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


def judge(
    subject: Subject,
    inventory: Inventory,
    policy: Policy,
    *,
    old: Subject | None = None,
    writer: str = "",
    stored: bool = False,
) -> tuple[Finding, ...]:
    """Everything that is wrong with an object, the gravest first.

    With `old`, violations that rest on claims of that object alone are warnings at the most. An
    object that is `stored` is judged by the rules for writes and by those for the audit.
    """
    in_force = policy.in_force(subject.metadata.namespace)
    case = ObjectCase(subject, inventory, limits=in_force.limits, writer=writer)
    rule_sets = in_force.stored_rule_sets if stored else in_force.rule_sets
    return _gravest_first(_found(case, rule_sets[case.ownership], old, subject.parts))


def judge_stored(rules: Active, case: object) -> tuple[Finding, ...]:
    """Everything that is wrong with what is stored beside endpoints, by the rules for its kind."""
    found = []
    for rule, check, action in rules:
        violation = check(case)
        if violation is not None:
            found.append(_finding(rule, action, violation, old=False))
    return _gravest_first(found) if found else ()


def _gravest_first(found: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda f: (-f.action.severity, f.rule.code)))


def _found_in_write(
    request: AdmissionRequest,
    new: Subject,
    inventory: Inventory,
    policy: Policy,
    parts: tuple[Part, ...] | None = None,
) -> Iterator[Finding]:
    in_force = policy.in_force(new.metadata.namespace)
    case = ObjectCase(new, inventory, limits=in_force.limits, writer=request.username)
    rules, old = in_force.rule_sets[case.ownership], counted_as_old(new, request.old)
    found = _found(case, rules, old, new.parts if parts is None else parts)
    return without_exempt(found, request, policy)


def _found(
    case: ObjectCase, rules: RuleSet, old: Subject | None, parts: tuple[Part, ...]
) -> Iterator[Finding]:
    """One finding after the other, as the rules come to them."""
    claims = OldClaims(old) if old is not None else None
    for rule, check, action in rules.object:
        violation = check(case)
        if violation is not None:
            old_too = _covers_all(claims, case.subject, rule.facet)
            yield _finding(rule, action, violation, old=old_too)
    for part in parts:
        if part.addresses:
            yield from _found_in_part(PartCase(case, part), rules, claims)


def _found_in_part(case: PartCase, rules: RuleSet, claims: OldClaims | None) -> Iterator[Finding]:
    part = case.part
    ports = port_claims(part.ports)
    for index, port in enumerate(part.ports):
        at_port = port_case(case, index, port)
        for rule, check, action in rules.port:
            violation = check(at_port)
            if violation is not None:
                listed = violation.listed or part.addresses
                old = _covers(claims, listed, port_claims((port,)), rule.facet)
                yield _finding(rule, action, violation, old=old, ports=(port,))
    for rule, check, action in rules.address:
        for at_address in case.doubtful if rule.spares_published else case.addresses:
            violation = check(at_address)
            if violation is not None:
                about = at_address.listed
                old = _covers(claims, (about,), ports, rule.facet)
                yield _finding(rule, action, violation, old=old, listed=about, ports=part.ports)


def _covers(
    claims: OldClaims | None, listed: tuple[ListedAddress, ...], ports: Ports, facet: Facet | None
) -> bool:
    """Whether all of this was claimed before."""
    return claims is not None and claims.cover(listed, ports, facet)


def _covers_all(claims: OldClaims | None, subject: Subject, facet: Facet | None) -> bool:
    """Whether all of the object was claimed before: only then is a violation of the whole old."""
    return claims is not None and all(
        claims.cover(part.addresses, port_claims(part.ports), facet) for part in subject.parts
    )


def _finding(
    rule: Rule,
    action: Action,
    violation: Violation,
    *,
    old: bool,
    listed: ListedAddress | None = None,
    ports: tuple[Port, ...] = (),
) -> Finding:
    if (old or violation.mild) and action is Action.DENY:
        action = Action.WARN
    return Finding(rule, action, violation, old, listed, ports)
