"""The API server's answers, and every way in which it fails to answer, as callers see them."""

import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import msgspec
import pytest
import trustme

from tests.cluster.samples import PODS, api_of, pod
from tests.fake_apiserver import ALWAYS, FakeApiServer, Fault, wait_until
from webhook.cluster.api import ClusterApi, connect
from webhook.cluster.errors import (
    ClusterTimeout,
    ClusterUnavailable,
    ConnectionLost,
    Forbidden,
    MalformedAnswer,
    ResourceExpired,
    TooManyRequests,
    Unauthorized,
)
from webhook.cluster.paths import object_path

REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
WEB = object_path(PODS, "team", "web")


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_server(ca: trustme.CA) -> Iterator[FakeApiServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    with FakeApiServer(tls=context, ca=ca.cert_pem.bytes()) as running:
        yield running


def name_of(item: msgspec.Raw) -> str:
    return str(json.loads(bytes(item))["metadata"]["name"])


def fill(server: FakeApiServer, count: int) -> list[str]:
    names = [f"pod-{number}" for number in range(count)]
    for name in names:
        server.state.put(PODS, pod(name))
    return names


class TestGet:
    def test_gives_the_object_as_the_server_wrote_it(self, server: FakeApiServer) -> None:
        server.state.put(PODS, pod("web"))
        answer = api_of(server).get(WEB)
        assert answer is not None
        assert json.loads(answer)["metadata"]["name"] == "web"

    def test_an_object_that_does_not_exist_is_an_answer(self, server: FakeApiServer) -> None:
        assert api_of(server).get(WEB) is None

    def test_a_resource_that_is_not_served_is_not_taken_for_an_object_that_does_not_exist(
        self, server: FakeApiServer
    ) -> None:
        with pytest.raises(ClusterUnavailable, match="HTTP 404") as caught:
            api_of(server).get("/apis/discovery.k8s.io/v1beta1/namespaces/team/endpointslices/web")
        assert caught.value.status == 404

    def test_is_asked_again_when_the_connection_was_closed_under_it(
        self, server: FakeApiServer
    ) -> None:
        server.inject(Fault(verb="get", hang_up=True))
        assert api_of(server).get(WEB) is None
        assert server.asked("get") == 2

    def test_is_asked_again_once_only(self, server: FakeApiServer) -> None:
        server.inject(Fault(verb="get", hang_up=True, times=ALWAYS))
        with pytest.raises(ConnectionLost):
            api_of(server).get(WEB)
        assert server.asked("get") == 2


class TestPost:
    def test_gives_what_the_server_made_of_the_object(self, server: FakeApiServer) -> None:
        server.allowed = lambda spec: bool(spec["user"] == "alice")
        answers = [
            json.loads(api_of(server).post(REVIEWS, {"spec": {"user": user}}))["status"]["allowed"]
            for user in ("alice", "mallory")
        ]
        assert answers == [True, False]

    def test_is_never_sent_twice(self, server: FakeApiServer) -> None:
        server.inject(Fault(verb="create", hang_up=True))
        with pytest.raises(ConnectionLost):
            api_of(server).post(REVIEWS, {"spec": {}})
        assert server.asked("create") == 1


class TestList:
    @pytest.mark.parametrize(
        ("limit", "sizes"), [(500, [5]), (5, [5]), (2, [2, 2, 1]), (1, [1] * 5)]
    )
    def test_comes_in_pages(self, server: FakeApiServer, limit: int, sizes: list[int]) -> None:
        fill(server, 5)
        pages = list(api_of(server).list_pages(PODS, limit=limit))
        assert [len(page.items or ()) for page in pages] == sizes

    def test_all_pages_show_the_state_of_the_first(self, server: FakeApiServer) -> None:
        names = fill(server, 4)
        pages = api_of(server).list_pages(PODS, limit=2)
        first = next(pages)
        server.state.delete(PODS, "team", "pod-3")
        server.state.put(PODS, pod("late"))

        items = [*(first.items or ()), *(item for page in pages for item in page.items or ())]

        assert [name_of(item) for item in items] == names

    def test_of_nothing_is_one_page_without_items(self, server: FakeApiServer) -> None:
        assert [page.items for page in api_of(server).list_pages(PODS)] == [[]]

    @pytest.mark.parametrize(
        ("selectors", "found"),
        [
            ({"field_selector": "metadata.name=pod-1"}, ("pod-1",)),
            ({"field_selector": "status.podIP=10.0.0.9"}, ("labelled",)),
            ({"label_selector": "app=web,tier=front"}, ("labelled",)),
            ({"label_selector": "app=db"}, ()),
        ],
    )
    def test_can_be_narrowed_by_the_server(
        self, server: FakeApiServer, selectors: dict[str, str], found: tuple[str, ...]
    ) -> None:
        fill(server, 2)
        labelled = pod("labelled")
        labelled["metadata"]["labels"] = {"app": "web", "tier": "front"}
        labelled["status"] = {"podIP": "10.0.0.9"}
        server.state.put(PODS, labelled)
        assert api_of(server).list_all(PODS, name_of, **selectors) == found  # type: ignore[arg-type]

    def test_of_one_namespace(self, server: FakeApiServer) -> None:
        fill(server, 1)
        api = api_of(server)
        assert api.list_all(object_path(PODS, "team"), name_of) == ("pod-0",)
        assert api.list_all(object_path(PODS, "other"), name_of) == ()

    def test_that_expires_half_way_is_no_list(self, server: FakeApiServer) -> None:
        fill(server, 4)
        pages = api_of(server).list_pages(PODS, limit=2)
        next(pages)
        server.state.compact()
        with pytest.raises(ResourceExpired):
            next(pages)

    def test_that_expires_half_way_is_begun_anew_and_nothing_is_there_twice(
        self, server: FakeApiServer
    ) -> None:
        names = fill(server, 600)
        server.inject(Fault(verb="list", after=1, status=410))
        assert sorted(api_of(server).list_all(PODS, name_of)) == sorted(names)
        assert server.asked("list") == 4

    def test_that_always_expires_is_given_up(self, server: FakeApiServer) -> None:
        server.inject(Fault(verb="list", status=410, times=ALWAYS))
        with pytest.raises(ResourceExpired):
            api_of(server).list_all(PODS, name_of)
        assert server.asked("list") == 3

    @pytest.mark.parametrize("body", [b"", b"<html>", b'{"metadata": {}, "items": 5}', b"\xff\xfe"])
    def test_that_is_no_list_is_an_error(self, server: FakeApiServer, body: bytes) -> None:
        server.inject(Fault(verb="list", mangle=lambda _: body))
        with pytest.raises(MalformedAnswer, match=f"list {PODS}: this is not a list"):
            list(api_of(server).list_pages(PODS))

    def test_with_null_items_is_empty(self, server: FakeApiServer) -> None:
        body = b'{"metadata": {"resourceVersion": "7"}, "items": null}'
        server.inject(Fault(verb="list", mangle=lambda _: body))
        assert api_of(server).list_all(PODS, name_of) == ()


class TestRefusals:
    @pytest.mark.parametrize(
        ("code", "error"),
        [
            (400, ClusterUnavailable),
            (401, Unauthorized),
            (403, Forbidden),
            (410, ResourceExpired),
            (429, TooManyRequests),
            (500, ClusterUnavailable),
            (503, ClusterUnavailable),
            (302, ClusterUnavailable),
        ],
    )
    def test_are_told_apart(
        self, server: FakeApiServer, code: int, error: type[ClusterUnavailable]
    ) -> None:
        server.inject(Fault(verb="get", status=code, message="because", times=ALWAYS))
        with pytest.raises(ClusterUnavailable, match=f"get {WEB}: HTTP {code}: because") as caught:
            api_of(server).get(WEB)
        assert type(caught.value) is error
        assert caught.value.status == code

    @pytest.mark.parametrize(
        ("ask", "rule"),
        [
            (lambda api: list(api.list_pages(PODS)), ("", "pods", "list")),
            (lambda api: api.get(WEB), ("", "pods", "get")),
            (lambda api: api.get("/api/v1/namespaces/team"), ("", "namespaces", "get")),
            (lambda api: api.get("/api/v1/nodes/n/status"), ("", "nodes/status", "get")),
            (
                lambda api: list(
                    api.list_pages("/apis/discovery.k8s.io/v1/namespaces/team/endpointslices")
                ),
                ("discovery.k8s.io", "endpointslices", "list"),
            ),
            (
                lambda api: api.post(REVIEWS, {"spec": {}}),
                ("authorization.k8s.io", "subjectaccessreviews", "create"),
            ),
            (
                lambda api: api.watch(PODS, resource_version="1", timeout_seconds=1, silence=2.0),
                ("", "pods", "watch"),
            ),
        ],
    )
    def test_a_forbidden_request_names_the_rule_that_is_missing(
        self,
        server: FakeApiServer,
        ask: Callable[[ClusterApi], object],
        rule: tuple[str, str, str],
    ) -> None:
        for verb in ("get", "list", "watch", "create"):
            server.inject(Fault(verb=verb, status=403))
        with pytest.raises(Forbidden) as caught:
            ask(api_of(server))
        group, resource, verb = rule
        assert caught.value.reason.endswith(
            f'apiGroups: ["{group}"], resources: ["{resource}"], verbs: ["{verb}"]'
        )

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [({"Retry-After": "30"}, 30.0), ({}, None), ({"Retry-After": "tomorrow"}, None)],
    )
    def test_how_long_the_server_wants_us_to_wait_is_passed_on_and_not_waited(
        self, server: FakeApiServer, header: dict[str, str], seconds: float | None
    ) -> None:
        server.inject(Fault(verb="get", status=429, headers=header))
        started = monotonic()
        with pytest.raises(TooManyRequests) as caught:
            api_of(server).get(WEB)
        assert caught.value.retry_after == seconds
        assert server.asked("get") == 1
        assert monotonic() - started < 5

    def test_a_redirect_is_not_followed(self, server: FakeApiServer) -> None:
        server.inject(Fault(verb="get", status=302, headers={"Location": "/api/v1/pods"}))
        with pytest.raises(ClusterUnavailable, match="HTTP 302"):
            api_of(server).get(WEB)
        assert server.asked("list") == 0

    def test_what_a_proxy_wrote_is_shown_in_one_line(self, server: FakeApiServer) -> None:
        server.inject(Fault(verb="get", status=502, mangle=lambda _: b"Bad Gateway\n<html>" * 99))
        with pytest.raises(ClusterUnavailable) as caught:
            api_of(server).get(WEB)
        assert caught.value.reason == f"get {WEB}: HTTP 502: Bad Gateway"


class TestNoAnswer:
    @pytest.mark.parametrize(
        "fault",
        [
            Fault(verb="get", delay=2.0),
            # Every byte comes in time, and still all of them together do not.
            Fault(verb="get", drip=0.02),
        ],
        ids=["silence", "drip"],
    )
    def test_the_deadline_holds(self, server: FakeApiServer, fault: Fault) -> None:
        server.state.put(PODS, pod("web"))
        server.inject(fault)
        started = monotonic()
        with pytest.raises(ClusterTimeout, match=f"get {WEB}: no answer in time"):
            api_of(server).get(WEB, deadline=started + 0.1)
        assert monotonic() - started < 1.5

    def test_a_deadline_that_has_passed_is_not_tried(self, server: FakeApiServer) -> None:
        with pytest.raises(ClusterTimeout):
            api_of(server).get(WEB, deadline=monotonic() - 1)
        assert server.requests == []

    @pytest.mark.parametrize("seconds", [None, 60.0])
    def test_silence_is_bounded_even_if_there_is_time(
        self, server: FakeApiServer, seconds: float | None
    ) -> None:
        server.inject(Fault(verb="list", delay=0.3))
        impatient = ClusterApi(api_of(server)._new_client, silence=0.1)
        with pytest.raises(ClusterTimeout):
            list(impatient.list_pages(PODS, deadline=seconds and monotonic() + seconds))

    def test_nobody_listens(self, server: FakeApiServer) -> None:
        api = api_of(server)
        server.stop()
        with pytest.raises(ClusterUnavailable, match="Connection refused") as caught:
            api.get(WEB)
        assert not isinstance(caught.value, ClusterTimeout)

    def test_a_body_that_breaks_off_is_no_answer(self, server: FakeApiServer) -> None:
        server.state.put(PODS, pod("web"))
        server.inject(Fault(verb="get", break_off=True))
        with pytest.raises(ConnectionLost):
            api_of(server).get(WEB)

    def test_the_connection_is_good_again_afterwards(self, server: FakeApiServer) -> None:
        server.inject(Fault(verb="get", delay=0.2))
        api = api_of(server)
        with pytest.raises(ClusterTimeout):
            api.get(WEB, deadline=monotonic() + 0.05)
        assert api.get(WEB, deadline=monotonic() + 5) is None


class TestWatch:
    @pytest.mark.parametrize("kind", ["server", "tls_server"])
    def test_gives_what_happened_since_the_version_line_by_line(
        self, kind: str, request: pytest.FixtureRequest
    ) -> None:
        server: FakeApiServer = request.getfixturevalue(kind)
        version = server.state.put(PODS, pod("before"))
        server.state.put(PODS, pod("after"))
        server.state.delete(PODS, "team", "before")

        stream = api_of(server).watch(
            PODS, resource_version=version, timeout_seconds=60, silence=5.0
        )
        lines = iter(stream)
        events = [json.loads(next(lines)) for _ in range(2)]
        server.state.put(PODS, pod("later"))
        events.append(json.loads(next(lines)))

        changes = [(event["type"], event["object"]["metadata"]["name"]) for event in events]
        assert changes == [("ADDED", "after"), ("DELETED", "before"), ("ADDED", "later")]

    def test_ends_quietly_when_the_server_ends_it(self, server: FakeApiServer) -> None:
        stream = api_of(server).watch(PODS, resource_version="1000", timeout_seconds=0, silence=5.0)
        assert list(stream) == []

    def test_asks_for_bookmarks(self, server: FakeApiServer) -> None:
        api_of(server).watch(PODS, resource_version="1000", timeout_seconds=7, silence=5.0).close()
        assert dict(server.requests[0].query) == {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": "1000",
            "timeoutSeconds": "7",
        }

    def test_an_event_larger_than_any_buffer_is_one_line(self, server: FakeApiServer) -> None:
        version = server.state.put(PODS, pod("before"))
        server.state.put(PODS, pod("x" * 500_000))
        stream = api_of(server).watch(
            PODS, resource_version=version, timeout_seconds=1, silence=5.0
        )
        assert len(next(iter(stream))) > 500_000

    @pytest.mark.parametrize("kind", ["server", "tls_server"])
    def test_can_be_closed_under_a_reader_that_waits(
        self, kind: str, request: pytest.FixtureRequest
    ) -> None:
        server: FakeApiServer = request.getfixturevalue(kind)
        stream = api_of(server).watch(
            PODS, resource_version="1000", timeout_seconds=60, silence=60.0
        )
        lines: list[bytes] = []
        reader = threading.Thread(target=lambda: lines.extend(stream))
        reader.start()
        wait_until(lambda: server.state.watching(PODS))

        stream.close()

        reader.join(5)
        assert not reader.is_alive()
        assert lines == []

    def test_can_be_closed_before_anybody_reads(self, server: FakeApiServer) -> None:
        stream = api_of(server).watch(
            PODS, resource_version="1000", timeout_seconds=60, silence=60.0
        )
        stream.close()
        assert list(stream) == []

    def test_says_nothing_more_once_it_is_closed(self, server: FakeApiServer) -> None:
        for name in ("one", "two", "three"):
            server.state.put(PODS, pod(name))
        stream = api_of(server).watch(
            PODS, resource_version="1000", timeout_seconds=60, silence=5.0
        )
        lines = iter(stream)
        next(lines)
        stream.close()
        assert list(lines) == []

    def test_a_half_open_connection_is_given_up(self, server: FakeApiServer) -> None:
        server.inject(Fault(verb="watch", silent=True))
        stream = api_of(server).watch(
            PODS, resource_version="1000", timeout_seconds=60, silence=0.1
        )
        with pytest.raises(ClusterTimeout):
            list(stream)

    def test_a_stream_that_is_cut_is_not_taken_for_one_that_ended(
        self, server: FakeApiServer
    ) -> None:
        stream = api_of(server).watch(
            PODS, resource_version="1000", timeout_seconds=60, silence=60.0
        )
        wait_until(lambda: server.state.watching(PODS))
        server.state.cut_watches()
        with pytest.raises(ConnectionLost):
            list(stream)


class TestObjectPath:
    @pytest.mark.parametrize(
        ("parts", "path"),
        [
            ((PODS, "team", "web"), "/api/v1/namespaces/team/pods/web"),
            ((PODS, "team"), "/api/v1/namespaces/team/pods"),
            ((PODS, ""), PODS),
            (("/api/v1/nodes", "", "node-1"), "/api/v1/nodes/node-1"),
            (
                ("/apis/discovery.k8s.io/v1/endpointslices", "team", "web-x2"),
                "/apis/discovery.k8s.io/v1/namespaces/team/endpointslices/web-x2",
            ),
            ((PODS, "team", "a?b#c d"), "/api/v1/namespaces/team/pods/a%3Fb%23c%20d"),
        ],
    )
    def test_is_what_the_api_conventions_say(self, parts: tuple[str, ...], path: str) -> None:
        assert object_path(*parts) == path

    @pytest.mark.parametrize("name", ["..", ".", "../secrets/token", "a/b", "%2e%2e", "/"])
    def test_a_name_never_leads_to_another_resource(self, name: str) -> None:
        for parts in ((PODS, "team", name), (PODS, name, "web")):
            with pytest.raises(ValueError, match="no object can have the name"):
                object_path(*parts)


def test_threads_share_the_connections(server: FakeApiServer) -> None:
    names = fill(server, 40)
    api = connect(kubeconfig=server.kubeconfig, connections=4)
    paths = [object_path(PODS, "team", name) for name in names]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(api.get, paths * 3))

    assert [json.loads(answer or b"")["metadata"]["name"] for answer in answers] == names * 3
    assert len({request.connection for request in server.requests}) <= 4


def test_tls_is_verified_against_the_cluster_s_ca(tls_server: FakeApiServer) -> None:
    assert api_of(tls_server).get(WEB) is None


def test_a_server_with_another_ca_is_not_talked_to(tls_server: FakeApiServer) -> None:
    tls_server._ca = trustme.CA().cert_pem.bytes()
    tls_server.token = "secret"
    with pytest.raises(ClusterUnavailable, match="certificate verify failed"):
        api_of(tls_server).get(WEB)
    assert tls_server.requests == []


def test_importing_it_does_not_import_the_kubernetes_package() -> None:
    program = "import sys, webhook.cluster.informer; print('kubernetes' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
