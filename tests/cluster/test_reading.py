"""Reading a cluster for an audit: all that can be read, and a gap for each kind that cannot."""

from collections.abc import Callable

import pytest

from tests.builders import Json, endpoint_slice, endpoints, node, pod, service
from tests.cluster.samples import api_of
from tests.fake_apiserver import ALWAYS, FakeApiServer, Fault
from tests.fake_apiserver.state import KINDS
from webhook.cluster.paths import object_path, resource_of
from webhook.cluster.permissions import AUDIT, AUDIT_WATCH, Permission
from webhook.cluster.progress import Progress, unseen
from webhook.cluster.reading import ClusterReader
from webhook.cluster.resources import ENDPOINTS, NODE, POD, RESOURCES, SERVICE, STORED

PATHS = {kind: path for path, kind in KINDS.items()}
CLUSTER = (
    service(),
    service("db", namespace="rival"),
    pod(),
    pod("db-0", namespace="rival", ip="10.0.7.8"),
    node(),
    endpoints(),
    endpoints(name="db", namespace="rival"),
    endpoint_slice(),
    endpoint_slice(name="kubernetes", namespace="default", of_service="kubernetes"),
)


@pytest.fixture
def cluster(server: FakeApiServer) -> FakeApiServer:
    put(server, *CLUSTER)
    return server


def put(server: FakeApiServer, *manifests: Json) -> None:
    for manifest in manifests:
        server.state.put(PATHS[manifest["kind"]], manifest)


class Clock:
    """Sleeps in no time, and remembers how long it was asked to."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.slept: list[float] = []
        self._meanwhile = meanwhile

    def pause(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._meanwhile()


def reader_of(
    server: FakeApiServer,
    *namespaces: str,
    clock: Clock | None = None,
    progress: Progress = unseen,
) -> ClusterReader:
    pause = (clock or Clock()).pause
    return ClusterReader(api_of(server), namespaces=namespaces, progress=progress, pause=pause)


def names(reader: ClusterReader, kind: str) -> set[str]:
    return {"/".join(filter(None, key)) for key in reader.inventory.keys(kind)}


def test_everything_that_there_is_is_read(cluster: FakeApiServer) -> None:
    reader = reader_of(cluster)
    reader.read()
    assert reader.gaps == {}
    assert {kind: len(reader.inventory.keys(kind)) for kind in PATHS if kind != "Namespace"} == {
        "Service": 2,
        "Pod": 2,
        "Node": 1,
        "Endpoints": 2,
        "EndpointSlice": 2,
        "ClusterRole": 0,
        "ClusterRoleBinding": 0,
        "Role": 0,
        "RoleBinding": 0,
    }
    assert [r.path for r in cluster.requests] == [resource.path for resource in STORED]


def test_the_progress_counts_pages_against_what_the_server_says_there_is(
    server: FakeApiServer,
) -> None:
    put(server, *(pod(f"web-{n}", ip=f"10.0.{n // 250}.{n % 250 + 1}") for n in range(700)))
    seen: list[tuple[str, int, int]] = []
    reader_of(server, progress=lambda *page: seen.append(page)).read([POD])
    assert seen == [("Pod", 500, 700), ("Pod", 700, 700)]


class TestOfSomeNamespaces:
    def test_only_theirs_is_read_of_what_is_judged_and_all_of_what_it_is_judged_by(
        self, cluster: FakeApiServer
    ) -> None:
        reader = reader_of(cluster, "rival")
        reader.read()
        assert names(reader, "Endpoints") == {"rival/db"}
        assert names(reader, "Service") == {"shop/web", "rival/db"}

    def test_the_addresses_of_the_api_servers_are_known_nevertheless(
        self, cluster: FakeApiServer
    ) -> None:
        reader = reader_of(cluster, "rival")
        reader.read()
        assert names(reader, "EndpointSlice") == {"default/kubernetes"}


class TestWhatCannotBeRead:
    def test_is_a_gap_and_everything_else_is_read(self, cluster: FakeApiServer) -> None:
        cluster.inject(Fault(verb="list", path=POD.path, status=403, times=ALWAYS))
        reader = reader_of(cluster)
        reader.read()
        assert set(reader.gaps) == {"Pod"}
        assert "HTTP 403: as scripted. RBAC must grant" in str(reader.gaps["Pod"])
        assert names(reader, "EndpointSlice") == {"shop/web-abcde", "default/kubernetes"}
        assert cluster.asked("list") == len(STORED)

    def test_is_asked_for_again_when_the_server_sheds_load(self, cluster: FakeApiServer) -> None:
        cluster.inject(
            Fault(verb="list", path=POD.path, status=429, times=2, headers={"Retry-After": "2"})
        )
        clock = Clock()
        reader = reader_of(cluster, clock=clock)
        reader.read()
        assert reader.gaps == {}
        assert clock.slept == [2.0, 2.0]

    def test_is_given_up_in_the_end(self, cluster: FakeApiServer) -> None:
        cluster.inject(Fault(verb="list", path=NODE.path, status=500, times=ALWAYS))
        clock = Clock()
        reader = reader_of(cluster, clock=clock)
        reader.read()
        assert set(reader.gaps) == {"Node"}
        assert clock.slept == [1.0, 1.0]

    def test_a_list_that_was_compacted_away_midway_begins_anew(self, server: FakeApiServer) -> None:
        put(server, *(pod(f"web-{n}", ip=f"10.0.{n // 250}.{n % 250 + 1}") for n in range(700)))
        counts: list[int] = []

        def compact_once(_kind: str, count: int, _total: int) -> None:
            if not counts:
                server.state.compact()
            counts.append(count)

        reader = reader_of(server, progress=compact_once)
        reader.read([POD])
        assert reader.gaps == {}
        assert counts == [500, 500, 700]
        assert len(reader.inventory.keys("Pod")) == 700

    def test_of_what_breaks_off_the_part_that_came_is_kept(self, server: FakeApiServer) -> None:
        put(server, *(endpoints(name=f"web-{n}") for n in range(700)))
        fault = Fault(verb="list", path=ENDPOINTS.path, after=1, break_off=True, times=ALWAYS)
        server.inject(fault)
        reader = reader_of(server)
        reader.read([ENDPOINTS])
        assert reader.gaps["Endpoints"].known == 500
        assert str(reader.gaps["Endpoints"]).endswith("(only 500 could be read)")

    def test_a_server_that_is_gone_is_not_asked_for_the_rest(self, cluster: FakeApiServer) -> None:
        cluster.inject(Fault(verb="list", path=NODE.path, hang_up=True, times=ALWAYS))
        reader = reader_of(cluster)
        reader.read()
        assert set(reader.gaps) == {resource.kind for resource in STORED[2:]}
        assert "not asked for" in str(reader.gaps["Endpoints"])
        assert {r.path for r in cluster.requests} == {each.path for each in STORED[:3]}

    def test_includes_objects_that_are_not_what_their_kind_should_be(
        self, cluster: FakeApiServer
    ) -> None:
        bad = pod("odd")
        bad["spec"]["nodeName"] = 7
        put(cluster, bad)
        reader = reader_of(cluster)
        reader.read()
        assert "1 cannot be decoded, such as shop/odd" in str(reader.gaps["Pod"])
        assert "spec.nodeName" in str(reader.gaps["Pod"])


class TestReadingAgain:
    def test_takes_out_what_is_gone_and_puts_in_what_is_new(self, cluster: FakeApiServer) -> None:
        reader = reader_of(cluster)
        reader.read()
        cluster.state.delete(POD.path, "shop", "web-1")
        put(cluster, pod("web-2", ip="10.0.0.9"), pod("db-1", namespace="rival", ip="10.0.7.9"))
        assert reader.read_again([POD], {"shop"}) == ()
        assert names(reader, "Pod") == {"shop/web-2", "rival/db-0"}

    def test_of_many_namespaces_is_one_list_of_all(self, cluster: FakeApiServer) -> None:
        reader = reader_of(cluster)
        reader.read()
        cluster.requests.clear()
        reader.read_again([POD, SERVICE], {f"team-{n}" for n in range(17)})
        assert [r.path for r in cluster.requests] == [POD.path, SERVICE.path]

    def test_of_few_is_one_list_each_and_nodes_are_in_none(self, cluster: FakeApiServer) -> None:
        reader = reader_of(cluster)
        reader.read()
        cluster.requests.clear()
        reader.read_again([POD, NODE], {"shop", "rival"})
        assert [r.path for r in cluster.requests] == [
            object_path(POD.path, "rival"),
            object_path(POD.path, "shop"),
            NODE.path,
        ]

    def test_that_fails_says_so_and_leaves_what_was_known(self, cluster: FakeApiServer) -> None:
        reader = reader_of(cluster)
        reader.read()
        cluster.inject(Fault(verb="list", status=500, times=ALWAYS))
        failed = reader.read_again(RESOURCES, {"shop"})
        assert [gap.kind for gap in failed] == [resource.kind for resource in RESOURCES]
        assert reader.gaps == {}
        assert names(reader, "Pod") == {"shop/web-1", "rival/db-0"}

    def test_does_not_ask_again_for_what_could_not_be_read_before(
        self, cluster: FakeApiServer
    ) -> None:
        fault = Fault(verb="list", path=POD.path, status=403)
        cluster.inject(fault)
        reader = reader_of(cluster)
        reader.read()
        cluster.requests.clear()
        assert reader.read_again([POD], {"shop"}) == ()
        assert cluster.requests == []


@pytest.mark.parametrize(
    ("granted", "verbs"), [(AUDIT, {"list"}), (AUDIT_WATCH, {"list", "watch"})]
)
def test_the_permissions_are_those_for_every_kind_that_is_read(
    granted: tuple[Permission, ...], verbs: set[str]
) -> None:
    assert all(set(each.verbs) == verbs and not each.namespace for each in granted)
    assert {(each.api_group, name) for each in granted for name in each.resources} == {
        resource_of(resource.path) for resource in STORED
    }
