"""Report objects in a cluster: ours follow what is found, and nobody else's is touched."""

from typing import Any

import pytest

from tests.builders import endpoint_slice, external_endpoint, manual_service, state
from tests.cluster.samples import api_of
from tests.fake_apiserver import ALWAYS, FakeApiServer, Fault
from webhook.cluster.errors import ClusterUnavailable
from webhook.cluster.report_writer import Written, served_api, write_reports
from webhook.core.audit import audit
from webhook.core.policy import Policy
from webhook.core.policy_reports import OPEN_REPORTS, POLICY_REPORTS, ReportApi
from webhook.core.report import Report

PATH = OPEN_REPORTS.path


@pytest.fixture
def cluster(server: FakeApiServer) -> FakeApiServer:
    server.state.groups = {"openreports.io/v1alpha1"}
    return server


def found_in(*namespaces: str, address: str = "127.0.0.1") -> Report:
    manifests = [
        each
        for namespace in namespaces
        for each in (
            manual_service("db", namespace=namespace),
            endpoint_slice(
                external_endpoint(address), name="db-1", of_service="db", namespace=namespace
            ),
        )
    ]
    return Report(objects=tuple(audit(state(*manifests), Policy(), rules={"EG505"})))


def write(
    server: FakeApiServer, report: Report, seconds: int = 1, namespaces: tuple[str, ...] = ()
) -> Written:
    return write_reports(api_of(server), OPEN_REPORTS, report, seconds, namespaces)


def counts(written: Written) -> tuple[int, int, int]:
    return written.written, written.unchanged, written.removed


def namespaces_of(server: FakeApiServer, path: str = PATH) -> set[str]:
    return {namespace for namespace, _ in server.state.objects(path)}


class TestTheApi:
    @pytest.mark.parametrize(
        ("groups", "wanted", "expected"),
        [
            (set(), "auto", None),
            ({"openreports.io/v1alpha1"}, "auto", OPEN_REPORTS),
            ({"wgpolicyk8s.io/v1alpha2"}, "auto", POLICY_REPORTS),
            ({"wgpolicyk8s.io/v1alpha2", "openreports.io/v1alpha1"}, "auto", OPEN_REPORTS),
            (
                {"wgpolicyk8s.io/v1alpha2", "openreports.io/v1alpha1"},
                "wgpolicyk8s",
                POLICY_REPORTS,
            ),
            ({"wgpolicyk8s.io/v1alpha2"}, "openreports", None),
        ],
    )
    def test_is_the_one_that_is_served(
        self, server: FakeApiServer, groups: set[str], wanted: str, expected: ReportApi | None
    ) -> None:
        server.state.groups = groups
        assert served_api(api_of(server), wanted) == expected

    def test_is_not_known_while_the_server_does_not_answer(self, server: FakeApiServer) -> None:
        server.inject(Fault(verb="list", status=500, times=ALWAYS))
        with pytest.raises(ClusterUnavailable):
            served_api(api_of(server))


def test_a_report_is_written_for_each_namespace_with_findings(cluster: FakeApiServer) -> None:
    assert counts(write(cluster, found_in("shop", "rival"))) == (2, 0, 0)
    assert namespaces_of(cluster) == {"shop", "rival"}
    assert [r.query for r in cluster.requests if r.verb == "patch"] == [
        {"fieldManager": "endpoints-guard-audit", "force": "true"}
    ] * 2


def test_what_says_the_same_is_not_written_again(cluster: FakeApiServer) -> None:
    write(cluster, found_in("shop"), seconds=1)
    assert counts(write(cluster, found_in("shop"), seconds=2)) == (0, 1, 0)
    assert counts(write(cluster, found_in("shop", address="127.0.0.2"))) == (1, 0, 0)


def test_a_report_goes_with_the_last_finding(cluster: FakeApiServer) -> None:
    write(cluster, found_in("shop", "rival"))
    assert counts(write(cluster, found_in("rival"))) == (0, 1, 1)
    assert namespaces_of(cluster) == {"rival"}


def test_of_other_namespaces_than_those_audited_nothing_changes(cluster: FakeApiServer) -> None:
    write(cluster, found_in("shop", "rival"))
    assert counts(write(cluster, found_in(), namespaces=("rival",))) == (0, 0, 1)
    assert namespaces_of(cluster) == {"shop"}


def somebody_s(name: str, **labels: str) -> Any:
    return {"metadata": {"name": name, "namespace": "shop", "uid": "theirs", "labels": labels}}


@pytest.mark.parametrize(
    "theirs",
    [
        somebody_s("endpoints-guard"),
        somebody_s("cis-benchmark", **{"app.kubernetes.io/managed-by": "endpoints-guard"}),
        somebody_s("endpoints-guard", **{"app.kubernetes.io/managed-by": "kyverno"}),
    ],
)
def test_what_somebody_else_made_is_not_removed(cluster: FakeApiServer, theirs: Any) -> None:
    cluster.state.put(PATH, theirs)
    assert counts(write(cluster, found_in())) == (0, 0, 0)
    assert namespaces_of(cluster) == {"shop"}


def test_what_somebody_else_made_under_our_name_is_not_written_to(cluster: FakeApiServer) -> None:
    cluster.state.put(PATH, somebody_s("endpoints-guard"))
    written = write(cluster, found_in("shop", "rival"))
    assert counts(written) == (1, 0, 0)
    assert written.problems == (
        "Report shop/endpoints-guard: somebody else made it; it stays as it is",
    )


def test_one_that_cannot_be_written_stops_no_other(cluster: FakeApiServer) -> None:
    cluster.inject(Fault(verb="patch", status=403, message="no"))
    written = write(cluster, found_in("shop", "rival"))
    assert counts(written) == (1, 0, 0)
    assert len(written.problems) == 1
    assert 'resources: ["reports"], verbs: ["patch"]' in written.problems[0]


def test_a_namespace_that_goes_meanwhile_is_no_problem(cluster: FakeApiServer) -> None:
    message = "unable to create new content in namespace shop because it is being terminated"
    cluster.inject(Fault(verb="patch", status=403, message=message))
    assert write(cluster, found_in("shop")).problems == ()


def test_one_that_was_made_anew_meanwhile_is_not_removed(cluster: FakeApiServer) -> None:
    write(cluster, found_in("shop"))
    cluster.inject(Fault(verb="delete", status=409, message="Precondition failed: UID"))
    assert write(cluster, found_in()).problems == ()
    assert namespaces_of(cluster) == {"shop"}


def test_nothing_is_written_when_it_is_not_known_what_is_there(cluster: FakeApiServer) -> None:
    cluster.inject(Fault(verb="list", path=PATH, status=500, times=ALWAYS))
    with pytest.raises(ClusterUnavailable):
        write(cluster, found_in("shop"))
    assert cluster.asked("patch") == 0
