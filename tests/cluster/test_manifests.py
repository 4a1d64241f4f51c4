"""Manifests as `kubectl` prints and takes them: what is read, and what is said of what is not."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    Json,
    cluster_role,
    cluster_role_binding,
    endpoint_slice,
    endpoints,
    node,
    pod,
    policy_rule,
    role,
    role_binding,
    service,
    service_account,
    subject,
    user,
    value_of,
)
from tests.strategies import json_values, law
from webhook.cluster.files import Unreadable
from webhook.cluster.manifests import Manifests, read_paths, read_text, state_of

OBJECTS = (
    service(),
    pod(),
    node(),
    endpoints(),
    endpoint_slice(),
    cluster_role("writer", policy_rule()),
    role("writer", policy_rule("endpointslices")),
    cluster_role_binding("writers", "writer", user()),
    role_binding("writers", "writer", service_account()),
)
CLUSTER_WIDE = {"Node", "ClusterRole", "ClusterRoleBinding"}
VALUES = tuple((manifest["kind"], value_of(manifest)) for manifest in OBJECTS)


def to_yaml(*documents: Any) -> str:
    return yaml.safe_dump_all(documents)


def kinds(read: Manifests) -> list[str]:
    return [kind for kind, _ in read.objects]


def clean(text: str) -> Manifests:
    """What was read, where everything can be."""
    read = read_text(text)
    assert read.unreadable == ()
    return read


# --- Forms

FORMS = {
    "YAML documents": to_yaml(*OBJECTS),
    "YAML that begins with a separator": "---\n" + to_yaml(*OBJECTS),
    "YAML with comments after the separators": to_yaml(*OBJECTS).replace("---\n", "--- # next\n"),
    "empty documents in between": to_yaml(*OBJECTS).replace("---\n", "---\n---\n# nothing\n---\n"),
    "a List, as YAML": to_yaml({"apiVersion": "v1", "kind": "List", "items": list(OBJECTS)}),
    "a List, as JSON": json.dumps({"apiVersion": "v1", "kind": "List", "items": list(OBJECTS)}),
    "JSON with indentation": json.dumps({"kind": "List", "items": list(OBJECTS)}, indent=4),
    "JSON with tabs": json.dumps({"kind": "List", "items": list(OBJECTS)}, indent="\t"),
    "a List in a List": json.dumps(
        {"kind": "List", "items": [{"kind": "List", "items": list(OBJECTS)}]}
    ),
    "JSON documents between separators": "\n---\n".join(map(json.dumps, OBJECTS)),
    "a document that begins on the line of its separator": "".join(
        f"--- {json.dumps(each)}\n" for each in OBJECTS
    ),
    "Windows line ends": to_yaml(*OBJECTS).replace("\n", "\r\n"),
    "a byte-order mark": "\ufeff" + to_yaml(*OBJECTS),
    "an end mark": to_yaml(*OBJECTS).replace("---\n", "...\n---\n"),
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_every_form_that_kubectl_takes_is_read(text: str) -> None:
    assert clean(text).objects == VALUES


TYPED_LISTS: dict[str, tuple[str, str, Json]] = {
    "ServiceList": ("v1", "ServiceList", service()),
    "PodList": ("v1", "PodList", pod()),
    "NodeList": ("v1", "NodeList", node()),
    "EndpointsList": ("v1", "EndpointsList", endpoints()),
    "EndpointSliceList": ("discovery.k8s.io/v1", "EndpointSliceList", endpoint_slice()),
}


@pytest.mark.parametrize("named", [True, False], ids=["items say what they are", "they do not"])
@pytest.mark.parametrize(("api_version", "kind", "item"), TYPED_LISTS.values(), ids=TYPED_LISTS)
def test_a_typed_list_says_what_its_items_are(
    api_version: str, kind: str, item: Json, named: bool
) -> None:
    left_out = () if named else ("kind", "apiVersion")
    bare = {key: value for key, value in item.items() if key not in left_out}
    text = json.dumps({"apiVersion": api_version, "kind": kind, "items": [bare]})
    assert clean(text).objects == ((item["kind"], value_of(item)),)


NOTHING = {
    "an empty text": "",
    "white space": "\n  \n",
    "comments": "# nothing here\n",
    "an empty document": "---\n",
    "an empty List": '{"kind": "List", "apiVersion": "v1", "items": []}',
    "a List whose items are null": '{"kind": "List", "apiVersion": "v1", "items": null}',
}


@pytest.mark.parametrize("text", NOTHING.values(), ids=NOTHING)
def test_nothing_is_read_as_nothing(text: str) -> None:
    assert clean(text) == Manifests(manifests=(), unreadable=())


OTHER_KINDS = {
    "a Deployment": {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}},
    "a custom resource": {"apiVersion": "example.com/v1", "kind": "Web", "spec": "whatever"},
    "Helm values": {"kind": "Values", "replicas": 3},
    "a Service of Knative": {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"template": {}},
    },
    "a Node of OpenShift's configuration": {
        "apiVersion": "config.openshift.io/v1",
        "kind": "Node",
        "metadata": {"name": "cluster"},
    },
    "a Pod of the metrics API": {
        "apiVersion": "metrics.k8s.io/v1beta1",
        "kind": "PodMetrics",
        "metadata": {"name": "web-1"},
    },
    "a List of other kinds": {"kind": "DeploymentList", "items": [{"kind": "Deployment"}]},
}


@pytest.mark.parametrize("manifest", OTHER_KINDS.values(), ids=OTHER_KINDS)
def test_other_kinds_are_of_no_concern(manifest: Json) -> None:
    read = clean(to_yaml(manifest, *OBJECTS))
    assert read.objects == VALUES


# --- What is taken for granted


def without(manifest: Json, *fields: str) -> Json:
    kept = {key: value for key, value in manifest["metadata"].items() if key not in fields}
    return {**manifest, "metadata": kept}


def namespaces(read: Manifests) -> list[str]:
    made: list[str] = []
    for _, value in read.objects:
        its: Any = getattr(value, "metadata", value)
        made.append(getattr(its, "namespace", ""))
    return made


def test_an_object_without_a_namespace_is_in_the_default_one() -> None:
    text = to_yaml(*(without(each, "namespace") for each in OBJECTS))
    expected = ["" if kind in CLUSTER_WIDE else "default" for kind, _ in VALUES]
    assert namespaces(clean(text)) == expected


def test_an_object_without_an_api_version_is_of_the_only_one_there_is() -> None:
    bare = [{key: each[key] for key in each if key != "apiVersion"} for each in OBJECTS]
    assert clean(to_yaml(*bare)).objects == VALUES


def test_a_name_may_be_left_to_the_api_server() -> None:
    manifest = without(endpoint_slice(generateName="web-"), "name")
    (made,) = clean(to_yaml(manifest)).subjects
    assert str(made.ref) == "EndpointSlice/shop/web-"


SCALARS = {
    "a date": "2026-11-23",
    "a moment": "2026-11-23T12:00:00Z",
    "a time of day": "12:30",
    "a time of day with seconds": "12:30:45",
    "an address": "10.0.0.1",
    "an IPv6 address": "fd00::1",
    "an IPv6 address of digits": "1:2:3:4:5:6:7:8",
    "a version": "1.2.3",
}


@pytest.mark.parametrize("text", SCALARS.values(), ids=SCALARS)
def test_what_is_text_to_kubectl_needs_no_quotes(text: str) -> None:
    manifest = f"kind: Endpoints\nmetadata: {{name: web, annotations: {{a: {text}}}}}"
    (made,) = clean(manifest).subjects
    assert made.metadata.annotations == {"a": text}


def test_a_pod_that_is_being_deleted_may_say_when_without_quotes() -> None:
    text = to_yaml(pod(deleting=True)).replace("'2026-11-23T12:00:00Z'", "2026-11-23T12:00:00Z")
    assert clean(text).objects == (("Pod", value_of(pod(deleting=True))),)


def test_null_counts_as_absent() -> None:
    manifest = {**endpoints(), "subsets": None}
    manifest["metadata"] = {**manifest["metadata"], "labels": None, "annotations": None}
    assert clean(to_yaml(manifest)).subjects[0].parts == ()


# --- What cannot be read

WHOLE = to_yaml(service())
UNREADABLE: dict[str, tuple[str, int, str, str]] = {
    "no YAML": ("kind: [", 1, "", "not YAML or JSON: line "),
    "no YAML, further down": (f"{WHOLE}---\na: b\nkind: [\n", 2, "", "not YAML or JSON: line "),
    "text": ("hello", 1, "", "expected an object, got str"),
    "a list": ("- kind: Service", 1, "", "expected an object, got list"),
    "an object without kind": ("metadata: {name: web}", 1, "kind", "missing"),
    "a kind that is no text": ("kind: 1", 1, "kind", "missing"),
    "an item without kind": (
        "kind: List\nitems: [{metadata: {name: web}}]",
        1,
        "items[0].kind",
        "missing",
    ),
    "an item that is no object": (
        "kind: List\nitems: [{kind: Deployment}, 1]",
        1,
        "items[1]",
        "expected an object, got int",
    ),
    "no name": ("kind: Service\nmetadata: {namespace: shop}", 1, "metadata.name", "missing"),
    "no metadata": ("kind: Service", 1, "metadata.name", "missing"),
    "metadata that is a list": (
        "kind: Service\nmetadata: []",
        1,
        "metadata",
        "Expected `object`, got `array`",
    ),
    "an older version": (
        "apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice\nmetadata: {name: web}",
        1,
        "apiVersion",
        "EndpointSlice of discovery.k8s.io/v1beta1: use discovery.k8s.io/v1",
    ),
    "a wrong type": (
        f"{WHOLE}---\nkind: Service\nmetadata: {{name: web}}\nspec: {{ports: [{{port: http}}]}}",
        2,
        "spec.ports[0].port",
        "Expected `int`, got `str`",
    ),
    "a wrong type in an item": (
        "kind: List\nitems: [{kind: Endpoints, metadata: {name: web}, subsets: {}}]",
        1,
        "items[0].subsets",
        "Expected `array | null`, got `object`",
    ),
    "a label that is a number": (
        "kind: Endpoints\nmetadata: {name: web, labels: {version: 1}}",
        1,
        "metadata.labels[...]",
        "Expected `str`, got `int`",
    ),
    "a key that is a number": (
        "kind: Endpoints\nmetadata: {name: web, labels: {1: a}}",
        1,
        "metadata.labels",
        "Expected `str`, got `int`",
    ),
    "a name that is a number": (
        "kind: Endpoints\nmetadata: {name: 1}",
        1,
        "metadata.name",
        "Expected `str`, got `int`",
    ),
    "a namespace that is a number": (
        "kind: Endpoints\nmetadata: {name: web, namespace: 1}",
        1,
        "metadata.namespace",
        "Expected `str`, got `int`",
    ),
    "an object that contains itself": (
        "&a\nkind: Endpoints\nmetadata: {name: web}\nsubsets: [*a]",
        1,
        "",
        "nested too deeply",
    ),
    "a List that contains itself": ("&a\nkind: List\nitems: [*a]", 1, "", "nested too deeply"),
    "a number without end": (f"kind: Service\nport: {'9' * 5000}", 1, "", "not YAML or JSON: "),
    "a control character": ("kind: \x01", 1, "", "not YAML or JSON: "),
    "a tag that would run code": ("!!python/object/apply:os.abort []", 1, "", "not YAML or JSON: "),
    "an unhashable key": ("? [a]\n: b", 1, "", "not YAML or JSON: "),
    "a number of no digits": ("kind: Service\nport: !!int ''", 1, "", "not YAML or JSON: a value"),
    "a tag of a truth that is none": ("kind: !!bool maybe", 1, "", "not YAML or JSON: a value"),
    "a tag of a date that is none": ("kind: !!timestamp now", 1, "", "not YAML or JSON: a value"),
    "aliases of aliases without indentation": (
        "\n".join(["a: &a0 []", *(f"a: &a{n + 1} [*a{n}]" for n in range(3000))]),
        1,
        "",
        "nested too deeply",
    ),
}


@pytest.mark.parametrize(
    ("text", "document", "field", "reason"), UNREADABLE.values(), ids=UNREADABLE
)
def test_what_cannot_be_read_names_document_and_field(
    text: str, document: int, field: str, reason: str
) -> None:
    (found,) = read_text(text, "a.yaml").unreadable
    assert (found.file, found.document) == ("a.yaml", document)
    if reason != "nested too deeply":
        assert found.field == field
    assert found.reason.startswith(reason)
    assert "\n" not in str(found)


def test_a_yaml_error_names_the_line_of_the_file() -> None:
    text = "kind: Deployment\n---\n\nkind: Service\nspec: }\n---\nkind: Deployment\n"
    (found,) = read_text(text).unreadable
    assert found.document == 2
    assert found.reason.startswith("not YAML or JSON: line 5: ")


def test_a_broken_document_costs_only_itself() -> None:
    text = f"{to_yaml(service())}---\nkind: [\n---\n{to_yaml(pod(), endpoints())}"
    read = read_text(text)
    assert kinds(read) == ["Service", "Pod", "Endpoints"]
    assert [each.document for each in read.unreadable] == [2]


def test_a_broken_item_costs_only_itself() -> None:
    items = [service(), {**pod(), "status": []}, endpoints()]
    read = read_text(json.dumps({"kind": "List", "items": items}))
    assert kinds(read) == ["Service", "Endpoints"]
    assert [each.field for each in read.unreadable] == ["items[1].status"]


PLACES = {
    "a field of a document": (
        Unreadable(file="a.yaml", document=2, field="spec.ports", reason="wrong"),
        "a.yaml, document 2: spec.ports: wrong",
    ),
    "a document": (
        Unreadable(file="a.yaml", document=1, field="", reason="wrong"),
        "a.yaml, document 1: wrong",
    ),
    "a file": (Unreadable(file="a.yaml", document=0, field="", reason="wrong"), "a.yaml: wrong"),
}


@pytest.mark.parametrize(("unreadable", "text"), PLACES.values(), ids=PLACES)
def test_how_a_place_is_called(unreadable: Unreadable, text: str) -> None:
    assert str(unreadable) == text


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, 1, 1.5, True, "x", [], {}, [None], [1], {"a": None}]
)


@st.composite
def odd_objects(draw: st.DrawFn) -> Any:
    """An object with something in it that does not belong there."""
    whole: list[Any] = [copy.deepcopy(draw(st.sampled_from(OBJECTS)))]
    holder: Any = whole
    key: Any = 0
    for _ in range(draw(st.integers(0, 6))):
        if not isinstance(holder[key], dict | list) or not holder[key]:
            break
        holder = holder[key]
        key = draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else [0]))
    holder[key] = draw(ODD)
    return whole[0]


@law
@given(odd_objects(), st.sampled_from(["List", "PodList", "EndpointSliceList"]))
def test_json_means_what_the_same_text_means_as_yaml(item: Any, kind: str) -> None:
    """It is read another way, many times faster."""
    text = json.dumps({"kind": kind, "items": [item, pod()]})
    as_json, as_yaml = read_text(text), read_text(f"# a comment\n{text}")
    assert as_json.objects == as_yaml.objects
    assert as_json.unreadable == as_yaml.unreadable


def test_an_object_in_json_that_is_not_utf8_costs_only_itself(tmp_path: Path) -> None:
    whole = json.dumps({"kind": "List", "items": [service("?"), pod()]}).encode()
    (tmp_path / "dump.json").write_bytes(whole.replace(b"?", b"\xff"))
    read = read_paths([str(tmp_path)])
    assert kinds(read) == ["Pod"]
    assert [(each.document, each.field, each.reason) for each in read.unreadable] == [
        (1, "items[0]", "not UTF-8")
    ]


@law
@given(st.text() | json_values.map(lambda value: json.dumps({"kind": "List", "items": [value]})))
def test_any_text_is_read_or_said_to_be_unreadable(text: str) -> None:
    read = read_text(text)
    assert all(each.reason for each in read.unreadable)


# --- Files and folders


def test_a_folder_is_read_at_every_depth_in_the_order_of_its_paths(tmp_path: Path) -> None:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "b" / "deep" / "pod.yml").write_text(to_yaml(pod()))
    (tmp_path / "a.yaml").write_text(to_yaml(service()))
    (tmp_path / "c.json").write_text(json.dumps(endpoints()))
    (tmp_path / "README.md").write_text("kind: [")
    (tmp_path / "d.yaml").mkdir()
    read = read_paths([str(tmp_path)])
    assert kinds(read) == ["Service", "Pod", "Endpoints"]
    assert read.unreadable == ()


def test_a_file_that_is_named_is_read_whatever_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "manifests.txt").write_text(to_yaml(service()))
    assert kinds(read_paths([str(tmp_path / "manifests.txt")])) == ["Service"]


def test_several_paths_are_read_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(to_yaml(service()))
    (tmp_path / "b.yaml").write_text(to_yaml(pod()))
    read = read_paths([str(tmp_path / "b.yaml"), str(tmp_path / "a.yaml")])
    assert kinds(read) == ["Pod", "Service"]


def test_a_path_that_is_not_there_is_said(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.yaml")
    (tmp_path / "a.yaml").write_text(to_yaml(service()))
    read = read_paths([missing, str(tmp_path / "a.yaml")])
    assert kinds(read) == ["Service"]
    assert read.unreadable == (
        Unreadable(file=missing, document=0, field="", reason="No such file or directory"),
    )


def test_a_file_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    """In the middle of a folder, too: what comes after it is judged all the same."""
    (tmp_path / "a.yaml").write_text(to_yaml(service()))
    (tmp_path / "b.yaml").write_bytes(b"kind: \xff\xfe")
    (tmp_path / "c.yaml").write_text(to_yaml(endpoints()))
    read = read_paths([str(tmp_path)])
    assert kinds(read) == ["Service", "Endpoints"]
    assert [(each.file, each.document, each.reason) for each in read.unreadable] == [
        (str(tmp_path / "b.yaml"), 0, "it is not UTF-8 text")
    ]


def test_a_link_that_leads_nowhere_is_said_and_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to(tmp_path / "missing.yaml")
    (tmp_path / "b.yaml").write_text(to_yaml(service()))
    read = read_paths([str(tmp_path)])
    assert kinds(read) == ["Service"]
    assert [each.file for each in read.unreadable] == [str(tmp_path / "a.yaml")]


READ_STDIN = """
from webhook.cluster.files import Unreadable
from webhook.cluster.manifests import read_paths
read = read_paths(["-"])
print([kind for kind, _ in read.objects], *map(str, read.unreadable), sep="\\n")
"""


def from_stdin(data: bytes, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", READ_STDIN],
        input=data,
        capture_output=True,
        check=False,
        env=environment,
        timeout=60,
    )
    assert done.stderr == b""
    return done.stdout.decode()


def test_standard_input_is_read() -> None:
    assert from_stdin(to_yaml(*OBJECTS).encode()).startswith("['Service', 'Pod', 'Node', ")


DEEP = {
    "lists": b"[" * 100_000,
    "maps": b"{a: " * 100_000,
    "lists of lists in one line": b"- " * 100_000 + b"a",
    "JSON": b'{"a": ' * 100_000,
}


@pytest.mark.parametrize("data", DEEP.values(), ids=DEEP)
def test_deep_nesting_is_said_and_does_not_crash(data: bytes) -> None:
    """In a process of its own: a parser in C may run out of stack."""
    assert from_stdin(data).startswith("[]\nstandard input, document 1: ")


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"PYTHONUTF8": "1"}], ids=["C", "UTF-8"])
def test_standard_input_that_is_no_utf8_is_said(locale: dict[str, str]) -> None:
    assert from_stdin(b"kind: \xff\xfe", **locale) == ("[]\nstandard input: it is not UTF-8 text\n")


def test_standard_input_is_utf8_whatever_the_locale() -> None:
    text = to_yaml(endpoints(annotations={"a": "\u6f22"})).encode()
    assert from_stdin(text, LC_ALL="C", PYTHONUTF8="0").startswith("['Endpoints']")


# --- State


def test_what_was_read_is_a_state_and_a_list_of_subjects() -> None:
    read = clean(to_yaml(*OBJECTS))
    assert read.subjects == (subject(endpoints()), subject(endpoint_slice()))
    known = state_of(read)
    assert known.service("shop", "web") == value_of(service())
    assert known.live_pods_at("10.0.0.1") == (value_of(pod()),)
    assert known.nodes_at("192.168.0.1") == (value_of(node()),)
    assert known.published(subject(endpoints()).ref) == subject(endpoints())


def test_of_two_objects_with_one_name_the_later_counts() -> None:
    known = state_of(clean(to_yaml(pod(ip="10.0.0.1"), pod(ip="10.0.0.2"))))
    assert known.live_pods_at("10.0.0.1") == ()
    assert known.live_pods_at("10.0.0.2")
