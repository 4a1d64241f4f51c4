"""Judges a write, or an object that is stored: the only caller of rules.

Admission, `check` and `audit` all end up in `judge`; they differ in what they do with its findings,
so they cannot disagree about an object.
"""

from enum import StrEnum

from msgspec import Struct, structs

from webhook.core.case import ObjectCase, PartCase, PortCase
from webhook.core.claims import OldClaims, Ports, port_claims, starts_afresh
from webhook.core.inventory import Inventory
from webhook.core.objects import AdmissionRequest, Endpoints, EndpointSlice, ListedAddress
from webhook.core.policy import Policy, RuleSet
from webhook.core.rule import Action, Rule, Violation

Subject = Endpoints | EndpointSlice


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


class Decision(Struct, frozen=True, gc=False):
    """The answer, with everything it rests on."""

    reason: Reason
    findings: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The most severe of its findings."""
        if not self.findings:
            return Verdict.ALLOW
        worst = max(finding.action.severity for finding in self.findings)
        if worst == Action.DENY.severity:
            return Verdict.DENY
        return Verdict.WARN if worst == Action.WARN.severity else Verdict.ALLOW

    @property
    def allowed(self) -> bool:
        """Whether the write may go ahead."""
        return self.verdict is not Verdict.DENY


class Indeterminate(Struct, frozen=True, gc=False):
    """We cannot tell: the state that the answer depends on could not be read."""

    because: str


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


def decide_by_state(request: AdmissionRequest, inventory: Inventory, policy: Policy) -> Decision:
    """The answer to a write that `decide_by_request` leaves open."""
    if request.new is None:
        return Decision(Reason.NOTHING_WRITTEN)
    old = request.old
    if old is not None and starts_afresh(request.new, old):
        old = None
    found = judge(request.new, inventory, policy, old=old, writer=request.username)
    exempt = policy.exempt_rules(request)
    if exempt:
        found = tuple(finding for finding in found if finding.rule.code not in exempt)
    return Decision(Reason.JUDGED, found)


def can_be_overridden(decision: Decision, policy: Policy) -> bool:
    """Whether the restricted right would let a denied write through: only address rules deny."""
    denied = [f.rule.code for f in decision.findings if f.action is Action.DENY]
    return policy.file.restricted_right and all(code.startswith("EG5") for code in denied)


def overridden(decision: Decision) -> Decision:
    """The decision for a writer with the restricted right: what denied is only noted."""
    noted = (
        structs.replace(finding, action=Action.AUDIT) if finding.action is Action.DENY else finding
        for finding in decision.findings
    )
    return Decision(Reason.RESTRICTED_RIGHT, tuple(noted))


def judge(
    subject: Subject,
    inventory: Inventory,
    policy: Policy,
    *,
    old: Subject | None = None,
    writer: str = "",
) -> tuple[Finding, ...]:
    """Everything that is wrong with an object, the gravest first.

    With `old`, violations that rest on claims of that object alone are warnings at the most.
    """
    in_force = policy.in_force(subject.metadata.namespace)
    case = ObjectCase(subject, inventory, limits=in_force.limits, writer=writer)
    rules = in_force.rule_sets[case.ownership]
    judgement = _Judgement(OldClaims(old) if old is not None else None)
    for rule, check, action in rules.object:
        violation = check(case)
        if violation is not None:
            judgement.add_to_object(rule, action, violation, subject)
    for part in subject.parts:
        if part.addresses:
            _judge_part(judgement, PartCase(case, part), rules)
    return judgement.findings()


def _judge_part(judgement: "_Judgement", case: PartCase, rules: RuleSet) -> None:
    ports = port_claims(case.part.ports)
    for index, port in enumerate(case.part.ports):
        at_port = PortCase(case, index)
        for rule, check, action in rules.port:
            violation = check(at_port)
            if violation is not None:
                listed = violation.listed or case.part.addresses
                judgement.add(rule, action, violation, listed, port_claims((port,)))
    for at_address in case.addresses:
        for rule, check, action in rules.address:
            violation = check(at_address)
            if violation is not None:
                judgement.add(rule, action, violation, (at_address.listed,), ports)


class _Judgement:
    """Collects findings, and says of each whether it was there before."""

    def __init__(self, old: OldClaims | None) -> None:
        self._old = old
        self._findings: list[Finding] = []

    def add(
        self,
        rule: Rule,
        action: Action,
        violation: Violation,
        listed: tuple[ListedAddress, ...],
        ports: Ports,
    ) -> None:
        old = self._old is not None and self._old.cover(listed, ports, rule.facet)
        self._record(rule, action, violation, old=old)

    def add_to_object(
        self, rule: Rule, action: Action, violation: Violation, subject: Subject
    ) -> None:
        """A violation of the whole object is old if everything in it is."""
        old = self._old is not None and all(
            self._old.cover(part.addresses, port_claims(part.ports), rule.facet)
            for part in subject.parts
        )
        self._record(rule, action, violation, old=old)

    def findings(self) -> tuple[Finding, ...]:
        return tuple(sorted(self._findings, key=lambda f: (-f.action.severity, f.rule.code)))

    def _record(self, rule: Rule, action: Action, violation: Violation, *, old: bool) -> None:
        if (old or violation.mild) and action is Action.DENY:
            action = Action.WARN
        self._findings.append(Finding(rule, action, violation, old))
