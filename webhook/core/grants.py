"""Who may write Endpoints or EndpointSlices, by RBAC: bindings and roles, evaluated.

As the API server's RBAC authorizer decides, which only ever adds up: nothing takes away what one
binding gives. A role that does not exist gives nothing.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct, structs

from webhook.core.control_plane import CONTROLLERS, MIRRORING, NAMESPACE
from webhook.core.inventory import Inventory
from webhook.core.objects import PolicyRule, Role, RoleBinding, Subject
from webhook.core.objects.rbac import EVERY, RESOURCES, WRITES


class Source(Struct, frozen=True, gc=False, order=True):
    """A rule that lets somebody write, and the role in which it has to be changed."""

    role: Role
    """The one that is bound or, where a controller puts that one together, one of its parts."""
    rule: PolicyRule
    aggregated: bool = False
    """Whether `role` is such a part."""
    kept: bool = False
    """Whether aggregated roles that take in each other keep it, also without the original."""

    @property
    def wildcards(self) -> tuple[str, ...]:
        """Which of the rule's fields are `*`."""
        fields = (
            ("verbs", self.rule.verbs),
            ("apiGroups", self.rule.api_groups),
            ("resources", self.rule.resources),
        )
        return tuple(name for name, values in fields if EVERY in values)


class Grant(Struct, frozen=True, gc=False, kw_only=True):
    """What one binding gives one of its subjects."""

    binding: RoleBinding
    subject: Subject
    indexes: tuple[int, ...]
    """Where the subject stands in the binding; a binding may list it twice."""
    role: Role
    """The role that is bound."""
    sources: tuple[Source, ...]
    """Every rule by which the subject may write; never empty."""
    restricted: bool
    """Whether it may also create `endpoints/restricted` or `endpointslices/restricted`."""

    @property
    def is_of_control_plane(self) -> bool:
        """Whether Kubernetes' own binding gives it to the one for whom that binding is made."""
        bound = self.binding.kind, self.binding.name, self.role.kind, self.role.name, self.subject
        return bound in _CONTROL_PLANE

    @property
    def rights(self) -> str:
        """In words, such as `create and patch endpoints and endpointslices`."""
        rules = [source.rule for source in self.sources]
        return ", and ".join(_phrases({r: _verbs(rules, r) for r in RESOURCES}))


def grants(binding: RoleBinding, inventory: Inventory) -> Iterator[Grant]:
    """What a binding gives, for each of its subjects that may write by it."""
    role = _bound_role(binding, inventory)
    if role is None:
        return
    sources = tuple(_sources(role, inventory, ()))
    writing = tuple(source for source in sources if source.rule.lets_write)
    if not writing:
        return
    restricted = any(source.rule.is_restricted_right for source in sources)
    for subject, indexes in _subjects(binding).items():
        yield Grant(
            binding=binding,
            subject=subject,
            indexes=tuple(indexes),
            role=role,
            sources=writing,
            restricted=restricted,
        )


def bindings_to(role: Role, inventory: Inventory) -> Iterator[RoleBinding]:
    """The bindings whose grants depend on a role, directly or because other roles take it in."""
    affected = {(each.kind, each.namespace, each.name) for each in _takers(role, inventory)}
    for table in (inventory.cluster_role_bindings, inventory.role_bindings):
        for binding in list(table.objects.values()):
            within = binding.namespace if binding.role_kind == "Role" else ""
            if (binding.role_kind, within, binding.role_name) in affected:
                yield binding


def _bound_role(binding: RoleBinding, inventory: Inventory) -> Role | None:
    if binding.role_kind == "ClusterRole":
        return inventory.cluster_roles.objects.get(("", binding.role_name))
    if binding.role_kind == "Role" and binding.namespace:
        return inventory.roles.objects.get((binding.namespace, binding.role_name))
    return None


def _sources(role: Role, inventory: Inventory, takers: tuple[Role, ...]) -> Iterator[Source]:
    """The rules of a role, each with the role in which it was written.

    A role that a controller has put together holds copies, and in them the API server believes. If
    it holds nothing yet, as in a manifest, it is what the controller would make of it.
    """
    if not role.selectors:
        yield from (Source(role, rule) for rule in role.rules)
        return
    if role.filled and not role.rules:
        return
    takers = (*takers, role)
    parts = tuple(
        structs.replace(source, aggregated=True, kept=source.kept or looped)
        for part in _parts(role, inventory, takers)
        for looped in (any(_takes(part, taker) for taker in takers),)
        for source in _sources(part, inventory, takers)
    )
    if not role.filled:
        yield from parts
        return
    for rule in role.rules:
        originals = tuple(part for part in parts if _is_copy(rule, part.rule))
        yield from originals or (Source(role, rule),)


def _parts(role: Role, inventory: Inventory, takers: tuple[Role, ...]) -> Iterator[Role]:
    seen = {taker.name for taker in takers}
    for part in list(inventory.cluster_roles.objects.values()):
        has_any = part.rules or (part.selectors and not part.filled)
        if has_any and part.name not in seen and _takes(role, part):
            yield part


def _takes(role: Role, part: Role) -> bool:
    return any(selector.selects(part.labels) for selector in role.selectors)


def _takers(role: Role, inventory: Inventory) -> list[Role]:
    """The role itself, and every aggregated role into which its rules get."""
    found = [role]
    if role.namespace:
        return found
    aggregated = [each for each in list(inventory.cluster_roles.objects.values()) if each.selectors]
    for part in found:
        found.extend(each for each in aggregated if each not in found and _takes(each, part))
    return found


def _is_copy(rule: PolicyRule, original: PolicyRule) -> bool:
    return structs.replace(rule, index=original.index) == original


def _subjects(binding: RoleBinding) -> dict[Subject, list[int]]:
    """Those to whom the authorizer gives anything."""
    found: dict[Subject, list[int]] = {}
    for index, subject in enumerate(binding.subjects):
        known = subject.kind in ("User", "Group") or (
            subject.kind == "ServiceAccount" and subject.namespace
        )
        if known:
            found.setdefault(structs.replace(subject, implied=False), []).append(index)
    return found


_Verbs = dict[tuple[str, ...], tuple[str, ...]]
"""Verbs by the names of the objects for which they hold; by no name for all objects."""


def _verbs(rules: Iterable[PolicyRule], resource: str) -> _Verbs:
    held: dict[tuple[str, ...], set[str]] = {}
    for rule in rules:
        verbs = {verb for verb in WRITES if rule.allows(verb, resource)}
        held.setdefault(tuple(sorted(set(rule.resource_names))), set()).update(verbs)
    everywhere = held.get((), set())
    found = {names: held[names] - (everywhere if names else set()) for names in sorted(held)}
    return {names: tuple(v for v in WRITES if v in verbs) for names, verbs in found.items()}


def _phrases(by_resource: dict[str, _Verbs]) -> Iterator[str]:
    """Resources with the same verbs for the same names are told together."""
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for resource, held in by_resource.items():
        for names, verbs in held.items():
            if verbs:
                alike.setdefault((names, verbs), []).append(resource)
    for (names, verbs), resources in alike.items():
        named = f" named {_listed(names)}" if names else ""
        yield f"{_listed(verbs)} {_listed(resources)}{named}"


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _own_binding(name: str, role: str, subject: Subject) -> tuple[str, str, str, str, Subject]:
    return "ClusterRoleBinding", name, "ClusterRole", role, subject


_CONTROL_PLANE: Final = frozenset(
    {
        *(
            _own_binding(
                f"system:controller:{name}",
                f"system:controller:{name}",
                Subject(kind="ServiceAccount", namespace=NAMESPACE, name=name),
            )
            for name in (*CONTROLLERS, MIRRORING)
        ),
        _own_binding(
            "system:kube-controller-manager",
            "system:kube-controller-manager",
            Subject(kind="User", name="system:kube-controller-manager"),
        ),
        # The API server lets this group do everything before it asks RBAC: without the binding
        # nothing would change.
        _own_binding(
            "cluster-admin", "cluster-admin", Subject(kind="Group", name="system:masters")
        ),
    }
)
"""Bindings that Kubernetes makes itself (bootstrappolicy), with whom it makes them for."""

OWN_ROLES: Final = frozenset(role for _, _, _, role, _ in _CONTROL_PLANE)
"""ClusterRoles that the control plane needs as they are."""
