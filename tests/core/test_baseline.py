"""Known findings: what is hidden, what is not, and a file that says so in a stable way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import endpoint_slice, endpoints, external, external_endpoint, state, subset
from webhook.cluster.documents import load_document
from webhook.core.audit import audit
from webhook.core.baseline import baseline_lines, found_in, hide, parse_baseline
from webhook.core.decision import Verdict
from webhook.core.fingerprint import Identity
from webhook.core.inventory import Inventory
from webhook.core.objects import InvalidObject
from webhook.core.policy import Policy
from webhook.core.report import Report

LOOPBACK = external_endpoint("127.0.0.1")
METADATA = external_endpoint("169.254.169.254")


def reported(inventory: Inventory) -> Report:
    return Report(objects=tuple(audit(inventory, Policy(), rules={"EG505"})))


def written(report: Report) -> str:
    return "".join(baseline_lines(found_in(report)))


def test_a_baseline_is_yaml_with_a_line_for_each_finding() -> None:
    report = reported(
        state(
            endpoint_slice(LOOPBACK, METADATA, name="db-1", of_service="db"),
            endpoints(subset(external("127.0.0.1"), ports=[]), name="cache"),
        )
    )
    assert written(report) == (
        "# Findings that are known: written by `endpoints-guard audit --write-baseline FILE`.\n"
        "version: 1\n"
        "findings:\n"
        '- {rule: "EG505", kind: "EndpointSlice", namespace: "shop", name: "db",'
        ' subject: "127.0.0.1 http:80/TCP"}\n'
        '- {rule: "EG505", kind: "EndpointSlice", namespace: "shop", name: "db",'
        ' subject: "169.254.169.254 http:80/TCP"}\n'
        '- {rule: "EG505", kind: "Endpoints", namespace: "shop", name: "cache",'
        ' subject: "127.0.0.1 no port"}\n'
    )


def test_what_is_known_is_hidden_and_counted() -> None:
    before = reported(state(endpoint_slice(LOOPBACK, METADATA, name="db-1", of_service="db")))
    after = hide(before, found_in(before))
    assert [judged.findings for judged in after.objects] == [()]
    assert after.objects[0].verdict is Verdict.ALLOW
    assert after.hidden == 2


def test_another_address_of_the_same_object_is_not() -> None:
    known = found_in(reported(state(endpoint_slice(LOOPBACK, name="db-1", of_service="db"))))
    now = reported(state(endpoint_slice(METADATA, LOOPBACK, name="db-1", of_service="db")))
    left = hide(now, known)
    assert [f.violation.field for j in left.objects for f in j.findings] == [
        "endpoints[0].addresses[0]"
    ]
    assert left.objects[0].verdict is Verdict.DENY


def test_a_slice_that_was_made_anew_is_known_nevertheless() -> None:
    known = found_in(reported(state(endpoint_slice(LOOPBACK, name="db-1", of_service="db"))))
    now = reported(state(endpoint_slice(LOOPBACK, name="db-x9k2p", of_service="db")))
    assert hide(now, known).hidden == 1


def test_the_same_in_another_service_is_not() -> None:
    known = found_in(reported(state(endpoint_slice(LOOPBACK, name="db-1", of_service="db"))))
    now = reported(state(endpoint_slice(LOOPBACK, name="db-1", of_service="cache")))
    assert hide(now, known).hidden == 0


identities = st.builds(
    Identity,
    kind=st.text(),
    namespace=st.text(),
    name=st.text(),
    rule=st.text(),
    subject=st.text(),
)


@given(st.frozensets(identities))
def test_whatever_a_finding_says_is_read_back(findings: frozenset[Identity]) -> None:
    lines = tuple(baseline_lines(findings))
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)
    assert parse_baseline(load_document("".join(lines))) == findings


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (None, "a baseline is a map with `version` and `findings`"),
        ([], "a baseline is a map with `version` and `findings`"),
        ({"version": 2, "findings": []}, "version: only 1 is known: write the baseline anew"),
        ({"version": 1}, "Object missing required field `findings`"),
        ({"version": 1, "findings": [], "more": 1}, "more: unknown field `more`"),
        (
            {"version": 1, "findings": [{"rule": "EG505"}]},
            "findings[0]: Object missing required field `kind`",
        ),
        (
            {"version": 1, "findings": [{"rule": 7}]},
            "findings[0].rule: Expected `str`, got `int`",
        ),
    ],
)
def test_what_is_no_baseline_is_refused_by_key(data: object, complaint: str) -> None:
    with pytest.raises(InvalidObject) as refused:
        parse_baseline(data)
    assert str(refused.value) == complaint
