"""Which rules hold, with which action, and whose writes are not judged at all."""

from collections.abc import Mapping
from functools import cached_property
from typing import Final

from msgspec import Struct

from webhook.core.rule import Action, Ownership, Rule, Scope
from webhook.core.rules import RULES

_CONTROLLERS: Final = (
    "endpoint-controller",
    "endpointslice-controller",
    "generic-garbage-collector",
    "namespace-controller",
    "storage-version-migrator-controller",
)
TRUSTED_WRITERS: Final = frozenset(
    {
        *(f"system:serviceaccount:kube-system:{name}" for name in _CONTROLLERS),
        "system:kube-controller-manager",
        "system:apiserver",
    }
)
"""The control plane's own writers, by full user name.

What they write was true when they computed it, and no reading can tell later (docs/adr/0005). The
mirroring controller is not among them: it republishes what users wrote.
"""

Active = tuple[tuple[Rule, Action], ...]
"""Rules with the action that they have here, in the order of their codes."""


class RuleSet(Struct, frozen=True, gc=False, kw_only=True):
    """The rules in force for one kind of ownership, by what they are asked about."""

    object: Active
    port: Active
    address: Active
    address_port: Active


class Policy(Struct, frozen=True, dict=True, kw_only=True):
    """What an administrator decides."""

    actions: Mapping[str, Action] = {}
    """By rule code; the rule's own default where it says nothing."""
    trusted_writers: frozenset[str] = TRUSTED_WRITERS

    def action(self, rule: Rule, ownership: Ownership) -> Action:
        """What breaking this rule means; OFF where the rule does not apply."""
        if ownership not in rule.default:
            return Action.OFF
        return self.actions.get(rule.code, rule.default[ownership])

    def rule_set(self, ownership: Ownership) -> RuleSet:
        """The rules in force."""
        return self._rule_sets[ownership]

    @cached_property
    def _rule_sets(self) -> Mapping[Ownership, RuleSet]:
        return {ownership: self._rule_set(ownership) for ownership in Ownership}

    def _rule_set(self, ownership: Ownership) -> RuleSet:
        def active(scope: Scope) -> Active:
            rules = (rule for rule in RULES.values() if rule.scope is scope)
            chosen = ((rule, self.action(rule, ownership)) for rule in rules)
            return tuple((rule, action) for rule, action in chosen if action is not Action.OFF)

        return RuleSet(
            object=active(Scope.OBJECT),
            port=active(Scope.PORT),
            address=active(Scope.ADDRESS),
            address_port=active(Scope.ADDRESS_PORT),
        )
