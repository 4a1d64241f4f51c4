"""The policy file as it is written: its keys, their meaning, and what may stand there."""

import re
from calendar import monthrange
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from typing import Annotated, Final

from msgspec import Meta, Struct

from webhook.core.objects import InvalidObject
from webhook.core.objects.decoding import api_name
from webhook.core.rule import Action
from webhook.core.text import did_you_mean

PortNumber = Annotated[int, Meta(ge=0, le=65535)]
Names = Annotated[tuple[str, ...], Meta(description="Full names; nothing is a pattern.")]

_DATE: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)


class ExternalLimits(
    Struct, frozen=True, kw_only=True, rename=api_name, forbid_unknown_fields=True
):
    """Where manual endpoints may lead outside of the cluster (EG507, EG508)."""

    allowed_cidrs: Annotated[
        tuple[str, ...] | None, Meta(description="Only these; absent: every external address.")
    ] = None
    forbidden_cidrs: Annotated[
        tuple[str, ...], Meta(description="Never these, even if allowedCIDRs covers them.")
    ] = ()
    allowed_ports: Annotated[
        tuple[PortNumber, ...] | None, Meta(description="Only these ports; absent: every port.")
    ] = None
    allowed_names: Annotated[
        tuple[str, ...],
        Meta(description="DNS names that FQDN slices may hold; `*.example.com` covers all below."),
    ] = ()


class NamespacePolicy(
    Struct, frozen=True, kw_only=True, rename=api_name, forbid_unknown_fields=True
):
    """What differs in one namespace. A key that is given replaces the one for everywhere."""

    rules: Annotated[Mapping[str, Action], Meta(description="Actions by rule code or slug.")] = {}
    external: ExternalLimits | None = None
    forbidden_ports: tuple[PortNumber, ...] | None = None


class Exemption(Struct, frozen=True, kw_only=True, rename=api_name, forbid_unknown_fields=True):
    """Writes for which rules do not hold: those that match every key that is given. Who wrote what
    is stored is not known, so with users or groups it counts in an audit for EG604 only.
    """

    reason: Annotated[str, Meta(min_length=1, description="Why; shown by `policy show`.")]
    expires: Annotated[
        str, Meta(description="Last day on which it counts, as YYYY-MM-DD; absent: for good.")
    ] = ""
    users: Names = ()
    groups: Names = ()
    namespaces: Names = ()
    names: Annotated[
        Names,
        Meta(description="Of Endpoints, EndpointSlices, or the Services that these belong to."),
    ] = ()
    rules: Annotated[tuple[str, ...], Meta(description="Codes or slugs; absent: every rule.")] = ()


class Profile(Struct, frozen=True, kw_only=True, rename=api_name, forbid_unknown_fields=True):
    """A ready-made exemption for an operator."""

    name: str
    users: Annotated[
        Names, Meta(description="Its service account, if not that of its own manifests.")
    ] = ()
    namespaces: Annotated[Names, Meta(description="Only there; absent: everywhere.")] = ()


class PolicyFile(Struct, frozen=True, kw_only=True, rename=api_name, forbid_unknown_fields=True):
    """Policy of endpoints-guard. Every key is optional; an empty file is the default policy."""

    rules: Annotated[
        Mapping[str, Action],
        Meta(description="Actions (deny, warn, audit, off) by rule code or slug."),
    ] = {}
    external: ExternalLimits = ExternalLimits()
    forbidden_ports: Annotated[
        tuple[PortNumber, ...], Meta(description="Ports that no endpoints may name (EG404).")
    ] = ()
    pod_cidrs: Annotated[
        tuple[str, ...],
        Meta(description="Pod ranges beyond spec.podCIDRs of the nodes (EG506)."),
    ] = ()
    namespaces: Annotated[
        Mapping[str, NamespacePolicy], Meta(description="What differs, by namespace name.")
    ] = {}
    trusted_writers: Annotated[
        tuple[str, ...] | None,
        Meta(description="Full user names that are never judged; absent: the control plane's."),
    ] = None
    exemptions: tuple[Exemption, ...] = ()
    profiles: Annotated[
        tuple[Profile, ...], Meta(description="Ready-made exemptions for well-known operators.")
    ] = ()
    restricted_right: Annotated[
        bool,
        Meta(
            description="Whether the right to create endpoints/restricted or "
            "endpointslices/restricted overrides the EG5xx rules."
        ),
    ] = False


_PLACES: Final[Mapping[str, type[Struct]]] = {
    "the policy itself": PolicyFile,
    "external": ExternalLimits,
    "namespaces.NAME": NamespacePolicy,
    "exemptions[]": Exemption,
    "profiles[]": Profile,
}


def place_of(key: str) -> str:
    """How an error about a key that is unknown where it stands goes on: where it belongs."""
    if key in ("apiVersion", "kind", "metadata", "data"):
        return "; give the policy itself, not the Kubernetes object that holds it"
    keys = {place: struct.__struct_encode_fields__ for place, struct in _PLACES.items()}
    homes = [place for place, known in keys.items() if key in known]
    if homes:
        return f"; it is a key of {' and '.join(homes)}"
    return did_you_mean(key, (known for each in keys.values() for known in each))


def check_policy_file(file: PolicyFile, rules: Iterable[str], profiles: Iterable[str]) -> None:
    """What the types cannot say: which rules and profiles there are, and what a CIDR is.

    Raises `InvalidObject` that names the key.
    """
    known = frozenset(rules)
    _check_rules("rules", file.rules, known)
    _check_external("external", file.external)
    _check_cidrs("podCIDRs", file.pod_cidrs)
    for name, special in file.namespaces.items():
        _check_rules(f"namespaces.{name}.rules", special.rules, known)
        if special.external is not None:
            _check_external(f"namespaces.{name}.external", special.external)
    for index, exemption in enumerate(file.exemptions):
        _check_exemption(f"exemptions[{index}]", exemption, known)
    for index, profile in enumerate(file.profiles):
        if profile.name not in profiles:
            names = ", ".join(sorted(profiles))
            raise InvalidObject(f"profiles[{index}].name", f"there is none such; known: {names}")


def _is_date(text: str) -> bool:
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    year, month, day = map(int, match.groups())
    return year > 0 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]


def _check_rules(path: str, rules: Iterable[str], known: frozenset[str]) -> None:
    for rule in rules:
        if rule not in known:
            reason = "there is no such rule; see `endpoints-guard rules`"
            raise InvalidObject(f"{path}.{rule}", f"{reason}{did_you_mean(rule, known)}")


def _check_external(path: str, external: ExternalLimits) -> None:
    _check_cidrs(f"{path}.allowedCIDRs", external.allowed_cidrs or ())
    _check_cidrs(f"{path}.forbiddenCIDRs", external.forbidden_cidrs)


def _check_cidrs(path: str, cidrs: Iterable[str]) -> None:
    for index, cidr in enumerate(cidrs):
        try:
            ip_network(cidr)
        except ValueError as error:
            raise InvalidObject(f"{path}[{index}]", f"not a CIDR: {error}") from None


def _check_exemption(path: str, exemption: Exemption, known: frozenset[str]) -> None:
    _check_rules(f"{path}.rules", exemption.rules, known)
    if exemption.expires and not _is_date(exemption.expires):
        raise InvalidObject(f"{path}.expires", "not a date such as 2027-01-31")
    if not any((exemption.users, exemption.groups, exemption.namespaces, exemption.names)):
        reason = "it must name users, groups, namespaces or names; to turn a rule off, use rules"
        raise InvalidObject(path, reason)
