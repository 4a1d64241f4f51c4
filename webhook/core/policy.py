"""Which rules hold, where, with which action and limits, and for whom not.

A policy is a file in the cluster's own language (`PolicyFile`, from which the JSON Schema is made),
read once into a `Policy`, which answers for one namespace at a time and keeps the answers.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, reduce
from typing import Any, Final, cast

from msgspec import Struct, structs

from webhook.core import control_plane
from webhook.core.case import AddressCase, Limits, ObjectCase, PortCase
from webhook.core.objects import AdmissionRequest, InvalidObject, convert
from webhook.core.objects.decoding import UnknownField
from webhook.core.policy_file import (
    Exemption,
    ExternalLimits,
    NamespacePolicy,
    PolicyFile,
    check_policy_file,
    place_of,
)
from webhook.core.profiles import PROFILES, exemptions_of
from webhook.core.rule import Action, Ownership, Rule, Violation
from webhook.core.rules import RULES, asked_about
from webhook.core.stored_case import GrantCase, PodCase, ServiceCase

TRUSTED_WRITERS: Final = frozenset(
    {
        *map(control_plane.username, control_plane.CONTROLLERS),
        "system:kube-controller-manager",
        "system:apiserver",
    }
)
"""The control plane's own writers, by full user name.

What they write was true when they computed it, and no reading can tell later (docs/adr/0005). The
mirroring controller is not among them: it republishes what users wrote.
"""

MIRRORING_CONTROLLER: Final = control_plane.username(control_plane.MIRRORING)

Check = Callable[..., Violation | None]
Active = tuple[tuple[Rule, Check, Action], ...]
"""Checks with their rules and the action that these have here, in the order of their codes."""


class RuleSet(Struct, frozen=True, gc=False, kw_only=True):
    """The checks in force for one kind of ownership, by what they are asked about."""

    object: Active
    port: Active
    address: Active
    pod: Active
    service: Active
    grant: Active


class InForce(Struct, frozen=True, kw_only=True):
    """What holds in one namespace."""

    rule_sets: Mapping[Ownership, RuleSet]
    """For writes."""
    stored_rule_sets: Mapping[Ownership, RuleSet]
    """For what is stored: the same rules, and those that judge no write."""
    limits: Limits


class Policy(Struct, frozen=True, dict=True, kw_only=True):
    """What an administrator decides."""

    file: PolicyFile = PolicyFile()
    trusted_writers: frozenset[str] = TRUSTED_WRITERS
    exemptions: tuple[Exemption, ...] = ()

    def in_force(self, namespace: str) -> InForce:
        """Rules and limits of a namespace."""
        special = self.file.namespaces.get(namespace)
        if special is None:
            return self._everywhere
        known = self._by_namespace.get(namespace)
        if known is None:
            known = self._by_namespace[namespace] = self._compiled(special)
        return known

    def action(self, rule: Rule, ownership: Ownership, namespace: str = "") -> Action:
        """What breaking this rule means; OFF where the rule does not apply."""
        special = self.file.namespaces.get(namespace, NamespacePolicy())
        return self._action(rule, ownership, special)

    def rules_in_force(self) -> frozenset[str]:
        """The codes of the rules that are not off everywhere."""
        everywhere = ("", *self.file.namespaces)
        return frozenset(
            rule.code
            for rule in RULES.values()
            if any(
                self.action(rule, ownership, namespace) is not Action.OFF
                for ownership in Ownership
                for namespace in everywhere
            )
        )

    def exempt_rules(self, request: AdmissionRequest) -> frozenset[str]:
        """The codes of the rules that do not hold for this write."""
        matching = (each for each in self.exemptions if _matches(each, request))
        return frozenset(code for each in matching for code in _codes(each.rules) or RULES)

    def on(self, today: str) -> "Policy":
        """The policy without the exemptions that have expired by `today` (YYYY-MM-DD)."""
        current = tuple(e for e in self.exemptions if not e.expires or today <= e.expires)
        if current == self.exemptions:
            return self
        return structs.replace(self, exemptions=current)

    @cached_property
    def _by_namespace(self) -> dict[str, InForce]:
        return {}

    @cached_property
    def _everywhere(self) -> InForce:
        return self._compiled(NamespacePolicy())

    def _compiled(self, special: NamespacePolicy) -> InForce:
        every = tuple(RULES.values())
        for_writes = tuple(rule for rule in every if not rule.stored_only)
        return InForce(
            rule_sets={o: self._rule_set(for_writes, o, special) for o in Ownership},
            stored_rule_sets={o: self._rule_set(every, o, special) for o in Ownership},
            limits=_limits(self.file, special),
        )

    def _rule_set(
        self, rules: tuple[Rule, ...], ownership: Ownership, special: NamespacePolicy
    ) -> RuleSet:
        def active(case: type) -> Active:
            return tuple(
                (rule, check, action)
                for rule in rules
                for check in rule.checks
                for action in (self._action(rule, ownership, special),)
                if asked_about(check) is case and action is not Action.OFF
            )

        return RuleSet(
            object=active(ObjectCase),
            port=active(PortCase),
            address=active(AddressCase),
            pod=active(PodCase),
            service=active(ServiceCase),
            grant=active(GrantCase),
        )

    def _action(self, rule: Rule, ownership: Ownership, special: NamespacePolicy) -> Action:
        if ownership not in rule.default:
            return Action.OFF
        for rules in (special.rules, self.file.rules):
            chosen = rules.get(rule.code) or rules.get(rule.slug)
            if chosen is not None:
                return chosen
        return rule.default[ownership]


def parse_policy(data: Any) -> Policy:
    """Plain data, as YAML gives it, to a policy. Raises `InvalidObject` that names the key."""
    file = _read(_with_off(data))
    names = {name for rule in RULES.values() for name in (rule.code, rule.slug)}
    check_policy_file(file, names, PROFILES)
    trusted = TRUSTED_WRITERS if file.trusted_writers is None else frozenset(file.trusted_writers)
    profiles = tuple(e for profile in file.profiles for e in exemptions_of(profile))
    return Policy(file=file, trusted_writers=trusted, exemptions=(*file.exemptions, *profiles))


def _read(data: dict[Any, Any]) -> PolicyFile:
    try:
        return convert(data, PolicyFile)
    except InvalidObject as error:
        raise InvalidObject(_with_keys(error.path, data), _with_remedy(error)) from None


def _with_remedy(error: InvalidObject) -> str:
    if isinstance(error, UnknownField):
        return f"{error.reason}{place_of(error.field)}"
    if error.path.endswith("rules[...]"):
        return f"{error.reason}; an action is {', '.join(Action)}"
    return error.reason


def _with_keys(path: str, data: dict[Any, Any]) -> str:
    """The path with the keys of maps in it, for which the decoder only has `[...]`.

    The guilty entry of a map is the one that is refused when it is alone.
    """
    before, unknown, after = path.partition("[...]")
    if not unknown:
        return path
    *outer, last = before.split(".")
    entries = reduce(lambda inner, key: inner[key], outer, data)[last]
    for key, value in entries.items():
        alone = _put(data, (*outer, last), {key: value})
        try:
            convert(alone, PolicyFile)
        except InvalidObject:
            return _with_keys(f"{before}.{key}{after}", alone)
    return path


def _put(data: dict[Any, Any], path: tuple[str, ...], value: Any) -> dict[Any, Any]:
    first, *rest = path
    return {**data, first: _put(data[first], tuple(rest), value) if rest else value}


def _with_off(data: Any) -> dict[Any, Any]:
    """YAML reads a bare `off` as false; in a map of rules it can only mean the action."""
    if not isinstance(data, dict):
        raise InvalidObject("", "a policy is a map; see `endpoints-guard policy schema`")
    namespaces = data.get("namespaces")
    if isinstance(namespaces, dict):
        special = {name: _rules_with_off(each) for name, each in namespaces.items()}
        data = {**data, "namespaces": special}
    return cast("dict[Any, Any]", _rules_with_off(data))


def _rules_with_off(holder: Any) -> Any:
    rules = holder.get("rules") if isinstance(holder, dict) else None
    if not isinstance(rules, dict):
        return holder
    chosen = {rule: "off" if action is False else action for rule, action in rules.items()}
    return {**holder, "rules": chosen}


def _limits(file: PolicyFile, special: NamespacePolicy) -> Limits:
    external: ExternalLimits = special.external or file.external
    forbidden = file.forbidden_ports if special.forbidden_ports is None else special.forbidden_ports
    return Limits(
        forbidden_ports=forbidden,
        allowed_cidrs=external.allowed_cidrs,
        forbidden_cidrs=external.forbidden_cidrs,
        allowed_ports=external.allowed_ports,
        allowed_names=external.allowed_names,
        pod_cidrs=file.pod_cidrs,
    )


def _matches(exemption: Exemption, request: AdmissionRequest) -> bool:
    names = (request.ref.name, request.new.service_name if request.new is not None else "")
    where = ((exemption.namespaces, (request.ref.namespace,)), (exemption.names, names))
    return _is_writer(exemption, request) and all(map(_meets, where))


def _is_writer(exemption: Exemption, request: AdmissionRequest) -> bool:
    """Whether the writer is one of those exempt.

    Who wrote the Endpoints that the mirroring controller copies is not known any more. That write
    was judged with the exemption; were its copy judged without, the exemption would be of no use.
    """
    if request.username == MIRRORING_CONTROLLER:
        return True
    who = ((exemption.users, (request.username,)), (exemption.groups, request.groups))
    return all(map(_meets, who))


def _meets(condition: tuple[tuple[str, ...], tuple[str, ...]]) -> bool:
    wanted, given = condition
    return not wanted or not set(wanted).isdisjoint(given)


def _codes(rules: Iterable[str]) -> tuple[str, ...]:
    wanted = set(rules)
    return tuple(r.code for r in RULES.values() if r.code in wanted or r.slug in wanted)
