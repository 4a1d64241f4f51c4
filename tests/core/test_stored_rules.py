"""The rules of the audit alone: silent on what the real controllers keep, loud on what went wrong.

Each case is a whole cluster, and what the audit finds in it is stated in full, for the rules that
judge no write.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    LEADER,
    OVER_CAPACITY,
    SKIP_MIRROR,
    Json,
    address,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    manual_service,
    node,
    pod,
    pod_ref,
    service,
    service_port,
    state,
    subset,
)
from tests.core.controllers import endpoints_for, mirrors_of, slices_for, stored, truncated
from tests.strategies import (
    law,
    manual_services,
    many_pods,
    nodes,
    services,
    written_endpoints,
)
from webhook.core.audit import audit
from webhook.core.policy import Policy

NODE = node()
ONE, TWO = pod("web-1"), pod("web-2", ip="10.0.0.2")


def found(*cluster: Json) -> set[str]:
    """What the audit alone finds, as `CODE Kind/name path`."""
    return {
        f"{f.rule.code} {judged.ref.kind}/{judged.ref.name} {f.violation.field}"
        for judged in audit(state(*cluster), Policy())
        for f in judged.findings
        if f.rule.stored_only
    }


def kept(owner: Json, *pods: Json, known: list[Json] | None = None) -> list[Json]:
    """All that the controllers keep for a Service with a selector."""
    slices = slices_for(owner, pods, known if known is not None else [NODE])
    return [stored(each, owner) for each in (endpoints_for(owner, pods), *slices)]


def mirrored(written: Json) -> list[Json]:
    """Endpoints that somebody wrote, and what the mirroring controller makes of them."""
    source = changed(written, uid="uid-of-endpoints")
    return [source, *(stored(each, source) for each in mirrors_of(source))]


def changed(made: Json, **metadata: Any) -> Json:
    return {**made, "metadata": {**made["metadata"], **metadata}}


# --- Healthy clusters


@st.composite
def healthy(draw: st.DrawFn) -> list[Json]:
    """Services with a selector, their Pods, and all that controllers keep for them."""
    owner, known = draw(services()), draw(st.sampled_from([nodes, nodes, nodes[:1]]))
    held: set[str] = set()
    pods = []
    for each in draw(many_pods()):
        ips = {entry["ip"] for entry in each["status"]["podIPs"]}
        if held.isdisjoint(ips):
            held |= ips
            pods.append(each)
    written = endpoints_for(owner, pods)
    if draw(st.booleans()):
        written = truncated(written, 1) if len(_ready(written)) > 1 else written
    slices = slices_for(owner, pods, known)
    return [owner, *known, *pods, *(stored(each, owner) for each in (written, *slices))]


def _ready(written: Json) -> list[Json]:
    return [a for each in written["subsets"] for a in each.get("addresses", [])]


@law
@given(healthy())
def test_nothing_is_found_in_what_the_controllers_keep(cluster: list[Json]) -> None:
    findings = {
        f"{f.rule.code} {judged.ref} {f.violation.field}"
        for judged in audit(state(*cluster), Policy())
        for f in judged.findings
    }
    assert findings == set()


@law
@given(manual_services, written_endpoints)
def test_a_mirror_agrees_with_the_endpoints_that_it_mirrors(owner: Json, written: Json) -> None:
    """Whatever else is wrong with them."""
    assert not {each for each in found(owner, *mirrored(written)) if "EG602" in each}


# --- EG601: an address that was a Pod's

AT = "EG601 Endpoints/web subsets[0].addresses[0].ip"
STALE: dict[str, tuple[Json, tuple[Json, ...], bool]] = {
    "the Pod is there": (pod_ref(), (ONE,), False),
    "the Pod terminates": (pod_ref(), (pod(deleting=True),), False),
    "no uid, and the Pod is there": (pod_ref(uid=None), (ONE,), False),
    "no namespace, and the Pod is there": (pod_ref(namespace=None), (ONE,), False),
    "the Pod is gone": (pod_ref(), (), True),
    "the Pod is gone, its address is another's": (pod_ref(), (pod("web-9"),), True),
    "another Pod of this name": (pod_ref(), (pod(uid="new"),), True),
    "the Pod has ended": (pod_ref(), (pod(phase="Succeeded"),), True),
    "the Pod has another address, nobody this one": (pod_ref(), (pod(ip="10.0.0.9"),), False),
    "the Pod has another address, somebody this one": (
        pod_ref(),
        (pod(ip="10.0.0.9"), pod("web-9", namespace="rival")),
        True,
    ),
    "the Pod has several addresses": (pod_ref(), (pod(ips=["fd00::1", "10.0.0.1"]),), False),
    "no Pod of this namespace was meant": (pod_ref(namespace="rival"), (), False),
    "a Node was meant": ({"kind": "Node", "name": "node-1"}, (), False),
}


@pytest.mark.parametrize(("ref", "pods", "stale"), STALE.values(), ids=STALE)
@pytest.mark.parametrize("owner", [service(), manual_service()], ids=["selector", "manual"])
def test_an_address_is_stale_when_it_is_no_more_of_the_pod_that_was_meant(
    owner: Json, ref: Json, pods: tuple[Json, ...], stale: bool
) -> None:
    written = endpoints(subset(external("10.0.0.1", targetRef=ref)))
    codes = {each for each in found(owner, NODE, *pods, written) if "EG601" in each}
    assert codes == ({AT} if stale else set())


def test_an_address_without_target_ref_has_no_past() -> None:
    """Where it lies in a Pod range, EG506 says that nobody holds it."""
    ranged = node(podCIDRs=["10.0.0.0/24"])
    assert found(manual_service(), ranged, endpoints(subset(external("10.0.0.9")))) == set()


# --- EG602: left behind

SLICE_LABEL = "metadata.labels[endpointslice.kubernetes.io/managed-by]"
ENDPOINTS_LABEL = "metadata.labels[endpoints.kubernetes.io/managed-by]"
LEFT_SLICE = f"EG602 EndpointSlice/web-00000 {SLICE_LABEL}"
LEFT = {f"EG602 Endpoints/web {ENDPOINTS_LABEL}", LEFT_SLICE}
OWNER = "EG602 EndpointSlice/web-00000 metadata.ownerReferences[0]"
MADE = kept(service(), ONE)
MANUAL = manual_service()
MIRRORED = mirrored(endpoints(subset(external())))
SOURCE, MIRROR = MIRRORED


def without(made: Json, *keys: str) -> Json:
    return {**made, "metadata": {k: v for k, v in made["metadata"].items() if k not in keys}}


BEHIND: dict[str, tuple[list[Json], set[str]]] = {
    "all is as it was made": ([service(), *MADE], set()),
    "the selector is gone": ([MANUAL, *MADE], LEFT),
    "the selector is gone, and the Endpoints are mirrored as well": (
        [MANUAL, *MADE, changed(mirrored(MADE[0])[1], name="web-mirror")],
        LEFT,
    ),
    "the Service became an alias": ([service(type="ExternalName"), *MADE], LEFT),
    "the Service is gone": (MADE, LEFT),
    "the Service is another of that name": ([changed(service(), uid="new"), *MADE], {OWNER}),
    "a Service of which no uid is known": ([without(service(), "uid"), *MADE], set()),
    "left without an address": ([MANUAL, *kept(service())], set()),
    "a slice of some tool": (
        [service(), endpoint_slice(labels={"endpointslice.kubernetes.io/managed-by": "tool"})],
        set(),
    ),
    "owned by a workload, which nobody here knows": (
        [
            MANUAL,
            endpoint_slice(
                external_endpoint(),
                ownerReferences=[{"apiVersion": "v1", "kind": "ReplicationController", "uid": "x"}],
            ),
        ],
        set(),
    ),
    "a mirror of what is there": ([MANUAL, *MIRRORED], set()),
    "a mirror for an alias, which the controller makes as well": (
        [manual_service(type="ExternalName"), *MIRRORED],
        set(),
    ),
    "a mirror of Endpoints that are gone": ([MANUAL, MIRROR], {LEFT_SLICE}),
    "a mirror of other Endpoints of that name": (
        [MANUAL, changed(SOURCE, uid="new"), MIRROR],
        {OWNER},
    ),
    "a mirror of Endpoints whose Service has a selector": ([service(), *MIRRORED], {LEFT_SLICE}),
    "a mirror of Endpoints of no Service": (MIRRORED, {LEFT_SLICE}),
    "a mirror of Endpoints that are not to be mirrored": (
        [MANUAL, changed(SOURCE, labels={SKIP_MIRROR: "true"}), MIRROR],
        {LEFT_SLICE},
    ),
    "a mirror of a leader's lock": (
        [MANUAL, changed(SOURCE, annotations={LEADER: ""}), MIRROR],
        {LEFT_SLICE},
    ),
}


@pytest.mark.parametrize(("cluster", "left"), BEHIND.values(), ids=BEHIND)
def test_what_outlives_its_reason_is_left_behind(cluster: list[Json], left: set[str]) -> None:
    cluster = [NODE, ONE, *cluster]
    assert {each for each in found(*cluster) if "EG602" in each} == left


# --- EG602: Endpoints and slices that disagree

DIFFER = {"EG602 Endpoints/web subsets"}
BOTH = kept(service(), ONE, TWO)
ALONE = kept(service(), ONE)
DUAL = service(ipFamilies=["IPv4", "IPv6"])
DUAL_POD = pod(ips=["10.0.0.1", "fd00::1"])
SIX = pod("web-2", ips=["fd00::2"])
NAMED = service(ports=[service_port(targetPort="http")])
ENDING = pod("web-2", ip="10.0.0.2", deleting=True)
ASTRAY = pod("web-2", ip="10.0.0.2", node="node-9")
STRANGER = external_endpoint("10.0.0.9")

AGREE: dict[str, tuple[list[Json], set[str]]] = {
    "the same Pods": ([service(), *BOTH], set()),
    "Endpoints lack a Pod": ([service(), ALONE[0], *BOTH[1:]], DIFFER),
    "slices lack a Pod": ([service(), BOTH[0], *ALONE[1:]], DIFFER),
    "there are no slices of the controller": ([service(), BOTH[0], endpoint_slice()], set()),
    "Endpoints are cut off": (
        [service(), changed(ALONE[0], annotations={OVER_CAPACITY: "truncated"}), *BOTH[1:]],
        set(),
    ),
    "a Pod of no selector is EG201's": (
        [
            service(),
            endpoints(subset(address(ONE), address(TWO), external("10.0.0.9"))),
            *BOTH[1:],
        ],
        set(),
    ),
    "mirrors show what the Endpoints say": ([MANUAL, *MIRRORED], set()),
    "mirrors lack the first address": (
        [
            MANUAL,
            changed(
                endpoints(subset(external("198.51.100.8"), external())), uid="uid-of-endpoints"
            ),
            MIRROR,
        ],
        DIFFER,
    ),
    "mirrors have an address more": (
        [MANUAL, SOURCE, {**MIRROR, "endpoints": [*MIRROR["endpoints"], STRANGER]}],
        DIFFER,
    ),
    "there is no mirror": ([MANUAL, SOURCE], set()),
    "slices that somebody else keeps beside the mirror": (
        [MANUAL, *MIRRORED, endpoint_slice(STRANGER)],
        set(),
    ),
}


@pytest.mark.parametrize(("cluster", "differ"), AGREE.values(), ids=AGREE)
def test_endpoints_and_slices_of_one_service_list_the_same(
    cluster: list[Json], differ: set[str]
) -> None:
    assert {each for each in found(NODE, ONE, TWO, *cluster) if "EG602" in each} == differ


RIGHTLY: dict[str, tuple[Json, list[Json]]] = {
    "a terminating Pod is in slices only": (service(), [ONE, ENDING]),
    "the second family is in slices only": (DUAL, [DUAL_POD]),
    "a Pod of the second family only": (DUAL, [ONE, SIX]),
    "a Pod without the port is in slices only": (NAMED, [ONE]),
    "a Pod whose Node is unknown is in Endpoints only": (service(), [ONE, ASTRAY]),
    "publishNotReadyAddresses has everything everywhere": (
        service(publishNotReadyAddresses=True),
        [ONE, ENDING],
    ),
    "a Pod that is not ready": (service(), [ONE, pod("web-2", ip="10.0.0.2", ready=False)]),
    "a headless Service without ports": (service(clusterIP="None", ports=None), [ONE, TWO]),
}


@pytest.mark.parametrize(("owner", "pods"), RIGHTLY.values(), ids=RIGHTLY)
def test_nothing_is_said_where_endpoints_and_slices_rightly_differ(
    owner: Json, pods: list[Json]
) -> None:
    assert found(NODE, owner, *pods, *kept(owner, *pods)) == set()


def listing(*numbers: int) -> list[Json]:
    return [external(f"198.18.{n >> 8}.{n & 255}") for n in numbers]


CUT: dict[str, tuple[Sequence[Sequence[int]], Sequence[int], set[str]]] = {
    "at the default limit": ([range(1001)], range(1000), set()),
    "at another limit": ([range(9)], range(7), set()),
    "each subset at the same length": ([range(4), range(10, 16)], [0, 1, 2, 10, 11, 12], set()),
    "a short subset not at all": ([range(2), range(10, 16)], [0, 1, 10, 11, 12], set()),
    "one subset sooner than the other": ([range(4), range(10, 16)], [0, 1, 2, 10, 11], DIFFER),
    "where a longer subset is not": ([range(4), range(10, 16)], [0, 1, *range(10, 16)], DIFFER),
    "with a gap": ([range(9)], [0, 1, 2, 4], DIFFER),
    "before the first": ([range(4), range(10, 16)], range(10, 16), DIFFER),
    "with an address of its own": ([range(9)], [*range(7), 99], DIFFER),
}


@pytest.mark.parametrize(("subsets", "mirror", "differ"), CUT.values(), ids=CUT)
def test_a_mirror_may_end_early(
    subsets: Sequence[Sequence[int]], mirror: Sequence[int], differ: set[str]
) -> None:
    """How many addresses of a subset are mirrored is a flag of the controller, in no object."""
    named = [subset(*listing(*its)) for its in subsets]
    source, made, *_ = mirrored(endpoints(*named))
    cut = [external_endpoint(each["ip"]) for each in listing(*mirror)]
    said = {each for each in found(MANUAL, source, {**made, "endpoints": cut}) if "EG602" in each}
    assert said == differ


def test_a_disagreement_says_who_lists_what() -> None:
    (judged,) = (
        each
        for each in audit(state(NODE, ONE, TWO, service(), ALONE[0], *BOTH[1:]), Policy())
        if each.ref.kind == "Endpoints"
    )
    (finding,) = judged.findings
    assert finding.violation.message == "the EndpointSlices of Service web list other addresses"
    assert finding.violation.detail == "only there: 10.0.0.2"


# --- EG603: two Pods with one address

TWIN = pod("twin", namespace="rival")
HELD = {"EG603 Pod/web-1 status.podIPs[0].ip", "EG603 Pod/twin status.podIPs[0].ip"}
HOLDERS: dict[str, tuple[Json, Json, set[str]]] = {
    "two live Pods": (ONE, TWIN, HELD),
    "not ready ones as well": (pod(ready=False), TWIN, HELD),
    "one has ended": (pod(phase="Failed"), TWIN, set()),
    "one terminates": (pod(deleting=True), TWIN, set()),
    "one is on the network of its node": (pod(hostNetwork=True), TWIN, set()),
    "written in two ways": (pod(ip="fd00::1"), pod("twin", ip="FD00:0::1"), HELD),
    "the second address": (
        pod(ips=["10.0.0.7", "fd00::1"]),
        pod("twin", ips=["fd00::1"]),
        {"EG603 Pod/web-1 status.podIPs[1].ip", "EG603 Pod/twin status.podIPs[0].ip"},
    ),
    "two addresses": (ONE, TWO, set()),
    "none": (pod(ips=[]), pod("twin", ips=[]), set()),
}


@pytest.mark.parametrize(("first", "second", "held"), HOLDERS.values(), ids=HOLDERS)
def test_two_live_pods_never_hold_one_address(first: Json, second: Json, held: set[str]) -> None:
    assert found(first, second) == held


# --- EG605: ready, selected, and nowhere listed

MISSING = {"EG605 Service/web spec.selector"}
LEFT_OUT: dict[str, tuple[list[Json], set[str]]] = {
    "listed in both": ([TWO, *BOTH], set()),
    "in neither": ([TWO, *ALONE], MISSING),
    "in Endpoints, of which there are no slices": ([TWO, BOTH[0]], set()),
    "not in Endpoints, of which there are no slices": ([TWO, ALONE[0]], MISSING),
    "nothing is published at all": ([TWO], set()),
    "only the empty slice that is always there": ([TWO, *kept(service())[1:]], MISSING),
    "not ready": ([pod("web-2", ip="10.0.0.2", ready=False), *ALONE], set()),
    "terminating": ([ENDING, *ALONE], set()),
    "ended": ([pod("web-2", ip="10.0.0.2", phase="Succeeded"), *ALONE], set()),
    "not selected": ([pod("web-2", ip="10.0.0.2", labels={"app": "x"}), *ALONE], set()),
    "in another namespace": (
        [pod("web-2", namespace="rival", ip="10.0.0.2"), *ALONE],
        set(),
    ),
    "its Node is unknown": ([ASTRAY, *ALONE], set()),
    "without an address": ([pod("web-2", ips=[]), *ALONE], set()),
    "the Endpoints are cut off, and there are no slices": (
        [TWO, changed(ALONE[0], annotations={OVER_CAPACITY: "truncated"})],
        set(),
    ),
    "the Endpoints are cut off, but slices never are": (
        [TWO, changed(ALONE[0], annotations={OVER_CAPACITY: "truncated"}), *ALONE[1:]],
        MISSING,
    ),
}


@pytest.mark.parametrize(("cluster", "missing"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_ready_pod_that_a_service_selects_is_listed_somewhere(
    cluster: list[Json], missing: set[str]
) -> None:
    everything = [NODE, service(), ONE, *cluster]
    assert {each for each in found(*everything) if "EG605" in each} == missing


def test_a_pod_of_another_family_is_not_missed() -> None:
    single = service(ipFamilies=["IPv4"])
    assert found(NODE, single, ONE, SIX, *kept(single, ONE)) == set()


def test_a_service_without_selector_misses_nobody() -> None:
    assert found(NODE, MANUAL, ONE, *MIRRORED) == set()
