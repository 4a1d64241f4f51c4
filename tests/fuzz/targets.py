"""What the guided fuzzer calls with any bytes. Each raises only when a promise is broken."""

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import msgspec
import yaml

from tests.builders import Json, body, review
from tests.fuzz import seeds
from tests.fuzz.contract import lax_json
from tests.fuzz.fronts import Front
from webhook.cli.check import judge_manifests
from webhook.cli.reporting import FORMATS
from webhook.cluster.decoding import Resource, Undecodable
from webhook.cluster.documents import NotYaml, lines_of, load_document
from webhook.cluster.errors import ClusterUnavailable
from webhook.cluster.manifests import Manifests, read_text, state_of
from webhook.cluster.resources import STORED
from webhook.cluster.state import FixedState
from webhook.core.addresses import Address, parse
from webhook.core.audit import audit
from webhook.core.baseline import baseline_lines, found_in, hide, parse_baseline
from webhook.core.decision import Verdict
from webhook.core.example_cluster import CLUSTER
from webhook.core.formats.about import About
from webhook.core.objects import Endpoints, EndpointSlice, InvalidObject
from webhook.core.policy import Policy, parse_policy
from webhook.core.policy_review import as_text
from webhook.core.report import Judged, Report


class Target(NamedTuple):
    """A function of any bytes, and what it begins with."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]


_CLUSTER = read_text(CLUSTER)
_front = Front(FixedState(inventory=state_of(_CLUSTER)))


def a_connection(data: bytes) -> None:
    """A stream of requests gets the same answers in one piece and byte after byte."""
    whole = _front.take([data])
    size = 1 + len(data) // 64
    cut = _front.take(data[at : at + size] for at in range(0, len(data), size))
    assert [(a.status, a.body) for a in cut] == [(a.status, a.body) for a in whole]


def a_review(data: bytes) -> None:
    """The body of a POST to /validate."""
    _front.ask(data)


def an_object(data: bytes) -> None:
    """An object of any kind is read or refused, alike as JSON and as what YAML makes of it."""
    resource, text = _resource(data)
    item = resource.read_item(msgspec.Raw(text))
    try:
        value: object = resource.read(text)
    except InvalidObject:
        value = None
    assert (value is None) is isinstance(item, Undecodable)
    if value is not None:
        assert item == value
        assert resource.value_of(resource.read_manifest(lax_json(text))) == value


def a_watch_event(data: bytes) -> None:
    """A line of a watch is an event, or a reason to begin anew."""
    resource, line = _resource(data)
    try:
        event = resource.read_event(line)
        resource.version_of(line)
        key = resource.key_of(line)
    except ClusterUnavailable:
        return
    assert event.value is None or not event.name
    assert (
        event.value is not None or event.type == "BOOKMARK" or key == (event.namespace, event.name)
    )


def _resource(data: bytes) -> tuple[Resource[Any], bytes]:
    return STORED[data[0] % len(STORED)] if data else STORED[0], data[1:]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def a_policy(data: bytes) -> None:
    """A policy file is in force, or refused at a line that is there."""
    text = _text(data)
    try:
        read = load_document(text)
        policy = parse_policy({} if read is None else read)
    except NotYaml:
        return
    except InvalidObject as error:
        (line,) = lines_of(text, (error.path,)).values()
        assert 1 <= line <= text.count("\n") + len(text.splitlines()) + 1
        return
    assert as_text(policy, "shop", "2026-01-31")
    assert as_text(policy.on("2026-01-31"), "", "2026-01-31")


def a_baseline(data: bytes) -> None:
    """A file of known findings is refused, or read as what is written of it again."""
    try:
        known = parse_baseline(load_document(_text(data)))
    except (NotYaml, InvalidObject):
        return
    assert parse_baseline(load_document("".join(baseline_lines(known)))) == known


def manifests(data: bytes) -> None:
    """Whatever a file holds can be judged and reported, and the three fronts agree about it."""
    read = read_text(_text(data))
    for each in read.unreadable:
        assert "\n" not in str(each)
    checked = judge_manifests(read, state_of(_CLUSTER), Policy())
    _agree_with_admission(read, checked)
    state = state_of(_CLUSTER)
    read.add_to(state)
    audited = Report(objects=tuple(audit(state, Policy())), unreadable=read.unread)
    known = found_in(audited)
    assert not any(each.findings for each in hide(audited, known).objects)
    assert parse_baseline(load_document("".join(baseline_lines(known)))) == known
    for report in (checked, audited):
        _reported(report)


def _agree_with_admission(read: Manifests, checked: Report) -> None:
    if not read.subjects:
        return
    before = state_of(_CLUSTER)
    old = {each.ref: before.published(each.ref) for each in read.subjects}
    read.add_to(before)
    front = Front(FixedState(inventory=before))
    for subject, judged in zip(read.subjects, checked.objects, strict=True):
        was = old[subject.ref]
        asked = review(_manifest(subject), None if was is None else _manifest(was), user="")
        answer = front.ask(body(asked))
        said = json.loads(answer.body)["response"]
        assert said["allowed"] is (judged.verdict is not Verdict.DENY), (said, judged)
        _same_causes(said, judged)


def _manifest(subject: Endpoints | EndpointSlice) -> Json:
    made: Json = msgspec.to_builtins(subject)
    return {"kind": subject.kind, **made}


def _same_causes(said: Any, judged: Judged) -> None:
    causes = said.get("status", {}).get("details", {}).get("causes", [])
    denied = [f"{f.rule.code} {f.violation.field}" for f in judged.findings if f.action == "deny"]
    if len(causes) == len(denied):  # More than fit are only counted.
        assert [f"{cause['reason']} {cause['field']}" for cause in causes] == denied


def _reported(report: Report) -> None:
    made = {name: render(report, About()) for name, render in FORMATS.items()}
    for name in ("json", "sarif"):
        json.loads(made[name])
    ET.fromstring(made["junit"])
    assert yaml.safe_load(made["yaml"])["version"] == 1
    for text in made.values():
        text.encode()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\x9b]", made["text"] + made["markdown"])
    for line in filter(None, made["github"].splitlines()):
        assert line.startswith("::")


def an_address(data: bytes) -> None:
    """An address is what another reader of the same text says, or marked as ambiguous."""
    text = _text(data)
    found = parse(text)
    assert found == parse(str(text))
    _hold_address(found)
    try:
        strict = ipaddress.ip_address(text)
    except ValueError:
        assert found.ambiguity
        return
    mapped = getattr(strict, "ipv4_mapped", None)
    assert found.value == str(mapped or strict) if "%" not in text else found.ambiguity
    assert bool(found.ambiguity) is bool(mapped or "%" in text)


def _hold_address(found: Address) -> None:
    if not found.value:
        assert found.ambiguity
        assert (found.family, found.destinations, found.reaches) == ("", (), ())
        return
    same = ipaddress.ip_address(found.value)
    assert (int(same), str(same)) == (found.number, found.value)
    assert found.family == f"IPv{same.version}"
    assert found.reaches == tuple(each.value for each in found.destinations)
    for each in found.embedded:
        assert each.family == "IPv4"
    leads_nowhere_good = same.is_loopback or same.is_link_local or same.is_multicast
    if leads_nowhere_good or same.is_unspecified:
        assert found.special


TARGETS: Mapping[str, Target] = {
    "connection": Target(a_connection, seeds.requests),
    "review": Target(a_review, seeds.reviews),
    "object": Target(an_object, seeds.objects),
    "watch-event": Target(a_watch_event, seeds.events),
    "policy": Target(a_policy, seeds.policies),
    "baseline": Target(a_baseline, seeds.baselines),
    "manifests": Target(manifests, seeds.manifests),
    "address": Target(an_address, seeds.addresses),
}
