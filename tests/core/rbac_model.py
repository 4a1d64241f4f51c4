"""RBAC told a second time, naively, on manifests: the authorizer, the aggregation, a JSON patch.

Nothing of it is shared with `webhook.core`, whose answer `given_by` and `reported` put in the same
terms.
"""

import json
import shlex
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tests.builders import Json
from webhook.core.grants import Grant, grants
from webhook.core.inventory import Inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody wants to do."""

    user: str = ""
    groups: tuple[str, ...] = ()
    verb: str
    group: str
    resource: str
    namespace: str
    name: str = ""


def given_by(inventory: Inventory) -> list[Grant]:
    """Every grant, those for the whole cluster first."""
    tables = (inventory.cluster_role_bindings, inventory.role_bindings)
    return [
        g for table in tables for each in table.objects.values() for g in grants(each, inventory)
    ]


def reported(found: Sequence[Grant], asked: Request) -> bool:
    """Whether a grant says that this request passes."""
    return any(
        asked.user == each.subject.username
        or (each.subject.kind == "Group" and each.subject.name in asked.groups)
        for each in found
        if each.binding.namespace in ("", asked.namespace)
        for source in each.sources
        if source.rule.allows(asked.verb, asked.resource)
        and (not source.rule.resource_names or asked.name in source.rule.resource_names)
    )


def allows(cluster: Sequence[Json], asked: Request) -> bool:
    """Whether the RBAC authorizer would let a request pass."""
    return any(_rule_allows(rule, asked) for rule in _rules_for(cluster, asked))


def aggregated(cluster: Sequence[Json]) -> list[Json]:
    """The cluster once the aggregation controller has nothing left to do."""
    current = [deepcopy(each) for each in cluster]
    for _ in current:
        for each in current:
            if "aggregationRule" in each:
                each["rules"] = _collected(each, current)
    return current


def after(cluster: Sequence[Json], command: str) -> list[Json]:
    """The cluster after the kubectl commands that are joined in `command`."""
    current = [deepcopy(each) for each in cluster]
    for single in _split(shlex.split(command)):
        program, verb, what, *flags = single
        kind, _, name = what.partition(".rbac.authorization.k8s.io/")
        namespace = flags[flags.index("--namespace") + 1] if "--namespace" in flags else ""
        (index,) = (
            index
            for index, each in enumerate(current)
            if each["kind"].lower() == kind
            and each["metadata"]["name"] == name
            and each["metadata"].get("namespace", "") == namespace
        )
        assert program == "kubectl"
        if verb == "delete":
            del current[index]
        else:
            assert (verb, "--type=json" in flags) == ("patch", True)
            (patch,) = (flag for flag in flags if flag.startswith("--patch="))
            apply_patch(current[index], json.loads(patch.removeprefix("--patch=")))
    return current


def apply_patch(document: Any, patch: list[Json]) -> None:
    """RFC 6902, as far as it is used."""
    for operation in patch:
        *path, last = operation["path"].lstrip("/").split("/")
        at = document
        for step in path:
            at = at[int(step) if isinstance(at, list) else step]
        key = int(last) if isinstance(at, list) and last != "-" else last
        match operation["op"]:
            case "test":
                assert at[key] == operation["value"], operation
            case "remove":
                del at[key]
            case "add":
                assert key == "-"
                at.append(operation["value"])


def _split(words: list[str]) -> Iterator[list[str]]:
    current: list[str] = []
    for word in words:
        if word == "&&":
            yield current
            current = []
        else:
            current.append(word)
    yield current


def _collected(role: Json, cluster: Sequence[Json]) -> list[Json]:
    found: list[Json] = []
    for selector in role["aggregationRule"]["clusterRoleSelectors"]:
        for other in cluster:
            labels = other["metadata"].get("labels") or {}
            if other["kind"] != "ClusterRole" or other["metadata"] == role["metadata"]:
                continue
            if all(labels.get(k) == v for k, v in selector.get("matchLabels", {}).items()):
                found += [rule for rule in other["rules"] or [] if rule not in found]
    return found


def _rules_for(cluster: Sequence[Json], asked: Request) -> Iterator[Json]:
    for binding in cluster:
        home = binding["metadata"].get("namespace", "")
        if not binding["kind"].endswith("Binding") or home not in ("", asked.namespace):
            continue
        if not any(_is(subject, asked, home) for subject in binding["subjects"] or []):
            continue
        wanted = binding["roleRef"]
        for role in cluster:
            its = role["metadata"]
            where = home if wanted["kind"] == "Role" else ""
            if (role["kind"], its["name"], its.get("namespace", "")) == (
                wanted["kind"],
                wanted["name"],
                where,
            ):
                yield from role["rules"] or []


def _is(subject: Json, asked: Request, home: str) -> bool:
    match subject["kind"]:
        case "User":
            return bool(subject["name"] == asked.user)
        case "Group":
            return subject["name"] in asked.groups
        case "ServiceAccount":
            namespace = subject.get("namespace") or home
            full = f"system:serviceaccount:{namespace}:{subject['name']}"
            return bool(namespace) and full == asked.user
    return False


def _rule_allows(rule: Json, asked: Request) -> bool:
    _, slash, subresource = asked.resource.partition("/")
    resources = {"*", asked.resource} | ({f"*/{subresource}"} if slash else set())
    names = rule.get("resourceNames") or []
    return (
        bool({"*", asked.verb} & set(rule.get("verbs", ())))
        and bool({"*", asked.group} & set(rule.get("apiGroups", ())))
        and bool(resources & set(rule.get("resources", ())))
        and (not names or asked.name in names)
    )
