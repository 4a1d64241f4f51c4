"""The bypasses and the patterns as rows, and what the guard says of each of them.

The rows are YAML beside this file; what a manifest there leaves out (apiVersion, namespace) is
filled in. `decided` takes the way of a review: from the bytes that the API server would send.
"""

import json
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct

from tests.builders import Json, body, review
from tests.core.controllers import mirrors_of
from webhook.cluster.documents import load_document
from webhook.cluster.manifests import Manifests, read_text, state_of
from webhook.core.admission import Review, parse_review
from webhook.core.decision import Decision
from webhook.core.engine import decide
from webhook.core.inventory import Inventory
from webhook.core.policy import Policy, parse_policy
from webhook.core.rule import Action

HERE = Path(__file__).parent
TENANT, VICTIM = "tenant", "victim"
_VERSIONS = {"EndpointSlice": "discovery.k8s.io/v1"}
_CLUSTER_WIDE = frozenset({"Node", "Namespace"})


class Attempt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """One write in the scene, and what becomes of it."""

    name: str
    write: Json | None = None
    """None: `old` is deleted."""
    old: Json | None = None
    state: tuple[Json, ...] = ()
    """What the cluster holds beyond the scene."""
    user: str = "mallory"
    groups: tuple[str, ...] = ()
    policy: str = ""
    """The file here with the policy in force; the default policy when empty."""
    profile: str = ""
    """The profile with which nothing is denied."""
    denied: tuple[str, ...] = ()
    """The rules that deny it: without the profile, if there is one."""
    warned: tuple[str, ...] = ()
    refused_by_api_server: bool = False
    """Whether the API server of the end-to-end cluster refuses it by itself."""

    @property
    def subject(self) -> Json:
        """The object that it is about."""
        found = self.write or self.old
        assert found is not None
        return found


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bypass or a pattern."""

    number: str
    title: str
    control: str = ""
    """What stops a bypass, and what does not yet."""
    attempts: tuple[Attempt, ...] = ()
    proof: tuple[str, ...] = ()
    """Further tests that show it, as pytest names them."""


def rows(name: str) -> tuple[Row, ...]:
    """The rows of a file here, complete manifests in them."""
    data = load_document((HERE / name).read_text(encoding="utf-8"))
    return tuple(_filled_row(msgspec.convert(each, Row)) for each in data)


def _filled_row(row: Row) -> Row:
    complete = tuple(
        msgspec.structs.replace(
            attempt,
            write=attempt.write and filled(attempt.write),
            old=attempt.old and filled(attempt.old),
            state=tuple(map(filled, attempt.state)),
        )
        for attempt in row.attempts
    )
    return msgspec.structs.replace(row, attempts=complete)


def filled(manifest: Json) -> Json:
    """A manifest with apiVersion and namespace."""
    kind, metadata = manifest["kind"], manifest["metadata"]
    placed = metadata if kind in _CLUSTER_WIDE else {"namespace": TENANT, **metadata}
    return {"apiVersion": _VERSIONS.get(kind, "v1"), **manifest, "metadata": placed}


SCENE = tuple(map(filled, load_document((HERE / "scene.yaml").read_text(encoding="utf-8"))))
BYPASSES = rows("bypasses.yaml")
PATTERNS = rows("patterns.yaml")


def attempts(table: tuple[Row, ...]) -> dict[str, Attempt]:
    """Every attempt, by number and name."""
    return {f"{row.number} {each.name}": each for row in table for each in row.attempts}


@cache
def policy_named(name: str) -> Policy:
    """The policy in a file here; the default one for an empty name."""
    return parse_policy(load_document(policy_text(name)) if name else {})


def policy_text(name: str) -> str:
    """A policy file here."""
    return (HERE / f"{name}.yaml").read_text(encoding="utf-8")


def with_profile(name: str) -> Policy:
    """The default policy with one profile."""
    return parse_policy({"profiles": [{"name": name}]})


def asked(attempt: Attempt, **fields: object) -> bytes:
    """The review of an attempt, as the API server sends it."""
    groups = ["system:authenticated", *attempt.groups]
    user = {"username": attempt.user, "groups": groups}
    return body(review(attempt.write, attempt.old, userInfo=user, **fields))  # type: ignore[arg-type]


def parsed(attempt: Attempt) -> Review:
    """The review of an attempt, read."""
    return parse_review(asked(attempt))


def cluster_of(attempt: Attempt) -> Inventory:
    """The scene, with what the attempt adds to it."""
    return state_of(manifests(*SCENE, *attempt.state))


def manifests(*given: Json) -> Manifests:
    """Manifests as `check` reads them; they must all be readable."""
    read = read_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": given}))
    assert not read.unreadable, read.unreadable
    return read


def decided(attempt: Attempt, policy: Policy | None = None) -> Decision:
    """What the guard says, under the policy of the attempt if no other is given."""
    chosen = policy_named(attempt.policy) if policy is None else policy
    return decide(parsed(attempt).request, cluster_of(attempt), chosen)


def said(decision: Decision, action: Action) -> tuple[str, ...]:
    """The rules with findings of this action."""
    codes = {f.rule.code for f in decision.findings if f.action is action}
    return tuple(sorted(codes))


def mirrors(attempt: Attempt) -> list[Json]:
    """The slices that the mirroring controller makes of what an attempt writes."""
    (subject,) = manifests(attempt.subject).subjects
    service = cluster_of(attempt).service(subject.metadata.namespace, subject.service_name)
    if subject.kind == "EndpointSlice" or service is None or service.has_selector:
        return []
    return mirrors_of({"subsets": [], **attempt.subject}) if subject.in_effect else []
