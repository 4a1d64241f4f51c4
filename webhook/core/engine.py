"""Judges a write, or an object that is stored: the only caller of rules.

Admission, `check` and `audit` all end up in `judge`; they differ in what they do with its findings,
so they cannot disagree about an object.
"""

from collections.abc import Iterable, Iterator

from webhook.core.case import ObjectCase, PartCase, port_case
from webhook.core.claims import OldClaims, Ports, counted_as_old, port_claims, starts_afresh
from webhook.core.decision import MOST_OF_A_RULE, Decision, Finding, Reason, judged
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


def decide(
    request: AdmissionRequest,
    inventory: Inventory,
    policy: Policy,
    *,
    most: int = MOST_OF_A_RULE,
) -> Decision:
    """The answer to a write, against this state of the cluster; see `judged` for `most`."""
    decided = decide_by_request(request, policy)
    return decided or decide_by_state(request, inventory, policy, most=most)


def decide_by_state(
    request: AdmissionRequest,
    inventory: Inventory,
    policy: Policy,
    parts: tuple[Part, ...] | None = None,
    *,
    most: int = MOST_OF_A_RULE,
) -> Decision:
    """The answer to a write that `decide_by_request` leaves open, or to some `parts` of it."""
    if request.new is None:
        return Decision(Reason.NOTHING_WRITTEN)
    found = _found_in_write(request, request.new, inventory, policy, parts)
    return judged(found, most)


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


def can_be_overridden(decision: Decision, policy: Policy) -> bool:
    """Whether the restricted right would let a denied write through: only address rules deny."""
    denied = [f.rule.code for f in decision.findings if f.action is Action.DENY]
    return policy.file.restricted_right and all(code.startswith("EG5") for code in denied)


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
    return Finding(rule, action, violation.shortened(), old, listed, ports)
