"""THE CATALOGUE: one file per rule, found by listing this folder.

Discovery fails loudly, at import: a file without a `RULE`, a code or slug used twice, a rule
without an accepted and a rejected example, or a check that is asked nothing would otherwise be a
hole that nobody sees.
"""

import pkgutil
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from inspect import get_annotations
from types import MappingProxyType, ModuleType
from typing import Final

from webhook.core.case import AddressCase, ObjectCase, PortCase
from webhook.core.objects import Endpoints, EndpointSlice
from webhook.core.rule import Rule, Violation
from webhook.core.stored_case import GrantCase, PodCase, ServiceCase

CASES: Final = (ObjectCase, PortCase, AddressCase)
"""What a check can be asked about."""
STORED_CASES: Final = (PodCase, ServiceCase, GrantCase)
"""What it can be asked about in an audit only."""


class BrokenCatalogue(Exception):
    """A rule file is incomplete or clashes with another. Names the file and what to change."""


def catalogue(modules: Iterable[ModuleType]) -> Mapping[str, Rule]:
    """The rules of these modules by code, in the order of their codes. Raises `BrokenCatalogue`."""
    rules: dict[str, Rule] = {}
    for module in modules:
        rule = _rule(module)
        clash = next(
            (r for r in rules.values() if rule.slug == r.slug or rule.code == r.code), None
        )
        if clash is not None:
            raise BrokenCatalogue(f"{module.__name__}: {rule.code} {rule.slug} is taken by {clash}")
        rules[rule.code] = rule
    if not rules:
        raise BrokenCatalogue("there is no rule: the engine would allow everything")
    return MappingProxyType({code: rules[code] for code in sorted(rules)})


def _rule(module: ModuleType) -> Rule:
    rule = getattr(module, "RULE", None)
    problem = _problem(module, rule) if isinstance(rule, Rule) else "it defines no RULE"
    if problem:
        raise BrokenCatalogue(f"{module.__name__}: {problem}")
    assert isinstance(rule, Rule)
    return rule


def asked_about(check: Callable[..., Violation | None]) -> type | None:
    """The case class that a check takes."""
    return get_annotations(check).get("case")


def _problem(module: ModuleType, rule: Rule) -> str:
    if module.__name__.rpartition(".")[2] != rule.slug.replace("-", "_"):
        return f"the file must be named after the slug {rule.slug}"
    cases = (*CASES, *STORED_CASES) if rule.stored_only else CASES
    if not rule.checks or any(asked_about(check) not in cases for check in rule.checks):
        names = ", ".join(case.__name__ for case in cases)
        return f"each check must take `case`, annotated with one of {names}"
    if not all((rule.title, rule.rationale, rule.remedy, rule.default)):
        return "title, rationale, remedy and default action must all be given"
    own = f"{rule.code} "
    rejects = [any(f.startswith(own) for f in example.findings) for example in rule.examples]
    if all(rejects) or not any(rejects):
        return "it needs at least one example that it accepts and one that it rejects"
    return ""


RULES: Final = catalogue(
    import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)
)
"""Every rule by its code."""


def kinds_for(rules: Iterable[Rule]) -> frozenset[str]:
    """The kinds that must be read so that these rules can judge what is stored."""
    kinds: set[str] = set()
    for rule in rules:
        kinds.update(rule.rests_on)
        if any(asked_about(check) in CASES for check in rule.checks):
            kinds.update((Endpoints.kind, EndpointSlice.kind))
    return frozenset(kinds)
