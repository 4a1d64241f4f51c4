"""Each row of the races table by itself: a controller's write that arrives too late.

A controller writes, then the world changes, then the webhook is asked about that very write. With
the list of trusted writers empty it refuses what is no longer true; that it was true once no
reading can tell. With the default list it lets the controllers through.
"""

import json
from dataclasses import replace
from functools import partial

import pytest

from tests.e2e.cluster import (
    ENDPOINT_CONTROLLER,
    MIRRORING_CONTROLLER,
    SLICE_CONTROLLER,
    Namespace,
    NewNamespace,
    endpoints,
    eventually,
    node,
    pod,
    pod_address,
    service,
)
from tests.e2e.differential.claims import claims
from tests.e2e.differential.explain import Explainer, Unexplained
from tests.e2e.differential.history import History
from tests.e2e.differential.judgement import Judgement, WebhookClient
from tests.e2e.differential.late_writes import (
    PORTS,
    RACES,
    SPARE_NODE,
    WEB,
    Race,
    ips_of,
    port_with,
    relabel,
)
from tests.e2e.differential.recorder import Recorder
from tests.e2e.differential.rows import Row
from tests.e2e.webhook_process import WebhookProcess

pytestmark = pytest.mark.e2e

WRITERS = {"Endpoints": ENDPOINT_CONTROLLER, "EndpointSlice": SLICE_CONTROLLER}


def written(recorder: Recorder, namespace: Namespace, writer: str, address: str) -> Judgement:
    """The writer's first write that lists this address."""

    def lists_it(judgement: Judgement) -> bool:
        about = (judgement.writer, judgement.request["namespace"])
        if about != (writer, namespace.name) or judgement.request["operation"] == "DELETE":
            return False
        return any(claim.address == address for claim in claims(judgement.written))

    def found() -> Judgement | None:
        return next(filter(lists_it, recorder.judgements()), None)

    return eventually(found)


@pytest.fixture(scope="module")
def as_default(webhook: WebhookProcess) -> WebhookClient:
    return WebhookClient(webhook)


@pytest.fixture(scope="module")
def as_strict(strict: WebhookProcess) -> WebhookClient:
    return WebhookClient(strict)


@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
def test_a_late_write(
    race: Race,
    new_namespace: NewNamespace,
    recorder: Recorder,
    history: History,
    as_default: WebhookClient,
    as_strict: WebhookClient,
) -> None:
    namespace = new_namespace("recorded")
    namespace.api.create(node(SPARE_NODE, 50))
    web = namespace.run(pod("web-0", labels=WEB, node=SPARE_NODE), ready=race.ready)
    namespace.create(service("web", selector=WEB, ports=PORTS, **race.spec))
    address = ips_of(web)[race.family]
    writes = [written(recorder, namespace, WRITERS[kind], address) for kind in race.kinds]
    assert all(write.allowed for write in writes)
    race.change(namespace, web)

    for write in writes:
        late = eventually(partial(_once_known, race, as_strict, write))
        assert late.rules == race.refused
        assert as_default.judge(write.body()).allowed
        history.catch_up()
        assert late.allowed or race.row in Explainer(history).explain(late)


def _once_known(race: Race, client: WebhookClient, write: Judgement) -> Judgement | None:
    """What the webhook says as soon as it has seen the change; before, it allows the write."""
    late = client.judge(write.body(), write.arrived)
    return late if race.refused <= late.rules and race.warned <= late.warned else None


def test_a_mirror_of_endpoints_that_have_changed(
    new_namespace: NewNamespace,
    recorder: Recorder,
    history: History,
    as_strict: WebhookClient,
) -> None:
    namespace = new_namespace("recorded")
    web = namespace.run(pod("web-0", labels=WEB))
    namespace.create(service("web", ports=PORTS))
    namespace.create(endpoints("web", pod_address(web), ports=[{"name": "http", "port": 8080}]))
    write = written(recorder, namespace, MIRRORING_CONTROLLER, web["status"]["podIP"])
    assert write.allowed
    namespace.api.replace(namespace.placed(endpoints("web"))).must()
    namespace.delete("Pod", "web-0").must()
    late = eventually(lambda: _refused(as_strict, write))
    assert late.rules == {"EG303"}
    history.catch_up()
    assert Row.ENDPOINTS in Explainer(history).explain(late)


def test_a_mirror_for_a_service_that_selects_by_now(
    new_namespace: NewNamespace,
    recorder: Recorder,
    history: History,
    as_strict: WebhookClient,
) -> None:
    namespace = new_namespace("recorded")
    namespace.create(service("web", ports=PORTS))
    namespace.create(endpoints("web", {"ip": "198.51.100.7"}, ports=[{"name": "http", "port": 80}]))
    write = written(recorder, namespace, MIRRORING_CONTROLLER, "198.51.100.7")
    assert write.allowed
    namespace.patch("Service", "web", {"spec": {"selector": WEB}})
    late = eventually(lambda: _refused(as_strict, write))
    assert late.rules == {"EG201", "EG301"}
    history.catch_up()
    later = as_strict.judge(write.body(), write.arrived)
    assert later.rules == late.rules
    for refused in (late, later):
        assert Row.MIRRORING_ENDED in Explainer(history).explain(refused)


def test_a_service_as_it_is_with_a_pod_as_it_was(
    new_namespace: NewNamespace, recorder: Recorder, history: History, as_strict: WebhookClient
) -> None:
    """Two watches, one behind the other: both were never so at one time."""
    namespace = new_namespace("recorded")
    web = namespace.run(pod("web-0", labels=WEB))
    namespace.create(service("web", selector=WEB, ports=PORTS))
    write = written(recorder, namespace, ENDPOINT_CONTROLLER, web["status"]["podIP"])
    relabel(namespace, web)
    port_with(targetPort=9090)(namespace, web)
    late = eventually(lambda: _refused(as_strict, with_port(write, 9090)))
    assert late.rules == {"EG201"}
    history.catch_up()
    assert Explainer(history).explain(late) == {Row.POD_LABELS, Row.MIXED}


def with_port(write: Judgement, number: int) -> Judgement:
    """The Endpoints with another port number."""
    request = json.loads(json.dumps(write.request))
    request["object"]["subsets"][0]["ports"][0]["port"] = number
    return replace(write, request=request)


def _refused(client: WebhookClient, write: Judgement) -> Judgement | None:
    late = client.judge(write.body(), write.arrived)
    return None if late.allowed else late


def test_what_no_controller_has_written_is_not_explained(
    new_namespace: NewNamespace, recorder: Recorder, history: History, as_strict: WebhookClient
) -> None:
    namespace = new_namespace("recorded")
    web = namespace.run(pod("web-0", labels=WEB))
    namespace.create(service("web", selector=WEB, ports=PORTS))
    write = written(recorder, namespace, ENDPOINT_CONTROLLER, web["status"]["podIP"])
    late = as_strict.judge(with_port(write, 22).body(), write.arrived)
    history.catch_up()
    assert late.rules == {"EG402"}
    with pytest.raises(Unexplained, match="it was never right"):
        Explainer(history).explain(late)


def test_the_refusal_of_what_is_right_is_not_explained(
    new_namespace: NewNamespace, recorder: Recorder, history: History, as_strict: WebhookClient
) -> None:
    namespace = new_namespace("recorded")
    web = namespace.run(pod("web-0", labels=WEB))
    namespace.create(service("web", selector=WEB, ports=PORTS))
    write = written(recorder, namespace, ENDPOINT_CONTROLLER, web["status"]["podIP"])
    cause = {"reason": "EG201", "field": "subsets[0].addresses[0].ip", "message": "made up"}
    said = as_strict.judge(write.body(), write.arrived)
    said.response["status"] = {"details": {"causes": [cause]}}
    history.catch_up()
    with pytest.raises(Unexplained, match="it is right, and was all the while"):
        Explainer(history).explain(said)
