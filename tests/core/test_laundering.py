"""No sequence of allowed updates leads where one update could not: nothing is laundered on the way.

An update is judged by what it adds, so what is stored already vouches for itself. That is safe only
if it adds up: whoever takes many steps gets no further than with one.
"""

from collections.abc import Iterable

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.builders import (
    LEADER,
    NAMESPACE,
    SERVICE_NAME,
    SKIP_MIRROR,
    Json,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    manual_service,
    pod,
    request,
    state,
    subset,
)
from tests.core.controllers import mirrors_of
from tests.strategies import addresses, clusters, law, written_ports
from webhook.core.engine import decide
from webhook.core.inventory import Inventory
from webhook.core.policy import Policy

HEADLESS = "service.kubernetes.io/headless"
longer = settings(law, max_examples=300)


@st.composite
def histories(draw: st.DrawFn) -> list[Json]:
    """What one object might become, step by step: always of the same few pieces, recombined."""
    entries = draw(st.lists(addresses, min_size=1, max_size=4))
    ports = draw(st.lists(written_ports, min_size=1, max_size=3))
    as_slice = draw(st.booleans())
    chosen = st.lists(st.sampled_from(entries), min_size=1, max_size=3)
    subsets = st.builds(
        lambda listed, waiting, at: subset(*listed, waiting=waiting or None, ports=at or None),
        *(chosen, st.just([]) | chosen, st.sampled_from(ports)),
    )
    written = st.lists(subsets, min_size=1, max_size=2).map(lambda made: endpoints(*made))
    steps = draw(st.lists(written, min_size=3, max_size=6))
    if not as_slice:
        return [with_metadata(step, draw(_of_endpoints)) for step in steps]
    return [with_metadata(mirrors_of(step)[0], draw(_of_slices)) for step in steps]


_of_endpoints = st.fixed_dictionaries(
    {
        "labels": st.sampled_from([{}, {}, {SKIP_MIRROR: "true"}]),
        "annotations": st.sampled_from([{}, {}, {LEADER: "{}"}]),
    }
)
_of_slices = st.fixed_dictionaries(
    {
        "labels": st.sampled_from(
            [
                *([{SERVICE_NAME: "web"}] * 3),
                {SERVICE_NAME: "web", HEADLESS: ""},
                {SERVICE_NAME: "nobody-s"},
                {},
            ]
        )
    }
)


def with_metadata(write: Json, fields: Json) -> Json:
    return {**write, "metadata": {"name": "web", "namespace": NAMESPACE, **fields}}


def allowed(write: Json, old: Json | None, cluster: Inventory) -> bool:
    return decide(request(write, old), cluster, Policy()).allowed


def stored(first: Json, tries: Iterable[Json], cluster: Inventory) -> Json:
    """What is there after all of that was tried."""
    now = first
    for each in tries:
        if allowed(each, now, cluster):
            now = each
    return now


BAD, GOOD = external("10.0.7.8"), external()
RIVALS = [manual_service(), pod("vault-0", namespace="rival", ip="10.0.7.8")]


@longer
@given(clusters(), histories())
@example(RIVALS, [endpoints(subset(GOOD, waiting=[BAD])), endpoints(subset(GOOD, BAD))])
@example(
    RIVALS,
    [
        endpoint_slice(external_endpoint("10.0.7.8"), labels={SERVICE_NAME: "nobody-s"}),
        endpoint_slice(external_endpoint("10.0.7.8")),
    ],
)
def test_what_began_well_never_becomes_what_could_not_be_created(
    cluster: list[Json], history: list[Json]
) -> None:
    known = state(*cluster)
    first, *tries = history
    if allowed(first, None, known):
        assert allowed(stored(first, tries, known), None, known)


@longer
@given(clusters(), histories())
@example(RIVALS, [endpoints(subset(BAD)), endpoints(subset(GOOD)), endpoints(subset(GOOD, BAD))])
def test_many_steps_lead_no_further_than_one(cluster: list[Json], history: list[Json]) -> None:
    """Whatever was there before the webhook came."""
    known = state(*cluster)
    first, *tries = history
    assert allowed(stored(first, tries, known), first, known)
