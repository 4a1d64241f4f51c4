"""The API server, or the webhook, goes away and comes back: nothing is lost, nothing is wrong."""

import time
from collections.abc import Iterator

import pytest

from tests.e2e.api import Api
from tests.e2e.audit import refusals, writers
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
from tests.e2e.webhook_process import (
    JUDGED_BY,
    WebhookProcess,
    configuration,
    registered,
    webhook_kubeconfig,
    writer,
)

pytestmark = pytest.mark.e2e

WEB = {"app": "web"}


@pytest.fixture
def default_namespace_judged(admin: Api, webhook: WebhookProcess) -> Iterator[None]:
    """Where API servers publish themselves: they must get through, whatever happens."""
    label = f"{JUDGED_BY}-default"
    admin.patch("Namespace", "", "default", {"metadata": {"labels": {label: "yes"}}}).must()
    yield
    admin.patch("Namespace", "", "default", {"metadata": {"labels": {label: None}}}).must()


def own_addresses(admin: Api) -> list[str]:
    """What the API server says of itself in default/kubernetes."""
    answer = admin.get("Endpoints", "default", "kubernetes")
    found = entries({"kind": "Endpoints", **answer.body}) if answer.ok else []
    return [entry["ip"] for entry in found]


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("default_namespace_judged")
@pytest.mark.parametrize("kill", [False, True], ids=["in order", "killed"])
def test_the_api_server_restarts(
    plane: ControlPlane,
    admin: Api,
    webhook: WebhookProcess,
    new_namespace: NewNamespace,
    summary: list[str],
    kill: bool,
) -> None:
    before = new_namespace("default")
    before.create(service("web", selector=WEB))
    old = before.run(pod("web-0", labels=WEB))
    alice = Api(writer(plane, admin, "alice"))
    eventually(lambda: alice.create(slice_by_hand(before, pod_address(old)), dry_run=True).ok)

    plane.stop_api_server(kill=kill)
    assert webhook.get("/readyz")[0] == 200, "it could still judge what it knows"
    eventually(lambda: "behind" in webhook.get("/readyz")[1])
    plane.start_api_server()

    # Verdicts are right at once: what the informers do not know yet is read live.
    new = before.run(pod("web-1", labels=WEB))
    alice.create(slice_by_hand(before, pod_address(new))).must()
    wrong = slice_by_hand(before, pod_address(new, ip=fresh_ips()[0]), name="wrong")
    assert alice.create(wrong).rules == {"EG201", "EG304"}
    begun = time.monotonic()
    eventually(lambda: "behind" not in webhook.get("/readyz")[1], 45)
    took = time.monotonic() - begun
    how = "killed" if kill else "stopped"
    summary.append(f"API server {how} and started: informers watch again after {took:.1f} s")
    # The controllers' own watches come back with a back-off of up to half a minute.
    published = before.published
    eventually(lambda: [len(entries(each)) for each in published("web", 90)] == [2, 2], 90)
    eventually(lambda: own_addresses(admin) == [plane.settings.advertise_address])
    assert refusals(plane, ["default"]) == []
    assert "system:apiserver" in writers(plane, "default")
    alice.close()


def test_the_webhook_is_away_for_a_while(
    plane: ControlPlane, admin: Api, new_namespace: NewNamespace, summary: list[str]
) -> None:
    """With failurePolicy Fail endpoints wait; the controllers then bring them up to date.

    The endpointslice controller waits twice as long after each failure, from a second up to a
    quarter of an hour, unless something happens to the Service. Nobody is trusted here, so a new
    process judges without any memory what was computed meanwhile: R21 of the races table.
    """
    kubeconfig = webhook_kubeconfig(plane, admin)
    with WebhookProcess.running(kubeconfig, policy="trustedWriters: []\n") as process:
        ca = process.serving.ca.certificate
        probe = Namespace(admin, "probe-away", "away")
        with registered(admin, configuration("away", process.url, ca), lambda: refuses(probe)):
            namespace = new_namespace("away")
            namespace.create(service("web", selector=WEB))
            namespace.run(pod("web-0", labels=WEB))
            eventually(lambda: namespace.published("web"))
            process.stop()
            for number in range(1, 4):
                namespace.run(pod(f"web-{number}", labels=WEB))
            namespace.delete("Pod", "web-0").must()
            found = eventually(lambda: refusals(plane, [namespace.name]))
            assert {refusal.code for refusal in found} == {500}
            assert all("failed calling webhook" in refusal.message for refusal in found)
            process.start()
            process.wait_ready()
            begun = time.monotonic()
            namespace.patch("Service", "web", {"metadata": {"labels": {"touched": "yes"}}})
            names = {f"web-{number}" for number in range(1, 4)}
            eventually(lambda: targets(namespace) == [names, names], 40)
            took = time.monotonic() - begun
    summary.append(f"webhook back after an outage: all endpoints right after {took:.1f} s")
    assert {refusal.code for refusal in refusals(plane, [namespace.name])} == {500}


def targets(namespace: Namespace) -> list[set[str]]:
    """The Pods in the Endpoints and in the slice of `web`."""
    both = namespace.published("web")
    return [{entry["targetRef"]["name"] for entry in entries(each)} for each in both]
