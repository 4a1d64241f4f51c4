"""The same bypasses and patterns in a live cluster, where a denial is confirmed by reading anew.

Nothing that the rules deny may get through because reading anew sees less than the cache did.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

import pytest

from tests.builders import Json
from tests.coverage.table import (
    BYPASSES,
    PATTERNS,
    SCENE,
    Attempt,
    attempts,
    cluster_of,
    decided,
    parsed,
    policy_named,
    said,
    with_profile,
)
from tests.fake_apiserver import FakeApiServer, State
from tests.fake_apiserver.state import KINDS
from webhook.cluster.api import ClusterApi, connect
from webhook.cluster.confirm import confirm
from webhook.cluster.state import Condition, Confirmed
from webhook.core.decision import Decision
from webhook.core.excerpt import Excerpt
from webhook.core.inventory import Inventory
from webhook.core.objects import AdmissionRequest
from webhook.core.policy import Policy
from webhook.core.rule import Action
from webhook.server import Judge
from webhook.telemetry import Telemetry

PATHS = {kind: path for path, kind in KINDS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A live cluster whose informers have just caught up."""

    inventory: Inventory
    api: ClusterApi

    def known(self) -> Inventory:
        return self.inventory

    def confirmed(self, excerpt: Excerpt, deadline: float) -> Confirmed:
        return confirm(excerpt, self.inventory, self.api, deadline)

    def may_restricted(self, request: AdmissionRequest, deadline: float) -> bool:
        return False

    def conditions(self) -> tuple[Condition, ...]:
        return ()


@pytest.fixture(scope="module")
def server() -> Iterator[FakeApiServer]:
    with FakeApiServer() as running:
        yield running


@pytest.fixture(scope="module")
def api(server: FakeApiServer) -> ClusterApi:
    return connect(kubeconfig=server.kubeconfig)


def stored(manifests: tuple[Json, ...]) -> State:
    state = State()
    for manifest in manifests:
        state.put(PATHS[manifest["kind"]], manifest)
    return state


def judged(attempt: Attempt, policy: Policy, server: FakeApiServer, api: ClusterApi) -> Decision:
    server.state = stored((*SCENE, *attempt.state))
    judge = Judge(Live(inventory=cluster_of(attempt), api=api), lambda: policy, Telemetry())
    decision = judge.decide(parsed(attempt).request, monotonic() + 10)
    assert isinstance(decision, Decision), decision
    return decision


TRIED, WRITTEN = attempts(BYPASSES), attempts(PATTERNS)


@pytest.mark.parametrize("attempt", TRIED.values(), ids=TRIED)
def test_a_bypass_is_denied_by_the_same_rules_after_reading_anew(
    attempt: Attempt, server: FakeApiServer, api: ClusterApi
) -> None:
    policy = policy_named(attempt.policy)
    live = judged(attempt, policy, server, api)
    assert said(live, Action.DENY) == said(decided(attempt), Action.DENY)


@pytest.mark.parametrize("attempt", WRITTEN.values(), ids=WRITTEN)
def test_and_so_is_a_pattern_by_the_rules_for_which_it_needs_a_profile(
    attempt: Attempt, server: FakeApiServer, api: ClusterApi
) -> None:
    without = judged(attempt, Policy(), server, api)
    assert said(without, Action.DENY) == attempt.denied
    if attempt.profile:
        policy = with_profile(attempt.profile)
        live = judged(attempt, policy, server, api)
        assert said(live, Action.DENY) == said(decided(attempt, policy), Action.DENY)
