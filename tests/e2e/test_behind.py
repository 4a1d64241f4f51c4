"""A webhook that is behind the API server, or cannot reach it, never refuses by mistake."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.api import Answer, Api, Json
from tests.e2e.audit import refusals
from tests.e2e.cluster import (
    Namespace,
    NewNamespace,
    entries,
    eventually,
    fresh_ips,
    pod,
    pod_address,
    refuses,
    service,
    slice_by_hand,
)
from tests.e2e.controlplane import ControlPlane
from tests.e2e.proxy import Hold, Proxy
from tests.e2e.webhook_process import (
    WebhookProcess,
    configuration,
    registered,
    webhook_kubeconfig,
    writer,
)

pytestmark = pytest.mark.e2e

TIMEOUT_SECONDS = 3
WEB = {"app": "web"}
POLICY = "trustedWriters: []\npodCIDRs: [10.64.0.0/16]\n"
"""Nobody is trusted, and all Pods have addresses of this range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A webhook that trusts nobody, and the proxy through which it sees the cluster."""

    process: WebhookProcess
    proxy: Proxy
    alice: Api

    def confirmed(self, result: str) -> float:
        """How many denials a live read has "upheld" or "overturned"."""
        return self.process.metric("endpoints_guard_confirmations", result=result)


@pytest.fixture(scope="module")
def behind(plane: ControlPlane, admin: Api) -> Iterator[Behind]:
    alice = Api(writer(plane, admin, "alice"))
    with (
        tempfile.TemporaryDirectory(prefix="endpoints-guard-e2e-") as scratch,
        Proxy.running(webhook_kubeconfig(plane, admin)) as proxy,
    ):
        kubeconfig = Path(scratch) / "kubeconfig"
        proxy.write_kubeconfig(kubeconfig)
        with WebhookProcess.running(kubeconfig, policy=POLICY) as process:
            ca = process.serving.ca.certificate
            given = configuration("behind", process.url, ca, timeout_seconds=TIMEOUT_SECONDS)
            probe = Namespace(admin, "probe-behind", "behind")
            with registered(admin, given, lambda: refuses(probe)):
                yield Behind(process=process, proxy=proxy, alice=alice)
    alice.close()


def test_a_pod_that_the_webhook_has_not_heard_of_is_looked_up(
    behind: Behind, new_namespace: NewNamespace
) -> None:
    namespace = new_namespace("behind")
    namespace.create(service("web", selector=WEB))
    before = behind.confirmed("overturned")
    with behind.proxy.holding(Hold.EVENTS):
        web = namespace.run(pod("web-0", labels=WEB))
        behind.alice.create(slice_by_hand(namespace, pod_address(web))).must()
    assert behind.confirmed("overturned") > before


def test_a_service_that_the_webhook_has_not_heard_of_is_looked_up(
    behind: Behind, new_namespace: NewNamespace
) -> None:
    namespace = new_namespace("behind")
    namespace.create(service("web", selector={"app": "old"}))
    web = namespace.run(pod("web-0", labels=WEB))
    eventually(lambda: "EG201" in _dry_run(behind, namespace, web).rules)
    with behind.proxy.holding(Hold.EVENTS):
        namespace.patch("Service", "web", {"spec": {"selector": WEB}})
        behind.alice.create(slice_by_hand(namespace, pod_address(web))).must()


def _dry_run(behind: Behind, namespace: Namespace, web: Json) -> Answer:
    return behind.alice.create(slice_by_hand(namespace, pod_address(web)), dry_run=True)


def test_who_holds_an_address_is_looked_up(behind: Behind, new_namespace: NewNamespace) -> None:
    """Endpoints by hand need not name the Pod, which the webhook has not heard of."""
    namespace = new_namespace("behind")
    namespace.create(service("web"))
    with behind.proxy.holding(Hold.EVENTS):
        web = namespace.run(pod("web-0", labels=WEB))
        behind.alice.create(_unnamed(slice_by_hand(namespace, pod_address(web)))).must()
        free = pod_address(web, ip=fresh_ips()[0])
        answer = behind.alice.create(_unnamed(slice_by_hand(namespace, free, name="free")))
    assert answer.rules == {"EG506"}


def _unnamed(by_hand: Json) -> Json:
    """The same without targetRef."""
    (entry,) = by_hand["endpoints"]
    return {**by_hand, "endpoints": [{k: v for k, v in entry.items() if k != "targetRef"}]}


def test_what_is_wrong_is_refused_all_the_same(behind: Behind, new_namespace: NewNamespace) -> None:
    namespace = new_namespace("behind")
    namespace.create(service("web", selector=WEB))
    before = behind.confirmed("upheld")
    with behind.proxy.holding(Hold.EVENTS):
        web = namespace.run(pod("web-0", labels=WEB))
        wrong = slice_by_hand(namespace, pod_address(web, ip=fresh_ips()[0]))
        answer = behind.alice.create(wrong)
    assert answer.status == 403
    assert {"EG201", "EG304"} <= answer.rules
    assert behind.confirmed("upheld") > before


def test_controllers_are_not_refused_for_what_the_webhook_has_not_heard_of(
    behind: Behind, plane: ControlPlane, new_namespace: NewNamespace
) -> None:
    """Although nobody is trusted here: R1 of the races table."""
    namespace = new_namespace("behind")
    with behind.proxy.holding(Hold.EVENTS):
        namespace.create(service("web", selector=WEB))
        for number in range(10):
            namespace.run(pod(f"web-{number}", labels=WEB))
        eventually(lambda: [len(entries(each)) for each in namespace.published("web")] == [10, 10])
    assert refusals(plane, [namespace.name]) == []


def test_without_an_answer_from_the_api_server_there_is_no_verdict(
    behind: Behind, new_namespace: NewNamespace
) -> None:
    """Neither what is right nor what is wrong can be known: the write fails, and says so."""
    namespace = new_namespace("behind")
    namespace.create(service("web", selector=WEB))
    known = namespace.run(pod("web-0", labels=WEB))
    eventually(lambda: _dry_run(behind, namespace, known).ok)
    put_off = behind.process.metric("endpoints_guard_indeterminate")
    with behind.proxy.holding(Hold.EVERYTHING):
        right = namespace.run(pod("web-1", labels=WEB))
        wrong = slice_by_hand(namespace, pod_address(right, ip=fresh_ips()[0]), name="wrong")
        for unknown in (slice_by_hand(namespace, pod_address(right)), wrong):
            answer = behind.alice.create(unknown)
            assert (answer.status, answer.rules) == (500, set()), answer.message
            assert "failed calling webhook" in answer.message
            name = unknown["metadata"]["name"]
            assert behind.alice.get("EndpointSlice", namespace.name, name).status == 404
        # What is known to be right needs no look.
        behind.alice.create(slice_by_hand(namespace, pod_address(known))).must()
    assert behind.process.metric("endpoints_guard_indeterminate") > put_off
    assert eventually(lambda: behind.alice.create(slice_by_hand(namespace, pod_address(right))).ok)
    assert "EG201" in behind.alice.create(wrong).rules


def test_broken_connections_are_made_anew(behind: Behind, new_namespace: NewNamespace) -> None:
    namespace = new_namespace("behind")
    namespace.create(service("web", selector=WEB))
    behind.proxy.cut()
    web = namespace.run(pod("web-0", labels=WEB))
    behind.alice.create(slice_by_hand(namespace, pod_address(web))).must()
    begun = time.monotonic()
    eventually(lambda: "behind" not in behind.process.get("/readyz")[1], 10)
    overturned = behind.confirmed("overturned")
    again = slice_by_hand(namespace, pod_address(web), name="again")
    eventually(lambda: behind.alice.create(again, dry_run=True).ok)
    assert behind.confirmed("overturned") == overturned
    assert time.monotonic() - begun < 10
