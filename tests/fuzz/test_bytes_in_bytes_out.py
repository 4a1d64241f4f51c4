"""Whatever bytes come, the answer is a review with the same uid, a 4xx, or a 503 to be repeated."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import (
    Json,
    body,
    manual_service,
    node,
    pod,
    review,
    service,
    state,
)
from tests.cluster.samples import FAST, api_of
from tests.fake_apiserver import FakeApiServer, Fault, wait_until
from tests.fake_apiserver.state import KINDS
from tests.fuzz.fronts import Front
from tests.fuzz.strategies import bodies, cuts, streams
from tests.strategies import law, writes
from webhook.cluster.live import LiveCluster
from webhook.cluster.state import FixedState
from webhook.core.decision import Indeterminate, Obstacle
from webhook.core.inventory import Inventory
from webhook.core.policy import Policy, parse_policy

bytes_law = settings(law, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
PATHS = {kind: path for path, kind in KINDS.items()}
CLUSTER = (
    service(),
    manual_service("manual"),
    pod("web-0", ip="10.0.0.1"),
    pod("web-1", ip="10.0.0.2", ips=["10.0.0.2", "fd00::1"]),
    pod("vault-0", namespace="rival", ip="10.0.0.3"),
    node("node-1", "192.168.0.1"),
    node("node-2", "192.168.0.2", podCIDRs=["10.0.0.0/16"]),
)
STRICT = parse_policy(
    {
        "rules": {"EG101": "deny", "EG203": "deny", "EG505": "warn", "EG301": "off"},
        "external": {"allowedCIDRs": ["198.51.100.0/24"], "allowedPorts": [80]},
        "restrictedRight": True,
        "exemptions": [{"reason": "a test", "users": ["alice"], "rules": ["EG401"]}],
    }
)


fixed, strict = (Front(FixedState(inventory=state(*CLUSTER)), each) for each in (Policy(), STRICT))


@bytes_law
@given(st.sampled_from([fixed, strict]), bodies)
def test_any_body_gets_an_answer_that_keeps_every_promise(front: Front, data: bytes) -> None:
    front.ask(data)


@bytes_law
@given(streams, cuts)
def test_any_stream_of_requests_does_however_it_is_cut_up(
    stream: bytes, edges: Sequence[int]
) -> None:
    at = [0, *sorted(min(each, len(stream)) for each in edges), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(at) if start < end]
    whole, cut = fixed.take([stream]), fixed.take(pieces)
    assert [(a.status, a.body) for a in cut] == [(a.status, a.body) for a in whole]


class Unsynced(FixedState):
    """Knows nothing yet."""

    def known(self) -> Any:
        return Indeterminate("the informers have not synced yet", Obstacle.NOT_SYNCED)


@bytes_law
@given(bodies)
def test_any_body_does_while_nothing_is_known_of_the_cluster(data: bytes) -> None:
    answer = unsynced.ask(data)
    if answer.status == 200:
        assert json.loads(answer.body)["response"].keys() <= {"uid", "allowed"}


unsynced = Front(Unsynced(inventory=Inventory()))


# --- With an API server that fails in every way

faults: dict[str, dict[str, Any]] = {
    "none": {"times": 0},
    "an error": {"status": 500},
    "forbidden": {"status": 403},
    "gone": {"status": 404},
    "too many requests": {"status": 429, "headers": {"Retry-After": "1"}},
    "cut off": {"break_off": True},
    "hung up": {"hang_up": True},
    "no JSON": {"mangle": lambda _: b"<html>"},
    "half of it": {"mangle": lambda data: data[: len(data) // 2]},
    "null": {"mangle": lambda _: b"null"},
    "other types": {"mangle": lambda data: data.replace(b'"10.0', b'["10.0')},
    "no text": {"mangle": lambda data: data.replace(b"web", b"\xff\xfe")},
}


@cache
def live() -> tuple[FakeApiServer, Front]:
    """One API server and its informers for all examples: they end with the process."""
    with ExitStack() as stack:
        server = stack.enter_context(FakeApiServer())
        for manifest in CLUSTER:
            server.state.put(PATHS[manifest["kind"]], manifest)
        cluster = LiveCluster(api_of(server), pace=FAST)
        cluster.start()
        stack.callback(cluster.informers.stop)
        wait_until(lambda: isinstance(cluster.known(), Inventory))
        _running.push(stack.pop_all())
    return server, Front(cluster, STRICT)


_running = ExitStack()


def teardown_module() -> None:
    _running.close()
    live.cache_clear()


@bytes_law
@given(
    bodies | writes.map(review).map(body),
    st.sampled_from(sorted(faults)),
    st.sampled_from(sorted(faults)),
    st.booleans(),
)
def test_any_body_does_whatever_the_api_server_says_when_it_is_asked_again(
    data: bytes, get: str, ask: str, right: bool
) -> None:
    server, front = live()
    server.allowed = lambda _spec: right
    for verb, name in (("get", get), ("list", get), ("create", ask)):
        server.inject(Fault(verb=verb, **{"times": 3, **faults[name]}))
    try:
        front.ask(data, stable=False)
    finally:
        server.heal()


@bytes_law
@given(writes)
def test_a_denial_from_memory_is_never_given_while_the_api_server_cannot_confirm_it(
    write: Json,
) -> None:
    server, front = live()
    for verb in ("get", "list", "create"):
        server.inject(Fault(verb=verb, status=500, times=1000))
    try:
        answer = front.ask(body(review(write)), stable=False)
    finally:
        server.heal()
    assert answer.status == 503 or json.loads(answer.body)["response"]["allowed"]
