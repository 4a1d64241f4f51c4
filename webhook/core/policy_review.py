"""A policy seen from outside: its schema, what it amounts to, and what is unwise about it."""

import re
from collections.abc import Iterator
from typing import Any

from msgspec import json

from webhook.core.addresses import parse
from webhook.core.policy import MIRRORING_CONTROLLER, TRUSTED_WRITERS, Policy
from webhook.core.policy_file import Exemption, PolicyFile
from webhook.core.rule import Action, Ownership, Rule
from webhook.core.rules import RULES, asked_about
from webhook.core.stored_case import GrantCase

_SERVICE_ACCOUNT = "system:serviceaccount:"
_OBJECT_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
_EVERYBODY = frozenset({"system:authenticated", "system:unauthenticated", "system:serviceaccounts"})


def as_schema() -> str:
    """JSON Schema of the policy file, made from the types that read it."""
    schema = json.schema(PolicyFile)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "endpoints-guard policy"
    names = [name for rule in RULES.values() for name in (rule.code, rule.slug)]
    for definition in schema["$defs"].values():
        actions = definition.get("properties", {}).get("rules", {})
        if actions.get("type") == "object":
            actions["propertyNames"] = {"enum": names}
    return json.format(json.encode(schema), indent=2).decode()


def as_text(policy: Policy, namespace: str, today: str) -> str:
    """What holds in a namespace (or where no namespace says otherwise), in full."""
    return "\n".join([*_lines(policy, namespace, today), ""])


def _lines(policy: Policy, namespace: str, today: str) -> Iterator[str]:
    yield f"Rules in namespace {namespace}" if namespace else "Rules"
    for rule in RULES.values():
        selector, manual = (policy.action(rule, o, namespace) for o in Ownership)
        yield f"  {rule.code} {rule.slug:<22} selector: {selector:<6} manual: {manual}"
    limits = policy.in_force(namespace).limits
    yield "Limits"
    yield f"  external addresses: {_listed(limits.allowed_cidrs, 'every')}"
    yield f"  except: {_listed(limits.forbidden_cidrs)}"
    yield f"  external ports: {_listed(limits.allowed_ports, 'every')}"
    yield f"  names: {_listed(limits.allowed_names)}"
    yield f"  forbidden ports: {_listed(limits.forbidden_ports)}"
    yield f"  Pod ranges beyond those of nodes: {_listed(limits.pod_cidrs)}"
    yield "Trusted writers"
    yield from (f"  {writer}" for writer in sorted(policy.trusted_writers))
    yield f"Restricted right overrides EG5xx: {'yes' if policy.file.restricted_right else 'no'}"
    yield "Exemptions"
    yield from (f"  {_exemption(each, today)}" for each in policy.exemptions)


def _listed(values: tuple[Any, ...] | None, missing: str = "none") -> str:
    if values is None:
        return missing
    return ", ".join(map(str, values)) or "none"


def _exemption(exemption: Exemption, today: str) -> str:
    who = [
        f"{key} {', '.join(values)}"
        for key, values in (
            ("users", exemption.users),
            ("groups", exemption.groups),
            ("namespaces", exemption.namespaces),
            ("names", exemption.names),
        )
        if values
    ]
    rules = ", ".join(exemption.rules) or "every rule"
    until = f" until {exemption.expires}" if exemption.expires else ""
    state = " (expired)" if _expired(exemption, today) else ""
    return f"{rules} for {' and '.join(who)}{until}{state}: {exemption.reason}"


def _expired(exemption: Exemption, today: str) -> bool:
    return bool(exemption.expires) and exemption.expires < today


def lint(policy: Policy, today: str) -> tuple[str, ...]:
    """What an administrator should think about again, each as one line with its key."""
    return (
        *_lint_trust(policy),
        *_lint_exemptions(policy, today),
        *_lint_limits(policy),
        *_lint_names(policy.file),
    )


def _lint_trust(policy: Policy) -> Iterator[str]:
    for writer in sorted(policy.trusted_writers - TRUSTED_WRITERS):
        yield f"trustedWriters: {writer} is never judged. {_consequence(writer)}".rstrip()
    for writer in sorted(TRUSTED_WRITERS - policy.trusted_writers):
        yield f"trustedWriters: without {writer} the control plane can be refused"


def _consequence(user: str) -> str:
    if user == MIRRORING_CONTROLLER:
        return "It republishes what users wrote, so every rule can be evaded through it."
    if user.startswith(_SERVICE_ACCOUNT):
        namespace = user.removeprefix(_SERVICE_ACCOUNT).partition(":")[0]
        return (
            f"Whoever may create Pods or tokens in namespace {namespace} can write as this "
            "service account: the whole namespace is trusted with it."
        )
    return ""


def _lint_exemptions(policy: Policy, today: str) -> Iterator[str]:
    for index, exemption in enumerate(policy.file.exemptions):
        key = f"exemptions[{index}]"
        if _expired(exemption, today):
            yield f"{key}: it expired on {exemption.expires} and no longer counts"
        for user in exemption.users:
            consequence = _consequence(user)
            if consequence:
                yield f"{key}: {user} is exempt. {consequence}"
        for group in sorted(_EVERYBODY & set(exemption.groups)):
            yield f"{key}: the group {group} is nearly everybody"
        if not exemption.rules:
            yield f"{key}: it exempts from every rule; name those that are meant"
        yield from _lint_writers(key, exemption)
        if {user for user in exemption.users if user in policy.trusted_writers}:
            yield f"{key}: it never matches a trusted writer, who is not judged at all"


def _lint_writers(key: str, exemption: Exemption) -> Iterator[str]:
    """Rules for what is stored know no writer, but that of EG604, who has not written yet."""
    names_writers = bool(exemption.users or exemption.groups)
    exempt = [r for r in RULES.values() if {r.code, r.slug} & set(exemption.rules)]
    about_writers = not exempt or any(map(_looks_at_writers, exempt))
    if about_writers and not names_writers:
        yield f"{key}: it holds for every writer there; name users or groups"
    if not about_writers and names_writers:
        yield f"{key}: it never counts, since nobody knows who wrote what is stored; name objects"


def _looks_at_writers(rule: Rule) -> bool:
    return not rule.stored_only or GrantCase in map(asked_about, rule.checks)


def _lint_limits(policy: Policy) -> Iterator[str]:
    for name in sorted({rule for rule, action in policy.file.rules.items() if _off(action)}):
        yield f"rules.{name}: it is off everywhere; audit would at least show what it misses"
    for namespace, special in policy.file.namespaces.items():
        for name, action in special.rules.items():
            if _off(action):
                yield f"namespaces.{namespace}.rules.{name}: it is off there"
    external = policy.file.external
    if external.allowed_cidrs is not None and not external.allowed_cidrs:
        yield "external.allowedCIDRs: it is empty, so no external address is allowed anywhere"
    for name in external.allowed_names:
        if parse(name).value or name in ("*", "*."):
            yield f"external.allowedNames: {name} never matches: it is no DNS name"


def _lint_names(file: PolicyFile) -> Iterator[str]:
    """Names that nothing can have. Patterns are what people hope for most often."""
    for key, name in _names(file):
        if "*" in name:
            yield f"{key}: {name} never matches: names are no patterns"
        elif not key.endswith(("users", "groups")) and not _OBJECT_NAME.fullmatch(name):
            yield f"{key}: {name} never matches: no object of Kubernetes can have this name"


def _names(file: PolicyFile) -> Iterator[tuple[str, str]]:
    """Every name in the policy, after its key."""
    yield from (("namespaces", name) for name in file.namespaces)
    for kind, entries in (("exemptions", file.exemptions), ("profiles", file.profiles)):
        for index, entry in enumerate(entries):
            for key in ("users", "groups", "namespaces", "names"):
                for name in getattr(entry, key, ()):
                    yield f"{kind}[{index}].{key}", name


def _off(action: Action) -> bool:
    return action is Action.OFF
