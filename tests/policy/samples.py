"""Policies, good and bad, and what they make of a write."""

from collections.abc import Iterable

from tests.builders import Json, said, state, subject
from webhook.cluster.documents import load_document
from webhook.core.engine import decide
from webhook.core.objects import AdmissionRequest
from webhook.core.policy import Policy, parse_policy

EVERY_KEY = """\
rules: {EG203: off, pod-not-selected: warn}
external: &limits
  allowedCIDRs: [198.51.100.0/24, "2001:db8::/32"]
  forbiddenCIDRs: [198.51.100.128/25]
  allowedPorts: [3306]
  allowedNames: ["*.example.com"]
forbiddenPorts: [22623]
podCIDRs: [10.64.0.0/12]
namespaces:
  staging: {rules: {EG502: audit}, external: *limits, forbiddenPorts: []}
trustedWriters: [system:apiserver]
exemptions:
- reason: publishes kubelets
  expires: 2027-01-31
  users: [system:serviceaccount:monitoring:operator]
  groups: [admins]
  namespaces: [monitoring]
  names: [kubelet]
  rules: [EG502, api-server-address]
profiles: [{name: knative-serving, users: [me], namespaces: [functions]}]
restrictedRight: true
"""

BAD_VALUES = {
    "an unknown key": ("rulez: {}", "rulez", 3, "unknown field"),
    "an unknown key further down": ("rules: {}\nextrenal: {}", "extrenal", 4, "unknown field"),
    "an unknown rule": ("rules:\n  EG201: deny\n  EG999: deny", "rules.EG999", 5, "no such rule"),
    "a rule in the wrong case": ("rules: {eg201: deny}", "rules.eg201", 3, "no such rule"),
    "an unknown action": ("rules:\n  EG102: deny\n  EG201: dney", "rules.EG201", 5, "dney"),
    "true for an action": ("rules:\n  EG201: on", "rules.EG201", 4, "bool"),
    "rules as a list": ("rules: [EG201]", "rules", 3, "array"),
    "no CIDR": ("external:\n  allowedCIDRs: [x]", "external.allowedCIDRs[0]", 4, "not a CIDR"),
    "a CIDR with host bits": (
        "external:\n  forbiddenCIDRs:\n  - 10.0.0.0/8\n  - 10.0.0.1/24",
        "external.forbiddenCIDRs[1]",
        6,
        "host bits",
    ),
    "a CIDR that is no list": (
        "external: {allowedCIDRs: 10.0.0.0/8}",
        "external.allowedCIDRs",
        3,
        "array",
    ),
    "an empty Pod range": ("podCIDRs: [10.0.0.0/8, '']", "podCIDRs[1]", 3, "not a CIDR"),
    "a misspelt limit": ("external: {allowedCidrs: []}", "external", 3, "allowedCidrs"),
    "a port that is too large": (
        "external: {allowedPorts: [80, 70000]}",
        "external.allowedPorts[1]",
        3,
        "65535",
    ),
    "a negative port": ("forbiddenPorts: [-1]", "forbiddenPorts[0]", 3, ">= 0"),
    "a port in quotes": ("forbiddenPorts: ['22']", "forbiddenPorts[0]", 3, "int"),
    "an unknown rule of a namespace": (
        "namespaces:\n  shop:\n    rules:\n      EG999: deny",
        "namespaces.shop.rules.EG999",
        6,
        "no such rule",
    ),
    "an unknown action of a namespace": (
        "namespaces:\n  a: {}\n  shop: {rules: {EG201: dney}}",
        "namespaces.shop.rules.EG201",
        5,
        "dney",
    ),
    "no CIDR of a namespace": (
        "namespaces:\n  shop: {external: {allowedCIDRs: [x]}}",
        "namespaces.shop.external.allowedCIDRs[0]",
        4,
        "not a CIDR",
    ),
    "a key that no namespace has": (
        "namespaces:\n  a: {}\n  shop: {podCIDRs: []}",
        "namespaces.shop",
        5,
        "podCIDRs",
    ),
    "a trusted writer that is no list": ("trustedWriters: me", "trustedWriters", 3, "array"),
    "an exemption without a reason": ("exemptions: [{users: [me]}]", "exemptions[0]", 3, "reason"),
    "an empty reason": (
        "exemptions:\n- users: [me]\n  reason: ''",
        "exemptions[0].reason",
        5,
        "length",
    ),
    "an exemption for everything": (
        "exemptions:\n- {reason: r, users: [me]}\n- {reason: r}",
        "exemptions[1]",
        5,
        "must name users, groups, namespaces or names",
    ),
    "an exemption from an unknown rule": (
        "exemptions: [{reason: r, users: [me], rules: [EG999]}]",
        "exemptions[0].rules.EG999",
        3,
        "no such rule",
    ),
    "an exemption with a misspelt key": (
        "exemptions: [{reason: r, user: [me]}]",
        "exemptions[0]",
        3,
        "unknown field `user`",
    ),
    "an expiry that is no date": (
        "exemptions:\n- reason: r\n  users: [me]\n  expires: soon",
        "exemptions[0].expires",
        6,
        "not a date",
    ),
    "day and month exchanged": (
        "exemptions: [{reason: r, users: [me], expires: 2027-31-01}]",
        "exemptions[0].expires",
        3,
        "not a date",
    ),
    "a day that no month has": (
        "exemptions: [{reason: r, users: [me], expires: 2027-01-32}]",
        "exemptions[0].expires",
        3,
        "not a date",
    ),
    "an unknown profile": (
        "profiles:\n- name: knative-serving\n- name: knative",
        "profiles[1].name",
        5,
        "known: antrea-multicluster",
    ),
    "a profile that is only a name": ("profiles: [knative]", "profiles[0]", 3, "object"),
    "yes in quotes": ("restrictedRight: 'yes'", "restrictedRight", 3, "bool"),
}
"""Text, the key that is told, its line after two lines of comment, and words that help."""


def policy(text: str) -> Policy:
    """The policy that this YAML is."""
    data = load_document(text)
    return parse_policy({} if data is None else data)


def found(
    write: Json,
    *cluster: Json,
    under: Policy | str = "",
    user: str = "alice",
    groups: Iterable[str] = (),
) -> set[str]:
    """What is said of a new object, as `action CODE path`."""
    new = subject(write)
    request = AdmissionRequest(ref=new.ref, username=user, groups=tuple(groups), new=new)
    chosen = policy(under) if isinstance(under, str) else under
    return said(decide(request, state(*cluster), chosen).findings)
