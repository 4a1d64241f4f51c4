"""Laws: what holds of every write in every cluster.

What a finding blames is compared, not where it stands: an address of Endpoints and the same address
of a slice have other paths, and must get the same verdict.
"""

import json
from collections import Counter

from flask.testing import FlaskClient
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.builders import (
    Json,
    blamed,
    body,
    endpoints,
    external,
    findings,
    pod,
    request,
    review,
    said,
    service,
    state,
    subset,
)
from tests.core.controllers import mirrors_of
from tests.strategies import (
    IPV4,
    IPV6,
    clusters,
    law,
    many_pods,
    shuffled,
    writes,
    written_endpoints,
    written_slices,
)
from webhook.cli.check import judge_manifests
from webhook.cluster.manifests import Manifests, read_text
from webhook.cluster.state import FixedState
from webhook.core.engine import decide_by_state, decide_if_faultless
from webhook.core.policy import Policy, parse_policy
from webhook.server import Judge, create_app
from webhook.telemetry import Telemetry

FREE = [f"10.9.9.{number}" for number in range(1, 9)]


@law
@given(clusters(), writes, st.data())
def test_order_means_nothing(cluster: list[Json], write: Json, data: st.DataObject) -> None:
    mixed = shuffled(data.draw, write)
    assert blamed(mixed, findings(mixed, *cluster)) == blamed(write, findings(write, *cluster))


@law
@given(clusters(), written_endpoints)
def test_endpoints_and_their_mirror_get_the_same_verdict(cluster: list[Json], write: Json) -> None:
    """A mirror is made by a controller that nobody trusts, so it must not be judged otherwise.

    Only readiness may differ: a terminating Pod is ready in Endpoints, and never in a slice.
    """

    def blames(each: Json) -> set[tuple[str, str, str]]:
        return {blame for blame in blamed(each, findings(each, *cluster)) if blame[0] != "EG203"}

    assert set().union(*map(blames, mirrors_of(write))) == blames(write)


@law
@given(clusters(), writes, many_pods("extra"), st.data())
def test_pods_with_other_addresses_add_nothing(
    cluster: list[Json], write: Json, extra: list[Json], data: st.DataObject
) -> None:
    """More Pods never make an address less backed: in no namespace, with whatever labels."""
    for each in extra:
        ips = [{"ip": data.draw(st.sampled_from(FREE))} for _ in each["status"]["podIPs"][:1]]
        each["status"].update(podIPs=ips, podIP=ips[0]["ip"] if ips else "")
    assert said(findings(write, *cluster, *extra)) == said(findings(write, *cluster))


@law
@given(clusters(), writes, st.sampled_from([*IPV4, *IPV6]))
def test_a_pod_of_another_namespace_never_makes_an_address_better(
    cluster: list[Json], write: Json, ip: str
) -> None:
    foreign = pod("stranger", namespace="strangers", ip=ip)
    before, after = findings(write, *cluster), findings(write, *cluster, foreign)
    assert said(before) <= said(after)


@law
@given(clusters(), writes)
def test_what_is_said_to_the_writer_names_nobody_else_s_objects(
    cluster: list[Json], write: Json
) -> None:
    """Everything but `private` may reach the writer."""
    secret = [pod("s3cret-pod", namespace="s3cret-space", ip=ip) for ip in (*IPV4, *IPV6)]
    for finding in findings(write, *cluster, *secret):
        assert "s3cret" not in finding.violation.message + finding.violation.detail


@law
@given(clusters(), written_endpoints, written_slices)
def test_objects_do_not_influence_each_other(
    cluster: list[Json], first: Json, second: Json
) -> None:
    """Who is judged against what is stored beside it could be framed by it."""
    assert said(findings(first, *cluster, second)) == said(findings(first, *cluster))


# --- Admission and check never disagree


def asked(client: FlaskClient, write: Json, old: Json | None) -> tuple[bool, set[str]]:
    """Whether admission allows a write, and the rules and fields that it gives for denying."""
    answer = client.post("/validate", data=body(review(write, old)), content_type=JSON_TYPE)
    response = json.loads(answer.data)["response"]
    causes = response.get("status", {}).get("details", {}).get("causes", [])
    return response["allowed"], {f"{cause['reason']} {cause['field']}" for cause in causes}


JSON_TYPE = "application/json"


def as_manifests(*objects: Json) -> Manifests:
    read = read_text(json.dumps({"kind": "List", "items": objects}))
    assert not read.unreadable
    return read


@settings(law, suppress_health_check=[HealthCheck.too_slow])
@given(clusters(), writes, st.none() | writes)
def test_check_says_what_admission_says(cluster: list[Json], write: Json, old: Json | None) -> None:
    if old is not None:
        assume(old["kind"] == write["kind"])
    telemetry = Telemetry()
    judge = Judge(FixedState(inventory=state(*cluster)), Policy, telemetry)
    client = create_app(judge, telemetry, tuple).test_client()
    before = state(*cluster, *([old] if old else []))

    (judged,) = judge_manifests(as_manifests(write), before, Policy(), user="alice").objects
    allowed, causes = asked(client, write, old)

    denied = {f"{f.rule.code} {f.violation.field}" for f in judged.findings if f.action == "deny"}
    assert (allowed, causes) == (judged.verdict != "deny", denied)


def test_check_keeps_every_finding_of_a_huge_write() -> None:
    """Admission keeps a thousand of a rule, for it has to answer many at a time."""
    listed = [external(f"198.51.{number >> 8}.{number & 255}") for number in range(1500)]
    write = endpoints(subset(*listed))
    (judged,) = judge_manifests(as_manifests(write), state(service()), Policy()).objects
    assert Counter(finding.rule.code for finding in judged.findings)["EG201"] == 1500


@law
@given(clusters(), writes, writes | st.none(), st.sampled_from(["", "EG201", "EG101"]))
def test_a_write_is_faultless_exactly_if_nothing_is_found(
    cluster: list[Json], write: Json, old: Json | None, exempt: str
) -> None:
    exemption = {"reason": "a test", "users": ["alice"], "rules": [exempt]}
    policy = parse_policy({"exemptions": [exemption] if exempt else []})
    known = state(*cluster)
    before = old if old is not None and old["kind"] == write["kind"] else None
    asked = request(write, before)
    decision = decide_by_state(asked, known, policy)
    expected = None if decision.findings else decision
    assert decide_if_faultless(asked, known, policy) == expected
