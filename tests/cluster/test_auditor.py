"""One audit of a live cluster: what persists is found, and nothing is said of what is not known."""

from collections.abc import Callable

import pytest

from tests.builders import address as address_of
from tests.builders import (
    endpoint,
    endpoint_slice,
    endpoints,
    external_endpoint,
    manual_service,
    node,
    pod,
    service,
    subset,
)
from tests.cluster.samples import api_of
from tests.cluster.test_reading import Clock, put
from tests.fake_apiserver import ALWAYS, FakeApiServer, Fault
from webhook.cluster.auditor import LOOKS, Auditor, Scope
from webhook.cluster.resources import ENDPOINT_SLICE, ENDPOINTS, NODE, POD, SERVICE, STORED
from webhook.core.policy import Policy, parse_policy
from webhook.core.report import Report
from webhook.core.rules import RULES, kinds_for

POLICY = Policy()
READ = [each for each in STORED if each.kind in kinds_for(RULES.values())]
VAULT = pod("vault-0", namespace="rival", ip="10.0.7.8")
FOREIGN = endpoint_slice(external_endpoint("10.0.7.8"), name="db-1", of_service="db")
METADATA = endpoint_slice(external_endpoint("169.254.169.254"), name="db-2", of_service="db")


def audited(
    server: FakeApiServer,
    *,
    rules: frozenset[str] = POLICY.rules_in_force(),
    namespaces: frozenset[str] = frozenset(),
    policy: Policy = POLICY,
    clock: Clock | None = None,
) -> Report:
    scope = Scope(rules=rules, namespaces=namespaces, settle=7.0)
    pause = (clock or Clock()).pause
    return Auditor(api_of(server), policy, scope, pause=pause).run()


def found(report: Report) -> set[tuple[str, str]]:
    return {(str(j.ref), f.rule.code) for j in report.objects for f in j.findings}


def parts(report: Report) -> list[str]:
    return [part.what for part in report.unjudged]


@pytest.fixture
def clean(server: FakeApiServer) -> FakeApiServer:
    """A Service whose endpoints are as the control plane writes them."""
    put(server, service(), pod(), node(), endpoints(), endpoint_slice())
    return server


@pytest.fixture
def attacked(clean: FakeApiServer) -> FakeApiServer:
    """The same, and another Service that leads to somebody else's Pod and to the metadata."""
    put(clean, manual_service("db"), VAULT, FOREIGN, METADATA)
    return clean


FOUND = {("EndpointSlice/shop/db-1", "EG501"), ("EndpointSlice/shop/db-2", "EG505")}


def test_nothing_is_wrong_with_what_the_control_plane_writes(clean: FakeApiServer) -> None:
    clock = Clock()
    report = audited(clean, clock=clock)
    assert found(report) == set()
    assert {str(judged.ref) for judged in report.objects} == {
        "Endpoints/shop/web",
        "EndpointSlice/shop/web-abcde",
    }
    assert report.unjudged == ()
    assert clock.slept == []
    assert [request.path for request in clean.requests] == [each.path for each in READ]


def test_what_is_wrong_is_found_after_two_more_looks(attacked: FakeApiServer) -> None:
    clock = Clock()
    report = audited(attacked, clock=clock)
    assert found(report) == FOUND
    assert clock.slept == [7.0] * LOOKS


def test_an_audit_only_lists(attacked: FakeApiServer) -> None:
    audited(attacked)
    assert {request.verb for request in attacked.requests} == {"list"}


def test_only_what_is_asked_for_is_judged(attacked: FakeApiServer) -> None:
    assert found(audited(attacked, namespaces=frozenset({"rival"}))) == set()
    assert found(audited(attacked, rules=frozenset({"EG505"}))) == {
        ("EndpointSlice/shop/db-2", "EG505")
    }


def test_only_what_the_rules_need_is_read(clean: FakeApiServer) -> None:
    audited(clean, rules=frozenset({"EG505"}))
    assert {r.path for r in clean.requests} == {ENDPOINTS.path, ENDPOINT_SLICE.path}


def test_a_rule_that_is_off_everywhere_needs_no_reading(clean: FakeApiServer) -> None:
    policy = parse_policy({"rules": {"EG404": "off"}, "namespaces": {"shop": {"rules": {}}}})
    assert "EG404" not in policy.rules_in_force()
    somewhere = parse_policy(
        {"rules": {"EG505": "off"}, "namespaces": {"shop": {"rules": {"EG505": "deny"}}}}
    )
    assert "EG505" in somewhere.rules_in_force()


def later(server: FakeApiServer, look: int, change: Callable[[], object]) -> Clock:
    """A clock with which something happens before this look."""
    looks = iter(range(1, LOOKS + 1))
    return Clock(lambda: change() if next(looks) == look else None)


NEW = pod("web-2", ip="10.0.0.9")
"""A Pod that the list of Pods is too early for, while its endpoints are listed already."""
WITH_NEW = endpoint_slice(endpoint(), endpoint(NEW))
MOVED = pod(ip="10.0.0.77")
LISTED_WITH_NEW = endpoints(subset(address_of(), address_of(NEW)))


class TestARace:
    """Lists of different moments, and controllers that follow a moment later."""

    @pytest.mark.parametrize("look", range(1, LOOKS + 1))
    def test_of_a_pod_that_was_created_between_the_lists(
        self, clean: FakeApiServer, look: int
    ) -> None:
        put(clean, WITH_NEW, LISTED_WITH_NEW)
        report = audited(clean, clock=later(clean, look, lambda: put(clean, NEW)))
        assert found(report) == set()

    @pytest.mark.parametrize("look", range(1, LOOKS + 1))
    def test_of_a_pod_that_got_another_address(self, clean: FakeApiServer, look: int) -> None:
        put(clean, MOVED)

        def follow() -> None:
            put(clean, endpoint_slice(endpoint(MOVED)), endpoints(subset(address_of(MOVED))))

        report = audited(clean, clock=later(clean, look, follow))
        assert found(report) == set()

    def test_of_endpoints_that_went_away(self, attacked: FakeApiServer) -> None:
        def remove() -> None:
            attacked.state.delete(ENDPOINT_SLICE.path, "shop", "db-1")

        report = audited(attacked, clock=later(attacked, 1, remove))
        assert found(report) == {("EndpointSlice/shop/db-2", "EG505")}
        assert "EndpointSlice/shop/db-1" not in {str(judged.ref) for judged in report.objects}

    def test_of_another_owner_elsewhere(self, attacked: FakeApiServer) -> None:
        def remove() -> None:
            attacked.state.delete(POD.path, "rival", "vault-0")

        report = audited(attacked, clock=later(attacked, 2, remove))
        assert ("EndpointSlice/shop/db-1", "EG501") not in found(report)

    def test_does_not_hide_another_address_of_the_same_object(self, clean: FakeApiServer) -> None:
        both = endpoint_slice(endpoint(), endpoint(NEW), external_endpoint("10.0.9.9"))
        put(clean, both, LISTED_WITH_NEW)
        report = audited(clean, clock=later(clean, 1, lambda: put(clean, NEW)))
        assert {
            finding.listed.address.text
            for judged in report.objects
            for finding in judged.findings
            if finding.listed is not None
        } == {"10.0.9.9"}

    def test_does_not_add_what_was_not_there_at_first(self, attacked: FakeApiServer) -> None:
        another = endpoint_slice(external_endpoint("127.0.0.1"), name="db-3", of_service="db")
        report = audited(attacked, clock=later(attacked, 1, lambda: put(attacked, another)))
        assert found(report) == FOUND


class TestWhatCannotBeRead:
    """Never a finding that rests on it, and always a word about it."""

    @pytest.mark.parametrize(
        ("path", "kind", "still"),
        [
            (POD.path, "Pod", {("EndpointSlice/shop/db-2", "EG505")}),
            (SERVICE.path, "Service", {("EndpointSlice/shop/db-2", "EG505")}),
            (NODE.path, "Node", {("EndpointSlice/shop/db-2", "EG505")}),
            (ENDPOINTS.path, "Endpoints", FOUND),
            (ENDPOINT_SLICE.path, "EndpointSlice", set()),
        ],
    )
    def test_one_kind(
        self,
        attacked: FakeApiServer,
        path: str,
        kind: str,
        still: set[tuple[str, str]],
    ) -> None:
        attacked.inject(Fault(verb="list", path=path, status=403, times=ALWAYS))
        report = audited(attacked)
        assert found(report) == still
        assert parts(report) == [kind]
        assert "RBAC must grant" in report.unjudged[0].reason

    def test_the_rules_that_are_left_out_are_named(self, attacked: FakeApiServer) -> None:
        attacked.inject(Fault(verb="list", path=NODE.path, status=403, times=ALWAYS))
        rules = frozenset({"EG501", "EG502", "EG505"})
        report = audited(attacked, rules=rules)
        assert report.unjudged[0].reason.endswith("; rules left out: EG501, EG502")

    def test_everything(self, attacked: FakeApiServer) -> None:
        attacked.inject(Fault(verb="list", hang_up=True, times=ALWAYS))
        report = audited(attacked)
        assert report.objects == ()
        assert parts(report) == [resource.kind for resource in READ]

    def test_midway(self, server: FakeApiServer) -> None:
        many = (endpoint_slice(name=f"web-{n}", of_service="gone") for n in range(600))
        put(server, METADATA, *many)
        fault = Fault(verb="list", path=ENDPOINT_SLICE.path, after=1, break_off=True, times=ALWAYS)
        server.inject(fault)
        report = audited(server)
        assert ("EndpointSlice/shop/db-2", "EG505") in found(report)
        assert len(report.objects) == 500
        assert "only 500 could be read" in report.unjudged[0].reason

    def test_the_second_look(self, attacked: FakeApiServer) -> None:
        def die() -> None:
            attacked.inject(Fault(verb="list", hang_up=True, times=ALWAYS))

        report = audited(attacked, clock=Clock(die))
        assert found(report) == FOUND
        assert {each.partition(",")[0] for each in parts(report)} >= {"Pod", "EndpointSlice"}
        assert all("could not be confirmed" in part.reason for part in report.unjudged)
