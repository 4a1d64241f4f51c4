"""A live cluster as state: what is known when, what is read anew, and what it says of itself."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

from tests.builders import (
    Json,
    address,
    codes,
    endpoint_slice,
    endpoints,
    external,
    manual_service,
    node,
    pod,
    port,
    request,
    service,
    subject,
    subset,
)
from tests.cluster.samples import FAST, api_of
from tests.fake_apiserver import ALWAYS, FakeApiServer, Fault, wait_until
from tests.fake_apiserver.state import KINDS, Object
from webhook.cluster.live import LiveCluster
from webhook.cluster.permissions import INFORMERS
from webhook.cluster.state import Confirmed, State
from webhook.core.decision import Decision, Indeterminate, Obstacle
from webhook.core.engine import decide
from webhook.core.excerpt import whole
from webhook.core.inventory import Inventory
from webhook.core.objects import AdmissionRequest, ObjectRef
from webhook.core.policy import Policy
from webhook.server import Judge
from webhook.telemetry import Telemetry

PATHS = {kind: path for path, kind in KINDS.items()}
WATCHED = ("Service", "Pod", "Node", "EndpointSlice")
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
RIVAL = pod("vault-0", namespace="rival", ip="10.0.7.8")
API_SERVER = endpoint_slice(
    {"addresses": ["192.168.9.9"]}, name="kubernetes", namespace="default", of_service="kubernetes"
)
CLUSTER = (
    service(),
    pod(),
    manual_service("manual"),
    RIVAL,
    node("node-1", podCIDRs=["10.0.0.0/16"]),
    API_SERVER,
)


@pytest.fixture
def full(server: FakeApiServer) -> FakeApiServer:
    for manifest in CLUSTER:
        server.state.put(PATHS[manifest["kind"]], manifest)
    return server


@contextmanager
def running(server: FakeApiServer) -> Iterator[LiveCluster]:
    cluster = LiveCluster(api_of(server), pace=FAST)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.informers.stop()


@contextmanager
def synced(server: FakeApiServer) -> Iterator[LiveCluster]:
    with running(server) as cluster:
        wait_until(lambda: isinstance(cluster.known(), Inventory))
        wait_until(lambda: all(server.state.watching(PATHS[kind]) for kind in WATCHED))
        yield cluster


def lines(cluster: LiveCluster) -> dict[str, tuple[bool, str]]:
    return {each.part: (each.ready, each.text) for each in cluster.conditions()}


def soon() -> float:
    return monotonic() + 10


# --- What is known


def test_nothing_is_known_before_the_start(full: FakeApiServer) -> None:
    cluster: State = LiveCluster(api_of(full), pace=FAST)
    assert cluster.known() == Indeterminate(
        "the informers of Service, Pod, Node, EndpointSlice have not synced yet",
        Obstacle.NOT_SYNCED,
    )
    assert {(each.ready, each.text) for each in cluster.conditions()} == {
        (False, "not synced yet: the first list is under way")
    }
    assert full.requests == []


def test_one_kind_that_cannot_be_listed_is_enough_to_know_nothing(full: FakeApiServer) -> None:
    path = "/api/v1/pods"
    full.inject(Fault(verb="list", path=path, status=403, message="no", times=ALWAYS))
    with running(full) as cluster:
        others = ("Service", "Node", "EndpointSlice")
        wait_until(lambda: all(lines(cluster)[f"informer {kind}"][0] for kind in others))
        wait_until(lambda: "RBAC" in lines(cluster)["informer Pod"][1])
        waiting = "the informers of Pod have not synced yet"
        assert cluster.known() == Indeterminate(waiting, Obstacle.NOT_SYNCED)
        ready, text = lines(cluster)["informer Pod"]
        assert not ready
        assert text == (
            'not synced yet: list /api/v1/pods: HTTP 403: no. RBAC must grant apiGroups: [""], '
            'resources: ["pods"], verbs: ["list"]'
        )
        full.heal()
        wait_until(lambda: isinstance(cluster.known(), Inventory))


def test_after_the_first_lists_everything_is_known(full: FakeApiServer) -> None:
    with synced(full) as cluster:
        known = cluster.known()
        assert isinstance(known, Inventory)
        assert [each.name for each in known.live_pods_at("10.0.7.8")] == ["vault-0"]
        assert known.service("shop", "web") is not None
        assert known.node("node-1") is not None
        assert known.is_api_server("192.168.9.9")
        assert {part: ready for part, (ready, _) in lines(cluster).items()} == {
            "informer Service": True,
            "informer Pod": True,
            "informer Node": True,
            "informer EndpointSlice": True,
        }
        assert lines(cluster)["informer Pod"][1].startswith("2 objects, last contact 0 s ago")


def test_what_changes_is_known_soon(full: FakeApiServer) -> None:
    with synced(full) as cluster:
        known = cluster.known()
        assert isinstance(known, Inventory)
        full.state.put(PATHS["Pod"], pod("web-2", ip="10.0.0.2"))
        wait_until(lambda: known.pod("shop", "web-2") is not None)
        full.state.delete(PATHS["Pod"], "rival", "vault-0")
        wait_until(lambda: known.live_pods_at("10.0.7.8") == ())


def test_only_the_slices_of_the_namespace_default_are_read(full: FakeApiServer) -> None:
    """Everybody else's slices are judged, not believed; nor could a big cluster's be held."""
    full.state.put(PATHS["EndpointSlice"], endpoint_slice())
    with synced(full) as cluster:
        known = cluster.known()
        assert isinstance(known, Inventory)
        assert known.published(ObjectRef("EndpointSlice", "shop", "web-abcde")) is None
        listed = {each.path for each in full.requests if each.verb == "list"}
        assert listed == {PATHS["Service"], PATHS["Pod"], PATHS["Node"], SLICES}


def test_it_asks_for_nothing_that_its_permissions_do_not_grant(full: FakeApiServer) -> None:
    granted = {(each.namespace, resource) for each in INFORMERS for resource in each.resources}
    with synced(full) as cluster:
        cluster.confirmed(whole(subject(endpoints(subset(external("10.0.7.8"))))), soon())
    for each in full.requests:
        words = each.path.split("/")
        assert each.verb in ("get", "list", "watch")
        assert any(resource in words and ns in ("", *words) for ns, resource in granted)


# --- What it says of itself


def test_a_kind_that_falls_behind_stays_ready_and_says_why(full: FakeApiServer) -> None:
    """Were it not ready, an API server that restarts would find no webhook."""
    with synced(full) as cluster:
        full.inject(Fault(verb="watch", path="/api/v1/pods", status=500, times=ALWAYS))
        full.inject(Fault(verb="list", path="/api/v1/pods", status=500, times=ALWAYS))
        full.state.cut_watches()
        wait_until(lambda: "HTTP 500" in lines(cluster)["informer Pod"][1])
        ready, text = lines(cluster)["informer Pod"]
        assert ready
        assert ", behind: " in text
        full.heal()
        wait_until(lambda: "behind" not in lines(cluster)["informer Pod"][1])


def test_an_object_that_cannot_be_read_is_said_to_be_left_out(full: FakeApiServer) -> None:
    broken = {**pod("broken"), "spec": "none"}
    full.state.put(PATHS["Pod"], broken)
    with synced(full) as cluster:
        assert lines(cluster)["informer Pod"][1].endswith(", 1 left out (see the log)")


# --- What is read anew


def test_a_write_is_judged_against_what_is_true_now(full: FakeApiServer) -> None:
    with synced(full) as cluster:
        judge = Judge(cluster, Policy, Telemetry())
        wrong = judge.decide(request(endpoints(subset(address(), ports=[port(22)]))), soon())
        right = judge.decide(request(endpoints()), soon())
        assert isinstance(wrong, Decision)
        assert isinstance(right, Decision)
        assert codes(wrong.findings) == {"EG402"}
        assert codes(right.findings) == set()


UPHELD = {
    "EG501": "10.0.7.8",
    "EG502": "192.168.0.1",
    "EG503": "172.20.0.99",
    "EG504": "192.168.9.9",
    "EG505": "169.254.169.254",
    "EG506": "10.0.0.77",
}


@pytest.mark.parametrize(("code", "ip"), UPHELD.items(), ids=UPHELD)
def test_every_address_rule_holds_in_a_live_cluster(
    full: FakeApiServer, code: str, ip: str
) -> None:
    full.state.put(PATHS["Service"], service("db", namespace="rival", clusterIP="172.20.0.99"))
    write = endpoints(subset(external(ip)), name="manual")
    with synced(full) as cluster:
        decision = Judge(cluster, Policy, Telemetry()).decide(request(write), soon())
        assert isinstance(decision, Decision)
        assert codes(decision.findings, "deny") == {code}


UNREADABLE: dict[str, tuple[Fault, str]] = {
    "an error": (Fault(verb="get", status=500, times=ALWAYS), "HTTP 500: as scripted"),
    "no permission": (Fault(verb="get", status=403, times=ALWAYS), "RBAC must grant"),
    "too many requests": (Fault(verb="get", status=429, times=ALWAYS), "HTTP 429"),
    "a connection that breaks": (Fault(verb="get", hang_up=True, times=ALWAYS), "get /api/v1/"),
    "half an answer": (Fault(verb="get", break_off=True, times=ALWAYS), "get /api/v1/"),
    "an answer that is no JSON": (
        Fault(verb="get", mangle=lambda _: b"<html>", times=ALWAYS),
        "cannot be read",
    ),
    "an answer that is another object": (
        Fault(verb="get", mangle=lambda _: b'{"spec": 7}', times=ALWAYS),
        "cannot be read",
    ),
    "an answer that is not UTF-8": (
        Fault(verb="get", mangle=lambda _: b'{"metadata": {"name": "\xff"}}', times=ALWAYS),
        "cannot be read",
    ),
    "no answer in time": (Fault(verb="get", delay=3, times=1), "no answer in time"),
}


@pytest.mark.parametrize(("fault", "because"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_anew_cannot_be_judged(
    full: FakeApiServer, fault: Fault, because: str
) -> None:
    write = whole(subject(endpoints(subset(external("10.0.7.8")))))
    with synced(full) as cluster:
        full.inject(fault)
        deadline = monotonic() + (0.2 if fault.delay else 10)
        answer = cluster.confirmed(write, deadline)
        assert isinstance(answer, Indeterminate)
        assert because in answer.because
        assert monotonic() < deadline + 2


def test_a_name_too_long_to_ask_for_is_the_name_of_nobody(full: FakeApiServer) -> None:
    """Or else a writer could choose that there is no verdict."""
    ref = {"kind": "Pod", "name": "a" * 70_000}
    write = endpoints(subset(external("10.0.7.8", targetRef=ref)), name="manual")
    with synced(full) as cluster:
        decision = Judge(cluster, Policy, Telemetry()).decide(request(write), soon())
        assert isinstance(decision, Decision)
        assert codes(decision.findings, "deny") == {"EG303", "EG501"}


def test_a_moment_behind_is_no_false_denial(full: FakeApiServer) -> None:
    """A Pod that the informers have not heard of, since their watches are silent."""
    with synced(full) as cluster:
        full.state.silence_watches()
        new = pod("web-2", ip="10.0.0.2")
        full.state.put(PATHS["Pod"], new)
        asked = request(endpoints(subset(address(new))))
        known = cluster.known()
        assert isinstance(known, Inventory)
        assert not decide(asked, known, Policy()).allowed
        decision = Judge(cluster, Policy, Telemetry()).decide(asked, soon())
        assert isinstance(decision, Decision)
        assert decision.allowed
        assert isinstance(cluster.confirmed(whole(subject(endpoints())), soon()), Confirmed)


# --- The restricted right


def review(server: FakeApiServer, write: Json, *, allowed: bool) -> list[Object]:
    """What the API server is asked, and whether its answer is passed on."""
    seen: list[Object] = []

    def answer(spec: Object) -> bool:
        seen.append(spec)
        return allowed

    server.allowed = answer
    asked = AdmissionRequest(
        ref=subject(write).ref,
        username="alice",
        groups=("dev", "system:authenticated"),
        extra={"scopes.authorization.openshift.io": ("user:full",)},
        new=subject(write),
    )
    cluster = LiveCluster(api_of(server), pace=FAST)
    assert cluster.may_restricted(asked, soon()) is allowed
    return seen


@pytest.mark.parametrize("allowed", [True, False])
def test_the_right_is_asked_for_by_a_subject_access_review(
    server: FakeApiServer, allowed: bool
) -> None:
    assert review(server, endpoints(), allowed=allowed) == [
        {
            "user": "alice",
            "groups": ["dev", "system:authenticated"],
            "extra": {"scopes.authorization.openshift.io": ["user:full"]},
            "resourceAttributes": {
                "verb": "create",
                "group": "",
                "resource": "endpoints",
                "subresource": "restricted",
                "namespace": "shop",
                "name": "web",
            },
        }
    ]


def test_for_slices_it_is_a_right_of_their_own_group(server: FakeApiServer) -> None:
    (asked,) = review(server, endpoint_slice(), allowed=True)
    attributes = asked["resourceAttributes"]
    assert (attributes["group"], attributes["resource"]) == ("discovery.k8s.io", "endpointslices")


NO_REVIEW = {
    "an error": Fault(verb="create", status=500, times=ALWAYS),
    "no permission": Fault(verb="create", status=403, times=ALWAYS),
    "an answer that is no review": Fault(verb="create", mangle=lambda _: b"[]", times=ALWAYS),
    "an answer that is not UTF-8": Fault(
        verb="create", mangle=lambda _: b'{"status": {"allowed": "\xff"}}', times=ALWAYS
    ),
    "no connection": Fault(verb="create", hang_up=True, times=ALWAYS),
}


@pytest.mark.parametrize("fault", NO_REVIEW.values(), ids=NO_REVIEW)
def test_a_right_that_cannot_be_asked_for_is_neither_there_nor_not(
    server: FakeApiServer, fault: Fault
) -> None:
    server.allowed = lambda _: True
    server.inject(fault)
    cluster = LiveCluster(api_of(server), pace=FAST)
    answer = cluster.may_restricted(request(endpoints()), soon())
    assert isinstance(answer, Indeterminate)
    assert answer.because


def test_what_is_known_is_kept_out_of_collections_once_it_is_complete(full: FakeApiServer) -> None:
    before = gc.get_freeze_count()
    try:
        with running(full) as cluster:
            cluster.freeze_when_synced()
            assert isinstance(cluster.known(), Inventory)
            assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
