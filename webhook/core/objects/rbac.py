"""RBAC roles and bindings: only what tells who may write Endpoints and EndpointSlices.

A role keeps the few rules that let somebody write endpoints; a cluster has hundreds of roles, and
most of them do not.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from webhook.core.objects.decoding import NO_METADATA, Metadata, api_name

RESOURCES: Final[Mapping[str, str]] = {"endpoints": "", "endpointslices": "discovery.k8s.io"}
"""The resources that say where a Service leads, with their API groups."""

WRITES: Final = ("create", "update", "patch")
"""The verbs by which an address gets into an object. Deleting leads no traffic anywhere else."""

EVERY: Final = "*"
"""RBAC's word for every verb, API group or resource."""


class PolicyRule(Struct, frozen=True, gc=False, kw_only=True):
    """One entry of a role's `rules`, as rbac/v1 PolicyRule."""

    index: int
    """Where it stands in the role."""
    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()
    """Empty: objects of every name."""

    @property
    def is_everything(self) -> bool:
        """Whether it gives every verb on every resource of every group."""
        return all(EVERY in each for each in (self.verbs, self.api_groups, self.resources)) and (
            not self.resource_names
        )

    @property
    def lets_write(self) -> bool:
        """Whether it gives one of `WRITES` on one of `RESOURCES`."""
        return any(self.allows(verb, resource) for verb in WRITES for resource in RESOURCES)

    @property
    def is_restricted_right(self) -> bool:
        """Whether it lets create `endpoints/restricted` or `endpointslices/restricted`."""
        return any(self.allows("create", resource, "restricted") for resource in RESOURCES)

    def allows(self, verb: str, resource: str, subresource: str = "") -> bool:
        """Whether it gives this verb on one of `RESOURCES`, if only for some names.

        As the API server's RBAC authorizer decides: `*` stands for everything, subresources
        included, and `*/status` for the subresource of every resource; `endpoints/*` is no pattern.
        """
        return (
            not {verb, EVERY}.isdisjoint(self.verbs)
            and not {RESOURCES[resource], EVERY}.isdisjoint(self.api_groups)
            and not _names_of(resource, subresource).isdisjoint(self.resources)
        )


class LabelRequirement(Struct, frozen=True, gc=False, omit_defaults=True):
    """An entry of a selector's `matchExpressions`."""

    key: str
    operator: str
    values: tuple[str, ...] | None = None

    def is_met_by(self, labels: Mapping[str, str]) -> bool:
        """An operator that Kubernetes does not know is met by nothing."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in (self.values or ())
            case "NotIn":
                return value not in (self.values or ())
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
        return False


class LabelSelector(Struct, frozen=True, gc=False, omit_defaults=True, rename=api_name):
    """A metav1 LabelSelector; the empty one selects everything."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[LabelRequirement, ...] | None = None

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether every condition is met."""
        pairs = (self.match_labels or {}).items()
        return all(labels.get(key) == value for key, value in pairs) and all(
            each.is_met_by(labels) for each in self.match_expressions or ()
        )


class Role(Struct, frozen=True, gc=False, kw_only=True):
    """A Role, or a ClusterRole where the namespace is empty."""

    namespace: str = ""
    name: str
    labels: Mapping[str, str] = {}
    rules: tuple[PolicyRule, ...] = ()
    """Those that let write endpoints or slices, or give the restricted right."""
    gives_more: bool = False
    """Whether it also gives rights on other resources."""
    selectors: tuple[LabelSelector, ...] = ()
    """`aggregationRule`: which ClusterRoles it is put together of."""
    filled: bool = True
    """Whether it has rules at all; an aggregated role gets them from a controller."""

    @property
    def kind(self) -> str:
        """Role or ClusterRole."""
        return "Role" if self.namespace else "ClusterRole"


class Subject(Struct, frozen=True, gc=False, kw_only=True):
    """Who is given a role."""

    kind: str
    """User, Group or ServiceAccount."""
    name: str
    namespace: str = ""
    """Of a ServiceAccount."""
    implied: bool = False
    """The namespace is not written there: it is the binding's, which holds for the authorizer."""

    @property
    def username(self) -> str:
        """The full authenticated user name; empty for a Group."""
        if self.kind == "ServiceAccount":
            return f"system:serviceaccount:{self.namespace}:{self.name}"
        return self.name if self.kind == "User" else ""

    def __str__(self) -> str:
        return f"{self.kind} {'/'.join(filter(None, (self.namespace, self.name)))}"


class RoleBinding(Struct, frozen=True, gc=False, kw_only=True):
    """A RoleBinding, or a ClusterRoleBinding where the namespace is empty."""

    namespace: str = ""
    name: str
    role_kind: str
    role_name: str
    subjects: tuple[Subject, ...] = ()
    """As they are listed, so that an index means the same here and there."""

    @property
    def kind(self) -> str:
        """RoleBinding or ClusterRoleBinding."""
        return "RoleBinding" if self.namespace else "ClusterRoleBinding"


class _WireRule(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    verbs: tuple[str, ...] | None = None
    api_groups: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    resource_names: tuple[str, ...] | None = None
    non_resource_urls: tuple[str, ...] | None = None

    def compact(self, index: int) -> PolicyRule:
        return PolicyRule(
            index=index,
            verbs=self.verbs or (),
            api_groups=self.api_groups or (),
            resources=self.resources or (),
            resource_names=self.resource_names or (),
        )


class _AggregationRule(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    cluster_role_selectors: tuple[LabelSelector, ...] | None = None


class WireRole(Struct, frozen=True, omit_defaults=True, gc=False):
    """rbac/v1 Role as it stands on the wire."""

    metadata: Metadata = NO_METADATA
    rules: tuple[_WireRule, ...] | None = None

    def compact(self) -> Role:
        """The value that rules and indexes use."""
        rules = self.rules or ()
        return Role(
            namespace=self.metadata.namespace,
            name=self.metadata.name,
            rules=_writing(rules),
            gives_more=any(map(_gives_more, rules)),
        )


class WireClusterRole(WireRole, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    """rbac/v1 ClusterRole as it stands on the wire."""

    aggregation_rule: _AggregationRule | None = None

    def compact(self) -> Role:
        """The value that rules and indexes use."""
        rules = self.rules or ()
        aggregation = self.aggregation_rule or _AggregationRule()
        return Role(
            name=self.metadata.name,
            labels=self.metadata.labels or {},
            rules=_writing(rules),
            gives_more=any(map(_gives_more, rules)),
            selectors=aggregation.cluster_role_selectors or (),
            filled=bool(rules),
        )


class _WireSubject(Struct, frozen=True, omit_defaults=True, gc=False):
    kind: str = ""
    name: str = ""
    namespace: str = ""


class _RoleRef(Struct, frozen=True, omit_defaults=True, gc=False):
    kind: str = ""
    name: str = ""


class WireRoleBinding(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    """rbac/v1 RoleBinding as it stands on the wire."""

    metadata: Metadata = NO_METADATA
    role_ref: _RoleRef = _RoleRef()
    subjects: tuple[_WireSubject, ...] | None = None

    def compact(self) -> RoleBinding:
        """The value that rules and indexes use."""
        return self._compact(self.metadata.namespace)

    def _compact(self, namespace: str) -> RoleBinding:
        return RoleBinding(
            namespace=namespace,
            name=self.metadata.name,
            role_kind=self.role_ref.kind,
            role_name=self.role_ref.name,
            subjects=tuple(_subject(each, namespace) for each in self.subjects or ()),
        )


class WireClusterRoleBinding(WireRoleBinding, frozen=True, omit_defaults=True, gc=False):
    """rbac/v1 ClusterRoleBinding as it stands on the wire."""

    def compact(self) -> RoleBinding:
        """The value that rules and indexes use."""
        return self._compact("")


def _names_of(resource: str, subresource: str) -> set[str]:
    if not subresource:
        return {EVERY, resource}
    return {EVERY, f"{resource}/{subresource}", f"*/{subresource}"}


def _writing(rules: tuple[_WireRule, ...]) -> tuple[PolicyRule, ...]:
    held = (rule.compact(index) for index, rule in enumerate(rules))
    return tuple(rule for rule in held if rule.lets_write or rule.is_restricted_right)


def _gives_more(rule: _WireRule) -> bool:
    return bool(rule.non_resource_urls) or not RESOURCES.keys() >= set(rule.resources or ())


def _subject(wire: _WireSubject, namespace: str) -> Subject:
    if wire.kind != "ServiceAccount":
        return Subject(kind=wire.kind, name=wire.name)
    return Subject(
        kind=wire.kind,
        name=wire.name,
        namespace=wire.namespace or namespace,
        implied=not wire.namespace,
    )
