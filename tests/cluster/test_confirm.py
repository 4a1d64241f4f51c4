"""What is read anew before a denial, and what becomes of the denial then."""

from collections.abc import Sequence
from time import monotonic

import pytest

from tests.builders import (
    Json,
    address,
    codes,
    endpoint,
    endpoint_slice,
    endpoints,
    external,
    findings,
    manual_service,
    node,
    pod,
    pod_ref,
    port,
    service,
    state,
    subject,
    subset,
)
from tests.cluster.samples import api_of
from tests.fake_apiserver import FakeApiServer
from tests.fake_apiserver.state import KINDS
from webhook.cluster.confirm import READS, confirm
from webhook.cluster.state import Confirmed
from webhook.core.engine import judge
from webhook.core.excerpt import whole
from webhook.core.policy import Policy

PATHS = {kind: path for path, kind in KINDS.items()}
SHOP = "/api/v1/namespaces/shop"
RIVAL = pod("vault-0", namespace="rival", ip="10.0.7.8")
SELECTORS = ("labelSelector", "fieldSelector")
GET_SERVICE = f"get {SHOP}/services/web"


def read(
    server: FakeApiServer, write: Json, *, known: Sequence[Json], now: Sequence[Json]
) -> Confirmed:
    """Confirm a write when the cache knows this, and the API server has that."""
    for manifest in now:
        server.state.put(PATHS[manifest["kind"]], manifest)
    return confirm(whole(subject(write)), state(*known), api_of(server), monotonic() + 10)


def requests(server: FakeApiServer) -> list[str]:
    """What was asked, in order."""
    return [
        " ".join((r.verb, r.path, *(r.query[key] for key in SELECTORS if key in r.query)))
        for r in server.requests
    ]


# --- What is read


def holders_of(ip: str) -> str:
    return f"list {SHOP}/pods status.podIP={ip}"


MANUAL = manual_service()
DUAL_STACK = pod("both", namespace="rival", ips=["fd00::1", "10.9.9.9"])
FOREIGN = endpoints(subset(external("10.0.7.8")))
WHAT: dict[str, tuple[Json, tuple[Json, ...], list[str]]] = {
    "selector: the Pods in targetRef": (
        endpoints(subset(address(), address(pod("web-2", ip="10.0.0.2")), ports=[port(22)])),
        (service(), pod(), pod("web-2", ip="10.0.0.2")),
        [GET_SERVICE, f"get {SHOP}/pods/web-1", f"get {SHOP}/pods/web-2"],
    ),
    "selector: the known holder, where there is no targetRef": (
        endpoints(subset(address(targetRef=None))),
        (service(), pod()),
        [GET_SERVICE, f"get {SHOP}/pods/web-1"],
    ),
    "selector: who holds an address that nobody is known to hold": (
        endpoints(subset(external("10.0.0.9"))),
        (service(), pod()),
        [GET_SERVICE, holders_of("10.0.0.9")],
    ),
    "selector: every selected Pod, where it may be a second address": (
        endpoints(subset(external("10.0.0.9"))),
        (service(selector={"app": "web", "k8s.io/tier": "front"}), DUAL_STACK),
        [GET_SERVICE, f"list {SHOP}/pods app=web,k8s.io/tier=front"],
    ),
    "selector: of the other family, where all second addresses are of one": (
        endpoints(subset(external("fd00::9"))),
        (service(), DUAL_STACK),
        [GET_SERVICE, holders_of("fd00::9")],
    ),
    "selector: others' Pods are of no concern": (
        endpoints(subset(external("10.0.7.8"))),
        (service(), RIVAL),
        [GET_SERVICE, holders_of("10.0.7.8")],
    ),
    "no selector: a foreign owner": (
        FOREIGN,
        (MANUAL, RIVAL),
        [GET_SERVICE, holders_of("10.0.7.8"), "get /api/v1/namespaces/rival/pods/vault-0"],
    ),
    "no Service: the same": (
        FOREIGN,
        (RIVAL,),
        [GET_SERVICE, holders_of("10.0.7.8"), "get /api/v1/namespaces/rival/pods/vault-0"],
    ),
    "no selector: a node": (
        endpoints(subset(external("192.168.0.1"))),
        (MANUAL, node()),
        [GET_SERVICE, holders_of("192.168.0.1"), "get /api/v1/nodes/node-1"],
    ),
    "no selector: a Service": (
        endpoints(subset(external("172.20.0.99"))),
        (MANUAL, service("db", namespace="rival", clusterIP="172.20.0.99")),
        [GET_SERVICE, holders_of("172.20.0.99"), "get /api/v1/namespaces/rival/services/db"],
    ),
    "no selector: the Pod inside of a disguise": (
        endpoints(subset(external("64:ff9b::a00:708"))),
        (MANUAL, RIVAL),
        [
            GET_SERVICE,
            holders_of("64:ff9b::a00:708"),
            holders_of("10.0.7.8"),
            "get /api/v1/namespaces/rival/pods/vault-0",
        ],
    ),
    "no selector: every Pod, where it may be a second address": (
        FOREIGN,
        (MANUAL, RIVAL, DUAL_STACK),
        [GET_SERVICE, f"list {SHOP}/pods", "get /api/v1/namespaces/rival/pods/vault-0"],
    ),
    "no selector: the Node in targetRef": (
        endpoints(subset(external("169.254.1.1", targetRef={"kind": "Node", "name": "node-1"}))),
        (MANUAL, node()),
        [GET_SERVICE, holders_of("169.254.1.1"), "get /api/v1/nodes/node-1"],
    ),
    "a slice of nobody": (
        endpoint_slice(endpoint(), of_service=None),
        (pod(),),
        [f"get {SHOP}/pods/web-1"],
    ),
}


@pytest.mark.parametrize(("write", "cluster", "asked"), WHAT.values(), ids=WHAT)
def test_what_could_turn_a_denial_over_is_read(
    server: FakeApiServer, write: Json, cluster: tuple[Json, ...], asked: list[str]
) -> None:
    assert read(server, write, known=cluster, now=cluster).complete
    assert requests(server) == asked


# --- How much is read

MANY = 1000
PODS = [pod(f"web-{n}", ip=f"10.0.{n // 250}.{n % 250 + 1}") for n in range(MANY)]
RIVALS = [
    pod(f"r-{n}", namespace="rival", ip=f"10.1.{n // 250}.{n % 250 + 1}") for n in range(MANY)
]
ANYWHERE = [external(f"198.18.{n // 250}.{n % 250 + 1}") for n in range(MANY)]


def addresses_of(pods: Sequence[Json]) -> list[Json]:
    return [address(each) for each in pods]


BOUNDED: dict[str, tuple[Json, tuple[Json, ...], int]] = {
    "a thousand selected Pods": (endpoints(subset(*addresses_of(PODS))), (service(), *PODS), 2),
    "a thousand Pods by hand": (endpoints(subset(*addresses_of(PODS))), (MANUAL, *PODS), 2),
    "a thousand addresses outside": (endpoints(subset(*ANYWHERE)), (MANUAL,), 2),
    "a thousand addresses that nobody selects": (endpoints(subset(*ANYWHERE)), (service(),), 2),
    "a thousand foreign Pods": (
        endpoints(subset(*(external(each["status"]["podIP"]) for each in RIVALS))),
        (MANUAL, *RIVALS),
        2 + READS,
    ),
    "one address a thousand times": (
        endpoints(subset(*(external("10.0.7.8", hostname=f"h{n}") for n in range(MANY)))),
        (MANUAL, RIVAL),
        3,
    ),
    "a thousand nodes in targetRefs": (
        endpoints(
            subset(
                *(
                    external(each["ip"], targetRef={"kind": "Node", "name": f"n{n}"})
                    for n, each in enumerate(ANYWHERE)
                )
            )
        ),
        (MANUAL,),
        2 + READS,
    ),
}


@pytest.mark.parametrize(("write", "cluster", "most"), BOUNDED.values(), ids=BOUNDED)
def test_no_write_costs_more_than_a_handful_of_reads(
    server: FakeApiServer, write: Json, cluster: tuple[Json, ...], most: int
) -> None:
    read(server, write, known=cluster, now=cluster)
    pages = {request.path for request in server.requests if request.query.get("continue")}
    assert pages <= {f"{SHOP}/pods"}
    asked = [r for r in server.requests if not r.query.get("continue")]
    assert len(asked) <= most


def owned(count: int) -> tuple[Json, tuple[Json, ...]]:
    """Addresses of as many foreign Pods."""
    rivals = RIVALS[:count]
    write = endpoints(subset(*(external(each["status"]["podIP"]) for each in rivals)))
    return write, (MANUAL, *rivals)


@pytest.mark.parametrize(("owners", "complete"), [(READS, True), (READS + 1, False)])
def test_what_was_not_read_in_full_says_so(
    server: FakeApiServer, owners: int, complete: bool
) -> None:
    """Then a denial stands, but the absence of one proves nothing."""
    write, cluster = owned(owners)
    assert read(server, write, known=cluster, now=cluster).complete is complete


# --- What becomes of the denial


def verdicts(
    server: FakeApiServer, write: Json, *, known: Sequence[Json], now: Sequence[Json]
) -> tuple[set[str], set[str]]:
    """The rules that deny by the cache, and after reading anew."""
    confirmed = read(server, write, known=known, now=now)
    after = judge(subject(write), confirmed.inventory, Policy(), writer="alice")
    return codes(findings(write, *known), "deny"), codes(after, "deny")


NEW = pod("web-2", ip="10.0.0.2")
NOT_YET_KNOWN: dict[str, tuple[Json, tuple[Json, ...], tuple[Json, ...]]] = {
    "a new Pod that is selected": (
        endpoints(subset(address(NEW))),
        (service(),),
        (service(), NEW),
    ),
    "a new Pod, without targetRef": (
        endpoints(subset(external("10.0.0.2"))),
        (manual_service(), pod("web-2", ip="10.0.0.2", namespace="rival")),
        (manual_service(), NEW),
    ),
    "a new Pod of that name": (
        endpoints(subset(address(pod(uid="second")))),
        (service(), pod(uid="first")),
        (service(), pod(uid="second")),
    ),
    "an address that a Pod has just been given": (
        endpoints(subset(address(pod()))),
        (service(), pod(ips=[])),
        (service(), pod()),
    ),
    "a label that a Pod has just been given": (
        endpoints(),
        (service(), pod(labels={})),
        (service(), pod()),
    ),
    "a selector that is gone": (
        endpoints(subset(external())),
        (service(),),
        (manual_service(),),
    ),
    "a port that the Service has just been given": (
        endpoints(),
        (service(ports=[{"name": "old", "port": 80, "protocol": "TCP", "targetPort": 80}]), pod()),
        (service(), pod()),
    ),
    "a foreign Pod that is gone": (FOREIGN, (MANUAL, RIVAL), (MANUAL,)),
    "a foreign Pod that has ended": (
        FOREIGN,
        (MANUAL, RIVAL),
        (MANUAL, pod("vault-0", namespace="rival", ip="10.0.7.8", phase="Succeeded")),
    ),
    "a foreign Pod that has another address by now": (
        FOREIGN,
        (MANUAL, RIVAL),
        (MANUAL, pod("vault-0", namespace="rival", ip="10.0.7.9")),
    ),
    "a node that is gone": (
        endpoints(subset(external("192.168.0.1"))),
        (MANUAL, node()),
        (MANUAL,),
    ),
    "a Service that is gone": (
        endpoints(subset(external("172.20.0.99"))),
        (MANUAL, service("db", namespace="rival", clusterIP="172.20.0.99")),
        (MANUAL,),
    ),
}


@pytest.mark.parametrize(("write", "known", "now"), NOT_YET_KNOWN.values(), ids=NOT_YET_KNOWN)
def test_what_the_cache_did_not_know_yet_is_found(
    server: FakeApiServer, write: Json, known: tuple[Json, ...], now: tuple[Json, ...]
) -> None:
    before, after = verdicts(server, write, known=known, now=now)
    assert before
    assert after == set()


RANGE = node("node-1", podCIDRs=["10.0.0.0/16"])
API_SERVER = endpoint_slice(
    {"addresses": ["192.168.9.9"]},
    name="kubernetes",
    namespace="default",
    of_service="kubernetes",
)
STANDS: dict[str, tuple[Json, tuple[Json, ...], set[str]]] = {
    "a wrong port": (
        endpoints(subset(address(), ports=[port(22)])),
        (service(), pod()),
        {"EG402"},
    ),
    "a foreign Pod": (FOREIGN, (MANUAL, RIVAL), {"EG501"}),
    "a foreign Pod in a Pod range": (FOREIGN, (MANUAL, RIVAL, RANGE), {"EG501"}),
    "a node": (endpoints(subset(external("192.168.0.1"))), (MANUAL, node()), {"EG502"}),
    "another namespace's Service": (
        endpoints(subset(external("172.20.0.99"))),
        (MANUAL, service("db", namespace="rival", clusterIP="172.20.0.99")),
        {"EG503"},
    ),
    "the API server": (
        endpoints(subset(external("192.168.9.9"))),
        (MANUAL, API_SERVER),
        {"EG504"},
    ),
    "an address that nobody holds yet": (
        endpoints(subset(external("10.0.0.77"))),
        (MANUAL, RANGE),
        {"EG506"},
    ),
    "a targetRef to a Pod that is not there": (
        endpoints(subset(external(targetRef={"kind": "Pod", "name": "nobody"}))),
        (MANUAL,),
        {"EG303"},
    ),
}


@pytest.mark.parametrize(("write", "cluster", "rules"), STANDS.values(), ids=STANDS)
def test_a_denial_that_is_true_stands(
    server: FakeApiServer, write: Json, cluster: tuple[Json, ...], rules: set[str]
) -> None:
    assert verdicts(server, write, known=cluster, now=cluster) == (rules, rules)


def test_an_address_of_a_pod_range_is_not_free_because_its_foreign_holder_is_gone(
    server: FakeApiServer,
) -> None:
    _, after = verdicts(server, FOREIGN, known=(MANUAL, RIVAL, RANGE), now=(MANUAL, RANGE))
    assert after == {"EG506"}


# --- Names that others wrote

ODD_NAMES = {
    "a way up": "../../secrets/x",
    "an encoded way up": "..%2F..%2Fsecrets%2Fx",
    "dots": "..",
    "a dot": ".",
    "a subresource": "web-1/log",
    "empty": "",
    "a query": "web-1?watch=1",
    "a fragment": "web-1#x",
    "a line end": "web-1 HTTP/1.1\r\nX: y",
    "a null": "web\x00",
    "not ASCII": "wéb-1",
    "a half of a pair": "web-\ud800",
    "very long": "a" * 70_000,
    "longer than a name": "a" * 254,
}


@pytest.mark.parametrize("kind", ["Pod", "Node"])
@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES)
def test_no_name_leads_anywhere_else(server: FakeApiServer, kind: str, name: str) -> None:
    """Whatever it is: nothing of that name is there, and the write can be judged."""
    write = endpoints(subset(external(targetRef={"kind": kind, "name": name})))
    assert read(server, write, known=[MANUAL], now=[MANUAL]).complete
    for request in server.requests:
        assert request.path.startswith((f"{SHOP}/services/", f"{SHOP}/pods", "/api/v1/nodes/"))
        assert ".." not in request.path
        assert "secrets" not in request.path
        assert request.path.count("/") == (6 if "/namespaces/" in request.path else 4) - (
            request.verb == "list"
        )
        assert set(request.query) <= {"limit", "fieldSelector"}
        assert len(request.path) < 1000


def test_a_targetref_of_another_namespace_is_not_followed(server: FakeApiServer) -> None:
    """It would tell the writer what exists there."""
    write = endpoints(subset(external(targetRef=pod_ref(RIVAL))))
    read(server, write, known=[MANUAL], now=[MANUAL, RIVAL])
    assert not any("rival" in request.path for request in server.requests)
