"""The command that takes a right to write endpoints away, and nothing else.

Where the role serves other purposes, only what lets write endpoints is cut out of it; reading and
deleting stay. RBAC cannot subtract from a wildcard, and the control plane's own roles are not to be
touched: there, and where the role is for nothing but endpoints, the subject leaves the binding.

Commands are for a POSIX shell with bash's `$'...'`. Every name in them may come from an attacker.
"""

import json
import shlex
from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from webhook.core.grants import OWN_ROLES, Grant, Source
from webhook.core.objects import PolicyRule, Role, RoleBinding
from webhook.core.objects.rbac import EVERY, RESOURCES, WRITES

EDIT_ROLES: Final = frozenset(
    {"edit", "admin", "system:aggregate-to-edit", "system:aggregate-to-admin"}
)
"""Default ClusterRoles that let write endpoints up to Kubernetes 1.21, and since then only where
they are left over: a cluster that is upgraded keeps the rule (kubernetes#103675).
"""

_LONGEST: Final = 1500
"""Characters of a command beyond which another way is taken: reports cut lines at 2,000."""

_DELETES: Final = ("delete", "deletecollection")
_OTHER_VERBS: Final = ("get", "list", "watch", *_DELETES)
"""What `*` stands for on endpoints, beside writing."""


class Way(StrEnum):
    """What a command changes."""

    NARROW_ROLE = "narrow the role"
    LEAVE_BINDING = "leave the binding"


class Mending(Struct, frozen=True, kw_only=True):
    """One command, to be run by somebody who may change roles and bindings."""

    way: Way
    command: str


def mending(grant: Grant) -> Mending:
    """How to end a grant.

    A JSON patch that first tests whether what it changes is still what was judged, rather than
    `kubectl auth reconcile --remove-extra-permissions`, which removes everybody else's rules, too.
    """
    roles = {source.role.name: source.role for source in grant.sources}
    if all(map(_can_be_cut, grant.sources)) and (
        grant.role.gives_more or len(roles) > 1 or grant.role.name not in roles
    ):
        command = " && ".join(
            _patch(role, _cut(role, (s.rule for s in grant.sources if s.role == role)))
            for role in roles.values()
        )
        if len(command) <= _LONGEST:
            return Mending(way=Way.NARROW_ROLE, command=command)
    return Mending(way=Way.LEAVE_BINDING, command=_leaving(grant))


def _can_be_cut(source: Source) -> bool:
    """Whether rules can say everything that a rule gives except writing endpoints."""
    is_copy = source.role.selectors and not source.aggregated
    beyond = {*source.rule.api_groups, *source.rule.resources}
    stays = source.role.name in OWN_ROLES or is_copy or source.kept
    return EVERY not in beyond and not stays


def _cut(role: Role, rules: Iterable[PolicyRule]) -> list[dict[str, Any]]:
    """A JSON patch; the last rule first, since taking one out moves those behind it."""
    # Without deleting, the edit of an old cluster is what Kubernetes has made of it since.
    taken = (*WRITES, *_DELETES) if role.name in EDIT_ROLES else WRITES
    operations, rests = [], []
    for rule in sorted(set(rules), key=lambda rule: rule.index, reverse=True):
        operations += _tests(rule) + _removals(rule)
        rests += list(_rests(rule, taken))
    return [*operations, *({"op": "add", "path": "/rules/-", "value": rest} for rest in rests)]


def _tests(rule: PolicyRule) -> list[dict[str, Any]]:
    held: dict[str, Any] = {"apiGroups": rule.api_groups, "verbs": rule.verbs}
    if rule.resource_names:
        held["resourceNames"] = rule.resource_names
    if _only_written(rule):
        held["resources"] = rule.resources
    return [
        {"op": "test", "path": f"/rules/{rule.index}/{field}", "value": value}
        for field, value in held.items()
    ]


def _removals(rule: PolicyRule) -> list[dict[str, Any]]:
    if _only_written(rule):
        return [{"op": "remove", "path": f"/rules/{rule.index}"}]
    written = _written(rule)
    operations = []
    for index, resource in reversed(list(enumerate(rule.resources))):
        if resource in written:
            path = f"/rules/{rule.index}/resources/{index}"
            operations.append({"op": "test", "path": path, "value": resource})
            operations.append({"op": "remove", "path": path})
    return operations


def _rests(rule: PolicyRule, taken: Collection[str]) -> Iterator[dict[str, Any]]:
    """Rules for what goes with the removal but should not: other verbs than these."""
    written = _written(rule)
    names = {"resourceNames": rule.resource_names} if rule.resource_names else {}
    verbs = _OTHER_VERBS if EVERY in rule.verbs else rule.verbs
    others = tuple(verb for verb in verbs if verb not in taken)
    if others:
        groups = tuple(g for g in rule.api_groups if g in {RESOURCES[r] for r in written})
        yield {"apiGroups": groups, "resources": written, "verbs": others, **names}
    # A custom resource may have the same name; its group is a domain, which built-in ones are not.
    foreign = tuple(g for g in rule.api_groups if "." in g and g not in RESOURCES.values())
    if foreign:
        yield {"apiGroups": foreign, "resources": written, "verbs": rule.verbs, **names}


def _written(rule: PolicyRule) -> tuple[str, ...]:
    return tuple(r for r in RESOURCES if any(rule.allows(verb, r) for verb in WRITES))


def _only_written(rule: PolicyRule) -> bool:
    return set(rule.resources) <= set(_written(rule))


def _leaving(grant: Grant) -> str:
    binding, gone = grant.binding, set(grant.indexes)
    if len(gone) == len(binding.subjects):
        return _kubectl("delete", binding)
    operations = []
    for index in sorted(gone, reverse=True):
        path, subject = f"/subjects/{index}", binding.subjects[index]
        held = {"kind": subject.kind, "name": subject.name}
        if subject.namespace and not subject.implied:
            held["namespace"] = subject.namespace
        operations += [
            {"op": "test", "path": f"{path}/{field}", "value": value}
            for field, value in held.items()
        ]
        operations.append({"op": "remove", "path": path})
    return _patch(binding, operations)


def _patch(about: Role | RoleBinding, operations: list[dict[str, Any]]) -> str:
    # ASCII only, and every control character escaped, whatever a name holds.
    patch = json.dumps(operations, separators=(",", ":"))
    return _kubectl("patch", about, "--type=json", f"--patch={patch}")


def _kubectl(verb: str, about: Role | RoleBinding, *flags: str) -> str:
    # The API group, since other groups have resources of the same name (OpenShift); the slash,
    # since a name may look like a flag.
    what = f"{about.kind.lower()}.rbac.authorization.k8s.io/{about.name}"
    where = ("--namespace", about.namespace) if about.namespace else ()
    return " ".join(map(_quoted, ("kubectl", verb, what, *where, *flags)))


def _quoted(word: str) -> str:
    """For the shell; what cannot be seen is spelled out, so that nobody runs what he cannot read.

    Names of roles and bindings may hold anything but a slash and a percent sign.
    """
    if word.isascii() and word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_spelled, word)) + "'"


def _spelled(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isascii() and character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode())
