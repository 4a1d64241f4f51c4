"""The right to create endpoints/restricted: what it overrides, and when it is asked for."""

from time import monotonic

import pytest

from tests.builders import (
    Json,
    address,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    manual_service,
    node,
    pod,
    port,
    request,
    said,
    service,
    state,
    subset,
)
from tests.policy.samples import policy
from webhook.cluster.state import Condition
from webhook.core.decision import Decision, Indeterminate, Reason
from webhook.core.excerpt import Excerpt
from webhook.core.inventory import Inventory
from webhook.core.objects import AdmissionRequest
from webhook.server import Judge
from webhook.telemetry import Telemetry

ENABLED, DISABLED = policy("restrictedRight: true"), policy("{}")
CLUSTER = state(
    service(),
    pod(),
    manual_service("manual"),
    pod("vault-0", namespace="rival", ip="10.0.7.8"),
    node(),
)


class Authorizer:
    """A cluster whose state is fixed, and that is asked for rights."""

    def __init__(self, answer: bool | Indeterminate) -> None:
        self.answer = answer
        self.asked: list[AdmissionRequest] = []

    def known(self) -> Inventory:
        return CLUSTER

    def confirmed(self, excerpt: Excerpt, deadline: float) -> None:
        return None

    def may_restricted(self, request: AdmissionRequest, deadline: float) -> bool | Indeterminate:
        self.asked.append(request)
        return self.answer

    def conditions(self) -> tuple[Condition, ...]:
        return ()


def manual(*addresses: Json) -> Json:
    return endpoints(subset(*addresses), name="manual")


def judged(write: Json, authorizer: Authorizer, *, enabled: bool = True) -> Decision:
    chosen = ENABLED if enabled else DISABLED
    judge = Judge(authorizer, lambda: chosen, Telemetry())
    decision = judge.decide(request(write), monotonic() + 10)
    assert isinstance(decision, Decision)
    return decision


FOREIGN = manual(external("10.0.7.8"))
ADDRESS_RULES = {
    "a foreign Pod": (FOREIGN, "EG501 subsets[0].addresses[0].ip"),
    "a node": (manual(external("192.168.0.1")), "EG502 subsets[0].addresses[0].ip"),
    "a special address": (manual(external("169.254.1.1")), "EG505 subsets[0].addresses[0].ip"),
    "an ambiguous one": (manual(external("198.051.100.7")), "EG509 subsets[0].addresses[0].ip"),
    "a name": (
        endpoint_slice(
            external_endpoint("db.example.com"),
            of_service="manual",
            name="manual-1",
            address_type="FQDN",
        ),
        "EG508 endpoints[0].addresses[0]",
    ),
}


@pytest.mark.parametrize(("write", "finding"), ADDRESS_RULES.values(), ids=ADDRESS_RULES)
def test_the_right_overrides_the_address_rules(write: Json, finding: str) -> None:
    decision = judged(write, Authorizer(answer=True))
    assert (decision.allowed, decision.reason) == (True, Reason.RESTRICTED_RIGHT)
    assert said(decision.findings) == {f"audit {finding}"}


@pytest.mark.parametrize(("write", "finding"), ADDRESS_RULES.values(), ids=ADDRESS_RULES)
def test_whoever_has_it_not_is_denied(write: Json, finding: str) -> None:
    decision = judged(write, Authorizer(answer=False))
    assert (decision.allowed, decision.reason) == (False, Reason.JUDGED)
    assert said(decision.findings) == {f"deny {finding}"}


OTHER_RULES = {
    "another namespace in targetRef": manual(
        external("10.0.7.8", targetRef={"kind": "Pod", "name": "vault-0", "namespace": "rival"})
    ),
    "a Pod that is not selected": endpoints(subset(external("10.0.7.8"))),
    "a wrong port": endpoints(subset(address(), ports=[port(22)])),
    "an address rule beside another": endpoints(
        subset(address(), external("169.254.1.1"), ports=[port(22)])
    ),
}


@pytest.mark.parametrize("write", OTHER_RULES.values(), ids=OTHER_RULES)
def test_it_overrides_no_other_rule(write: Json) -> None:
    authorizer = Authorizer(answer=True)
    assert not judged(write, authorizer).allowed
    assert authorizer.asked == []


NOT_ASKED = {
    "the policy does not say so": (FOREIGN, False),
    "nothing is denied": (manual(external()), True),
    "there are warnings only": (manual(external("172.20.0.10")), True),
}


@pytest.mark.parametrize(("write", "enabled"), NOT_ASKED.values(), ids=NOT_ASKED)
def test_nobody_is_asked_where(write: Json, enabled: bool) -> None:
    authorizer = Authorizer(answer=True)
    decision = judged(write, authorizer, enabled=enabled)
    assert authorizer.asked == []
    assert decision.reason is Reason.JUDGED


def test_it_is_asked_for_the_writer_of_this_object() -> None:
    authorizer = Authorizer(answer=False)
    judged(FOREIGN, authorizer)
    (asked,) = authorizer.asked
    assert (asked.username, str(asked.ref)) == ("alice", "Endpoints/shop/manual")


def test_if_nobody_can_tell_there_is_no_answer() -> None:
    because = Indeterminate("no answer in time")
    judge = Judge(Authorizer(because), lambda: ENABLED, Telemetry())
    assert judge.decide(request(FOREIGN), monotonic() + 10) == because


def test_a_warning_beside_it_stays_a_warning() -> None:
    ref = {"kind": "Pod", "name": "web-1"}
    decision = judged(manual(external("10.0.7.8", targetRef=ref)), Authorizer(answer=True))
    assert said(decision.findings) == {
        "audit EG501 subsets[0].addresses[0].ip",
        "warn EG304 subsets[0].addresses[0].targetRef",
    }
