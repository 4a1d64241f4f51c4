"""The large cluster of the stand-in can be read by the webhook, and looks like a cluster."""

import json
from collections import Counter

import msgspec
import pytest

from tests.bench import bulk
from tests.bench.bulk import BulkState, Size
from tests.fake_apiserver import FakeApiServer
from webhook.cluster.api import connect
from webhook.core.objects import convert
from webhook.core.objects.node import WireNode
from webhook.core.objects.pod import Pod, WirePod
from webhook.core.objects.service import Service, WireService

SIZE = Size(pods=1234, services=83, nodes=42)


@pytest.fixture(scope="module")
def state() -> BulkState:
    return BulkState(SIZE)


def listed(state: BulkState, path: str) -> list[msgspec.Raw]:
    """All items of all pages, as the webhook gets them."""
    with FakeApiServer(state=state) as server:
        api = connect(kubeconfig=server.kubeconfig)
        return [item for page in api.list_pages(path) for item in page.items or ()]


@pytest.fixture(scope="module")
def pods(state: BulkState) -> list[Pod]:
    read = listed(state, "/api/v1/pods")
    return [msgspec.json.decode(item, type=WirePod).compact() for item in read]


@pytest.fixture(scope="module")
def services(state: BulkState) -> list[Service]:
    read = listed(state, "/api/v1/services")
    return [msgspec.json.decode(item, type=WireService).compact() for item in read]


def test_every_object_is_listed(state: BulkState, pods: list[Pod], services: list[Service]) -> None:
    nodes = listed(state, "/api/v1/nodes")
    assert (len(pods), len(services), len(nodes)) == (1234, 83, 42)
    assert all(msgspec.json.decode(item, type=WireNode).compact().ips for item in nodes)


def test_what_identifies_a_pod_is_its_own(pods: list[Pod]) -> None:
    for values in ([p.key for p in pods], [p.uid for p in pods], [p.ips for p in pods]):
        assert [value for value, count in Counter(values).items() if count > 1] == []


def test_a_pod_is_ready_on_a_node_with_named_ports(pods: list[Pod]) -> None:
    assert all(pod.ready and pod.ips and len(pod.ports) == 2 for pod in pods)
    assert {pod.node_name for pod in pods} == {f"node-{n}" for n in range(42)}


def test_every_pod_is_selected_by_one_service(pods: list[Pod], services: list[Service]) -> None:
    selected = [
        sum(s.namespace == pod.namespace and s.selects(pod.labels) for s in services)
        for pod in pods
    ]
    assert set(selected) == {1}


def test_a_pod_is_as_long_as_pods_are(state: BulkState) -> None:
    lengths = {len(item) for item in listed(state, "/api/v1/pods")}
    assert 4_000 < min(lengths) <= max(lengths) < 8_000


def test_a_pod_in_etcd_says_what_it_is(pods: list[Pod]) -> None:
    for listed, rendered in zip(pods, bulk.pods(SIZE), strict=True):
        stored = json.loads(rendered.stored)
        assert (stored["apiVersion"], stored["kind"]) == ("v1", "Pod")
        assert convert(stored, WirePod).compact() == listed
        assert (rendered.namespace, rendered.name) == listed.key


@pytest.mark.parametrize(
    ("pods", "size"),
    [
        (150_000, Size(pods=150_000, services=10_000, nodes=5_000)),
        (1, Size(pods=1, services=1, nodes=1)),
        (0, Size(pods=0, services=0, nodes=0)),
    ],
)
def test_clusters_are_in_proportion(pods: int, size: Size) -> None:
    assert Size.of(pods) == size


def test_an_empty_cluster_has_empty_lists() -> None:
    assert listed(BulkState(Size.of(0)), "/api/v1/pods") == []
