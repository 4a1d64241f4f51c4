"""Where objects and their fields stand in files."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import Json, address, endpoint_slice, endpoints, pod, port, service, subset
from tests.strategies import law
from webhook.cluster.manifests import read_paths, read_text
from webhook.cluster.origins import located
from webhook.core.decision import Finding, Verdict
from webhook.core.objects import ObjectRef
from webhook.core.report import Judged, Origin
from webhook.core.rule import Action, Violation
from webhook.core.rules import RULES

IP, PORT = "subsets[0].addresses[0].ip", "subsets[0].ports[0].port"
LABEL = "metadata.labels[kubernetes.io/service-name]"
WEB = """\
# The endpoints of web
apiVersion: v1
kind: Endpoints
metadata:
  name: web
  namespace: shop
subsets:
- addresses:
  - ip: 10.0.0.1
  ports:
  - {name: http, port: 80}
"""
LISTED = """\
kind: List
items:
- kind: Service
  apiVersion: v1
  metadata: {name: web, namespace: shop}
- kind: Endpoints
  apiVersion: v1
  metadata: {name: web, namespace: shop}
  subsets:
  - addresses:
    - ip: 10.0.0.1
"""
SLICE = """\
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata:
  name: web-1
  labels:
    kubernetes.io/service-name: web
addressType: IPv4
"""


def judged(ref: ObjectRef, *fields: str) -> Judged:
    findings = tuple(Finding(RULES["EG201"], Action.DENY, Violation(f, "wrong")) for f in fields)
    return Judged(ref=ref, verdict=Verdict.DENY, findings=findings)


def origins(text: str, *fields: str) -> list[Origin | None]:
    """Of the objects that can be judged, each with findings in these fields."""
    read = read_text(text, "a.yaml")
    each = [judged(subject.ref, *fields) for subject in read.subjects]
    return [its.origin for its in located(each, read.subject_sources)]


PLACES: dict[str, tuple[str, Sequence[str], list[tuple[int, dict[str, int]]]]] = {
    "an object": (WEB, [IP], [(2, {IP: 9})]),
    "the second document": (f"kind: Other\n---\n{WEB}", [IP], [(4, {IP: 11})]),
    "several documents": (f"{WEB}---\n{WEB}", [IP], [(2, {IP: 9}), (14, {IP: 21})]),
    "an item of a list": (LISTED, [IP], [(6, {IP: 11})]),
    "a key with dots": (SLICE, [LABEL], [(1, {LABEL: 6})]),
    "a field in a flow": (
        WEB,
        ["subsets[0].ports[0].port"],
        [(2, {"subsets[0].ports[0].port": 11})],
    ),
    "a field that is not there": (
        WEB,
        ["subsets[0].addresses[0].targetRef", "endpoints", "subsets[3].ports"],
        [(2, {"subsets[0].addresses[0].targetRef": 9, "endpoints": 2, "subsets[3].ports": 7})],
    ),
    "no finding": (WEB, [], [(2, {})]),
    "JSON": (json.dumps(yaml.safe_load(WEB), indent=2), [IP], [(1, {IP: 12})]),
    "JSON on one line": (json.dumps(yaml.safe_load(WEB)), [IP], [(1, {IP: 1})]),
    "ends of lines of Windows": (WEB.replace("\n", "\r\n"), [IP], [(2, {IP: 9})]),
}


@pytest.mark.parametrize(("text", "fields", "lines"), PLACES.values(), ids=PLACES)
def test_objects_and_fields_have_lines(
    text: str, fields: Sequence[str], lines: list[tuple[int, dict[str, int]]]
) -> None:
    expected = [Origin(file="a.yaml", line=line, fields=its) for line, its in lines]
    assert origins(text, *fields) == expected


def test_a_document_that_nobody_reads_by_lines_has_its_first_line() -> None:
    """Looking for lines in a dump of a whole cluster would take longer than judging it."""
    filler = "# x\n" * 600_000
    text = f"{WEB}---\n{WEB}{filler}"
    first, long = origins(text, IP)
    assert first == Origin(file="a.yaml", line=2, fields={IP: 9})
    assert long == Origin(file="a.yaml", line=12, fields={IP: 12})


def test_what_did_not_come_from_a_file_has_no_origin() -> None:
    its = judged(ObjectRef("Pod", "shop", "web"), "spec")
    assert located([its], [None]) == (its,)


FILES = {"a.yaml": "a.yaml", "./a.yaml": "a.yaml", "{here}/app/a.yaml": "app/a.yaml"}


@pytest.mark.parametrize(("path", "file"), FILES.items(), ids=FILES)
def test_a_file_is_named_from_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, file: str
) -> None:
    """Code scanning wants paths below the checkout."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(WEB)
    read = read_paths([path.format(here=tmp_path)])
    (its,) = located([judged(read.subjects[0].ref)], read.subject_sources)
    assert its.origin == Origin(file=file, line=2)


def test_of_two_objects_with_one_name_the_last_is_the_state() -> None:
    read = read_text(f"{WEB}---\n{WEB}", "a.yaml")
    ref = ObjectRef("Endpoints", "shop", "web")
    (its,) = located([judged(ref)], [read.sources[ref]])
    assert its.origin == Origin(file="a.yaml", line=14)


def test_an_object_without_a_namespace_is_found_where_it_is_taken_to_be() -> None:
    (ref,) = read_text(SLICE, namespace="shop").sources
    assert ref == ObjectRef("EndpointSlice", "shop", "web-1")


objects = st.sampled_from(
    [
        service(),
        pod(),
        endpoints(subset(address(), ports=[port(22)]), subset(address())),
        endpoint_slice(),
    ]
)


@law
@given(documents=st.lists(objects, min_size=1, max_size=4), flow=st.sampled_from([None, False]))
def test_a_line_is_where_its_key_is_written(documents: list[Json], flow: bool | None) -> None:
    text = yaml.safe_dump_all(documents, default_flow_style=flow, sort_keys=False)
    lines = text.splitlines()
    ports = {"Endpoints": "subsets[0].ports[0].port", "EndpointSlice": "ports[0].port"}
    read = read_text(text, "a.yaml")
    wanted = [judged(subject.ref, ports[subject.kind]) for subject in read.subjects]
    for its in located(wanted, read.subject_sources):
        assert its.origin is not None
        assert "port: " in lines[its.origin.line_of(ports[its.ref.kind]) - 1]
        assert lines[its.origin.line - 1].startswith("apiVersion: ")
